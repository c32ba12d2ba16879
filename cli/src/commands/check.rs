use std::{fmt::Write, path::PathBuf};

use clap::Args;
use polylog_log::{Check, CheckOutcome, Failure as SourceFailure};
use polylog_sidecar::{
    config::{self, SourceAt, SourcePlacement},
    sources::{Looked, code_of},
};
use serde::Serialize;

use crate::{
    exit::{Failure, Outcome},
    output::{Format, Output},
};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Folder of manifests (*.yaml, *.yml, *.json), or one file
    #[arg(default_value = ".")]
    manifests: PathBuf,
    /// Where a source is kept, instead of where its manifest says
    #[arg(long = "source", value_name = "NAME=URL")]
    sources: Vec<SourcePlacement>,
    /// Folder that `polylog dev` uses: whose log a database should hold is read there, if it is known
    #[arg(long, value_name = "FOLDER", default_value = "./.polylog")]
    data: PathBuf,
    /// Only warn of a database that may lose what it acknowledged, as for `polylog dev`
    #[arg(long)]
    unsafe_durability: bool,
}

/// The checks of one source, for programs.
#[derive(Debug, Serialize)]
struct SourceChecks {
    store: String,
    source: String,
    database: String,
    /// Whether nothing failed.
    usable: bool,
    checks: Vec<Line>,
    #[serde(skip)]
    exit_code: u8,
}

#[derive(Debug, Serialize)]
struct Line {
    /// The manifest's field.
    credential: String,
    check: &'static str,
    outcome: &'static str,
    seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// Looks at the database of every source and prints what to change; writes nothing. Exit code 1 when a database cannot
/// be used, 3 when one does not answer and nothing else is wrong.
pub(crate) fn run(args: &CheckArgs, format: Format) -> Outcome {
    let refused = |error: config::ConfigError| Failure::Usage(error.to_string());
    let sources = config::declared_sources(&args.manifests, &args.sources).map_err(refused)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = Output::new();
    let mut all = Vec::new();
    for source in &sources {
        let checks = runtime.block_on(checks(source, args))?;
        match format {
            Format::Table => out.text(&text(&checks))?,
            Format::Ndjson => out.document(&checks, format)?,
            Format::Json => {}
        }
        out.flush()?;
        all.push(checks);
    }
    if format == Format::Json {
        out.document(&all, format)?;
    }
    out.flush()?;
    let codes: Vec<u8> = all.iter().map(|source| source.exit_code).filter(|code| *code > 0).collect();
    match codes.iter().min() {
        None => Ok(()),
        Some(code) => Err(Failure::Told(*code)),
    }
}

async fn checks(source: &SourceAt, args: &CheckArgs) -> Result<SourceChecks, Failure> {
    let looked = Looked::of(source, args.unsafe_durability);
    let looked = looked.map_err(|error| Failure::Usage(error.to_string()))?;
    let checks = looked.check(source, &args.data).await;
    let checks = checks.map_err(|error| Failure::Failed(anyhow::Error::new(error)))?.unwrap_or_default();
    let failures: Vec<&SourceFailure> = checks
        .iter()
        .filter_map(|check| match &check.outcome {
            CheckOutcome::Failed { failure, .. } => Some(failure),
            _ => None,
        })
        .collect();
    let may_pass = |failure: &&SourceFailure| {
        matches!(failure, SourceFailure::Unreachable(_) | SourceFailure::Timeout(_))
    };
    let exit_code = match &failures[..] {
        [] => 0,
        failures if failures.iter().all(may_pass) => 3,
        _ => 1,
    };
    Ok(SourceChecks {
        store: format!("{}/{}", source.namespace, source.store),
        source: source.source.to_string(),
        database: looked.to_string(),
        usable: failures.is_empty(),
        checks: checks.into_iter().map(line).collect(),
        exit_code,
    })
}

fn line(check: Check) -> Line {
    let Check { credential, topic, seen, outcome } = check;
    let (outcome, code, fix) = match outcome {
        CheckOutcome::Passed => ("passed", None, None),
        CheckOutcome::Warning { fix } => ("warning", None, Some(fix)),
        CheckOutcome::Failed { failure, fix } => ("failed", Some(code_of(&failure).text()), Some(fix)),
        CheckOutcome::Unknown => ("unknown", None, None),
    };
    Line { credential: credential.to_string(), check: topic.as_str(), outcome, seen, code, fix }
}

/// For people.
fn text(source: &SourceChecks) -> String {
    let SourceChecks { store, source, database, checks, usable, .. } = source;
    let mut text = format!("store {store}, source {source}: {database}\n");
    let mut credential = "";
    // writing to a string cannot fail
    for line in checks {
        if line.credential != credential {
            credential = &line.credential;
            let _ = writeln!(text, "  {credential}");
        }
        let mark = match line.outcome {
            "passed" => "ok",
            "failed" => "FAILED",
            other => other,
        };
        let code = line.code.map(|code| format!("{code}: ")).unwrap_or_default();
        let _ = writeln!(text, "    {mark:8} {:15} {code}{}", line.check, line.seen);
        if let Some(fix) = &line.fix {
            let _ = writeln!(text, "    {:8} {:15} fix: {fix}", "", "");
        }
    }
    text.push_str(match (checks.is_empty(), usable) {
        (true, _) => "  nothing to check\n",
        (false, true) => "  it can be used\n",
        (false, false) => "  it cannot be used\n",
    });
    text
}
