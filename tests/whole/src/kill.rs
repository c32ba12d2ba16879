use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    audit,
    sidecar::{Sidecar, SidecarArgs, pause},
    subscriber, writer,
};

const WRITERS: u64 = 16;
const SUBSCRIBERS: usize = 4;

#[derive(clap::Args)]
pub struct Args {
    /// How many times it is killed.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Chooses the moments; default: the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// Succeeds only if a violation is found: for a sidecar that was broken on purpose.
    #[arg(long)]
    expect_violation: bool,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let outcome = kill(args);
    match (outcome, args.expect_violation) {
        (Ok(()), false) => Ok(()),
        (Err(violation), true) => {
            println!("found, as it must be: {violation:#}");
            Ok(())
        }
        (Ok(()), true) => bail!("the sidecar was broken on purpose, and nothing was noticed"),
        (Err(violation), false) => Err(violation),
    }
}

fn kill(args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("seed {seed}, {} kills, {WRITERS} writers, {SUBSCRIBERS} subscribers", args.rounds);
    let mut random = StdRng::seed_from_u64(seed);
    let data = std::env::temp_dir().join(format!("polylog-kill-{seed:x}"));
    let mut sidecar = Sidecar::new(&args.sidecar, &data)?;
    let port = sidecar.port;
    sidecar.start()?;

    let (stop, goal) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    let (written, log, followed) = thread::scope(|scope| -> Result<_> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| {
                scope.spawn({
                    let stop = &stop;
                    move || writer::write(port, seed ^ n, stop)
                })
            })
            .collect();
        let subscribers: Vec<_> =
            (0..SUBSCRIBERS).map(|_| scope.spawn(|| subscriber::follow(port, &goal))).collect();
        let rounds = (0..args.rounds).try_for_each(|_| {
            pause(Duration::from_millis(random.random_range(50..1_000)));
            sidecar.kill()?;
            sidecar.start()
        });
        stop.store(true, Ordering::Relaxed);
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("no panic")).collect();
        // Subscribers end when they have seen a last event; after a failure they end at once.
        let last = rounds.and_then(|()| writer::write_last(port));
        goal.store(*last.as_ref().unwrap_or(&1), Ordering::Relaxed);
        let log = last.and_then(|_| audit::read_log(port));
        let followed: Vec<_> = subscribers.into_iter().map(|one| one.join().expect("no panic")).collect();
        let written = written.into_iter().collect::<Result<Vec<_>>>()?;
        Ok((written, log?, followed.into_iter().collect::<Result<Vec<_>>>()?))
    })?;

    let (mut commits, mut events, mut retries, mut conflicts) = (0, 0, 0, 0);
    for one in &written {
        retries += one.retries;
        conflicts += one.conflicts;
        for acknowledged in &one.acknowledged {
            commits += 1;
            events += acknowledged.ids.len();
            audit::holds(&log, acknowledged)?;
        }
    }
    for seen in followed {
        let same = seen.iter().zip(&log).all(|(seen, logged)| *seen == logged.id);
        ensure!(seen.len() == log.len() && same, "a subscriber saw another history than the log's");
    }
    sidecar.kill()?;
    std::fs::remove_dir_all(&data).context("the data of this run")?;
    println!(
        "{commits} commits with {events} events acknowledged, all in the log of {} once; {retries} retries, \
         {conflicts} version conflicts; every subscriber saw each position once, in order; {:.1} s",
        log.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
