//! The databases of a log with several voters, and what the store's folder remembers of them: so that one that does not
//! answer at a start is known, and one that lost its data is not taken for a new one.

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use polylog_log::{Approval, DatabaseId, Failure, Identity, Incarnation, Limits, LogId, Plan, SourceName};
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
    Ok(known_log(&folder.path)?.map(|_| all.into_keys().collect()))
}

/// Provisions the sources of a log and opens them. At the first start all must answer; later those that do not are opened
/// when they do, but for those that come to the log.
///
/// # Errors
/// At the first start a database that does not answer, or holds another log; later one that is to be added.
pub(crate) async fn provision_several(
    folder: &StoreFolder,
    places: Vec<StorePlace>,
    approval: &Approval,
) -> Result<Vec<Several>, SourceError> {
    match known_log(&folder.path)? {
        Some(log) => again(folder, places, approval, log).await,
        None => first(folder, places, approval).await,
    }
}

async fn again(
    folder: &StoreFolder,
    places: Vec<StorePlace>,
    approval: &Approval,
    log: LogId,
) -> Result<Vec<Several>, SourceError> {
    let mut known = remembered(&folder.path)?;
    if known.is_empty() {
        adopt(&places, log, approval, &mut known).await?;
    }
    let mut several: Vec<Several> = Vec::new();
    for place in places {
        let (identity, limits, opened, waiting) = match known.get(&place.source) {
            Some(Remembered { database, incarnation, limits }) => {
                let identity = Identity { log, database: *database, incarnation: *incarnation };
                let (opened, waiting) = reopened(&place, approval, identity).await;
                (identity, *limits, opened, waiting)
            }
            None => {
                let (identity, source, waiting) = added(&place, approval, log).await?;
                let limits = source.shared().limits();
                let Identity { database, incarnation, .. } = identity;
                known.insert(place.source.clone(), Remembered { database, incarnation, limits });
                (identity, limits, Ok(source), waiting)
            }
        };
        own_database(&place, identity, several.iter().map(|one| (&one.place, one.identity)))?;
        let source = Arc::new(LateSource::new(place.clone(), limits, opened));
        several.push(Several { place, source, identity, waiting });
    }
    // before the log knows of them
    remember(&folder.path, &known)?;
    Ok(several)
}

/// Finds the database in which a log was begun alone: the others are about to be added to it.
async fn adopt(
    places: &[StorePlace],
    log: LogId,
    approval: &Approval,
    known: &mut All,
) -> Result<(), SourceError> {
    for place in places {
        let failed = |failure| place.failed(failure);
        if place.found().await.map_err(failed)? != Some(log) {
            continue;
        }
        let (identity, _) = place.prepare(None, approval, Some(log)).await.map_err(failed)?;
        let source = place.connect().await.map_err(failed)?;
        let limits = source.shared().limits();
        source.close().await;
        let Identity { database, incarnation, .. } = identity;
        known.insert(place.source.clone(), Remembered { database, incarnation, limits });
    }
    match places.first().filter(|_| known.is_empty()) {
        Some(place) => {
            let gone = format!(
                "the folder belongs to log {log}, and none of the store's databases holds it: restore it"
            );
            Err(place.failed(Failure::Damaged(gone)))
        }
        None => Ok(()),
    }
}

/// A database that the log knows; it need not answer.
async fn reopened(
    place: &StorePlace,
    approval: &Approval,
    identity: Identity,
) -> (Result<OpenSource, Failure>, Plan) {
    let (opened, waiting) = match place.prepare(None, approval, Some(identity.log)).await {
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
    (opened, waiting)
}

/// A database that is to be added to a log: it holds nothing yet, or what a start before this one provisioned.
async fn added(
    place: &StorePlace,
    approval: &Approval,
    log: LogId,
) -> Result<(Identity, OpenSource, Plan), SourceError> {
    let failed = |failure| place.failed(failure);
    let (identity, waiting) = place.prepare(Some(fresh(log)), approval, None).await.map_err(failed)?;
    if identity.log != log {
        let found = format!("log {}, and the store's is {log}", identity.log);
        return Err(failed(Failure::WrongStore(found)));
    }
    let source = place.connect().await.map_err(failed)?;
    Ok((identity, source, waiting))
}

fn fresh(log: LogId) -> Identity {
    let (database, incarnation) = (DatabaseId::new(Uuid::now_v7()), Incarnation::new(Uuid::now_v7()));
    Identity { log, database, incarnation }
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
        let (identity, source, waiting) = added(&place, approval, log).await?;
        own_database(&place, identity, opened.iter().map(|(other, of, ..)| (other, *of)))?;
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

/// One database that counted twice would be a copy that is not there.
fn own_database<'a>(
    place: &StorePlace,
    identity: Identity,
    mut others: impl Iterator<Item = (&'a StorePlace, Identity)>,
) -> Result<(), SourceError> {
    match others.find(|(_, of)| of.database == identity.database) {
        Some((other, _)) => {
            let found = format!("it is the database of source {}: give each source its own", other.source);
            Err(place.failed(Failure::WrongStore(found)))
        }
        None => Ok(()),
    }
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
