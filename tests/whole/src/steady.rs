//! An application in a pod, which appends and reads through its sidecar and says what became of each request.

use std::{
    io::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use rand::random;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    http::{Answer, Client},
    sidecar::pause,
};

/// Longer than a sidecar takes to answer whatever happens.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many good answers are one line.
const TOGETHER: u64 = 10;

#[derive(clap::Args)]
pub struct Args {
    /// Where the sidecar is, on this machine's loopback.
    #[arg(long, env = "POLYLOG_URL")]
    url: String,
    /// Milliseconds between two appends.
    #[arg(long, default_value_t = 50)]
    every: u64,
}

/// Appends to a stream of its own and reads each event back, for ever. Nothing is retried on the way: each request is one
/// line `<milliseconds since 1970> failed <append|read> <status> <code>`, or one of ten in `<milliseconds> good <appends>`.
/// What failed is sent again as it was, so that nothing is lost and nothing stands twice; where that is not so, it ends.
pub fn run(args: &Args) -> Result<()> {
    let port = args.url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
    let client = &mut Client::new(&[port.context("a port in the address")?], 0, PATIENCE);
    let path = format!("/v1/streams/Payment-{:x}", random::<u64>());
    for version in 1.. {
        let id = Uuid::now_v7();
        let body = json!({"expectedVersion": version - 1, "events": [{"id": id, "type": "Noted", "data": {"n": version}}]});
        let body = body.to_string();
        let appended = insist("append", || client.request("POST", &path, body.as_bytes()))?;
        let read = insist("read", || client.request("GET", &format!("{path}?from={version}"), b""))?;
        if appended["firstVersion"] != version || read["events"][0]["id"] != json!(id) {
            bail!("version {version} with id {id} was answered {appended}, and read as {read}");
        }
        if version % TOGETHER == 0 {
            tell(&format!("good {version}"))?;
        }
        pause(Duration::from_millis(args.every));
    }
    Ok(())
}

/// Sends a request until it is answered well.
fn insist(what: &str, mut request: impl FnMut() -> Result<Answer>) -> Result<Value> {
    loop {
        let failure = match request() {
            Ok(answer) => {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                match answer.status {
                    200 | 201 => return Ok(body),
                    429 | 503 | 504 => {
                        format!("{} {}", answer.status, body["code"].as_str().unwrap_or("-"))
                    }
                    status => bail!("{what}: {status} {body}"),
                }
            }
            Err(error) => format!("- {error}"),
        };
        tell(&format!("failed {what} {failure}"))?;
        pause(Duration::from_millis(100));
    }
}

fn tell(line: &str) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok(writeln!(std::io::stdout().lock(), "{now} {line}")?)
}
