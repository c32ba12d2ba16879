use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    audit,
    cluster::Cluster,
    database::Engine,
    sidecar::{Sidecar, SidecarArgs, pause},
    subscriber, writer,
};

const WRITERS: usize = 16;
const SUBSCRIBERS: usize = 4;

/// After this long with a server that answers, every sidecar must take appends again.
const RECOVERY: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    /// How many times a sidecar is killed, and how many times the database server, if the engine has one.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// What keeps the log. Over a server there are two sidecars.
    #[arg(long, default_value = "sqlite")]
    engine: Engine,
    /// Chooses the moments; default: the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// Succeeds only if a violation is found: for a sidecar that was broken on purpose.
    #[arg(long)]
    expect_violation: bool,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

#[derive(Clone, Copy)]
enum Victim {
    /// With this index.
    Sidecar(usize),
    Server,
}

/// What the kills did.
#[derive(Default)]
struct Kills {
    sidecars: usize,
    servers: usize,
    /// The longest time from a server's answer to an append that a sidecar acknowledged.
    recovery: Duration,
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
    println!("seed {seed}, {WRITERS} writers, {SUBSCRIBERS} subscribers, {:?}", args.engine);
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start(args.engine, &args.sidecar, &format!("kill-{seed:x}"))?;
    let ports = cluster.ports();
    let victims = victims(args.rounds, &cluster, &mut random);

    let (stop, goal) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    let (kills, written, log, followed) = thread::scope(|scope| -> Result<_> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| {
                let (ports, stop) = (&ports, &stop);
                scope.spawn(move || writer::write(ports, n, seed ^ n as u64, stop))
            })
            .collect();
        let subscribers: Vec<_> = (0..SUBSCRIBERS)
            .map(|n| {
                // half of them stay with one sidecar, the others change at each connection
                let alone = n % ports.len();
                let followed = if n < ports.len() { &ports[alone..=alone] } else { &ports[..] };
                let goal = &goal;
                scope.spawn(move || subscriber::follow(followed, goal))
            })
            .collect();
        let mut kills = Kills::default();
        let rounds = victims.into_iter().try_for_each(|victim| {
            ensure!(!writers.iter().any(|writer| writer.is_finished()), "a writer gave up");
            pause(Duration::from_millis(random.random_range(50..1_000)));
            kills.carry_out(victim, &mut cluster, &mut random)
        });
        stop.store(true, Ordering::Relaxed);
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("no panic")).collect();
        // Subscribers end when they have seen a last event; after a failure they end at once.
        let last = rounds.and_then(|()| writer::write_one(ports[0]));
        if last.is_err() {
            cluster.sidecars.iter_mut().try_for_each(Sidecar::kill)?;
        }
        goal.store(*last.as_ref().unwrap_or(&1), Ordering::Relaxed);
        let log = last.and_then(|_| audit::read_log(ports[0]));
        let followed: Vec<_> = subscribers.into_iter().map(|one| one.join().expect("no panic")).collect();
        let written = written.into_iter().collect::<Result<Vec<_>>>()?;
        Ok((kills, written, log?, followed.into_iter().collect::<Result<Vec<_>>>()?))
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
    cluster.end()?;
    let Kills { sidecars, servers, recovery } = kills;
    println!(
        "{sidecars} kills of a sidecar, {servers} of the server, after which each sidecar appended again within {:.2} s\n\
         {commits} commits with {events} events acknowledged, all in the log of {} once; {retries} retries, \
         {conflicts} version conflicts; every subscriber saw each position once, in order; {:.1} s",
        recovery.as_secs_f64(),
        log.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

fn victims(rounds: usize, cluster: &Cluster, random: &mut StdRng) -> Vec<Victim> {
    let sidecars = cluster.sidecars.len();
    let mut victims: Vec<_> = (0..rounds).map(|n| Victim::Sidecar(n % sidecars)).collect();
    if cluster.server.is_some() {
        victims.extend((0..rounds).map(|_| Victim::Server));
    }
    victims.shuffle(random);
    victims
}

impl Kills {
    fn carry_out(&mut self, victim: Victim, cluster: &mut Cluster, random: &mut StdRng) -> Result<()> {
        match victim {
            Victim::Sidecar(index) => {
                self.sidecars += 1;
                let sidecar = &mut cluster.sidecars[index];
                sidecar.kill()?;
                sidecar.start()
            }
            Victim::Server => {
                self.servers += 1;
                let server = cluster.server.as_deref().context("only chosen where there is one")?;
                server.crash();
                pause(Duration::from_millis(random.random_range(0..300)));
                server.start_again();
                self.await_recovery(cluster)
            }
        }
    }

    /// Each sidecar finds the server again by itself.
    fn await_recovery(&mut self, cluster: &mut Cluster) -> Result<()> {
        let back = Instant::now();
        for sidecar in &mut cluster.sidecars {
            writer::write_one(sidecar.port)?;
            sidecar.check_running()?;
            let took = back.elapsed();
            ensure!(took < RECOVERY, "a sidecar needed {took:?} to append again");
            self.recovery = self.recovery.max(took);
        }
        Ok(())
    }
}
