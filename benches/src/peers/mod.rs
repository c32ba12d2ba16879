//! Polylog on a private database server, over gRPC and HTTP, side by side with raw inserts into a table like its own, with
//! message-db on the same server, and with UmaDB.
//!
//! What is measured comes in pieces, each a process of its own that leaves a file with its figures.

mod bench;
mod grpc;
mod message_db;
mod messages;
mod meter;
mod piece;
mod reads;
mod results;
mod rounds;
pub(crate) mod servers;
mod slow_disk;
mod together;
mod umadb;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use polylog_whole_tests::sidecar::SidecarArgs;

use self::{
    bench::{Bench, FEW},
    message_db::MessageDb,
    piece::{Kind, Piece},
    results::Results,
    slow_disk::SlowDisk,
    umadb::Umadb,
};

#[derive(clap::Args, Clone)]
pub struct Args {
    /// Only these pieces: names as `--list` gives them, or what stands before or behind the slash; all without it.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Names the pieces and measures nothing.
    #[arg(long)]
    list: bool,
    /// Leaves out the pieces of which there are figures of this very build.
    #[arg(long)]
    resume: bool,
    /// Begins with no further piece after so many minutes; `--resume` goes on with those that are left.
    #[arg(long, default_value_t = f64::INFINITY)]
    minutes: f64,
    /// Rounds of windows for each case; without it 2 to 5, more for single events.
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of one window; pgbench takes whole seconds.
    #[arg(long, default_value_t = 1.0)]
    window: f64,
    /// Events in the large log.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(FEW + 1..))]
    stored: u64,
    /// Milliseconds that the pieces `…-slow` add to each fsync.
    #[arg(long, default_value_t = 2.0)]
    slow_fsync: f64,
    /// The npm package @eventide/message-db; without it that peer is left out.
    #[arg(long)]
    message_db: Option<PathBuf>,
    /// The script `umadb` of the Python package; without it that peer is left out.
    #[arg(long)]
    umadb: Option<PathBuf>,
    /// Which build of Polylog this is, for the record.
    #[arg(long, default_value = "unknown")]
    build: String,
    /// The folder for the figures.
    #[arg(long, default_value = "benches/results")]
    results: PathBuf,
    /// Measures this piece, in this process.
    #[arg(long, hide = true)]
    piece: Option<Piece>,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

pub fn run(args: &Args) -> Result<()> {
    match args.piece {
        Some(piece) => run_piece(args, piece),
        None => run_all(args),
    }
}

/// Each piece in a process of its own; one that fails does not hide the others.
fn run_all(args: &Args) -> Result<()> {
    let is_meant =
        |piece: &Piece| args.only.is_empty() || args.only.iter().any(|filter| piece.is_meant(filter));
    let mut pieces: Vec<_> = Piece::all().into_iter().filter(is_meant).collect();
    ensure!(!pieces.is_empty(), "no piece is called {}", args.only.join(", "));
    if args.resume {
        let build = Some(args.build.clone());
        pieces.retain(|piece| results::build_of(&args.results.join(piece.file())) != build);
    }
    if args.list {
        pieces.iter().for_each(|piece| println!("{piece}"));
        return Ok(());
    }
    std::fs::create_dir_all(&args.results)?;
    let slow_disk = pieces.iter().any(|piece| piece.is_slow).then(SlowDisk::compile).transpose()?;
    let (began, count) = (Instant::now(), pieces.len());
    let (mut failed, mut left) = (Vec::new(), Vec::new());
    for (number, piece) in pieces.into_iter().enumerate() {
        if began.elapsed().as_secs_f64() > args.minutes * 60.0 {
            left.push(piece.to_string());
            continue;
        }
        eprintln!("== {piece} ({} of {count}, after {} s)", number + 1, began.elapsed().as_secs());
        let mut command = Command::new(std::env::current_exe()?);
        // the arguments may end with some for the sidecar
        command.arg("peers").args(["--piece", &piece.to_string()]).args(std::env::args_os().skip(2));
        if let Some(slow_disk) = slow_disk.as_ref().filter(|_| piece.is_slow) {
            slow_disk.slow_down(&mut command, args.slow_fsync);
        }
        if !command.status()?.success() {
            failed.push(piece.to_string());
        }
    }
    eprintln!("after {} s", began.elapsed().as_secs());
    if !left.is_empty() {
        eprintln!("left for --resume: {}", left.join(", "));
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    Ok(())
}

fn run_piece(args: &Args, piece: Piece) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("polylog-bench-").tempdir()?;
    let results = measure(args, piece, folder.path()).with_context(|| format!("{piece}"))?;
    results.save(&args.results.join(piece.file()))
}

fn measure(args: &Args, piece: Piece, folder: &Path) -> Result<Results> {
    let bench = Bench::start(args, folder, piece.engine)?;
    let count = args.rounds.unwrap_or(piece.rounds());
    let (mut rounds, mut reads) = (Vec::new(), Vec::new());
    match piece.kind {
        Kind::Appends(load) => rounds = rounds::on_small_log(&bench, load, count)?,
        Kind::Large => rounds = rounds::on_both_logs(&bench, args.stored, count)?,
        Kind::Reads => reads = reads::all(&bench, count)?,
    }
    let mut peers = BTreeMap::new();
    if let Some(version) = bench.message_db.as_ref().map(MessageDb::version).transpose()? {
        peers.insert("message-db", version);
    }
    if let Some(version) = bench.umadb.map(Umadb::version).transpose()? {
        peers.insert("UmaDB", version);
    }
    Ok(Results {
        piece: piece.to_string(),
        server: bench.server.name(),
        added_to_fsync_ms: if piece.is_slow { args.slow_fsync } else { 0.0 },
        build: args.build.clone(),
        processors: std::thread::available_parallelism()?.get(),
        window_seconds: args.window,
        peers,
        rounds,
        reads,
    })
}
