//! How near appends come to the limit that SQLite sets: the same rows, inserted in the same transactions, into the same
//! tables and indexes, without a head, lookups, digests and chains.
//!
//! `cargo run --release -p polylog-source-sqlite --example raw_limit [EVENTS]`; windows of both alternate, and the ratio
//! is the median over the pairs.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use polylog_log::{
    Append, Commit, CommitId, ConfigVersion, DatabaseId, Entry, EventId, EventType, Expected, Identity,
    Incarnation, LogId, NewEvent, Nonce, Open, Position, ReadLog, Source, SourceName, StepClass,
    StreamAppend, StreamName, Term, Verdict, Version, Watermarks,
};
use polylog_source_sqlite::{
    SqliteConfig, SqliteSource,
    provision::{self, Actual, Approval, Desired, IndexOptions},
};
use rusqlite::{Connection, params};
use uuid::Uuid;

type Failed = Box<dyn std::error::Error>;

/// Streams that are written to at the same time.
const LIVE_STREAMS: u64 = 5_000;
const WINDOWS: usize = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let events: usize = std::env::args().nth(1).map_or(Ok(80_000), |number| number.parse())?;
    let folder = tempfile::tempdir()?;
    println!("{} events of 260 B per shape, in {}", events, folder.path().display());
    for (commits, size) in [(64, 1), (8, 50)] {
        let names = format!("{commits}x{size}");
        compare(&folder.path().join(names), commits, size, events).await?;
    }
    Ok(())
}

async fn compare(path: &Path, commits: usize, size: usize, events: usize) -> Result<(), Failed> {
    let identity = Identity {
        log: LogId::new(Uuid::from_u128(1)),
        database: DatabaseId::new(Uuid::from_u128(2)),
        incarnation: Incarnation::new(Uuid::from_u128(3)),
    };
    let (ours, raw) = (path.with_extension("ours"), path.with_extension("raw"));
    provision(&ours, identity)?;
    provision(&raw, identity)?;
    let source = SqliteSource::open(SqliteConfig::new(&ours)).await?;
    println!("\n{commits} commits of {size}: resident after opening {} KB", resident()?);
    lead(&source, &identity).await?;
    let connection = raw_connection(&raw)?;
    let mut load = Load { identity, streams: Vec::new(), next: 0 };

    let batches = events / WINDOWS / (commits * size);
    let mut pairs = Vec::new();
    for _ in 0..WINDOWS {
        let window: Vec<Vec<Commit>> = (0..batches).map(|_| load.batch(commits, size)).collect();
        let from = source.head().await?.tail.position.next();
        let appending = append(&source, &identity, window).await?;
        let entries = read(&source, from).await?;
        let inserting = insert(&connection, entries.chunks(commits))?;
        let count = (batches * commits * size) as f64;
        pairs.push((count / appending.as_secs_f64(), count / inserting.as_secs_f64()));
    }
    let ratio = median(pairs.iter().map(|(ours, raw)| ours / raw));
    let (ours, raw) = (median(pairs.iter().map(|p| p.0)), median(pairs.iter().map(|p| p.1)));
    println!("append {ours:.0} events/s, raw insert {raw:.0} events/s, ratio {ratio:.2}");
    for pages in [1_000, 5_000] {
        println!("read_log in pages of {pages}: {:.0} events/s", reading(&source, pages).await?);
    }
    println!("resident after the load {} KB", resident()?);
    source.close().await;
    Ok(())
}

fn provision(path: &Path, identity: Identity) -> Result<(), Failed> {
    let source = SourceName::parse("main")?;
    let desired = Desired { identity, source, indexes: IndexOptions::default() };
    let plan = provision::plan(&desired, &Actual::Absent)?;
    provision::apply(path, &plan, &Approval::up_to(StepClass::Additive))?;
    Ok(())
}

async fn lead(source: &SqliteSource, identity: &Identity) -> Result<(), Failed> {
    let (term, nonce) = (Term::FIRST, Nonce::new(Uuid::new_v4()));
    let tail = source.promise(identity, term, nonce).await?.tail;
    let primary = SourceName::parse("main")?;
    let open = Open { term, nonce, tail, primary, forced: false, missing: Vec::new() };
    Source::open(source, identity, open).await?;
    Ok(())
}

/// Commits on many streams, a tenth of them on new ones.
struct Load {
    identity: Identity,
    streams: Vec<(StreamName, u64)>,
    next: u64,
}

impl Load {
    fn batch(&mut self, commits: usize, size: usize) -> Vec<Commit> {
        (0..commits).map(|_| self.commit(size)).collect()
    }

