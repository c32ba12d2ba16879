//! Windows that follow each other, as one round, again and again: what slows the machine down slows all of them down.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;

use super::{
    bench::{Bench, FEW, Log, WARM_UP},
    meter::{Watched, Who, Window},
    results::{LogSize, Round, Side},
    umadb::Umadb,
};
use crate::{load::Load, process::resident};

/// The database that each round on a small log begins with a copy of, and that of message-db.
const SMALL: &str = "small";
const MESSAGES: &str = "message_db";

/// Each round on fresh copies, so that the log stays small. They go with the server: to remove one would write out
/// everything that is not yet on disk.
pub fn on_small_log(bench: &Bench<'_>, load: Load, rounds: usize) -> Result<Vec<Round>> {
    bench.prepare(SMALL, FEW)?;
    if let Some(message_db) = &bench.message_db {
        message_db.install(MESSAGES, FEW)?;
    }
    let round = |number| {
        let round = small_round(bench, load, number, Others::All)?;
        round.tell();
        Ok(round)
    };
    (0..rounds).map(round).collect()
}

/// The loads that are measured on a large log.
const ON_LARGE: [Load; 3] =
    [Load { clients: 32, events: 1 }, Load { clients: 128, events: 1 }, Load { clients: 8, events: 50 }];

/// Rounds on fresh small logs and on one large log in turn; the large one grows little by them.
pub fn on_both_logs(bench: &Bench<'_>, stored: u64, rounds: usize) -> Result<Vec<Round>> {
    const LARGE: &str = "large";
    bench.prepare(SMALL, FEW)?;
    eprintln!("filling a log with {stored} events");
    bench.prepare(LARGE, stored)?;
    let mut large = bench.log(LARGE)?;
    let mut all = Vec::new();
    for (case, load) in ON_LARGE.into_iter().enumerate() {
        // what follows is written for the first time since: each page of the log as well as those of the raw table
        bench.server.settle()?;
        large.show_streams()?;
        large.warm_up(load)?;
        for number in 0..rounds {
            // one is not always first
            let mut on_large = || polylog(&mut large, LogSize::Large, load, bench.window());
            let on_small = || small_round(bench, load, case * rounds + number, Others::None);
            if number.is_multiple_of(2) {
                all.extend([on_small()?, on_large()?]);
            } else {
                all.extend([on_large()?, on_small()?]);
            }
            all[all.len() - 2..].iter().for_each(Round::tell);
        }
    }
    Ok(all)
}

/// Who takes part beside Polylog over gRPC and the raw inserts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    All,
    None,
}

fn small_round(bench: &Bench<'_>, load: Load, number: usize, others: Others) -> Result<Round> {
    let (ours, theirs) = (format!("ours_{number}"), format!("theirs_{number}"));
    bench.server.copy(SMALL, &ours);
    let mut log = bench.log(&ours)?;
    let folder = bench.folder.join(&ours);
    let mut peers = Peers { bench, database: None, umadb: None };
    if others == Others::All {
        if bench.message_db.is_some() {
            bench.server.copy(MESSAGES, &theirs);
            peers.database = Some(&theirs);
        }
        peers.umadb = bench.umadb.map(|program| Umadb::start(program, &folder)).transpose()?;
        if let Some(umadb) = &peers.umadb {
            umadb.fill(FEW)?;
        }
    }
    log.show_streams()?;
    log.warm_up(load)?;
    if others == Others::All {
        bench.server.settle()?;
    }
    // one is not always first
    let mut sides = if number.is_multiple_of(2) { BTreeMap::new() } else { peers.sides(load)? };
    let mut round = polylog(&mut log, LogSize::Small, load, bench.window())?;
    if others == Others::All {
        sides.insert("http", log.over_http(load, bench.window())?);
    }
    if number.is_multiple_of(2) {
        sides.extend(peers.sides(load)?);
    }
    round.sides.append(&mut sides);
    log.sidecar.kill()?;
    drop((log, peers.umadb));
    std::fs::remove_dir_all(folder)?;
    Ok(round)
}

/// A window of Polylog's over gRPC, and its rows once more, raw.
fn polylog(log: &mut Log, size: LogSize, load: Load, window: Duration) -> Result<Round> {
    let stored = log.position()?;
    let [grpc, raw] = log.pair(load, window)?;
    let sides = BTreeMap::from([("grpc", grpc), ("raw", raw)]);
    Ok(Round { log: size, clients: load.clients, events: load.events, stored, sides })
}

/// Those that do the same, as far as they are there.
struct Peers<'a> {
    bench: &'a Bench<'a>,
    /// That of message-db.
    database: Option<&'a str>,
    umadb: Option<Umadb>,
}

impl Peers<'_> {
    fn sides(&self, load: Load) -> Result<BTreeMap<&'static str, Side>> {
        let mut sides = BTreeMap::new();
        if let (Some(message_db), Some(database)) = (&self.bench.message_db, self.database) {
            let watched = [Watched { who: Who::Database, pid: self.bench.server.pid()? }, Watched::client()];
            let mut connecting = Duration::ZERO;
            let begun = Window::of(&watched, || {
                let (measured, took) = message_db.begin(database, load)?;
                connecting = took;
                Ok(measured)
            })?;
            let window =
                Window::of(&watched, || message_db.load(database, load, self.bench.window(), connecting))?;
            sides.insert("message-db", Side::of(&window.without(&begun)));
        }
        if let Some(umadb) = &self.umadb {
            umadb.load(load, Duration::from_secs_f64(WARM_UP))?;
            let watched = [Watched { who: Who::Database, pid: umadb.pid() }, Watched::client()];
            let window = Window::of(&watched, || umadb.load(load, self.bench.window()))?;
            sides.insert("umadb", Side { resident: Some(resident(umadb.pid())?), ..Side::of(&window) });
        }
        Ok(sides)
    }
}
