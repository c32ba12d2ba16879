//! One log over PostgreSQL, MariaDB and PostgreSQL: what the copies cost, and how fast they are.

mod bed;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use polylog_whole_tests::{
    http::Connection,
    sidecar::{Sidecar, SidecarArgs, pause},
    status,
};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use self::bed::{Bed, NAMES};
use crate::{
    load::{Load, new_id, quartiles},
    observed::position,
};

/// How long sources may take to become level.
const PATIENCE: Duration = Duration::from_secs(120);
const MAJORITY: &str = "{type: Priority, acks: Majority, failover: {mode: Automatic}}";
const ONE: &str = "{type: Priority, acks: '1', failover: {mode: Manual}}";
const ALONE: &str = "{type: Priority}";
const SINGLE: Load = Load { clients: 1, events: 1 };
const FILL: Load = Load { clients: 8, events: 50 };
const BUSY: Load = Load { clients: 32, events: 5 };
/// Of the steady load, each second: 8 clients with 25 appends of 10 events.
const CLIENTS: usize = 8;
const APPENDS: u32 = 25;
const EVENTS: usize = 10;

#[derive(clap::Args)]
pub struct Args {
    /// Seconds of each window
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often what is compared is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Events that a source misses
    #[arg(long, default_value_t = 150_000)]
    missed: u64,
    /// Only these: failover, majority, lag, catch-up, dead, verification
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where the figures are written as JSON
    #[arg(long)]
    results: Option<PathBuf>,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

type Figure = fn(&Args, &Bed<'_>) -> Result<Value>;

pub fn run(args: &Args) -> Result<()> {
    let bed = Bed::start(&args.sidecar)?;
    let figures: [(&str, Figure); 6] = [
        ("failover", failover),
        ("majority", majority),
        ("lag", lag),
        ("catch-up", catch_up),
        ("dead", dead),
        ("verification", verification),
    ];
    let mut results = serde_json::Map::new();
    for (name, figure) in figures {
        if args.only.is_empty() || args.only.iter().any(|only| only == name) {
            let value = figure(args, &bed).context(name)?;
            println!("{name}: {value}");
            results.insert(name.into(), value);
        }
    }
    if let Some(path) = &args.results {
        std::fs::write(path, serde_json::to_vec_pretty(&results)?)?;
    }
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}

fn window(args: &Args) -> Duration {
    Duration::from_secs(args.seconds)
}

/// One append of so many events; whether it was acknowledged.
fn append(connection: &mut Connection, random: &mut StdRng, events: usize) -> Result<bool> {
    let event = |_| json!({"id": new_id(random), "type": "PaymentNoted", "data": {"amount": "100.00"}});
    let events: Vec<Value> = (0..events).map(event).collect();
    let body = json!({"expectedVersion": "any", "events": events}).to_string();
    Ok(connection.request("POST", "/v1/streams/Payment-1", body.as_bytes())?.status == 201)
}

/// From the kill of the primary to the answer of the first append that was sent after it.
fn failover(args: &Args, bed: &Bed<'_>) -> Result<Value> {
    let sidecar = bed.open("failover", &NAMES, MAJORITY)?;
    let mut random = StdRng::seed_from_u64(1);
    let mut took = Vec::new();
    for _ in 0..args.rounds {
        status::until_level(sidecar.port, PATIENCE)?;
        let primary = status::of(sidecar.port)?["primary"].as_str().context("a primary")?.to_owned();
        let mut connection = Connection::open(sidecar.port, PATIENCE)?;
        for _ in 0..50 {
            ensure!(append(&mut connection, &mut random, 1)?, "appends are acknowledged");
        }
        let killed = Instant::now();
        bed.crash(&primary);
        while !append(&mut connection, &mut random, 1)? {}
        took.push(millis(killed.elapsed()));
        bed.start_again(&primary);
    }
    let [_, median, _] = quartiles(took.clone());
    Ok(json!({"ms": took, "median": median}))
}

/// The median of single appends, and those of the logs that it is made of.
fn majority(args: &Args, bed: &Bed<'_>) -> Result<Value> {
    let all = bed.open("majority", &NAMES, MAJORITY)?;
    let alone = NAMES
        .iter()
        .map(|name| bed.open(&format!("alone_{name}"), &[name], ALONE))
        .collect::<Result<Vec<_>>>()?;
    let median = |sidecar: &Sidecar| -> Result<f64> {
        let measured = SINGLE.run(sidecar.port, window(args))?;
        Ok(millis(measured.percentile(50).context("appends")?))
    };
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        let of_all = median(&all)?;
        let [primary, first, second] = [median(&alone[0])?, median(&alone[1])?, median(&alone[2])?];
        rounds.push([of_all, primary, first.min(second), of_all - primary - first.min(second)]);
    }
    let middle = |index: usize| quartiles(rounds.iter().map(|round| round[index]).collect())[1];
    Ok(json!({
        "majority": middle(0), "primary": middle(1), "fastestReplica": middle(2), "beyondBoth": middle(3)
    }))
}

/// How long the replicas are behind while 2,000 events a second are appended.
fn lag(args: &Args, bed: &Bed<'_>) -> Result<Value> {
    let sidecar = bed.open("lag", &NAMES, MAJORITY)?;
    let (port, stop) = (sidecar.port, &AtomicBool::new(false));
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| scope.spawn(move || steadily(port, client as u64, stop))).collect();
        pause(Duration::from_secs(1));
        let (began, mut lags) = (Instant::now(), vec![Vec::new(); NAMES.len()]);
        let sampled = (|| {
            while began.elapsed() < window(args) * 2 {
                let text =
                    Connection::open(sidecar.health_port, PATIENCE)?.request("GET", "/metrics", b"")?;
                for (name, lags) in NAMES.iter().zip(&mut lags) {
                    lags.push(gauge(&String::from_utf8(text.body.clone())?, name)? * 1e3);
                }
                pause(Duration::from_millis(10));
            }
            Ok::<_, anyhow::Error>(())
        })();
        stop.store(true, Ordering::Relaxed);
        let appended =
            clients.into_iter().map(|client| client.join().expect("no panic")).sum::<Result<usize>>()?;
        sampled?;
        let rate = (appended * EVENTS) as f64 / (began.elapsed().as_secs_f64() + 1.0);
        let p99 = |mut lags: Vec<f64>| {
            lags.sort_by(f64::total_cmp);
            lags[(lags.len() - 1) * 99 / 100]
        };
        let of: serde_json::Map<_, _> =
            NAMES.iter().zip(lags).map(|(name, lags)| ((*name).into(), json!(p99(lags)))).collect();
        Ok(json!({"eventsPerSecond": rate.round(), "p99Ms": of}))
    })
}

