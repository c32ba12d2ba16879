//! What a sidecar says of itself.

use std::time::Duration;

use anyhow::{Context, Result};
use polylog_whole_tests::http::Connection;

/// The tail of its log.
pub fn position(port: u16) -> Result<u64> {
    let stores: serde_json::Value = serde_json::from_str(&get(port, "/v1/stores")?)?;
    stores["stores"][0]["positions"][0].as_u64().context("a position")
}

/// Events and batches that were committed so far.
pub fn batches(health_port: u16) -> Result<(f64, f64)> {
    let metrics = get(health_port, "/metrics")?;
    let number = |name: &str| -> Result<f64> {
        let line = metrics
            .lines()
            .find(|line| line.starts_with(name))
            .with_context(|| format!("no metric {name}"))?;
        Ok(line.rsplit(' ').next().context("a value")?.parse()?)
    };
    Ok((number("polylog_append_batch_events_total")?, number("polylog_append_batches_total")?))
}

fn get(port: u16, path: &str) -> Result<String> {
    let answer = Connection::open(port, Duration::from_secs(10))?.request("GET", path, b"")?;
    Ok(String::from_utf8(answer.body)?)
}
