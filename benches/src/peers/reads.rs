//! How fast the log and a long stream are read.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use polylog_api::proto::polylog::v1;
use polylog_whole_tests::{http::Connection, sidecar::Sidecar};
use prost::Message;

use super::{
    APPEND, Bench,
    database::{Raw, Server},
    grpc::Method,
    messages::{self, count_field},
    meter::{Watched, Who, Window},
};
use crate::load::{Load, Measured};

/// Events of the long stream.
const LONG: u64 = 200_000;
/// The long stream.
const STREAM: &str = "Payment-0000";
/// Times that everything is read.
const TIMES: usize = 3;
/// The field of a frame that holds an event.
const EVENT: u32 = 2;

/// One way to read, measured several times.
pub struct Reads {
    pub what: &'static str,
    pub times: Vec<Window>,
}

/// Everything, each way in turn.
pub fn all(bench: &Bench<'_>, sidecar: &Sidecar) -> Result<Vec<Reads>> {
    let load = Load { clients: 8, events: 50 };
    let append = Method { port: sidecar.port, path: APPEND };
    let mut long = 0;
    while long < LONG {
        long += append.load_streams(load, &messages::polylog(load.events), Duration::from_secs(1), 1)?.events;
    }
    bench.server.settle();
    let mut raw = bench.server.raw("large")?;
    let ways: [(&str, &mut dyn FnMut() -> Result<Measured>); 5] = [
        ("the log, gRPC", &mut || log(sidecar)),
        ("the log, NDJSON", &mut || lines(sidecar, "/v1/events?from=1")),
        ("the log, raw: pages of 1,000 rows", &mut || rows(&mut *raw)),
        ("a stream, gRPC", &mut || stream(sidecar)),
        ("a stream, NDJSON", &mut || lines(sidecar, &format!("/v1/streams/{STREAM}?from=1"))),
    ];
    let mut reads: Vec<_> =
        ways.into_iter().map(|(what, read)| (Reads { what, times: Vec::new() }, read)).collect();
    let watched = [
        Watched { who: Who::Sidecar, pid: sidecar.pid()? },
        Watched { who: Who::Database, pid: bench.server.pid()? },
        Watched { who: Who::Client, pid: std::process::id() },
    ];
    for _ in 0..TIMES {
        for (reads, read) in &mut reads {
            reads.times.push(Window::of(&watched, read)?);
        }
    }
    Ok(reads.into_iter().map(|(reads, _)| reads).collect())
}

fn measured(events: u64, seconds: f64) -> Result<Measured> {
    ensure!(events > 0, "nothing was read");
    Ok(Measured { events, ..Measured::new(1, seconds, Vec::new()) })
}

fn log(sidecar: &Sidecar) -> Result<Measured> {
    frames(sidecar, "/polylog.v1.Events/ReadLog", &v1::ReadLogRequest::default())
}

fn stream(sidecar: &Sidecar) -> Result<Measured> {
    let request = v1::ReadStreamRequest { stream: STREAM.into(), ..Default::default() };
    frames(sidecar, "/polylog.v1.Events/ReadStream", &request)
}

fn frames(sidecar: &Sidecar, path: &'static str, request: &impl Message) -> Result<Measured> {
    let mut message = vec![0; 5];
    request.encode(&mut message)?;
    let length = u32::try_from(message.len() - 5)?;
    message[1..5].copy_from_slice(&length.to_be_bytes());
    let mut events = 0;
    let seconds =
        Method { port: sidecar.port, path }.read(&message, |frame| events += count_field(frame, EVENT))?;
    measured(events, seconds)
}

fn lines(sidecar: &Sidecar, path: &str) -> Result<Measured> {
    let connection = Connection::open(sidecar.port, Duration::from_secs(60))?;
    let began = Instant::now();
    let lines = connection.stream(path, "Accept: application/x-ndjson\r\n")?.count_lines()?;
    measured(lines, began.elapsed().as_secs_f64())
}

fn rows(raw: &mut dyn Raw) -> Result<Measured> {
    let (rows, seconds) = raw.read()?;
    measured(rows, seconds)
}
