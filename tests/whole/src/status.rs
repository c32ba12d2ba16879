//! What a sidecar says of its store.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::{http::Connection, sidecar::pause};

/// The status of the store `payments`.
pub fn of(port: u16) -> Result<Value> {
    let answer =
        Connection::open(port, Duration::from_secs(5))?.request("GET", "/v1/stores/payments", b"")?;
    ensure!(answer.status == 200, "status {}", answer.status);
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Waits until every source is in sync at one position; says how long it took.
pub fn until_level(port: u16, at_most: Duration) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let status = of(port);
        let is_level = |status: &Value| {
            let sources = status["sources"].as_array()?;
            let position = &sources.first()?["position"];
            let level = |source: &Value| {
                source["state"] == "InSync" && source["lagEvents"] == 0 && source["position"] == *position
            };
            Some(sources.iter().all(level))
        };
        match status {
            Ok(status) if is_level(&status) == Some(true) => return Ok(began.elapsed()),
            status if began.elapsed() > at_most => bail!("not level within {at_most:?}: {status:?}"),
            _ => pause(Duration::from_millis(20)),
        }
    }
}
