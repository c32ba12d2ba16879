use std::sync::Arc;

use http::{StatusCode, request::Parts};
use polylog_api::{Problem, SourceStatus, StoreList, StoreStatus};
use polylog_replication::{SourceState, StoreStatus as Status};

use super::{
    query::Query,
    respond::{self, Answer},
};
use crate::{hosted::DeclaredSource, hosted::Hosted, server::Server};

/// `GET /v1/stores`
pub(crate) async fn list(server: &Server, parts: Parts) -> Answer {
    no_query(&parts)?;
    let mut stores = Vec::new();
    for hosted in server.stores.values() {
        let status = status(server, hosted).await;
        if !status.verbs.is_empty() {
            stores.push(status);
        }
    }
    Ok(respond::json(StatusCode::OK, &StoreList { stores }))
}

/// `GET /v1/stores/{store}`
pub(crate) async fn one(server: &Server, name: &str, parts: Parts) -> Answer {
    no_query(&parts)?;
    let hosted: Arc<Hosted> = server.store(Some(name))?;
    let status = status(server, &hosted).await;
    if status.verbs.is_empty() {
        return Err(crate::pipeline::denied(&server.subject, crate::policy::Verb::Read, None).into());
    }
    Ok(respond::json(StatusCode::OK, &status))
}

fn no_query(parts: &Parts) -> Result<(), Problem> {
    Query::parse(parts.uri.query())?.finish()
}

async fn status(server: &Server, hosted: &Hosted) -> StoreStatus {
    let status = hosted.store.status().await;
    let verbs = hosted.policy().access.verbs(&server.subject);
    StoreStatus {
        name: hosted.name.clone(),
        store_id: Some(status.identity.log),
        primary: status.primary.clone(),
        term: status.term,
        positions: vec![status.tail.position],
        sources: hosted.sources.iter().map(|declared| source(declared, &status)).collect(),
        consistency_percent: None,
        verified_percent: None,
        config_position: status.config_position,
        sidecar_version: env!("CARGO_PKG_VERSION").into(),
        verbs: verbs.into_iter().map(|verb| verb.as_str().to_owned()).collect(),
    }
}

fn source(declared: &DeclaredSource, status: &Status) -> SourceStatus {
    let DeclaredSource { name, engine, role, unprovisioned } = declared;
    let seen = status.sources.iter().find(|source| source.name == *name);
    let (state, message) = match seen.map(|source| &source.state) {
        Some(SourceState::Primary) => ("InSync", String::new()),
        Some(SourceState::NotOpened) => ("Syncing", "not opened as primary yet".to_owned()),
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
