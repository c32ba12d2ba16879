use std::time::Duration;

use anyhow::Result;

use crate::{load::Measured, process::processor_time};

/// A process whose processor time counts.
#[derive(Clone, Copy)]
pub struct Watched {
    pub who: Who,
    pub pid: u32,
}

impl Watched {
    /// This very process: it makes the load.
    pub fn client() -> Self {
        Self { who: Who::Client, pid: std::process::id() }
    }
}

/// What a process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Polylog's.
    Sidecar,
    /// The database server, with all its processes.
    Database,
    /// Whatever makes the load.
    Client,
}

/// A window of load, and the processor time that it took.
pub struct Window {
    pub measured: Measured,
    processor: Vec<(Who, Duration)>,
    /// Those that the processor time is for.
    events: u64,
}

impl Window {
    /// Runs the load of one window.
    pub fn of(watched: &[Watched], load: impl FnOnce() -> Result<Measured>) -> Result<Self> {
        let before = times(watched)?;
        let measured = load()?;
        let after = times(watched)?;
        let took = |(after, before): (&Duration, &Duration)| after.saturating_sub(*before);
        let took = after.iter().zip(&before).map(took);
        let processor = watched.iter().map(|watched| watched.who).zip(took).collect();
        let events = measured.events;
        Ok(Self { measured, processor, events })
    }

    /// This window, its processor time without that of `other`, which connected as often.
    pub fn without(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.processor.iter_mut().zip(&other.processor) {
            mine.1 = mine.1.saturating_sub(theirs.1);
        }
        self.events = self.events.saturating_sub(other.events).max(1);
        self
    }

    /// Microseconds of processor time an event; `None` where no such process took part.
    pub fn micros(&self, who: Who) -> Option<f64> {
        let time: Duration = self.processor.iter().filter(|(of, _)| *of == who).map(|(_, time)| *time).sum();
        let takes_part = self.processor.iter().any(|(of, _)| *of == who);
        takes_part.then(|| time.as_secs_f64() * 1e6 / self.events as f64)
    }
}

fn times(watched: &[Watched]) -> Result<Vec<Duration>> {
    watched.iter().map(|watched| processor_time(watched.pid, watched.who == Who::Database)).collect()
}
