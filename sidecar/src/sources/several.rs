//! The databases of a log with several voters, and what the store's folder remembers of them: so that one that does not
//! answer at a start is known, and one that lost its data is not taken for a new one.

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use polylog_log::{
    Approval, DatabaseId, Failure, Identity, Incarnation, Limits, LogId, Plan, SourceName,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{LateSource, OpenSource, SourceError, StoreFolder, StorePlace, folder::known_log};

/// One source as the folder remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remembered {
    database: DatabaseId,
    incarnation: Incarnation,
    /// What it could hold when it was open last.
    limits: Limits,
}

type All = BTreeMap<SourceName, Remembered>;

/// One of several sources.
pub(crate) struct Several {
    pub(crate) place: StorePlace,
    pub(crate) source: Arc<LateSource>,
    pub(crate) identity: Identity,
    /// Steps that wait for approval.
    pub(crate) waiting: Plan,
}

/// How a store's folder was begun: with one source, with several, whose names these are, or not yet.
pub(crate) fn begun_with(folder: &StoreFolder) -> Result<Option<Vec<SourceName>>, SourceError> {
    let all = remembered(&folder.path)?;
    Ok(match known_log(&folder.path)? {
        None => None,
        Some(_) => Some(all.into_keys().collect()),
    })
}

/// Provisions the sources of a log and opens them. At the first start all must answer; later those that do not are opened
/// when they do.
///
/// # Errors
/// At the first start a database that does not answer, or holds another log.
pub(crate) async fn provision_several(
    folder: &StoreFolder,
    places: Vec<StorePlace>,
    approval: &Approval,
) -> Result<Vec<Several>, SourceError> {
    let known = remembered(&folder.path)?;
    match known_log(&folder.path)? {
        Some(log) => again(places, approval, log, &known).await,
        None => first(folder, places, approval).await,
    }
}

async fn again(
    places: Vec<StorePlace>,
    approval: &Approval,
    log: LogId,
    known: &All,
) -> Result<Vec<Several>, SourceError> {
    let mut several = Vec::new();
    for place in places {
        let Some(remembered) = known.get(&place.source) else {
            let failure = Failure::NotProvisioned(format!("source {} is not one of the log's", place.source));
            return Err(place.failed(failure));
        };
        let Remembered { database, incarnation, limits } = *remembered;
        let identity = Identity { log, database, incarnation };
        let (opened, waiting) = match place.prepare(None, approval, Some(log)).await {
            Ok((found, _)) if found != identity => {
                let found = format!("database {}, which is not the one that the log knows", found.database);
                (Err(Failure::WrongStore(found)), Plan::default())
            }
            Ok((_, waiting)) => (place.connect().await, waiting),
            Err(failure) => (Err(failure), Plan::default()),
        };
        if let Err(failure) = &opened {
            tracing::warn!(
                event = "source_not_open", source = %place.source, error = %failure,
                "a source cannot be used now; it is tried again"
            );
        }
        let source = Arc::new(LateSource::new(place.clone(), limits, opened));
        several.push(Several { place, source, identity, waiting });
    }
    Ok(several)
}

async fn first(
    folder: &StoreFolder,
    places: Vec<StorePlace>,
    approval: &Approval,
) -> Result<Vec<Several>, SourceError> {
    // some may be provisioned already: by a start that did not come to its end, or for a folder that is gone
    let mut log = None;
    for place in &places {
        log = log.or(place.found().await.map_err(|failure| place.failed(failure))?);
    }
    let log = log.unwrap_or_else(|| LogId::new(Uuid::new_v4()));
    let mut opened: Vec<(StorePlace, Identity, OpenSource, Plan)> = Vec::new();
    for place in places {
        let fresh = Identity {
            log,
            database: DatabaseId::new(Uuid::now_v7()),
            incarnation: Incarnation::new(Uuid::now_v7()),
        };
        let failed = |failure| place.failed(failure);
        let (identity, waiting) = place.prepare(Some(fresh), approval, None).await.map_err(failed)?;
        if identity.log != log {
            let found = format!("log {}, and another source holds log {log}", identity.log);
            return Err(place.failed(Failure::WrongStore(found)));
        }
        if let Some((other, ..)) = opened.iter().find(|(_, of, ..)| of.database == identity.database) {
            let found = format!("it is the database of source {}: give each source its own", other.source);
            return Err(place.failed(Failure::WrongStore(found)));
        }
        let source = place.connect().await.map_err(failed)?;
        opened.push((place, identity, source, waiting));
    }
    let entry = |(place, identity, source, _): &(StorePlace, Identity, OpenSource, Plan)| {
        let limits = source.shared().limits();
        let Identity { database, incarnation, .. } = *identity;
        (place.source.clone(), Remembered { database, incarnation, limits })
    };
    remember(&folder.path, &opened.iter().map(entry).collect())?;
    folder.remember(log)?;
    let several = opened.into_iter().map(|(place, identity, source, waiting)| {
        let limits = source.shared().limits();
        let source = Arc::new(LateSource::new(place.clone(), limits, Ok(source)));
        Several { place, source, identity, waiting }
    });
    Ok(several.collect())
}

fn remembered(folder: &Path) -> Result<All, SourceError> {
    let path = folder.join("sources.json");
    let failed = |error| SourceError::Io { path: path.clone(), error };
    match fs::read(&path) {
        Ok(content) => serde_json::from_slice(&content).map_err(|error| failed(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(All::new()),
        Err(error) => Err(failed(error)),
    }
}

fn remember(folder: &Path, all: &All) -> Result<(), SourceError> {
    let path = folder.join("sources.json");
    let whole_or_absent = || {
        let draft = folder.join("sources.json.new");
        fs::write(&draft, serde_json::to_vec_pretty(all)?)?;
        fs::File::open(&draft)?.sync_all()?;
        fs::rename(&draft, &path)
    };
    whole_or_absent().map_err(|error| SourceError::Io { path: path.clone(), error })
}
