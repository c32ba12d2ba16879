//! One log over several databases, whose sources and sidecars are killed, stopped, cut off and slowed down under load.

mod harm;
mod sources;
mod strategy;
mod watcher;
mod way;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use rand::{SeedableRng, rngs::StdRng};
use uuid::Uuid;

use self::{
    harm::{Harms, Rounds},
    sources::Sources,
    strategy::Strategy,
    watcher::Shown,
};
use crate::{
    audit,
    history::{client::Recorder, record::Record, views},
    sidecar::{Sidecar, SidecarArgs},
    status, subscriber,
    writer::{self, Written},
};

const RECORDERS: u64 = 6;
const STREAMS: u64 = 4;
const WRITERS: u64 = 3;
const SUBSCRIBERS: usize = 3;

/// After the last fault every source must have everything within this time, by itself.
const CATCH_UP: Duration = Duration::from_secs(30);
/// Fewer acknowledged commits than this for each second mean that little was tried.
const LEAST_RATE: f64 = 1.0;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    strategy: Strategy,
    /// How many sidecars there are. Of one, the third source is an SQLite file; several share a server in its place.
    #[arg(long, default_value_t = 1)]
    sidecars: usize,
    /// For how long there are faults.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Chooses the faults and their moments; default: the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// Succeeds only if a violation is found: for a sidecar that was broken on purpose.
    #[arg(long)]
    expect_violation: bool,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

/// Everything that somebody noted.
struct Noted {
    records: Vec<Record>,
    written: Vec<Written>,
    shown: Vec<Shown>,
    followed: Vec<Vec<Uuid>>,
    log: Vec<audit::Logged>,
    harms: Harms,
    levelled: Duration,
}

pub fn run(args: &Args) -> Result<()> {
    match (faults(args), args.expect_violation) {
        (Ok(()), false) => Ok(()),
        (Err(violation), true) => {
            println!("found, as it must be: {violation:#}");
            Ok(())
        }
        (Ok(()), true) => bail!("the sidecar was broken on purpose, and nothing was noticed"),
        (Err(violation), false) => Err(violation),
    }
}

