//! Polylog on a private database server, over gRPC and HTTP, side by side with raw inserts into a table like its own, with
//! message-db on the same server, and with UmaDB.

mod database;
mod grpc;
mod message_db;
mod messages;
mod meter;
mod raw_postgres;
mod reads;
mod report;
mod rounds;
mod slow_disk;
mod umadb;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use polylog_whole_tests::sidecar::{Sidecar, SidecarArgs};

use self::{
    database::{Postgres, Server},
    grpc::Method,
    message_db::MessageDb,
    report::Report,
};
use crate::{load::Load, observed::position};

#[derive(clap::Args, Clone)]
pub struct Args {
    /// Rounds of windows for each case.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Seconds of one window; pgbench takes whole seconds.
    #[arg(long, default_value_t = 1.0)]
    window: f64,
    /// Events that are stored before the last cases, which only Polylog and the raw inserts take part in; 0 = none.
    #[arg(long, default_value_t = 2_000_000)]
    stored: u64,
    /// Only these cases on a small log, for example `128x1,8x50`.
    #[arg(long = "case", value_delimiter = ',', default_value = "1x1,8x1,32x1,128x1,1x50,8x50,32x50")]
    cases: Vec<Load>,
    /// Only these cases on a large log.
    #[arg(long = "large-case", value_delimiter = ',', default_value = "32x1,128x1,8x50")]
    large_cases: Vec<Load>,
    /// The npm package @eventide/message-db; without it that peer is left out, which the table says.
    #[arg(long)]
    message_db: Option<PathBuf>,
    /// The script `umadb` of the Python package; without it that peer is left out, which the table says.
    #[arg(long)]
    umadb: Option<PathBuf>,
    /// Leave HTTP out.
    #[arg(long)]
    no_http: bool,
    /// Milliseconds by which each fsync of the databases takes longer.
    #[arg(long, default_value_t = 0.0)]
    slow_fsync: f64,
    /// Where the figures go as JSON, for `benches/plot.py`.
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

/// Events in the log that each case on a small log begins with.
const FEW: u64 = 10_000;
/// What fills a log.
const FILL: Load = Load { clients: 8, events: 50 };
const APPEND: &str = "/polylog.v1.Events/Append";

pub fn run(args: &Args) -> Result<()> {
    if slow_disk::is_needed(args.slow_fsync) {
        return slow_disk::run_again(args.slow_fsync);
    }
    let folder = std::env::temp_dir().join(format!("polylog-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = measure(args, &folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

/// What the rounds need.
struct Bench<'a> {
    args: &'a Args,
    folder: &'a Path,
    server: Postgres,
    message_db: Option<MessageDb>,
}

fn measure(args: &Args, folder: &Path) -> Result<()> {
    let server = Postgres::start();
    let message_db = args.message_db.as_deref().map(|package| MessageDb::new(package, folder)).transpose()?;
    let bench = Bench { args, folder, server, message_db };
    let mut report = Report::new(args.slow_fsync, &bench.server.version());
    bench.prepare()?;
    for &load in &args.cases {
        let rounds = rounds::on_small_log(&bench, load)?;
        report.case(load, &rounds);
    }
    if args.stored > FEW {
        let sidecar = bench.sidecar("large")?;
        fill(&sidecar, args.stored)?;
        bench.server.prepare_raw("large");
        for &load in &args.large_cases {
            let rounds = rounds::on_large_log(&bench, &sidecar, load)?;
            report.case(load, &rounds);
        }
        report.reads(&reads::all(&bench, &sidecar)?);
    }
    report.finish(args.json.as_deref())
}

impl Bench<'_> {
    /// The databases that every round begins with a copy of.
    fn prepare(&self) -> Result<()> {
        let mut sidecar = self.sidecar("small")?;
        fill(&sidecar, FEW)?;
        sidecar.kill()?;
        self.server.prepare_raw("small");
        if let Some(message_db) = &self.message_db {
            message_db.install(&self.server, "message_db", FEW)?;
        }
        Ok(())
    }

    /// A process on a database, which is created if need be.
    fn sidecar(&self, database: &str) -> Result<Sidecar> {
        if self
            .server
            .execute("postgres", "SELECT datname FROM pg_database")
            .lines()
            .all(|name| name != database)
        {
            self.server.create(database);
        }
        let data = self.folder.join(database);
        let mut sidecar = Sidecar::new(&self.args.sidecar, &data)?.at(&self.server.address(database));
        sidecar.start().context("the sidecar")?;
        Ok(sidecar)
    }

    fn window(&self) -> Duration {
        Duration::from_secs_f64(self.args.window)
    }
}

/// Appends until the log holds `events`.
fn fill(sidecar: &Sidecar, events: u64) -> Result<()> {
    let method = Method { port: sidecar.port, path: APPEND };
    let window = Duration::from_millis(if events > 100_000 { 1_000 } else { 50 });
    while position(sidecar.port)? < events {
        method.load(FILL, &messages::polylog(FILL.events), window)?;
    }
    Ok(())
}
