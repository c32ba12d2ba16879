use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use uuid::Uuid;

use crate::{http::Connection, writer::Acknowledged};

/// An event as the log holds it.
pub struct Logged {
    pub id: Uuid,
    pub stream: String,
    pub version: u64,
}

/// Reads the whole log, checks that it is one, and returns its events by position.
pub fn read_log(port: u16) -> Result<Vec<Logged>> {
    let connection = Connection::open(port, Duration::from_secs(30))?;
    // what another sidecar acknowledged is in it too
    let path = "/v1/events?from=1&includeSystem=true&consistency=strong";
    let mut lines = connection.stream(path, "Accept: application/x-ndjson\r\n")?;
    let (mut log, mut ids, mut versions) = (Vec::new(), HashSet::new(), HashMap::<String, u64>::new());
    while let Some(line) = lines.line()? {
        let event: Value = serde_json::from_slice(&line)?;
        let text = |name: &str| event[name].as_str().with_context(|| format!("{name} in {event}"));
        let number = |name: &str| event[name].as_u64().with_context(|| format!("{name} in {event}"));
        let (position, version) = (number("position")?, number("version")?);
        let (id, stream) = (text("id")?.parse::<Uuid>()?, text("stream")?.to_owned());
        ensure!(position == log.len() as u64 + 1, "position {position} stands after {}", log.len());
        ensure!(ids.insert(id), "id {id} stands twice in the log");
        let expected = versions.entry(stream.clone()).or_default();
        *expected += 1;
        ensure!(version == *expected, "stream {stream} has version {version} where {expected} was due");
        log.push(Logged { id, stream, version });
    }
    Ok(log)
}

/// Everything acknowledged stands where its answer said.
pub fn holds(log: &[Logged], acknowledged: &Acknowledged) -> Result<()> {
    for (index, id) in (0..).zip(&acknowledged.ids) {
        let position = acknowledged.first_position + index;
        let Some(event) = log.get(position as usize - 1) else {
            bail!("acknowledged position {position} is beyond the end of the log, {}", log.len());
        };
        let found = (event.id, event.stream.as_str(), event.version);
        let promised = (*id, acknowledged.stream.as_str(), acknowledged.first_version + index);
        ensure!(found == promised, "at position {position}: acknowledged {promised:?}, found {found:?}");
    }
    Ok(())
}
