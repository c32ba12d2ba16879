//! What an administrator does with a store: `verify`, `switch`, `failover`, `quarantine`.

use std::time::{Duration, Instant};

use clap::Args;
use polylog_api::{SourceStatus, StoreStatus};
use polylog_client::{Client, Led};
use polylog_log::SourceName;
use serde_json::{Value, json, value::RawValue};

use crate::{
    exit::{Failure, Outcome},
    output::{Format, Output, rendered, table},
};

/// Between two looks at how far verification is.
const LOOK: Duration = Duration::from_millis(200);
/// A process that verifies tells of a source this soon, however far it is with it.
const TOLD: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// Only ask for it; what is found stands in the status
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SwitchArgs {
    /// The source that becomes primary
    #[arg(value_parser = source)]
    source: SourceName,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FailoverArgs {
    /// A source that does not answer, of which you know that it is stopped or cut off; may be repeated
    #[arg(long, value_parser = source, value_name = "SOURCE", required = true)]
    stopped: Vec<SourceName>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct QuarantineArgs {
    /// Only of this source
    #[arg(long, value_parser = source, value_name = "SOURCE")]
    source: Option<SourceName>,
}

fn source(text: &str) -> Result<SourceName, String> {
    SourceName::parse(text).map_err(|error| error.to_string())
}

/// Has everything read again, and says what was found; fails where something is wrong and stays.
pub(crate) async fn verify(client: &Client, args: VerifyArgs, format: Format) -> Outcome {
    let request = client.verify().await?;
    let mut out = Output::new();
    if args.no_wait {
        match format {
            Format::Table => out.line(b"verification is begun; `polylog status` says how far it is")?,
            Format::Json | Format::Ndjson => out.document(&json!({"request": request}), format)?,
        }
        return Ok(out.flush()?);
    }
    let mut untold_since = Instant::now();
    let status = loop {
        let status = status(client).await?;
        let look = look(&status.sources, request);
        match look {
            Look::Done => break status,
            Look::Reading => untold_since = Instant::now(),
            Look::Untold | Look::Nobody if untold_since.elapsed() < TOLD => {}
            Look::Untold => {
                return Err(anyhow::anyhow!("another process verifies the store by now: ask again").into());
            }
            Look::Nobody => {
                let unread = status.sources.iter().map(unread).collect::<Vec<_>>().join("; ");
                return Err(Failure::NoAnswer(format!("no source can be read: {unread}")));
            }
        }
        tokio::time::sleep(LOOK).await;
    };
    for source in status.sources.iter().filter(|source| !is_read(source)) {
        eprintln!("not waited for: {}", unread(source));
    }
    match format {
        Format::Table => out.text(&found(&status))?,
        Format::Json | Format::Ndjson => out.document(&status, format)?,
    }
    out.flush()?;
    match status.sources.iter().any(is_wrong) {
        true => Err(Failure::Told(1)),
        false => Ok(()),
    }
}

/// How far verification is.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Every source that can be read was read.
    Done,
    Reading,
    /// Nothing is told of a source that can be read.
    Untold,
    /// No source can be read.
    Nobody,
}

fn look(sources: &[SourceStatus], request: u64) -> Look {
    let read: Vec<_> = sources.iter().filter(|source| is_read(source)).map(verified).collect();
    if read.is_empty() {
        Look::Nobody
    } else if read.iter().all(|verified| verified.is_some_and(|verified| verified.answered >= request)) {
        Look::Done
    } else if read.iter().all(Option::is_some) {
        Look::Reading
    } else {
        Look::Untold
    }
}

/// Whether verification reads it now. One that does not answer, or takes no writes, is read once it does again.
fn is_read(source: &SourceStatus) -> bool {
    match source.state.as_str() {
        "Unreachable" | "Unprovisioned" | "Divergent" | "Stalled" => false,
        // what else it is shows in its message alone
        "Maintenance" => source.message.is_empty(),
        _ => true,
    }
}

fn unread(source: &SourceStatus) -> String {
    match source.message.is_empty() {
        true => format!("{} is {}", source.name, source.state),
        false => format!("{} is {}: {}", source.name, source.state, source.message),
    }
}

/// Whether something is wrong with it, and stays.
fn is_wrong(source: &SourceStatus) -> bool {
    source.state == "Divergent"
        || verified(source).is_some_and(|one| one.missing + one.differing + one.extra > 0)
}

fn verified(source: &SourceStatus) -> Option<&polylog_api::VerifiedStatus> {
    source.verified.as_ref()
}

async fn status(client: &Client) -> Result<StoreStatus, Failure> {
    if let Some(store) = client.address().store() {
        return Ok(client.status(store).await?);
    }
    let mut stores = client.stores().await?.stores;
    match stores.len() {
        1 => Ok(stores.swap_remove(0)),
        _ => Err(Failure::Usage("name the store: --store NAME".into())),
    }
}

fn found(status: &StoreStatus) -> String {
    let mut sources =
        table(&["SOURCE", "STATE", "READ TO", "OF", "MISSING", "DIFFERING", "EXTRA", "REPAIRED", "SINCE"]);
    for source in &status.sources {
        let mut row = vec![source.name.to_string(), source.state.clone()];
        row.extend(verified(source).map_or_else(Vec::new, |one| {
            let numbers =
                [one.through.get(), one.end.get(), one.missing, one.differing, one.extra, one.repaired];
            numbers.iter().map(ToString::to_string).chain([one.since.to_string()]).collect()
        }));
        row.resize(9, "-".into());
        sources.add_row(row);
    }
    rendered(&sources)
}

/// Makes another source primary.
pub(crate) async fn switch(client: &Client, args: SwitchArgs, format: Format) -> Outcome {
    led(&client.switch(&args.source).await?, format)
}

/// Opens the log without sources that are stopped or cut off.
pub(crate) async fn failover(client: &Client, args: FailoverArgs, format: Format) -> Outcome {
    led(&client.failover(&args.stopped).await?, format)
}

fn led(Led { primary, term }: &Led, format: Format) -> Outcome {
    let mut out = Output::new();
    match format {
        Format::Table => out.line(format!("{primary} is primary of term {term}").as_bytes())?,
        Format::Json | Format::Ndjson => out.document(&json!({"primary": primary, "term": term}), format)?,
    }
    Ok(out.flush()?)
}

/// Prints what lost to another history: as `ndjson` it is an export, one entry a line.
pub(crate) async fn quarantine(client: &Client, args: QuarantineArgs, format: Format) -> Outcome {
    let mut out = Output::new();
    let mut all: Vec<Box<RawValue>> = Vec::new();
    let mut after = None;
    loop {
        let page = client.quarantine(args.source.as_ref(), after.as_deref()).await?;
        match format {
            Format::Ndjson => page.entries.iter().try_for_each(|entry| out.line(entry.get().as_bytes()))?,
            Format::Json | Format::Table => all.extend(page.entries),
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    match format {
        Format::Ndjson => {}
        Format::Json => out.document(&all, format)?,
        Format::Table => out.text(&shown(&all))?,
    }
    Ok(out.flush()?)
}

fn shown(entries: &[Box<RawValue>]) -> String {
    let mut rows = table(&["SOURCE", "CUT", "TERM", "POSITION", "STREAM", "VERSION", "TYPE", "ID"]);
    for entry in entries {
        let Ok(entry) = serde_json::from_str::<Value>(entry.get()) else { continue };
        for event in entry["events"].as_array().into_iter().flatten() {
            let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let of_entry = ["source", "cut", "term"].map(|name| cell(&entry[name]));
            let of_event = ["position", "stream", "version", "type", "id"].map(|name| cell(&event[name]));
            rows.add_row(of_entry.into_iter().chain(of_event).collect::<Vec<_>>());
        }
    }
    rendered(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(state: &str, message: &str, answered: Option<u64>) -> SourceStatus {
        let verified = answered.map(|answered| {
            json!({
                "through": 9, "end": 9, "since": "2024-01-01T00:00:00Z", "missing": 0, "differing": 0, "extra": 0,
                "repaired": 0, "answered": answered
            })
        });
        let source = json!({
            "name": "ledger", "engine": "sqlite", "role": "Voter", "state": state, "message": message, "verified": verified
        });
        serde_json::from_value(source).expect("a source")
    }

    #[test]
    fn sources_that_nobody_reads_are_not_waited_for() {
        for (state, message) in [
            ("Unreachable", "refused"),
            ("Unprovisioned", "approve it"),
            ("Divergent", "it went back"),
            ("Stalled", "it cannot store position 5"),
            ("Maintenance", "refused"),
        ] {
            for answered in [None, Some(1)] {
                let other = || source(state, message, answered);
                assert_eq!(look(&[source("InSync", "", Some(2)), other()], 2), Look::Done, "{state}");
                assert_eq!(look(&[source("Lagging", "", Some(1)), other()], 2), Look::Reading, "{state}");
                assert_eq!(look(&[other()], 2), Look::Nobody, "{state}");
            }
            assert_eq!(is_wrong(&source(state, message, None)), state == "Divergent", "{state}");
        }
        let read = source("InSync", "a setting may lose what was acknowledged", Some(1));
        for state in ["InSync", "Lagging", "Syncing", "Maintenance"] {
            assert_eq!(look(&[source(state, "", Some(2))], 2), Look::Done, "{state}");
            assert_eq!(look(&[source(state, "", None), read.clone()], 2), Look::Untold, "{state}");
        }
        assert_eq!(look(&[read], 2), Look::Reading);
        assert_eq!(look(&[], 2), Look::Nobody);
    }
}
