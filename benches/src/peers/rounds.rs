//! Windows that follow each other, as one round, again and again: what slows the machine down slows all of them down.

use std::time::Duration;

use anyhow::Result;
use polylog_whole_tests::sidecar::Sidecar;

use super::{
    APPEND, Bench, FEW,
    database::{Raw, Server},
    grpc::Method,
    messages,
    meter::{Watched, Who, Window},
    umadb::Umadb,
};
use crate::{
    load::{Load, Measured},
    observed::{batches, position},
    process::resident,
};

/// One round.
pub struct Round {
    /// Events in the log before it.
    pub stored: u64,
    pub grpc: Polylog,
    pub http: Option<Polylog>,
    pub message_db: Option<Window>,
    pub umadb: Option<Window>,
    /// Resident bytes afterwards.
    pub sidecar_memory: u64,
    pub umadb_memory: Option<u64>,
}

/// A window of Polylog's, and its rows once more.
pub struct Polylog {
    pub window: Window,
    /// Events in a transaction.
    pub batch: f64,
    /// The rows inserted raw, in transactions as large.
    pub raw: Window,
}

/// How long everything runs before it is measured.
const WARM_UP: f64 = 0.3;

/// Each round on fresh copies, so that the log stays small.
pub fn on_small_log(bench: &Bench<'_>, load: Load) -> Result<Vec<Round>> {
    let rounds = (0..bench.args.rounds).map(|number| {
        let (ours, theirs) = (format!("ours_{number}"), format!("theirs_{number}"));
        bench.server.copy("small", &ours);
        let mut sidecar = bench.sidecar(&ours)?;
        let mut raw = bench.server.raw(&ours)?;
        let message_db = bench.message_db.as_ref();
        if message_db.is_some() {
            bench.server.copy("message_db", &theirs);
        }
        let folder = bench.folder.join(&ours);
        let umadb = bench.args.umadb.as_deref().map(|program| Umadb::start(program, &folder)).transpose()?;
        if let Some(umadb) = &umadb {
            umadb.fill(FEW)?;
        }
        bench.server.settle();
        append(&sidecar, load, WARM_UP)?;
        raw.catch_up(100)?;
        // one is not always first
        let mut round = if number % 2 == 0 {
            polylog(bench, &sidecar, load, &mut *raw)?
        } else {
            let (message_db, umadb) = others(bench, load, &theirs, umadb.as_ref())?;
            Round { message_db, umadb, ..polylog(bench, &sidecar, load, &mut *raw)? }
        };
        if number % 2 == 0 {
            (round.message_db, round.umadb) = others(bench, load, &theirs, umadb.as_ref())?;
        }
        round.umadb_memory = umadb.as_ref().map(|umadb| resident(umadb.pid())).transpose()?;
        sidecar.kill()?;
        drop((raw, umadb));
        std::fs::remove_dir_all(folder)?;
        Ok(round)
    });
    let rounds = rounds.collect();
    // removing one writes out everything that is not yet on disk: not between windows
    for number in 0..bench.args.rounds {
        bench.server.remove(&format!("ours_{number}"));
        bench.server.remove(&format!("theirs_{number}"));
    }
    rounds
}

/// All rounds on one log, which grows little by them.
pub fn on_large_log(bench: &Bench<'_>, sidecar: &Sidecar, load: Load) -> Result<Vec<Round>> {
    let mut raw = bench.server.raw("large")?;
    append(sidecar, load, WARM_UP)?;
    raw.catch_up(100)?;
    bench.server.settle();
    (0..bench.args.rounds).map(|_| polylog(bench, sidecar, load, &mut *raw)).collect()
}

fn polylog(bench: &Bench<'_>, sidecar: &Sidecar, load: Load, raw: &mut dyn Raw) -> Result<Round> {
    let stored = position(sidecar.port)?;
    let grpc = pair(bench, sidecar, raw, || append(sidecar, load, bench.args.window))?;
    let http = (!bench.args.no_http)
        .then(|| pair(bench, sidecar, raw, || load.run(sidecar.port, bench.window())))
        .transpose()?;
    let sidecar_memory = resident(sidecar.pid()?)?;
    Ok(Round { stored, grpc, http, message_db: None, umadb: None, sidecar_memory, umadb_memory: None })
}

fn pair(
    bench: &Bench<'_>,
    sidecar: &Sidecar,
    raw: &mut dyn Raw,
    run: impl FnOnce() -> Result<Measured>,
) -> Result<Polylog> {
    let before = batches(sidecar.health_port)?;
    let database = Watched { who: Who::Database, pid: bench.server.pid()? };
    let client = Watched { who: Who::Client, pid: std::process::id() };
    let watched = [Watched { who: Who::Sidecar, pid: sidecar.pid()? }, database, client];
    let window = Window::of(&watched, run)?;
    let after = batches(sidecar.health_port)?;
    let batch = (after.0 - before.0) / (after.1 - before.1);
    let raw = Window::of(&[database], || raw.catch_up(batch.round() as usize))?;
    Ok(Polylog { window, batch, raw })
}

fn append(sidecar: &Sidecar, load: Load, seconds: f64) -> Result<Measured> {
    let method = Method { port: sidecar.port, path: APPEND };
    method.load(load, &messages::polylog(load.events), Duration::from_secs_f64(seconds))
}

fn others(
    bench: &Bench<'_>,
    load: Load,
    database: &str,
    umadb: Option<&Umadb>,
) -> Result<(Option<Window>, Option<Window>)> {
    let client = Watched { who: Who::Client, pid: std::process::id() };
    let message_db = bench.message_db.as_ref().map(|message_db| {
        let watched = [Watched { who: Who::Database, pid: bench.server.pid()? }, client];
        let connecting = Window::of(&watched, || message_db.connect(&bench.server, database, load))?;
        let window = Window::of(&watched, || message_db.load(&bench.server, database, load, bench.window()))?;
        anyhow::Ok(window.without(&connecting))
    });
    let umadb = umadb.map(|umadb| {
        umadb.load(load, Duration::from_secs_f64(WARM_UP))?;
        let watched = [Watched { who: Who::Database, pid: umadb.pid() }, client];
        Window::of(&watched, || umadb.load(load, bench.window()))
    });
    Ok((message_db.transpose()?, umadb.transpose()?))
}
