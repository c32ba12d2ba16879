use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use uuid::Uuid;

use crate::{http::Connection, sidecar::pause};

/// Longer than the heartbeat, so that silence means a dead connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// Follows the log from its beginning, across restarts, until it has seen the position in `goal` (zero = not known yet).
/// Each connection is made to the next of the sidecars. Returns the ids in the order of their positions; fails as soon as
/// a position is missed, repeated or out of order.
pub fn follow(ports: &[u16], goal: &AtomicU64) -> Result<Vec<Uuid>> {
    let mut seen = Vec::new();
    let mut last_id: Option<String> = None;
    let is_reached = |seen: &[Uuid]| {
        let goal = goal.load(Ordering::Relaxed);
        goal > 0 && seen.len() as u64 >= goal
    };
    for port in ports.iter().cycle() {
        if is_reached(&seen) {
            return Ok(seen);
        }
        let headers = last_id.as_ref().map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let stream = Connection::open(*port, PATIENCE).and_then(|connection| {
            connection.stream("/v1/subscribe?from=beginning&includeSystem=true", &headers)
        });
        let Ok(mut stream) = stream else {
            pause(Duration::from_millis(5));
            continue;
        };
        let mut frame = Frame::default();
        while let Ok(Some(line)) = stream.line() {
            let line = String::from_utf8(line).context("server-sent events are UTF-8")?;
            if !line.is_empty() {
                frame.add(&line);
                continue;
            }
            let complete = std::mem::take(&mut frame);
            if complete.event == "event" {
                let event: Value = serde_json::from_str(&complete.data)?;
                let position = event["position"].as_u64().context("an event has a position")?;
                if position != seen.len() as u64 + 1 {
                    bail!("a subscriber got position {position} after {}", seen.len());
                }
                seen.push(event["id"].as_str().and_then(|id| id.parse().ok()).context("an event has an id")?);
            }
            if complete.event == "error" {
                let problem: Value = serde_json::from_str(&complete.data)?;
                // the sidecar has lost its database, and says so: the subscriber comes again
                ensure!(problem["retry"] == true, "a subscriber got an error: {problem}");
            }
            last_id = complete.id.or(last_id);
            if is_reached(&seen) {
                break;
            }
        }
        pause(Duration::from_millis(5));
    }
    bail!("there is no sidecar to follow")
}

#[derive(Default)]
struct Frame {
    id: Option<String>,
    event: String,
    data: String,
}

impl Frame {
    fn add(&mut self, line: &str) {
        let Some((field, value)) = line.split_once(':') else { return };
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.into()),
            "event" => self.event = value.into(),
            "data" => self.data += value,
            _ => {}
        }
    }
}
