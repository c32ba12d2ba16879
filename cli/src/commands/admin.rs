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
        // one that does not answer is read once it does
        let answering = || status.sources.iter().filter(|source| source.state != "Unreachable");
        if answering().all(|source| verified(source).is_some_and(|verified| verified.answered >= request)) {
            break status;
        }
        if answering().all(|source| verified(source).is_some()) {
            untold_since = Instant::now();
        } else if untold_since.elapsed() >= TOLD {
            return Err(anyhow::anyhow!("another process verifies the store by now: ask again").into());
        }
        tokio::time::sleep(LOOK).await;
    };
    match format {
        Format::Table => out.text(&found(&status))?,
        Format::Json | Format::Ndjson => out.document(&status, format)?,
    }
    out.flush()?;
    let is_wrong = |one: &polylog_api::VerifiedStatus| one.missing + one.differing + one.extra > 0;
    match status.sources.iter().filter_map(verified).any(is_wrong) {
        true => Err(Failure::Told(1)),
        false => Ok(()),
    }
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
