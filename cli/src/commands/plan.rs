use std::{fmt::Write, path::PathBuf};

use clap::Args;
use polylog_crds::{resolve::ResolvedStore, validate::Capabilities};
use polylog_log::Plan;
use polylog_sidecar::{
    config::{self, Declared, SourcePlacement},
    sources::{Database, StorePlace},
};
use serde::Serialize;

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
    /// Also look at a database that may lose what it acknowledged, as for `polylog dev`
    #[arg(long)]
    unsafe_durability: bool,
}

/// The plan of one source, for programs.
#[derive(Debug, Serialize)]
struct Planned {
    store: String,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
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
    let declared = config::load(&args.manifests, &args.sources, &Capabilities::DEV);
    let declared = declared.map_err(|error| Failure::Usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut plans = Vec::new();
    for store in &declared.stores {
        plans.extend(runtime.block_on(planned(store, args, &declared))?);
    }
    let mut out = Output::new();
    match format {
        Format::Table => plans.iter().try_for_each(|plan| out.text(&sql(plan)))?,
        Format::Json => out.document(&plans, format)?,
        Format::Ndjson => plans.iter().try_for_each(|plan| out.document(plan, format))?,
    }
    Ok(out.flush()?)
}

async fn planned(
    store: &ResolvedStore,
    args: &PlanArgs,
    declared: &Declared,
) -> Result<Vec<Planned>, Failure> {
    let places =
        StorePlace::of_voters(store, &args.data, &args.sources, &declared.databases, args.unsafe_durability);
    let places = places.map_err(|error| Failure::Usage(error.to_string()))?;
    let name = format!("{}/{}", store.namespace, store.name);
    let mut plans = Vec::new();
    for place in places {
        let plan = place.plan().await.map_err(|error| {
            let message = format!("store {name}: {error}");
            if error.is_unreachable() {
                Failure::NoAnswer(message)
            } else {
                Failure::Failed(anyhow::Error::msg(message))
            }
        })?;
        let (file, database) = match place.database {
            Database::Sqlite(path) => (Some(path), None),
            database @ Database::Server(_) => (None, Some(database.to_string())),
        };
        plans.push(Planned {
            store: name.clone(),
            source: place.source.to_string(),
            hash: plan.hash(),
            steps: steps(plan),
            file,
            database,
        });
    }
    Ok(plans)
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
    let file = plan.file.as_ref().map(|file| file.display().to_string());
    let place = file.or_else(|| plan.database.clone()).unwrap_or_default();
    let mut text = format!("-- store {}, source {}: {place}\n", plan.store, plan.source);
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