/// Appends at its moments, whatever the last one took; says how many.
fn steadily(port: u16, seed: u64, stop: &AtomicBool) -> Result<usize> {
    let (mut connection, mut random) = (Connection::open(port, PATIENCE)?, StdRng::seed_from_u64(seed));
    let (began, mut appended) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        ensure!(append(&mut connection, &mut random, EVENTS)?, "an append is acknowledged");
        appended += 1;
        let next = Duration::from_secs(1) * appended / APPENDS;
        pause(next.saturating_sub(began.elapsed()));
    }
    Ok(appended as usize)
}

fn gauge(metrics: &str, source: &str) -> Result<f64> {
    let label = format!("source=\"{source}\"");
    let is_it = |line: &&str| line.starts_with("polylog_replication_lag_seconds{") && line.contains(&label);
    let line = metrics.lines().find(is_it).with_context(|| format!("the lag of {source}"))?;
    Ok(line.split_whitespace().nth(1).context("a value")?.parse()?)
}

/// The rate at which a source takes what it missed, and that of raw inserts of the same rows, 500 in a transaction.
fn catch_up(args: &Args, bed: &Bed<'_>) -> Result<Value> {
    let mut engines = serde_json::Map::new();
    for name in ["mirror", "spare"] {
        let log = format!("catch_up_{name}");
        let sidecar = bed.open(&log, &NAMES, MAJORITY)?;
        let server = bed.server(name);
        server.prepare_raw(&log);
        bed.crash(name);
        while position(sidecar.port)? < args.missed {
            FILL.run(sidecar.port, Duration::from_secs(1))?;
        }
        let missed = position(sidecar.port)?;
        bed.start_again(name);
        let took = status::until_level(sidecar.port, PATIENCE)?;
        let ours = missed as f64 / took.as_secs_f64();
        drop(sidecar);
        let raw = server.raw(&log)?.catch_up(500)?.rate();
        engines.insert(
            server.name(),
            json!({"eventsPerSecond": ours.round(), "raw": raw.round(), "ratio": (ours / raw * 100.0).round() / 100.0}),
        );
    }
    Ok(Value::Object(engines))
}

/// What the append path gives with all sources, and with one that is gone and that nobody waits for.
fn dead(args: &Args, bed: &Bed<'_>) -> Result<Value> {
    let sidecar = bed.open("dead", &NAMES, ONE)?;
    BUSY.run(sidecar.port, window(args))?;
    let mut ratios = Vec::new();
    for _ in 0..args.rounds {
        status::until_level(sidecar.port, PATIENCE)?;
        let whole = BUSY.run(sidecar.port, window(args))?.rate();
        bed.crash("spare");
        let without = BUSY.run(sidecar.port, window(args))?.rate();
        bed.start_again("spare");
        ratios.push((without / whole * 1000.0).round() / 1000.0);
    }
    let [_, median, _] = quartiles(ratios.clone());
    Ok(json!({"ratios": ratios, "median": median}))
}

/// What the append path gives while the log is verified as it is where nothing is said, and with hardly a read of it.
fn verification(args: &Args, bed: &Bed<'_>) -> Result<Value> {
    let mut shapes = serde_json::Map::new();
    for (shape, names, strategy) in [("one", &NAMES[..1], ALONE), ("three", &NAMES[..], MAJORITY)] {
        let rate = |round: usize, reads: &str| -> Result<f64> {
            let log = format!("verified_{shape}_{round}_{reads}");
            let sidecar = bed.open_with(&log, names, strategy, &format!("{{maxReadsPerSecond: {reads}}}"))?;
            BUSY.run(sidecar.port, Duration::from_secs(1))?;
            Ok(BUSY.run(sidecar.port, window(args))?.rate())
        };
        let mut ratios = Vec::new();
        for round in 0..args.rounds {
            // neither comes always first
            let (with, without) = match round % 2 {
                0 => (rate(round, "50")?, rate(round, "1")?),
                _ => {
                    let without = rate(round, "1")?;
                    (rate(round, "50")?, without)
                }
            };
            ratios.push((with / without * 1000.0).round() / 1000.0);
        }
        let [_, median, _] = quartiles(ratios.clone());
        shapes.insert(shape.into(), json!({"ratios": ratios, "median": median}));
    }
    Ok(Value::Object(shapes))
}
