//! What is done to sources and sidecars, and undone again.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use super::{
    sources::{NAMES, Place, Sources},
    way::Passage,
};
use crate::{
    sidecar::{Sidecar, pause},
    status,
};

/// What is done to a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Harm {
    /// kill -9; it is started again later.
    Crash,
    /// SIGSTOP; it goes on later.
    Pause,
    /// Nobody can reach it.
    Cut,
    /// Everybody can reach it, and nothing arrives.
    Hang,
    /// All connections are reset.
    Reset,
    /// Everything takes longer.
    Slow,
    /// Another program has the file's lock.
    Lock,
}

/// What is done to a source with a server.
const ALL: &[Harm] = &[Harm::Crash, Harm::Crash, Harm::Pause, Harm::Cut, Harm::Hang, Harm::Reset, Harm::Slow];

/// A harm that is not undone yet.
struct Harmed<'a> {
    place: &'a Place,
    harm: Harm,
    lock: Option<rusqlite::Connection>,
}

/// How often what was done.
#[derive(Debug, Default)]
pub struct Harms(BTreeMap<&'static str, usize>);

/// A round of faults.
pub struct Rounds<'a> {
    pub sources: &'a Sources,
    pub random: &'a mut StdRng,
    pub harms: Harms,
    /// Whether the log goes on without the primary and whoever remembers what it had.
    pub outlives: bool,
}

impl<'a> Rounds<'a> {
    /// One round: the primary is lost while others are behind, with those that remember or without, or some sources are
    /// harmed for a while, or a sidecar is killed or stopped.
    pub fn next(&mut self, sidecars: &mut [Sidecar]) -> Result<()> {
        pause(Duration::from_millis(self.random.random_range(50..1_000)));
        match self.random.random_range(0..if self.outlives { 6 } else { 5 }) {
            _ if self.harms.0.is_empty() && !self.outlives => self.lose_primary(sidecars),
            // what is broken on purpose has to be noticed in a short run too
            _ if self.harms.0.is_empty() => self.lose_who_remembers(sidecars),
            0 => self.harm_sidecar(sidecars),
            5 => self.lose_who_remembers(sidecars),
            1 | 2 => self.lose_primary(sidecars),
            _ => self.harm_some(sidecars),
        }
    }

    fn harm_sidecar(&mut self, sidecars: &mut [Sidecar]) -> Result<()> {
        let index = self.random.random_range(0..sidecars.len());
        if self.random.random() {
            self.harms.count("sidecar killed");
            sidecars[index].kill()?;
            return sidecars[index].start();
        }
        self.harms.count("sidecar stopped");
        let halted = sidecars[index].stop()?;
        pause(Duration::from_millis(self.random.random_range(50..3_000)));
        drop(halted);
        Ok(())
    }

    /// Nothing reaches one or both of the others for a moment; then the primary goes, for long enough that another is
    /// elected.
    fn lose_primary(&mut self, sidecars: &[Sidecar]) -> Result<()> {
        let first = primary(sidecars).unwrap_or(0);
        let mut others: Vec<usize> = (0..NAMES.len()).filter(|index| *index != first).collect();
        if self.random.random() {
            others.remove(self.random.random_range(0..others.len()));
        }
        let mut behind = Vec::new();
        for other in others {
            behind.push(self.harm(other, &[Harm::Hang])?);
        }
        pause(Duration::from_millis(self.random.random_range(100..700)));
        let lost = self.harm(first, &[Harm::Crash, Harm::Crash, Harm::Pause, Harm::Cut])?;
        behind.into_iter().for_each(Harmed::undo);
        pause(Duration::from_millis(self.random.random_range(1_500..3_500)));
        lost.undo();
        Ok(())
    }

