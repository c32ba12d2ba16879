use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use polylog_whole_tests::sidecar::Sidecar;

use super::{Args, raw::Raw};
use crate::{
    load::{Load, Measured, quartiles},
    observed::{batches, position},
    process::processor_time,
    read,
};

const CASES: [Load; 5] = [
    Load { clients: 1, events: 1 },
    Load { clients: 8, events: 1 },
    Load { clients: 32, events: 1 },
    Load { clients: 128, events: 1 },
    Load { clients: 8, events: 50 },
];

/// One pair of windows.
struct Pair {
    /// Events in the log before them.
    stored: u64,
    ours: Measured,
    batch: f64,
    raw: f64,
    /// Processor time of an event, in microseconds: the sidecar's, and that of a raw insert.
    cpu: [f64; 2],
}

/// Events that a small log begins with.
const FEW: u64 = 10_000;
/// Events that a small log holds at most when a pair begins.
const SMALL: u64 = 100_000;
/// What fills a log.
const FILL: Load = Load { clients: 8, events: 50 };

/// A sidecar, and the copy of its file that takes the same rows raw.
struct Log {
    sidecar: Sidecar,
    raw: Raw,
}

pub fn run(args: &Args, folder: &Path) -> Result<()> {
    let small = filled(args, &folder.join("small"), FEW)?;
    let mut large = if args.stored > FEW {
        let data = folder.join("large");
        let file = filled(args, &data, args.stored)?;
        Some(Log::start(args, &data, Raw::copy(&file, &folder.join("raw.db"))?)?)
    } else {
        None
    };
    println!(
        "| stored | clients × events | batch | HTTP events/s | raw events/s | ratio (quartiles) | p50 ms | p99 ms | \
         sidecar CPU µs/event | raw CPU µs/event |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for &load in if args.cases.is_empty() { &CASES } else { args.cases.as_slice() } {
        let (few, many) = pairs(load, args, &small, &mut large, &folder.join("copies"))?;
        println!("{}", row(load, few));
        if !many.is_empty() {
            println!("{}", row(load, many));
        }
    }
    let Some(large) = large else { return Ok(()) };
    let reads: Vec<(u64, f64)> =
        (0..3).map(|_| read::whole_log(large.sidecar.port)).collect::<Result<_>>()?;
    let mut rates: Vec<f64> = reads.iter().map(|(_, rate)| *rate).collect();
    rates.sort_by(f64::total_cmp);
    println!("\nthe log as NDJSON: {:.0} events/s (median of 3 reads of {} events)", rates[1], reads[0].0);
    Ok(())
}

/// The file of a sidecar that took so many events and was killed.
fn filled(args: &Args, data: &Path, events: u64) -> Result<PathBuf> {
    let mut sidecar = Sidecar::new(&args.sidecar, data)?;
    sidecar.start()?;
    fill(sidecar.port, events)?;
    sidecar.kill()?;
    database(data)
}

/// Pairs on small logs and on the large one in turn, so that a change of the machine's speed meets both. A small log is
/// a copy of `small`; there is a new one whenever the last has grown too much to be called small.
fn pairs(
    load: Load,
    args: &Args,
    small: &Path,
    large: &mut Option<Log>,
    copies: &Path,
) -> Result<(Vec<Pair>, Vec<Pair>)> {
    let (mut few, mut many) = (Vec::new(), Vec::new());
    while few.len() < args.pairs {
        let mut log = Log::copy(args, small, copies)?;
        log.settle(load, args.window)?;
        if let Some(large) = large.as_mut() {
            large.settle(load, args.window)?;
        }
        loop {
            few.push(log.pair(load, args.window)?);
            if let Some(large) = large.as_mut() {
                many.push(large.pair(load, args.window)?);
            }
            if few.len() == args.pairs || position(log.sidecar.port)? > SMALL {
                break;
            }
        }
        drop(log);
        std::fs::remove_dir_all(copies)?;
    }
    Ok((few, many))
}

impl Log {
    fn start(args: &Args, data: &Path, raw: Raw) -> Result<Self> {
        let mut sidecar = Sidecar::new(&args.sidecar, data)?;
        sidecar.start()?;
        Ok(Self { sidecar, raw })
    }

    /// Over a copy of the file `original`, in the folder `copies`.
    fn copy(args: &Args, original: &Path, copies: &Path) -> Result<Self> {
        let data = copies.join("data");
        let store = original.parent().and_then(Path::file_name).context("a store's folder")?;
        let file = data.join(store).join(original.file_name().context("a file")?);
        std::fs::create_dir_all(file.parent().context("a folder")?)?;
        Raw::copy(original, &file)?;
        Self::start(args, &data, Raw::copy(original, &copies.join("raw.db"))?.from(&file)?)
    }

    /// Brings both files to where they stay: their write-ahead logs were copied into them at least once (before that each
    /// commit makes the log's file longer, which costs more), nothing that was written earlier is on its way to the disk,
    /// and the process is not a new one, in which everything takes longer.
    fn settle(&mut self, load: Load, window: f64) -> Result<()> {
        self.pair(FILL, 0.5)?;
        rustix::fs::sync();
        self.pair(load, window)?;
        Ok(())
    }

    fn pair(&mut self, load: Load, window: f64) -> Result<Pair> {
        let Self { sidecar, raw } = self;
        let (stored, before) = (position(sidecar.port)?, batches(sidecar.health_port)?);
        let busy = processor_time(sidecar.pid()?, false)?;
        let ours = load.run(sidecar.port, Duration::from_secs_f64(window))?;
        let busy = processor_time(sidecar.pid()?, false)? - busy;
        let after = batches(sidecar.health_port)?;
        let events = after.0 - before.0;
        let batch = events / (after.1 - before.1);
        let (raw, raw_busy) = raw.catch_up(batch.round() as usize)?;
        let cpu = [busy, raw_busy].map(|time| time.as_secs_f64() * 1e6 / events);
        Ok(Pair { stored, ours, batch, raw, cpu })
    }
}

fn row(load: Load, pairs: Vec<Pair>) -> String {
    let median = |of: &dyn Fn(&Pair) -> f64| quartiles(pairs.iter().map(of).collect())[1];
    let [low, middle, high] = quartiles(pairs.iter().map(|pair| pair.ours.rate() / pair.raw).collect());
    let millis = |percent| {
        median(&|pair: &Pair| pair.ours.percentile(percent).unwrap_or_default().as_secs_f64() * 1e3)
    };
    format!(
        "| {:.0} | {} × {} | {:.1} | {:.0} | {:.0} | {middle:.2} ({low:.2}–{high:.2}) | {:.2} | {:.2} | {:.0} | {:.0} |",
        median(&|pair| pair.stored as f64),
        load.clients,
        load.events,
        median(&|pair| pair.batch),
        median(&|pair| pair.ours.rate()),
        median(&|pair| pair.raw),
        millis(50),
        millis(99),
        median(&|pair| pair.cpu[0]),
        median(&|pair| pair.cpu[1]),
    )
}

/// Appends until the log holds `events`.
fn fill(port: u16, events: u64) -> Result<()> {
    while position(port)? < events {
        FILL.run(port, Duration::from_millis(50))?;
    }
    Ok(())
}

/// The sidecar's only database file.
fn database(data: &Path) -> Result<PathBuf> {
    let mut folders = vec![data.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "db") {
                return Ok(path);
            }
        }
    }
    anyhow::bail!("no database file under {}", data.display())
}
