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
}

/// Events in the log that the first cases begin with.
const FEW: u64 = 10_000;
/// What fills a log.
const FILL: Load = Load { clients: 8, events: 50 };

pub fn run(args: &Args, folder: &Path) -> Result<()> {
    let data = folder.join("data");
    let mut sidecar = Sidecar::new(&args.sidecar, &data)?;
    sidecar.start()?;
    fill(sidecar.port, FEW)?;
    sidecar.kill()?;

    let cases = if args.cases.is_empty() { &CASES } else { args.cases.as_slice() };
    println!(
        "| stored | clients × events | batch | HTTP events/s | raw events/s | ratio (quartiles) | p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for &load in cases {
        let pairs = (0..args.pairs).map(|_| pair_of_copies(load, args, &data, folder));
        println!("{}", row(load, pairs.collect::<Result<_>>()?));
    }
    if args.stored <= FEW {
        return Ok(());
    }

    sidecar.start()?;
    fill(sidecar.port, args.stored)?;
    let mut raw = Raw::copy(&database(&data)?, &folder.join("raw.db"))?;
    for &load in cases {
        let pairs = (0..args.pairs).map(|_| pair(load, &sidecar, args.window, &mut raw));
        println!("{}", row(load, pairs.collect::<Result<_>>()?));
    }
    let reads: Vec<(u64, f64)> = (0..3).map(|_| read::whole_log(sidecar.port)).collect::<Result<_>>()?;
    let mut rates: Vec<f64> = reads.iter().map(|(_, rate)| *rate).collect();
    rates.sort_by(f64::total_cmp);
    println!("\nthe log as NDJSON: {:.0} events/s (median of 3 reads of {} events)", rates[1], reads[0].0);
    sidecar.kill()
}

/// A pair on copies of a small log, so that the log stays small.
fn pair_of_copies(load: Load, args: &Args, data: &Path, folder: &Path) -> Result<Pair> {
    let (original, copies) = (database(data)?, folder.join("copies"));
    let ours = copies.join("data").join(original.strip_prefix(data)?);
    std::fs::create_dir_all(ours.parent().context("a folder")?)?;
    Raw::copy(&original, &ours)?;
    let mut raw = Raw::copy(&original, &copies.join("raw.db"))?.from(&ours)?;
    let mut sidecar = Sidecar::new(&args.sidecar, &copies.join("data"))?;
    sidecar.start()?;
    // Until the write-ahead log was copied into the file once: before that each commit makes it longer, which costs more.
    pair(load, &sidecar, args.window, &mut raw)?;
    let pair = pair(load, &sidecar, args.window, &mut raw)?;
    sidecar.kill()?;
    drop(raw);
    std::fs::remove_dir_all(&copies)?;
    Ok(pair)
}

fn pair(load: Load, sidecar: &Sidecar, window: f64, raw: &mut Raw) -> Result<Pair> {
    let (stored, before) = (position(sidecar.port)?, batches(sidecar.health_port)?);
    let ours = load.run(sidecar.port, Duration::from_secs_f64(window))?;
    let after = batches(sidecar.health_port)?;
    let batch = (after.0 - before.0) / (after.1 - before.1);
    let raw = raw.catch_up(batch.round() as usize)?;
    Ok(Pair { stored, ours, batch, raw })
}

fn row(load: Load, pairs: Vec<Pair>) -> String {
    let median = |of: &dyn Fn(&Pair) -> f64| quartiles(pairs.iter().map(of).collect())[1];
    let [low, middle, high] = quartiles(pairs.iter().map(|pair| pair.ours.rate() / pair.raw).collect());
    let millis = |percent| median(&|pair: &Pair| pair.ours.percentile(percent).as_secs_f64() * 1e3);
    format!(
        "| {:.0} | {} × {} | {:.1} | {:.0} | {:.0} | {middle:.2} ({low:.2}–{high:.2}) | {:.2} | {:.2} |",
        median(&|pair| pair.stored as f64),
        load.clients,
        load.events,
        median(&|pair| pair.batch),
        median(&|pair| pair.ours.rate()),
        median(&|pair| pair.raw),
        millis(50),
        millis(99),
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