    /// Nothing reaches the others for a moment; then the primary goes, and with it every sidecar, which could still have
    /// told the others. What is elected has what had reached it.
    fn lose_who_remembers(&mut self, sidecars: &mut [Sidecar]) -> Result<()> {
        let first = primary(sidecars).unwrap_or(0);
        let mut behind = Vec::new();
        for other in (0..NAMES.len()).filter(|index| *index != first) {
            behind.push(self.harm(other, &[Harm::Hang])?);
        }
        pause(Duration::from_millis(self.random.random_range(300..700)));
        let lost = self.harm(first, &[Harm::Crash])?;
        self.harms.count("all sidecars killed");
        sidecars.iter_mut().try_for_each(Sidecar::kill)?;
        behind.into_iter().for_each(Harmed::undo);
        sidecars.iter_mut().try_for_each(Sidecar::start)?;
        pause(Duration::from_millis(self.random.random_range(1_500..3_500)));
        lost.undo();
        Ok(())
    }

    fn harm_some(&mut self, sidecars: &mut [Sidecar]) -> Result<()> {
        let any = self.random.random_range(0..NAMES.len());
        let is_primary = self.random.random();
        let first = if is_primary { primary(sidecars).unwrap_or(any) } else { any };
        let mut harmed = vec![self.harm(first, ALL)?];
        if self.random.random_ratio(1, 4) {
            // no majority is left, or the only source that is level
            let second = (first + self.random.random_range(1..NAMES.len())) % NAMES.len();
            pause(Duration::from_millis(self.random.random_range(0..400)));
            harmed.push(self.harm(second, ALL)?);
        }
        pause(Duration::from_millis(self.random.random_range(50..3_500)));
        harmed.into_iter().for_each(Harmed::undo);
        Ok(())
    }

    /// One of these harms, to a source with a server; what a file has instead.
    fn harm(&mut self, index: usize, harms: &[Harm]) -> Result<Harmed<'a>> {
        let place = &self.sources.places[index];
        let (harm, lock) = match place {
            Place::File(file) => {
                let lock = rusqlite::Connection::open(file)?;
                lock.busy_timeout(Duration::from_secs(5))?;
                lock.execute_batch("BEGIN IMMEDIATE").context("the lock of the file")?;
                (Harm::Lock, Some(lock))
            }
            Place::Server { server, way, .. } => {
                let harm = *harms.choose(self.random).context("some")?;
                match harm {
                    Harm::Crash => server.crash(),
                    Harm::Pause => server.pause(),
                    Harm::Cut => way.set(Passage::Closed),
                    Harm::Hang => way.set(Passage::Hanging),
                    Harm::Reset => way.reset(),
                    Harm::Slow => {
                        way.set(Passage::Slow(Duration::from_millis(self.random.random_range(5..60))));
                    }
                    Harm::Lock => unreachable!("a server has no file"),
                }
                (harm, None)
            }
        };
        self.harms.count(harm.name());
        Ok(Harmed { place, harm, lock })
    }
}

fn primary(sidecars: &[Sidecar]) -> Option<usize> {
    let status = status::of(sidecars[0].port).ok()?;
    NAMES.iter().position(|name| status["primary"] == *name)
}

impl Harm {
    fn name(self) -> &'static str {
        match self {
            Harm::Crash => "source killed",
            Harm::Pause => "source stopped",
            Harm::Cut => "source cut off",
            Harm::Hang => "source silent",
            Harm::Reset => "connections reset",
            Harm::Slow => "source slow",
            Harm::Lock => "file locked",
        }
    }
}

impl Harmed<'_> {
    fn undo(self) {
        // with the connection goes the lock
        drop(self.lock);
        let Place::Server { server, way, .. } = self.place else { return };
        match self.harm {
            Harm::Crash => server.start_again(),
            Harm::Pause => server.resume(),
            Harm::Cut | Harm::Hang | Harm::Slow => way.set(Passage::Open),
            Harm::Reset | Harm::Lock => {}
        }
    }
}

impl Harms {
    fn count(&mut self, name: &'static str) {
        *self.0.entry(name).or_default() += 1;
    }
}

impl std::fmt::Display for Harms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told: Vec<_> = self.0.iter().map(|(name, times)| format!("{times} × {name}")).collect();
        f.write_str(&told.join(", "))
    }
}
