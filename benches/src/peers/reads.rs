//! How fast the log and a long stream are read.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use polylog_api::proto::polylog::v1;
use polylog_whole_tests::{http::Connection, sidecar::Sidecar};
use prost::Message;

use super::{
    bench::{Bench, Log, fill, lengthen_stream},
    grpc::Method,
    messages::{STREAM, count_field, framed},
    meter::{Watched, Who, Window},
    results::Read,
    umadb::Umadb,
};
use crate::load::Measured;

/// Events of the long stream, and of all others together.
const LONG: u64 = 100_000;
const DATABASE: &str = "readings";
/// The field of a frame that holds an event.
const EVENT: u32 = 2;

/// Everything so many times, each way in turn.
pub fn all(bench: &Bench<'_>, times: usize) -> Result<Vec<Read>> {
    let log = written(bench)?;
    let mut raw = bench.server.raw(DATABASE)?;
    let sidecar = &log.sidecar;
    let watched = log.watched()?;
    let mut reads = Vec::new();
    for _ in 0..times {
        let mut read = |what, by, read: &mut dyn FnMut() -> Result<Measured>| {
            reads.push(Read::of(what, by, &Window::of(&watched, read)?));
            anyhow::Ok(())
        };
        read("the log", "Polylog, gRPC", &mut || entries(sidecar))?;
        read("the log", "Polylog, NDJSON", &mut || lines(sidecar, "/v1/events?from=1"))?;
        read("the log", "raw", &mut || raw.read().and_then(|(rows, seconds)| measured(rows, seconds)))?;
        read("a stream", "Polylog, gRPC", &mut || stream(sidecar))?;
        let path = format!("/v1/streams/{STREAM}?from=1");
        read("a stream", "Polylog, NDJSON", &mut || lines(sidecar, &path))?;
    }
    reads.extend(of_others(bench, times)?);
    Ok(reads)
}

/// A log with a long stream in it.
fn written(bench: &Bench<'_>) -> Result<Log> {
    bench.server.create(DATABASE);
    let mut sidecar = bench.sidecar(DATABASE)?;
    fill(&sidecar, LONG)?;
    lengthen_stream(&sidecar, LONG)?;
    sidecar.kill()?;
    bench.server.prepare_raw(DATABASE);
    bench.server.settle()?;
    bench.log(DATABASE)
}

fn of_others(bench: &Bench<'_>, times: usize) -> Result<Vec<Read>> {
    let mut reads = Vec::new();
    if let Some(message_db) = &bench.message_db {
        const MESSAGES: &str = "message_db";
        message_db.install(MESSAGES, 0)?;
        message_db.write_stream(MESSAGES, LONG)?;
        bench.server.settle()?;
        let watched = [Watched { who: Who::Database, pid: bench.server.pid()? }, Watched::client()];
        for _ in 0..times {
            let window = Window::of(&watched, || {
                let (events, seconds) = message_db.read_stream(MESSAGES)?;
                measured(events, seconds)
            })?;
            reads.push(Read::of("a stream", "message-db", &window));
        }
    }
    if let Some(program) = bench.umadb {
        let umadb = Umadb::start(program, bench.folder)?;
        umadb.fill(LONG)?;
        umadb.lengthen_stream(LONG)?;
        let watched = [Watched { who: Who::Database, pid: umadb.pid() }, Watched::client()];
        for _ in 0..times {
            for (what, stream) in [("the log", None), ("a stream", Some(STREAM))] {
                let window = Window::of(&watched, || {
                    let (events, seconds) = umadb.read(stream)?;
                    measured(events, seconds)
                })?;
                reads.push(Read::of(what, "UmaDB", &window));
            }
        }
    }
    Ok(reads)
}

fn measured(events: u64, seconds: f64) -> Result<Measured> {
    ensure!(events >= LONG, "only {events} events were read");
    Ok(Measured { events, ..Measured::new(1, seconds, Vec::new()) })
}

fn entries(sidecar: &Sidecar) -> Result<Measured> {
    frames(sidecar, "/polylog.v1.Events/ReadLog", &v1::ReadLogRequest::default())
}

fn stream(sidecar: &Sidecar) -> Result<Measured> {
    let request = v1::ReadStreamRequest { stream: STREAM.into(), ..Default::default() };
    frames(sidecar, "/polylog.v1.Events/ReadStream", &request)
}

fn frames(sidecar: &Sidecar, path: &'static str, request: &impl Message) -> Result<Measured> {
    let mut events = 0;
    let method = Method { port: sidecar.port, path };
    let seconds = method.read(&framed(request), |frame| events += count_field(frame, EVENT))?;
    measured(events, seconds)
}

fn lines(sidecar: &Sidecar, path: &str) -> Result<Measured> {
    let connection = Connection::open(sidecar.port, Duration::from_secs(60))?;
    let began = Instant::now();
    let lines = connection.stream(path, "Accept: application/x-ndjson\r\n")?.count_lines()?;
    measured(lines, began.elapsed().as_secs_f64())
}
