use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};
use indicatif::ProgressBar;
use polylog_api::StoreStatus;
use polylog_client::{AppendOptions, Client};
use serde::Serialize;

use super::{
    ImportArgs,
    batch::{Batch, batches},
    file::{Ids, Survey, Windows, survey},
    send::{Counts, Failed, send},
};
use crate::{
    args::Place,
    exit::{Failure, Outcome},
    output::{Format, Output},
    progress,
};

/// What was imported.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// Events appended by this run.
    written: u64,
    /// Events that an earlier run had appended.
    present: u64,
    /// Events of the other log's own, which were left out.
    system_left_out: u64,
    /// Whether everything is in the log now.
    complete: bool,
}

/// What became of the lines.
pub(crate) struct Carried {
    pub(crate) counts: Counts,
    system_left_out: u64,
    pub(crate) outcome: Outcome,
}

/// Imports, and prints what was written.
pub(crate) async fn run(client: &Client, args: ImportArgs, format: Format) -> Outcome {
    let Carried { counts, system_left_out, outcome } = carry_out(client, &args).await?;
    let Counts { written, present } = counts;
    print(&Summary { written, present, system_left_out, complete: outcome.is_ok() }, format)?;
    outcome
}

/// Appends what the lines of a file hold and the store does not.
pub(crate) async fn carry_out(client: &Client, args: &ImportArgs) -> Result<Carried, Failure> {
    let surveyed = match &args.file {
        Place::Standard => None,
        Place::File(path) => {
            let path = path.clone();
            let task = tokio::task::spawn_blocking(move || survey(&path));
            Some(task.await.map_err(|error| Failure::Failed(error.into()))??)
        }
    };
    let windows = Windows::open(&args.file, ids(client, surveyed).await?, args.renumber)?;
    let import = Import {
        client,
        options: AppendOptions { acks: args.acks, ..AppendOptions::default() },
        in_flight: args.in_flight as usize,
        stop: AtomicBool::new(false),
        bar: progress::bar(surveyed.map(|survey| survey.events)),
    };
    let mut counts = Counts::default();
    let outcome = tokio::select! {
        outcome = import.windows(windows, &mut counts) => outcome,
        () = import.interrupted_twice() => Err(Failure::Interrupted),
    };
    import.bar.finish_and_clear();
    let system_left_out = surveyed.map_or(0, |survey| survey.system);
    if outcome.is_err() {
        eprintln!("{}", how_to_go_on(surveyed));
    }
    Ok(Carried { counts, system_left_out, outcome })
}

fn how_to_go_on(surveyed: Option<Survey>) -> &'static str {
    match surveyed {
        Some(survey) if survey.without_id > 0 => {
            "the same command goes on from here; lines without an id are recognised as long as the file is not changed"
        }
        _ => "the same command goes on from here",
    }
}

/// Where lines without an id get theirs.
async fn ids(client: &Client, surveyed: Option<Survey>) -> Result<Ids, Failure> {
    let Some(survey) = surveyed else { return Ok(Ids::Required) };
    if survey.without_id == 0 {
        return Ok(Ids::Required);
    }
    let store: StoreStatus = match client.address().store() {
        Some(store) => client.status(store).await?,
        None => {
            let mut stores = client.stores().await?.stores;
            match (stores.pop(), stores.is_empty()) {
                (Some(store), true) => store,
                _ => return Err(Failure::Usage("say which store is meant, with --store".into())),
            }
        }
    };
    let log = store
        .store_id
        .ok_or_else(|| Failure::Failed(anyhow::anyhow!("store {} has no log yet", store.name)))?;
    Ok(Ids::From(log, survey.hash))
}

struct Import<'a> {
    client: &'a Client,
    options: AppendOptions,
    in_flight: usize,
    /// Set when no further append is to be begun.
    stop: AtomicBool,
    bar: ProgressBar,
}

impl Import<'_> {
    async fn windows(&self, mut windows: Windows, counts: &mut Counts) -> Outcome {
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let window = windows.next();
                (windows, window)
            });
            let (back, window) = read.await.map_err(|error| Failure::Failed(error.into()))?;
            windows = back;
            let window = window?;
            if window.is_empty() {
                return Ok(());
            }
            let streams = batches(window).map_err(|gap| Failure::Usage(gap.to_string()))?;
            self.window(streams, counts).await?;
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
        }
    }

    /// Sends the appends of a window: different streams at once, those of one stream after each other.
    async fn window(&self, streams: Vec<Vec<Batch>>, counts: &mut Counts) -> Outcome {
        let mut done =
            stream::iter(streams).map(|batches| self.stream(batches)).buffer_unordered(self.in_flight);
        let mut first_failure: Option<Failed> = None;
        while let Some((count, failed)) = done.next().await {
            *counts += count;
            let earlier =
                |failed: &Failed| first_failure.as_ref().is_none_or(|first| failed.lines < first.lines);
            if let Some(failed) = failed.filter(earlier) {
                first_failure = Some(failed);
            }
        }
        match first_failure {
            Some(failed) => Err(told(failed)),
            None => Ok(()),
        }
    }

    async fn stream(&self, batches: Vec<Batch>) -> (Counts, Option<Failed>) {
        let mut counts = Counts::default();
        for batch in batches {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let events = batch.items.len() as u64;
            if let Err(failed) = send(self.client, batch, &self.options, &mut counts).await {
                self.stop.store(true, Ordering::Relaxed);
                return (counts, Some(failed));
            }
            self.bar.inc(events);
        }
        (counts, None)
    }

    /// The first Ctrl-C lets what is under way finish; returns at the second.
    async fn interrupted_twice(&self) {
        for _ in 0..2 {
            if tokio::signal::ctrl_c().await.is_err() {
                // without signals there is nobody to interrupt
                std::future::pending::<()>().await;
            }
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

fn told(failed: Failed) -> Failure {
    match failed.lines {
        (first, last) if first == last => eprintln!("line {first}:"),
        (first, last) => eprintln!("lines {first} to {last}:"),
    }
    Failure::Client(failed.error)
}

fn print(summary: &Summary, format: Format) -> Outcome {
    let mut out = Output::new();
    match format {
        Format::Table => {
            let Summary { written, present, system_left_out, .. } = summary;
            out.text(&format!("{written} events written, {present} already there\n"))?;
            if *system_left_out > 0 {
                out.text(&format!("{system_left_out} events of the other log's own left out\n"))?;
            }
        }
        _ => out.document(summary, format)?,
    }
    Ok(out.flush()?)
}
