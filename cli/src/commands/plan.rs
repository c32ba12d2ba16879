use std::{
    collections::BTreeMap,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use polylog_crds::{
    event_store::EventIndex,
    manifests,
    resolve::ResolvedStore,
    validate::{Capabilities, Severity, TargetEngine, validate},
};
use polylog_log::{DatabaseId, Identity, Incarnation, LogId, Plan, SourceName};
use polylog_sidecar::config::SourcePlacement;
use polylog_source_sqlite::provision::{self, Actual, Desired, IndexOptions};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    exit::{Failure, Outcome},
    output::{Format, Output},
};

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Folder of manifests (*.yaml, *.yml, *.json), or one file
    #[arg(default_value = ".")]
    manifests: PathBuf,
    /// Folder for the databases, as for `polylog dev`
    #[arg(long, value_name = "FOLDER", default_value = "./.polylog")]
    data: PathBuf,
    /// Where a source is kept, as for `polylog dev`
    #[arg(long = "source", value_name = "NAME=URL")]
    sources: Vec<SourcePlacement>,
}

/// The plan of one source, for programs.
#[derive(Debug, Serialize)]
struct Planned {
    store: String,
    source: String,
    file: PathBuf,
    hash: String,
    steps: Vec<PlannedStep>,
}

#[derive(Debug, Serialize)]
struct PlannedStep {
    class: String,
    summary: String,
    statement: String,
}

/// Prints what `polylog dev` would do to the databases; changes nothing.
pub(crate) fn run(args: &PlanArgs, format: Format) -> Outcome {
    let mut plans = Vec::new();
    for store in stores(args)? {
        plans.push(planned(&store, args)?);
    }
    let mut out = Output::new();
    match format {
        Format::Table => plans.iter().try_for_each(|plan| out.text(&sql(plan)))?,
        Format::Json => out.document(&plans, format)?,
        Format::Ndjson => plans.iter().try_for_each(|plan| out.document(plan, format))?,
    }
    Ok(out.flush()?)
}

fn stores(args: &PlanArgs) -> Result<Vec<ResolvedStore>, Failure> {
    let manifests = manifests::read(&args.manifests).map_err(|error| Failure::Usage(error.to_string()))?;
    let placed: BTreeMap<_, _> =
        args.sources.iter().map(|placement| (placement.name.clone(), placement.engine)).collect();
    let findings = validate(&manifests, &Capabilities::DEV, &placed);
    let refused: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refused)
        .map(ToString::to_string)
        .collect();
    if !refused.is_empty() {
        return Err(Failure::Usage(refused.join("\n")));
    }
    if manifests.stores.is_empty() {
        return Err(Failure::Usage(format!("no EventStore in {}", args.manifests.display())));
    }
    let resolve = |key| ResolvedStore::resolve(&manifests, key, Capabilities::DEV.voters);
    Ok(manifests.stores.keys().filter_map(resolve).collect())
}

fn planned(store: &ResolvedStore, args: &PlanArgs) -> Result<Planned, Failure> {
    let name = format!("{}/{}", store.namespace, store.name);
    let primary =
        store.first_primary().ok_or_else(|| Failure::Usage(format!("store {name} has no voter")))?;
    let folder = args.data.join(format!("{}.{}", store.namespace, store.name));
    let placed = args
        .sources
        .iter()
        .find(|placement| placement.name == primary.name && placement.engine == TargetEngine::Sqlite);
    let file = placed.map_or_else(|| folder.join(format!("{}.db", primary.name)), |found| found.path.clone());
    let source = SourceName::recorded(primary.name.as_str());
    let failed = |failure: polylog_log::Failure| {
        Failure::Failed(anyhow::anyhow!("store {name}, {}: {failure}", file.display()))
    };
    let actual = inspect(&file).map_err(failed)?;
    let desired =
        Desired { identity: identity(&actual, known_log(&folder)?), source, indexes: indexes(store) };
    let plan = provision::plan(&desired, &actual).map_err(failed)?;
    Ok(Planned {
        store: name.clone(),
        source: primary.name.to_string(),
        hash: plan.hash(),
        steps: steps(plan),
        file,
    })
}

/// What is there; the folder may be missing, as before a first start.
fn inspect(file: &Path) -> Result<Actual, polylog_log::Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.exists() => Ok(Actual::Absent),
        _ => provision::inspect(file),
    }
}

/// The identity that is there, or for what is missing one that is drawn anew, as provisioning does.
fn identity(actual: &Actual, known: Option<LogId>) -> Identity {
    let found = match actual {
        Actual::Ours(inventory) => inventory.identity,
        Actual::Absent | Actual::Empty => None,
    };
    Identity {
        log: known.or(found.map(|found| found.log)).unwrap_or_else(|| LogId::new(Uuid::now_v7())),
        database: found.map_or_else(|| DatabaseId::new(Uuid::now_v7()), |found| found.database),
        incarnation: found.map_or_else(|| Incarnation::new(Uuid::now_v7()), |found| found.incarnation),
    }
}

/// The log that a store's folder belongs to.
fn known_log(folder: &Path) -> Result<Option<LogId>, Failure> {
    let path = folder.join("store-id");
    match fs::read_to_string(&path) {
        Ok(text) => match Uuid::try_parse(text.trim()) {
            Ok(id) => Ok(Some(LogId::new(id))),
            Err(error) => Err(Failure::Failed(anyhow::anyhow!("{}: {error}", path.display()))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Failed(anyhow::anyhow!("{}: {error}", path.display()))),
    }
}

fn indexes(store: &ResolvedStore) -> IndexOptions {
    IndexOptions {
        event_type: store.indexes.contains(&EventIndex::Type),
        aggregate_id: store.indexes.contains(&EventIndex::AggregateId),
    }
}

fn steps(plan: Plan) -> Vec<PlannedStep> {
    let step = |step: polylog_log::Step| PlannedStep {
        class: step.class.to_string(),
        summary: step.summary,
        statement: step.statement,
    };
    plan.steps.into_iter().map(step).collect()
}

/// The plan as an administrator could run it.
fn sql(plan: &Planned) -> String {
    let mut text = format!("-- store {}, source {}: {}\n", plan.store, plan.source, plan.file.display());
    if plan.steps.is_empty() {
        text.push_str("-- nothing to do\n");
        return text;
    }
    // writing to a string cannot fail
    let _ = writeln!(text, "-- plan {}", plan.hash);
    for PlannedStep { class, summary, statement } in &plan.steps {
        let _ = writeln!(text, "\n-- {class}: {summary}\n{statement};");
    }
    text
}
