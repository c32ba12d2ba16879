use std::{collections::BTreeMap, path::Path};

use polylog_crds::{
    manifests::{self, Manifests, ReadError},
    resolve::ResolvedStore,
    validate::{Capabilities, Severity, TargetEngine, validate},
    values::SourceName,
};

use serde::{Deserialize, Serialize};

use super::{DeclaredDatabase, SourcePlacement, Target, databases};

/// Why no store can be served from manifests. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// They cannot be read, or hold mistakes, each of which is named. Correct them.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// They ask for what cannot be; each line names a field. Change it.
    #[error("{0}")]
    Refused(String),
    /// There is nothing to serve. Give another folder.
    #[error("no EventStore in {0}: give the folder that holds your manifests")]
    NoStore(String),
    /// A name that the manifests do not have, or have twice. Correct it.
    #[error("{0}")]
    Name(String),
}

/// What manifests declare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    /// Stores with everything said.
    pub stores: Vec<ResolvedStore>,
    /// What their author should know, one line each.
    pub warnings: Vec<String>,
    /// Databases of the sources that are placed in one.
    pub databases: BTreeMap<SourceName, DeclaredDatabase>,
}

/// Reads and checks manifests for a process that can do what `capabilities` say.
///
/// # Errors
/// Every line says what to change.
pub fn load(
    path: &Path,
    placements: &[SourcePlacement],
    capabilities: &Capabilities,
) -> Result<Declared, ConfigError> {
    let manifests = manifests::read(path)?;
    if manifests.stores.is_empty() {
        return Err(ConfigError::NoStore(path.display().to_string()));
    }
    let mut warnings = manifests.notes.clone();
    check(&manifests, placements, capabilities, &mut warnings)?;
    let resolve = |key| ResolvedStore::resolve(&manifests, key, capabilities.voters);
    let stores: Vec<ResolvedStore> = manifests.stores.keys().filter_map(resolve).collect();
    check_names(&stores, placements)?;
    let databases = databases::resolve(&manifests, &stores, placements)?;
    Ok(Declared { stores, warnings, databases })
}

/// Checks manifests for a process that can do what `capabilities` say.
///
/// # Errors
/// A line for each thing to change.
pub(crate) fn check(
    manifests: &Manifests,
    placements: &[SourcePlacement],
    capabilities: &Capabilities,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let placed: BTreeMap<_, _> = placements
        .iter()
        .filter_map(|placement| Some((placement.name.clone(), engine(manifests, placement)?)))
        .collect();
    let mut refused = Vec::new();
    for finding in validate(manifests, capabilities, &placed) {
        let line = match finding.place(manifests) {
            Some((file, Some(line))) => format!("{}:{line}: {finding}", file.display()),
            Some((file, None)) => format!("{}: {finding}", file.display()),
            None => finding.to_string(),
        };
        match finding.severity {
            Severity::Refused => refused.push(line),
            Severity::Warning => warnings.push(line),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(ConfigError::Refused(refused.join("\n"))) }
}

/// The engine that keeps a placed source; `None` where the manifests do not say it.
fn engine(manifests: &Manifests, placement: &SourcePlacement) -> Option<TargetEngine> {
    match &placement.target {
        Target::File(_) => Some(TargetEngine::Sqlite),
        Target::Address(engine, _) => Some(*engine),
        Target::Declared => {
            let mut sources = manifests.stores.values().flat_map(|store| &store.object.spec.sources);
            sources.find(|source| source.name == placement.name)?.engine().map(TargetEngine::from)
        }
    }
}

pub(super) fn check_names(
    stores: &[ResolvedStore],
    placements: &[SourcePlacement],
) -> Result<(), ConfigError> {
    for (index, store) in stores.iter().enumerate() {
        if let Some(other) = stores[..index].iter().find(|other| other.name == store.name) {
            return Err(ConfigError::Name(format!(
                "{}/{} and {}/{} have the same name: one process serves each name once",
                other.namespace, other.name, store.namespace, store.name
            )));
        }
    }
    for placement in placements {
        let sources = stores.iter().flat_map(|store| &store.sources);
        let reason = match sources.filter(|source| source.name == placement.name).count() {
            1 => continue,
            0 => "no store has a source",
            _ => "several stores, which cannot share a place, have a source",
        };
        return Err(ConfigError::Name(format!("--source: {reason} {}", placement.name)));
    }
    Ok(())
}
