//! Every source of every store with the database that it really leads to: what an administrator asks about.

use std::path::{Path, PathBuf};

use polylog_crds::{
    manifests,
    resolve::ResolvedStore,
    validate::{Capabilities, TargetEngine},
    values::SourceName,
};

use super::{ConfigError, DeclaredDatabase, SourcePlacement, Target, databases, manifests::check};

/// A source and where it is.
#[derive(Debug, Clone)]
pub struct SourceAt {
    /// Its store's namespace.
    pub namespace: String,
    /// Its store's name.
    pub store: String,
    /// Its name.
    pub source: SourceName,
    /// Where it is.
    pub at: At,
}

/// Where a source is.
#[derive(Debug, Clone)]
pub enum At {
    /// An SQLite file.
    File(PathBuf),
    /// A database of a server.
    Server(Box<DeclaredDatabase>),
    /// An engine that is not in this version.
    NotSupported(TargetEngine),
}

/// The sources of a folder of manifests, each in the database that its manifest declares, or where `placements` say.
///
/// # Errors
/// As [`load`](super::load); also a Secret or ConfigMap that the folder does not have.
pub fn declared_sources(path: &Path, placements: &[SourcePlacement]) -> Result<Vec<SourceAt>, ConfigError> {
    let capabilities = Capabilities::DEV;
    let manifests = manifests::read(path)?;
    if manifests.stores.is_empty() {
        return Err(ConfigError::NoStore(path.display().to_string()));
    }
    check(&manifests, placements, &capabilities, &mut Vec::new())?;
    let resolve = |key| ResolvedStore::resolve(&manifests, key, capabilities.voters);
    let stores: Vec<ResolvedStore> = manifests.stores.keys().filter_map(resolve).collect();
    super::manifests::check_names(&stores, placements)?;
    let mut found = Vec::new();
    for store in &stores {
        for source in &store.sources {
            let target = placements.iter().find(|placement| placement.name == source.name);
            let target = target.map_or(&Target::Declared, |placement| &placement.target);
            let engine = match target {
                Target::File(_) => TargetEngine::Sqlite,
                Target::Address(engine, _) => *engine,
                Target::Declared => source.engine.into(),
            };
            let at = match target {
                Target::File(path) => At::File(path.clone()),
                _ if !capabilities.engines.contains(&engine) => At::NotSupported(engine),
                _ => At::Server(Box::new(databases::of_source(&manifests, store, source, target)?)),
            };
            found.push(SourceAt {
                namespace: store.namespace.to_string(),
                store: store.name.to_string(),
                source: source.name.clone(),
                at,
            });
        }
    }
    Ok(found)
}
