//! Reading manifests from text.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod objects;
pub(crate) mod probes;

use std::collections::BTreeMap;
use std::path::Path;

use polylog_crds::manifests::{self, Manifests, ReadError};
use polylog_crds::validate::{Capabilities, Finding, validate};

/// The manifests in these files.
pub(crate) fn read_files(files: &[(&str, &str)]) -> Result<Manifests, ReadError> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    manifests::read(folder.path())
}

/// The manifests in one YAML text, which must be right.
pub(crate) fn read_text(text: &str) -> Manifests {
    read_files(&[("manifests.yaml", text)]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What is wrong with these files, without the folder's name.
pub(crate) fn problems_of(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    match manifests::read(folder.path()) {
        Ok(_) => Vec::new(),
        Err(ReadError::Invalid(problems)) => {
            let prefix = format!("{}/", folder.path().display());
            problems.0.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
        }
        Err(error @ ReadError::Io { .. }) => panic!("{error}"),
    }
}

/// The repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the repository")
}

/// A store with these fields of its spec, a strategy with these of its own, and further documents.
pub(crate) fn manifests(store: &str, strategy: &str, more: &str) -> String {
    let indented = |text: &str| text.lines().map(|line| format!("  {line}\n")).collect::<String>();
    let strategy_ref = if strategy.is_empty() { "" } else { "  strategyRef: {name: s}\n" };
    let mut text = format!(
        "apiVersion: polylog.dev/v1alpha1\nkind: EventStore\nmetadata: {{name: payments}}\nspec:\n{strategy_ref}{}",
        indented(store)
    );
    if !strategy.is_empty() {
        text += &format!(
            "---\napiVersion: polylog.dev/v1alpha1\nkind: ReplicationStrategy\nmetadata: {{name: s}}\nspec:\n{}",
            indented(strategy)
        );
    }
    if !more.is_empty() {
        text += &format!("---\n{more}");
    }
    text
}

pub(crate) fn sources(names: &[&str]) -> String {
    let source = |name: &&str| {
        format!(
            "- {{name: {name}, connection: {{secretRef: {{name: {name}}}}}, postgres: {{schema: payments}}}}\n"
        )
    };
    format!("sources:\n{}", names.iter().map(source).collect::<String>())
}

pub(crate) fn found(text: &str) -> Vec<String> {
    let findings =
        validate(&read_text(text), &Capabilities { voters: 1, ..Capabilities::DEV }, &BTreeMap::new());
    let shown = |finding: &Finding| {
        format!(
            "{:?} {:?} {:?} {}: {}",
            finding.severity, finding.code, finding.kind, finding.path, finding.message
        )
    };
    findings.iter().map(shown).collect()
}

#[track_caller]
pub(crate) fn assert_found(text: &str, expected: &[&str]) {
    let found = found(text);
    let matches = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
    assert!(matches, "found {found:#?}\nexpected {expected:#?}\nin\n{text}");
}