    fn commit(&mut self, size: usize) -> Commit {
        self.next += 1;
        let live = (self.streams.len() as u64).min(LIVE_STREAMS);
        if live == 0 || self.next.is_multiple_of(10) {
            let name = StreamName::parse(&format!("payment-{:08}", self.next)).expect("a good name");
            self.streams.push((name, 0));
        }
        // a fixed walk, so that every run writes the same rows
        let newest = self.streams.len() as u64 - live.max(1);
        let index = (newest + self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15) % live.max(1)) as usize;
        let (stream, version) = &mut self.streams[index];
        let expected = Expected::Version(Version::new(*version));
        *version += size as u64;
        let events = (0..size).map(|_| event(self.next)).collect();
        Commit::new(self.identity.log, vec![StreamAppend::new(stream.clone(), expected, events)])
    }
}

fn event(number: u64) -> NewEvent {
    let event_type = EventType::recorded(["PaymentOpened", "PaymentProcessed"][(number % 2) as usize]);
    let data = format!(r#"{{"number":{number:020},"text":"{}"}}"#, "x".repeat(220));
    NewEvent {
        metadata: Some(format!(r#"{{"traceparent":"00-{number:032x}-01"}}"#).into()),
        ..NewEvent::json(EventId::new(Uuid::now_v7()), event_type, data)
    }
}

async fn append(
    source: &SqliteSource,
    identity: &Identity,
    batches: Vec<Vec<Commit>>,
) -> Result<Duration, Failed> {
    let start = Instant::now();
    for batch in batches {
        let (term, config, watermarks) = (Term::FIRST, ConfigVersion(0), Watermarks::default());
        let append = Append { term, config, batch: batch.into(), watermarks };
        let appended = source.append(identity, append).await?;
        if !appended.verdicts.iter().all(|verdict| matches!(verdict, Verdict::Committed(_))) {
            return Err("a commit was not written".into());
        }
    }
    Ok(start.elapsed())
}

async fn read(source: &SqliteSource, from: Position) -> Result<Vec<Entry>, Failed> {
    let to = Position::new(u64::MAX);
    let read = ReadLog { from, to, max_events: usize::MAX, max_bytes: usize::MAX };
    Ok(source.read_log(read).await?.entries)
}

async fn reading(source: &SqliteSource, page: usize) -> Result<f64, Failed> {
    let (start, mut from) = (Instant::now(), Position::FIRST);
    loop {
        let to = Position::new(u64::MAX);
        let read = ReadLog { from, to, max_events: page, max_bytes: 16 << 20 };
        match source.read_log(read).await?.entries.last() {
            Some(last) => from = last.last().next(),
            None => return Ok(from.get() as f64 / start.elapsed().as_secs_f64()),
        }
    }
}

fn raw_connection(path: &Path) -> Result<Connection, Failed> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; \
         PRAGMA cell_size_check = 1;",
    )?;
    let pages =
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 10_000, |row| row.get::<_, i64>(0))?;
    assert_eq!(pages, 10_000);
    Ok(connection)
}

fn insert<'a>(
    connection: &Connection,
    batches: impl Iterator<Item = &'a [Entry]>,
) -> Result<Duration, Failed> {
    let start = Instant::now();
    for batch in batches {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut statement = connection.prepare_cached(
            "INSERT INTO polylog_events (position, first, last, term, stream, version, category, aggregate_id, \
             id, type, commit_id, fingerprint, digest, chain, data_digest, recorded_at, time, content_type, \
             correlation_id, causation_id, metadata, data) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for entry in batch {
            for event in &entry.events {
                statement.execute(params![
                    event.position.get() as i64,
                    event.first.get() as i64,
                    event.last.get() as i64,
                    entry.term.get() as i64,
                    event.stream.as_str(),
                    event.version.get() as i64,
                    event.category.as_str(),
                    event.aggregate_id.as_str(),
                    event.id.as_bytes().as_slice(),
                    event.event_type.as_str(),
                    CommitId::as_bytes(&event.commit_id).as_slice(),
                    (event.position == event.first).then_some(entry.fingerprint.as_bytes().as_slice()),
                    event.digest.as_bytes().as_slice(),
                    entry.chain.as_bytes().as_slice(),
                    event.data_digest.as_bytes().as_slice(),
                    event.recorded_at.as_micros(),
                    event.time.as_micros(),
                    event.content_type,
                    event.correlation_id,
                    event.causation_id,
                    event.metadata.as_deref(),
                    event.data.as_deref(),
                ])?;
            }
        }
        drop(statement);
        connection.prepare_cached("COMMIT")?.execute([])?;
    }
    Ok(start.elapsed())
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Resident memory of this process.
fn resident() -> Result<u64, Failed> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