fn faults(args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("seed {seed}, {:?}, {} sidecars, {} s of faults", args.strategy, args.sidecars, args.seconds);
    let data = std::env::temp_dir().join(format!("polylog-faults-{seed:x}"));
    fs::create_dir_all(&data)?;
    let sources = Sources::start((args.sidecars == 1).then(|| data.join("spare.db")))?;
    let mut sidecars = sidecars(args, &data, &sources)?;
    sidecars.iter_mut().try_for_each(Sidecar::start)?;
    let began = Instant::now();
    let noted = under_load(args, seed, &sources, &mut sidecars)?;
    let told = check(&noted)?;
    let end = status::of(sidecars[0].port)?;
    if let Some(kept) = args.strategy.kept() {
        println!("they keep the data of {:?} events", sources.keep(kept)?);
    }
    sidecars.iter_mut().try_for_each(Sidecar::kill)?;
    let held = sources.hold(&noted.log)?;
    println!(
        "{}\n{told}\nterm {} at the end; level {:.2} s after the last fault, {held} events in each source; {:.1} s",
        noted.harms,
        end["term"],
        noted.levelled.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    fs::remove_dir_all(&data).context("the data of this run")
}

fn sidecars(args: &Args, data: &Path, sources: &Sources) -> Result<Vec<Sidecar>> {
    let manifests = data.join("manifests");
    fs::create_dir_all(&manifests)?;
    fs::write(manifests.join("payments.yaml"), args.strategy.manifests(&sources.mariadb()?))?;
    let sidecar = |number: usize| {
        let own: PathBuf = data.join(format!("sidecar-{number}"));
        let sidecar = Sidecar::new(&args.sidecar.with_manifests(&manifests), &own)?;
        let placed =
            sources.addresses().fold(sidecar, |sidecar, (name, url)| sidecar.with_source(name, &url));
        placed.with_environment("POLYLOG_LOG", "info").telling(&data.join(format!("sidecar-{number}.log")))
    };
    (0..args.sidecars).map(sidecar).collect()
}

fn under_load(args: &Args, seed: u64, sources: &Sources, sidecars: &mut [Sidecar]) -> Result<Noted> {
    let ports: Vec<u16> = sidecars.iter().map(|sidecar| sidecar.port).collect();
    let (ports, stop, goal) = (&ports[..], &AtomicBool::new(false), &AtomicU64::new(0));
    let mut random = StdRng::seed_from_u64(seed);
    // with one ack what the primary alone had may be gone: `polylog dev` does not begin without it
    let outlives = args.strategy != Strategy::One;
    let mut rounds = Rounds { sources, random: &mut random, harms: Harms::default(), outlives };
    thread::scope(|scope| {
        let recorders: Vec<_> =
            (0..RECORDERS).map(|n| scope.spawn(move || record(ports, !seed ^ n, stop))).collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| scope.spawn(move || writer::write(ports, n as usize, seed ^ (n << 32), stop)))
            .collect();
        let watchers: Vec<_> =
            ports.iter().map(|port| scope.spawn(move || watcher::watch(*port, stop))).collect();
        let subscribers: Vec<_> =
            (0..SUBSCRIBERS).map(|_| scope.spawn(move || subscriber::follow(ports, goal))).collect();
        let until = Instant::now() + Duration::from_secs(args.seconds);
        let faults = (|| {
            while Instant::now() < until {
                let are_at_work = !recorders.iter().any(|one| one.is_finished())
                    && !writers.iter().any(|one| one.is_finished())
                    && !watchers.iter().any(|one| one.is_finished())
                    && !subscribers.iter().any(|one| one.is_finished());
                ensure!(are_at_work, "somebody gave up");
                rounds.next(sidecars)?;
                sidecars.iter_mut().try_for_each(Sidecar::check_running)?;
            }
            Ok(())
        })();
        let ended = Instant::now();
        stop.store(true, Ordering::Relaxed);
        let records: Vec<_> = recorders.into_iter().map(|one| one.join().expect("no panic")).collect();
        let written: Vec<_> = writers.into_iter().map(|one| one.join().expect("no panic")).collect();
        let shown: Vec<_> = watchers.into_iter().map(|one| one.join().expect("no panic")).collect();
        // behind everything that may still be under way
        let last = faults.and_then(|()| {
            let last = ports.iter().map(|port| writer::write_one(*port)).collect::<Result<Vec<_>>>()?;
            ports.iter().try_for_each(|port| status::until_level(*port, CATCH_UP).map(drop))?;
            Ok((last.into_iter().max().unwrap_or(1), ended.elapsed()))
        });
        // Subscribers end when they have seen a last event; after a failure they end at once.
        if last.is_err() {
            sidecars.iter_mut().try_for_each(Sidecar::kill)?;
        }
        goal.store(last.as_ref().map_or(1, |(last, _)| *last), Ordering::Relaxed);
        let log = last.as_ref().ok().map(|_| audit::read_log(ports[0]));
        let followed: Vec<_> = subscribers.into_iter().map(|one| one.join().expect("no panic")).collect();
        // what somebody noticed says more than that somebody did
        let records = records.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        let written = written.into_iter().collect::<Result<_>>()?;
        let shown = shown.into_iter().collect::<Result<_>>()?;
        let followed = followed.into_iter().collect::<Result<_>>()?;
        let (_, levelled) = last?;
        let log = log.context("read where the last is known")??;
        Ok(Noted { records, written, shown, followed, log, harms: rounds.harms, levelled })
    })
}

/// A client that notes what it does, until it is told to stop.
fn record(ports: &[u16], seed: u64, stop: &AtomicBool) -> Result<Vec<Record>> {
    let records = Mutex::new(Vec::new());
    Recorder::new(ports, STREAMS, seed).run(stop, |record| {
        records.lock().push(record);
        Ok(())
    })?;
    Ok(records.into_inner())
}

/// Checks what was noted against the log; says what there was.
fn check(noted: &Noted) -> Result<String> {
    let Noted { records, written, shown, followed, log, .. } = noted;
    let checked = views::check(records, log)?;
    let (mut commits, mut retries) = (0, 0);
    for one in written {
        retries += one.retries;
        for acknowledged in &one.acknowledged {
            commits += 1;
            audit::holds(log, acknowledged)?;
        }
    }
    shown.iter().try_for_each(|shown| watcher::is_kept(shown, log))?;
    for seen in followed {
        let same = seen.iter().zip(log).all(|(seen, logged)| *seen == logged.id);
        ensure!(same, "a subscriber saw another history than the log's");
    }
    let views::Checked { acknowledged, refused, unknown, written, reads, .. } = checked;
    let longest = records.iter().map(|record| record.ended - record.began).max().unwrap_or(0);
    let seconds = records.iter().map(|record| record.ended).max().unwrap_or(0)
        - records.iter().map(|record| record.began).min().unwrap_or(0);
    let rate = (acknowledged + commits) as f64 / (seconds as f64 / 1e9).max(1.0);
    ensure!(rate >= LEAST_RATE, "{acknowledged} and {commits} appends acknowledged: {rate:.1} a second");
    Ok(format!(
        "{commits} commits of writers acknowledged, all in the log once, {retries} retries; of others {acknowledged} \
         acknowledged, {refused} refused, {unknown} unknown of which {written} were written, {reads} reads, all linearizable; \
         the longest took {:.2} s; {} subscribers and {} readers saw nothing that is not there",
        longest as f64 / 1e9,
        followed.len(),
        shown.len()
    ))
}
