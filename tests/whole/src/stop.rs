use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    audit,
    cluster::Cluster,
    database::{Engine, Lock, LockStatements, Session},
    load,
    sidecar::{SidecarArgs, pause},
    writer,
};

/// Longest time for which a stopped sidecar may hold up the other one.
const LONGEST_BLOCK: Duration = Duration::from_secs(2);
/// A block of this length comes from a lock that a stopped sidecar held, not from load.
const HELD: Duration = Duration::from_millis(800);
/// After a lost swap an engine takes the lock for some batches; after this many it swaps again.
const CAUTIOUS_BATCHES: usize = 40;
const RECOVERY: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    /// How many times a sidecar is stopped: under the lock, within a statement, and at a random moment under load, each.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// The server that keeps the log.
    #[arg(long, default_value = "postgres")]
    engine: Engine,
    /// Chooses the random moments; default: the clock.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

/// What was measured.
#[derive(Default)]
struct Measured {
    /// How often a stopped sidecar held the other one up.
    held: usize,
    /// The longest append of the other sidecar.
    longest: Duration,
    /// The longest time from SIGCONT to an append of the sidecar that was stopped.
    recovery: Duration,
}

/// SIGSTOP of one of two sidecars, in the middle of an append.
pub fn run(args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("seed {seed}, {:?}", args.engine);
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = Cluster::start(args.engine, &args.sidecar, &format!("stop-{seed:x}"))?;
    let server = cluster.server.as_deref().context("an engine with a server, which two sidecars share")?;
    if let Some(lock) = server.lock() {
        at_the_worst_moments(&cluster, lock, args.rounds)?;
    }
    at_random(&cluster, args.rounds, &mut random)?.print(args.rounds, "at a random moment under load");
    cluster.end()
}

/// Of an engine whose appends are decided under a lock: while they hold it, and while they do without.
fn at_the_worst_moments(cluster: &Cluster, lock: &dyn Lock, rounds: usize) -> Result<()> {
    let (mut locker, mut watcher) = (Session::open(lock)?, Session::open(lock)?);
    for is_locked in [true, false] {
        let mut measured = Measured::default();
        let (mut caught, mut missed) = (0, 0);
        while caught < rounds {
            let sessions = (&mut locker, &mut watcher, lock.statements());
            let stopped = caught % cluster.sidecars.len();
            match in_a_statement(cluster, sessions, stopped, is_locked, &mut measured)? {
                true => caught += 1,
                false => missed += 1,
            }
            ensure!(
                missed <= 2 + rounds / 10,
                "the moment was missed {missed} times, and met {caught} times"
            );
        }
        let held = if is_locked { rounds } else { 0 };
        ensure!(measured.held == held, "{} of {rounds} stops held the lock", measured.held);
        let place = if is_locked { "under the lock" } else { "within the statement that commits by itself" };
        measured.print(rounds, place);
    }
    Ok(())
}

/// Stops a sidecar while its session waits for the lock, which it is then given. `false` = on a busy machine the moment was
/// over before it was seen: then nothing was measured.
fn in_a_statement(
    cluster: &Cluster,
    (locker, watcher, lock): (&mut Session, &mut Session, LockStatements),
    stopped: usize,
    is_locked: bool,
    measured: &mut Measured,
) -> Result<bool> {
    let (stopped, other) = (&cluster.sidecars[stopped], &cluster.sidecars[1 - stopped]);
    // what another process wrote since makes an append take the lock; one's own commits make it trust what it remembers
    let (warm, appends) = if is_locked { (other, 1) } else { (stopped, CAUTIOUS_BATCHES) };
    (0..appends).try_for_each(|_| writer::write_one(warm.port).map(drop))?;

    locker.run(lock.take)?;
    let (last, is_caught) = thread::scope(|scope| -> Result<(u64, bool)> {
        let append = scope.spawn(|| writer::write_one(stopped.port));
        let waits = watcher.until(lock.count_waiting, 1);
        let halted = stopped.stop()?;
        let since = Instant::now();
        // whatever came before, or the append never ends
        locker.run(lock.give_back)?;
        waits?;
        let is_caught = !is_locked || watcher.until(lock.count_idle, 1).is_ok();
        writer::write_one(other.port)?;
        let took = since.elapsed();
        drop(halted);
        if is_caught {
            measured.add(took)?;
        }
        Ok((append.join().expect("no panic")?, is_caught))
    })?;
    measured.recover(stopped.port)?;
    let log = audit::read_log(other.port)?;
    ensure!(log.len() as u64 > last, "position {last} was acknowledged, the log has {}", log.len());
    Ok(is_caught)
}

/// Stops a sidecar while both are at work.
fn at_random(cluster: &Cluster, rounds: usize, random: &mut StdRng) -> Result<Measured> {
    let mut measured = Measured::default();
    let ports = cluster.ports();
    let seed = random.random();
    let written = load::during(&ports, seed, 0..rounds, |round| {
        let stopped = &cluster.sidecars[round % 2];
        let other = ports[1 - round % 2];
        pause(Duration::from_millis(random.random_range(20..200)));
        let halted = stopped.stop()?;
        let since = Instant::now();
        let mut longest = Duration::ZERO;
        while since.elapsed() < LONGEST_BLOCK {
            longest = longest.max(time(|| writer::write_one(other))?);
        }
        drop(halted);
        measured.add(longest)?;
        measured.recover(stopped.port)
    })?;
    let log = audit::read_log(ports[0])?;
    written.iter().flat_map(|one| &one.acknowledged).try_for_each(|one| audit::holds(&log, one))?;
    Ok(measured)
}

impl Measured {
    fn add(&mut self, took: Duration) -> Result<()> {
        self.held += usize::from(took > HELD);
        self.longest = self.longest.max(took);
        ensure!(took <= LONGEST_BLOCK, "a stopped sidecar held the other one up for {took:?}");
        Ok(())
    }

    /// The sidecar that was stopped appends again.
    fn recover(&mut self, port: u16) -> Result<()> {
        let took = time(|| writer::write_one(port))?;
        ensure!(took < RECOVERY, "a sidecar that went on needed {took:?} to append again");
        self.recovery = self.recovery.max(took);
        Ok(())
    }

    fn print(&self, rounds: usize, place: &str) {
        let Self { held, longest, recovery } = self;
        println!(
            "{rounds} stops {place}: {held} held the other sidecar up, for {:.2} s at most; the stopped one appended \
             again {:.2} s after SIGCONT at most",
            longest.as_secs_f64(),
            recovery.as_secs_f64()
        );
    }
}

fn time<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}
