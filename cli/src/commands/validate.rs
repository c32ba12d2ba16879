use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use polylog_crds::{
    manifests::{self, Manifests, ObjectKey, Problem, ReadError},
    validate::{Capabilities, Finding, Severity, validate},
};
use serde::Serialize;

use crate::{
    exit::{Failure, Outcome},
    output::{Format, Output},
};

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Folder of manifests (*.yaml, *.yml, *.json), or one file
    #[arg(default_value = ".")]
    manifests: PathBuf,
}

/// What was found, for programs.
#[derive(Debug, Default, Serialize)]
struct Report {
    valid: bool,
    /// Numbers of objects that were read, by kind.
    objects: BTreeMap<&'static str, usize>,
    findings: Vec<Line>,
    /// Documents that were left out.
    notes: Vec<String>,
}

/// One thing that was found.
#[derive(Debug, Serialize)]
struct Line {
    severity: &'static str,
    code: String,
    file: Option<String>,
    line: Option<usize>,
    object: Option<String>,
    path: String,
    message: String,
}

/// Checks manifests as `polylog dev` would, and prints what is wrong or worth knowing.
pub(crate) fn run(args: &ValidateArgs, format: Format) -> Outcome {
    let report = match manifests::read(&args.manifests) {
        Ok(manifests) => checked(&manifests, &args.manifests),
        Err(ReadError::Invalid(problems)) => {
            Report { findings: problems.0.iter().map(problem).collect(), ..Report::default() }
        }
        Err(error @ ReadError::Io { .. }) => return Err(Failure::Usage(error.to_string())),
    };
    let mut out = Output::new();
    match format {
        Format::Table => out.text(&text(&report))?,
        _ => out.document(&report, format)?,
    }
    out.flush()?;
    if report.valid { Ok(()) } else { Err(Failure::Told(2)) }
}

fn checked(manifests: &Manifests, folder: &Path) -> Report {
    let found = validate(manifests, &Capabilities::DEV, &BTreeMap::new());
    let is_allowed = found.iter().all(|finding| finding.severity == Severity::Warning);
    let mut findings = not_served(manifests, folder);
    let valid = is_allowed && findings.is_empty();
    findings.extend(found.iter().map(|found| finding(found, manifests)));
    Report {
        valid,
        objects: BTreeMap::from([
            ("EventStore", manifests.stores.len()),
            ("ReplicationStrategy", manifests.strategies.len()),
            ("Projection", manifests.projections.len()),
        ]),
        findings,
        notes: manifests.notes.clone(),
    }
}

/// Why one process cannot serve what is each by itself in order.
fn not_served(manifests: &Manifests, folder: &Path) -> Vec<Line> {
    let refused = |code: &str, object: Option<&ObjectKey>, message: String| Line {
        severity: "refused",
        code: code.to_owned(),
        file: Some(folder.display().to_string()),
        line: None,
        object: object.map(|key| format!("EventStore {key}")),
        path: String::new(),
        message,
    };
    if manifests.stores.is_empty() {
        return vec![refused("NoStore", None, "there is no EventStore".to_owned())];
    }
    let keys: Vec<&ObjectKey> = manifests.stores.keys().collect();
    let twice = keys.iter().enumerate().filter_map(|(index, key)| {
        let other = keys[..index].iter().find(|other| other.name == key.name)?;
        let message = format!("has the name of {other}: one process serves each name once");
        Some(refused("DuplicateName", Some(key), message))
    });
    twice.collect()
}

fn problem(problem: &Problem) -> Line {
    Line {
        severity: "refused",
        code: format!("{:?}", problem.code),
        file: Some(problem.file.display().to_string()),
        line: problem.line,
        object: problem.object.as_ref().map(|object| format!("{} {}", object.kind, object.name)),
        path: problem.path.to_string(),
        message: problem.message.clone(),
    }
}

fn finding(finding: &Finding, manifests: &Manifests) -> Line {
    let place = finding.place(manifests);
    Line {
        severity: match finding.severity {
            Severity::Refused => "refused",
            Severity::Warning => "warning",
        },
        code: format!("{:?}", finding.code),
        file: place.map(|(file, _)| file.display().to_string()),
        line: place.and_then(|(_, line)| line),
        object: Some(format!("{:?} {}", finding.kind, finding.object)),
        path: finding.path.to_string(),
        message: finding.message.clone(),
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for Line { severity, code, file, line, object, path, message } in &report.findings {
        let line = line.map_or(String::new(), |line| format!(":{line}"));
        let place = file.as_ref().map_or(String::new(), |file| format!("{file}{line}: "));
        let object = object.as_ref().map_or(String::new(), |object| format!("{object}: "));
        let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
        text.push_str(&format!("{place}{severity}: {object}{path}{message} ({code})\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("{note}\n"));
    }
    if report.valid {
        let objects: Vec<String> =
            report.objects.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        text.push_str(&format!("valid: {}\n", objects.join(", ")));
    }
    text
}
