//! Imports from other databases: everything is read into a work folder, checked and sorted there, imported as lines of a
//! file are, and compared with what the store holds then.

mod access;
mod check;
mod document;
mod elasticsearch;
mod event;
mod faults;
mod mapping;
mod mongodb;
mod part;
mod postgres;
mod reader;
mod sort;
mod work;

use indicatif::ProgressBar;
use polylog_client::Client;
use serde::Serialize;

pub(crate) use self::access::FromArgs;
use self::{
    access::Engine,
    check::{Checked, check},
    elasticsearch::ElasticsearchReader,
    event::Mapper,
    faults::Faults,
    mongodb::MongodbReader,
    postgres::PostgresReader,
    reader::Reader,
    work::{Begun, Work},
};
use super::{ImportArgs, run::Carried};
use crate::{
    args::Place,
    exit::{Failure, Outcome},
    output::{Format, Output},
    progress,
};

/// What was imported, and what the store holds of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// Events of the source.
    read: u64,
    /// Events appended by this run.
    written: u64,
    /// Events that were in the store.
    present: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<Checked>,
    /// Whether every event is in the store as it was in the source.
    complete: bool,
}

/// Imports all events of a foreign database, and prints what became of them.
pub(crate) async fn run(client: &Client, engine: Engine, args: ImportArgs, format: Format) -> Outcome {
    let name = name(&args.file)?;
    let work = Work::open(&args.from.work)?;
    let work = tokio::select! {
        prepared = prepare(work, engine, &name, &args) => prepared?,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("the same command goes on from here; nothing was imported yet");
            return Err(Failure::Interrupted);
        }
    };
    let lines = ImportArgs { file: Place::File(work.lines()), renumber: false, ..args };
    let Carried { counts, outcome, .. } = super::run::carry_out(client, &lines).await?;
    let mut summary = Summary {
        read: work.count()?,
        written: counts.written,
        present: counts.present,
        checked: None,
        complete: false,
    };
    if outcome.is_ok() {
        let checked = tokio::select! {
            checked = check(client, &work) => checked?,
            _ = tokio::signal::ctrl_c() => return Err(Failure::Interrupted),
        };
        summary.complete = checked.same == summary.read;
        summary.checked = Some(checked);
    }
    print(&summary, format)?;
    outcome?;
    if summary.complete { Ok(()) } else { Err(Failure::Told(1)) }
}

/// What is called so in the database.
fn name(place: &Place) -> Result<String, Failure> {
    let name = match place {
        Place::File(path) => path.to_str(),
        Place::Standard => None,
    };
    let none = || Failure::Usage("say the name of an index, collection or table".into());
    name.map(str::to_owned).ok_or_else(none)
}

/// Makes that the work folder holds the lines to be imported.
async fn prepare(mut work: Work, engine: Engine, name: &str, args: &ImportArgs) -> Result<Work, Failure> {
    let mapping = args.from.mapping().map_err(|error| Failure::Usage(error.to_string()))?;
    let access = args.from.access()?;
    let source = format!("{}, {name}", access.shown(engine)?);
    let begun = Begun { source, mapping, renumber: args.renumber };
    work.begin(&begun)?;
    if work.lines().exists() {
        return Ok(work);
    }
    if !work.is_read()? {
        match engine {
            Engine::Postgres => {
                let reader = PostgresReader::connect(&access, name).await?;
                read(&mut work, reader, &begun, name).await?;
            }
            Engine::Elasticsearch => {
                let reader = ElasticsearchReader::connect(&access, name)?;
                read(&mut work, reader, &begun, name).await?;
            }
            Engine::Mongodb => {
                let reader = MongodbReader::connect(&access, name).await?;
                read(&mut work, reader, &begun, name).await?;
            }
        }
    }
    eprintln!("{} events read; checking and sorting them", work.count()?);
    let sorting = tokio::task::spawn_blocking(move || {
        sort::write_or_forget(&work, begun.mapping.first_version, begun.renumber).map(|()| work)
    });
    sorting.await.map_err(|error| Failure::Failed(error.into()))?
}

/// Reads all events of a source into the work folder.
async fn read<R: Reader>(work: &mut Work, mut reader: R, begun: &Begun, name: &str) -> Outcome {
    let fields = reader.fields().await?;
    let mut mapping = begun.mapping.clone();
    reader.assume(&mut mapping);
    let mapping = mapping.resolved(&fields.names, fields.all, begun.renumber);
    let mapping = mapping.map_err(|error| Failure::Usage(error.to_string()))?;
    eprintln!("{}", mapping.told());
    work.keep_mapping(&mapping)?;
    let cursor = work.cursor()?;
    if cursor.is_none() {
        work.forget_events()?;
    }
    let total = reader.begin(&mapping, cursor.as_deref()).await?;
    let before = work.count()?;
    if before > 0 {
        eprintln!("going on: {before} of {total} events were read before");
    }
    let bar = progress::bar(Some(total));
    bar.set_position(before);
    let pages = pages(work, &mut reader, &Mapper::new(mapping, name, begun.renumber), &bar).await;
    bar.finish_and_clear();
    reader.end().await;
    pages?;
    let read = work.count()?;
    if read != total {
        work.forget_events()?;
        return Err(Failure::Failed(anyhow::anyhow!(
            "{name} holds {total} events, and {read} were read: it is being written, or was changed since an interrupted \
             import read it. Nothing was imported; the same command reads it again"
        )));
    }
    work.now_read()
}

async fn pages(work: &mut Work, reader: &mut impl Reader, mapper: &Mapper, bar: &ProgressBar) -> Outcome {
    loop {
        let page = reader.page().await?;
        if page.documents.is_empty() {
            return Ok(());
        }
        let (mut events, mut faults) = (Vec::with_capacity(page.documents.len()), Faults::new());
        for document in &page.documents {
            match mapper.event(document) {
                Ok(event) => events.push(event),
                Err(why) => faults.add(|| format!("{}: {why}", document.name)),
            }
        }
        faults.check()?;
        work.add(&events, page.cursor.as_deref())?;
        bar.inc(events.len() as u64);
    }
}

fn print(summary: &Summary, format: Format) -> Outcome {
    let mut out = Output::new();
    if format != Format::Table {
        out.document(summary, format)?;
        return Ok(out.flush()?);
    }
    let Summary { read, written, present, checked, .. } = summary;
    out.text(&format!("{written} events written, {present} already there\n"))?;
    match checked {
        Some(Checked { same, .. }) if same == read => {
            out.text(&format!("checked: all {read} events are in the store as they were\n"))?;
        }
        Some(Checked { same, differing, missing, faults }) => {
            let text = format!(
                "checked: of {read} events {same} are as they were, {differing} differ, {missing} are missing\n"
            );
            out.text(&text)?;
            for fault in faults {
                out.text(&format!("  {fault}\n"))?;
            }
        }
        None => {}
    }
    Ok(out.flush()?)
}
