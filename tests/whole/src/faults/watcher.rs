//! A reader who takes whatever it is shown, and remembers it.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use uuid::Uuid;

use crate::{audit::Logged, http::Client, sidecar::pause};

const PATIENCE: Duration = Duration::from_secs(10);

/// The events that were shown, by their positions.
pub type Shown = HashMap<u64, Uuid>;

/// Reads the end of the log again and again, at any age. Fails as soon as another event stands where one was shown.
pub fn watch(port: u16, stop: &AtomicBool) -> Result<Shown> {
    let mut client = Client::new(&[port], 0, PATIENCE);
    let mut shown = Shown::new();
    let path = "/v1/events?direction=backward&limit=20&includeSystem=true&consistency=eventual";
    while !stop.load(Ordering::Relaxed) {
        pause(Duration::from_millis(3));
        let Ok(answer) = client.request("GET", path, b"") else { continue };
        match answer.status {
            200 => {}
            429 | 503 => continue,
            status => bail!("unexpected answer {status}: {}", String::from_utf8_lossy(&answer.body)),
        }
        let page: Value = serde_json::from_slice(&answer.body)?;
        for event in page["events"].as_array().context("a page has events")? {
            let position = event["position"].as_u64().context("an event has a position")?;
            let id = event["id"].as_str().and_then(|id| id.parse().ok()).context("an event has an id")?;
            let before = shown.insert(position, id);
            ensure!(
                before.is_none_or(|before| before == id),
                "at position {position} {before:?} was shown, and then {id}"
            );
        }
    }
    Ok(shown)
}

/// Whether everything that was shown is in the log, where it was shown.
pub fn is_kept(shown: &Shown, log: &[Logged]) -> Result<()> {
    for (position, id) in shown {
        let found = log.get(*position as usize - 1).map(|event| event.id);
        ensure!(found == Some(*id), "at position {position} {id} was shown, and the log has {found:?}");
    }
    Ok(())
}
