use polylog_api::{Problem, SourceStatus, StoreStatus};
use polylog_log::Failure;
use polylog_replication::{SourceState, StoreStatus as Status};

use crate::{
    hosted::{DeclaredSource, Hosted},
    pipeline::denied,
    policy::Verb,
    server::Server,
};

/// The stores on which the caller has a verb.
pub(crate) async fn visible_stores(server: &Server) -> Vec<StoreStatus> {
    let mut stores = Vec::new();
    for hosted in server.stores.values() {
        let status = status(server, hosted, &hosted.store.status().await);
        if !status.verbs.is_empty() {
            stores.push(status);
        }
    }
    stores
}

/// One store; refuses a caller who has no verb on it.
pub(crate) async fn one_store(server: &Server, hosted: &Hosted) -> Result<(StoreStatus, Status), Problem> {
    let seen = hosted.store.status().await;
    let status = status(server, hosted, &seen);
    if status.verbs.is_empty() {
        return Err(denied(&server.subject, Verb::Read, None));
    }
    Ok((status, seen))
}

fn status(server: &Server, hosted: &Hosted, status: &Status) -> StoreStatus {
    let verbs = hosted.policy().access.verbs(&server.subject);
    StoreStatus {
        name: hosted.name.clone(),
        store_id: Some(status.identity.log),
        primary: status.primary.clone(),
        term: status.term,
        positions: vec![status.tail.position],
        sources: hosted.sources.iter().map(|declared| source(declared, status)).collect(),
        consistency_percent: None,
        verified_percent: None,
        config_position: status.config_position,
        sidecar_version: env!("CARGO_PKG_VERSION").into(),
        verbs: verbs.into_iter().map(|verb| verb.as_str().to_owned()).collect(),
    }
}

fn source(declared: &DeclaredSource, status: &Status) -> SourceStatus {
    let DeclaredSource { name, engine, role, unprovisioned, remark } = declared;
    let seen = status.sources.iter().find(|source| source.name == *name);
    let (state, message) = match seen.map(|source| &source.state) {
        Some(SourceState::Primary) => ("InSync", remark.clone().unwrap_or_default()),
        Some(SourceState::NotOpened) => ("Syncing", "not opened as primary yet".to_owned()),
        Some(SourceState::Failing(failure @ Failure::WrongStore(_))) => ("Divergent", failure.to_string()),
        Some(SourceState::Failing(failure)) => ("Unreachable", failure.to_string()),
        None => ("Unprovisioned", unprovisioned.clone().unwrap_or_default()),
    };
    SourceStatus {
        name: name.clone(),
        engine: engine.clone(),
        role: role.clone(),
        state: state.into(),
        database_id: seen.map(|source| source.identity.database),
        term: seen.map(|source| source.term),
        position: seen.map(|source| source.position),
        lag_events: seen.map(|source| source.lag_events),
        lag_seconds: seen.and_then(|source| source.lag).map(|lag| lag.as_secs()),
        message,
    }
}
