use std::time::{Duration, Instant};

use clap::Args;
use polylog_api::{AppendBody, ExpectedVersion, NewEventBody};
use polylog_client::{AppendOptions, Client, ClientError};
use polylog_log::{EventType, Expected, StreamName};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::histogram::Histogram;
use crate::{
    exit::{Failure, Outcome},
    output::{Format, Output, rendered, table},
};

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Clients that append, each as soon as its last append was answered
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    clients: u32,
    /// Events of one append
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=500))]
    events: u32,
    /// How long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Bytes of an event's data
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=262_144))]
    payload: u32,
}

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    clients: u32,
    events_per_append: u32,
    payload_bytes: u32,
    seconds: f64,
    appends: u64,
    events_per_second: f64,
    p50_millis: f64,
    p99_millis: f64,
    max_millis: f64,
}

/// Appends as fast as answers come, and prints how fast that was. The events stay in the store.
pub(crate) async fn run(client: &Client, args: BenchArgs, format: Format) -> Outcome {
    client.stores().await?;
    let run = Uuid::now_v7().simple().to_string();
    eprintln!("appending to streams bench-{run}-*; the events stay in the store");
    let data = payload(args.payload as usize)?;
    let started = Instant::now();
    let end = started + Duration::from_secs(args.seconds.into());
    let mut clients = JoinSet::new();
    for number in 0..args.clients {
        let stream = StreamName::parse(&format!("bench-{run}-{number}")).map_err(|error| Failure::Failed(error.into()))?;
        clients.spawn(appender(client.clone(), stream, args.events as usize, data.clone(), end));
    }
    let mut all = Histogram::new();
    while let Some(finished) = clients.join_next().await {
        all.add(&finished.map_err(|error| Failure::Failed(error.into()))??);
    }
    print(&measured(&args, &all, started.elapsed()), format)
}

async fn appender(
    client: Client,
    stream: StreamName,
    events: usize,
    data: Box<RawValue>,
    end: Instant,
) -> Result<Histogram, ClientError> {
    let mut latencies = Histogram::new();
    let event = NewEventBody { data: Some(data), ..NewEventBody::new(EventType::recorded("BenchEvent")) };
    let body = AppendBody {
        expected_version: Some(ExpectedVersion(Expected::Any)),
        events: vec![event; events],
        category: None,
        aggregate_id: None,
    };
    while Instant::now() < end {
        let began = Instant::now();
        client.append(&stream, body.clone(), &AppendOptions::default()).await?;
        latencies.record(began.elapsed());
    }
    Ok(latencies)
}

/// A JSON string of so many bytes.
fn payload(bytes: usize) -> Result<Box<RawValue>, Failure> {
    let text = format!("\"{}\"", "x".repeat(bytes - 2));
    RawValue::from_string(text).map_err(|error| Failure::Failed(error.into()))
}

fn measured(args: &BenchArgs, all: &Histogram, elapsed: Duration) -> Measured {
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let seconds = elapsed.as_secs_f64();
    Measured {
        clients: args.clients,
        events_per_append: args.events,
        payload_bytes: args.payload,
        seconds: (seconds * 1e3).round() / 1e3,
        appends: all.count(),
        events_per_second: (all.count() as f64 * f64::from(args.events) / seconds).round(),
        p50_millis: millis(all.quantile(0.5)),
        p99_millis: millis(all.quantile(0.99)),
        max_millis: millis(all.max()),
    }
}

fn print(measured: &Measured, format: Format) -> Outcome {
    let mut out = Output::new();
    match format {
        Format::Table => {
            let mut rows = table(&["CLIENTS", "EVENTS/APPEND", "APPENDS", "EVENTS/S", "P50 MS", "P99 MS", "MAX MS"]);
            rows.add_row(vec![
                measured.clients.to_string(),
                measured.events_per_append.to_string(),
                measured.appends.to_string(),
                measured.events_per_second.to_string(),
                measured.p50_millis.to_string(),
                measured.p99_millis.to_string(),
                measured.max_millis.to_string(),
            ]);
            out.text(&rendered(&rows))?;
        }
        _ => out.document(measured, format)?,
    }
    Ok(out.flush()?)
}
