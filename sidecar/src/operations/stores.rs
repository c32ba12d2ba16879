use std::time::SystemTime;

use polylog_api::{Code, Problem, SourceStatus, StoreStatus, VerifiedStatus};
use polylog_log::{Failure, Position, Term, Timestamp};
use polylog_replication::{SourceState, Stalled, StoreStatus as Status, Verified};

use crate::{
    forward::Forward,
    hosted::{DeclaredSource, Hosted, Waiting},
    identity::Subject,
    pipeline::denied,
    policy::Verb,
    server::{Served, Server},
};

/// The stores on which the caller has a verb.
pub(crate) async fn visible_stores(server: &Server, subject: &Subject) -> Vec<StoreStatus> {
    let mut stores = Vec::new();
    for served in server.served().values() {
        let status = match served {
            Served::Open(hosted) => status(server, subject, hosted, &hosted.store.status().await),
            Served::Waiting(store) => waiting(server, subject, store).await,
            Served::Forwarded(store) => match through_gateway(server, store).await {
                Ok(status) => status,
                Err(problem) => unreached(server, subject, store, problem),
            },
        };
        if !status.verbs.is_empty() {
            stores.push(status);
        }
    }
    stores
}

/// What is known of a store that may not be open; refuses a caller who has no verb on it.
pub(crate) async fn any_store(
    server: &Server,
    subject: &Subject,
    name: Option<&str>,
) -> Result<StoreStatus, Problem> {
    let status = match server.find(name)? {
        Served::Open(hosted) => return Ok(one_store(server, subject, &hosted).await?.0),
        Served::Waiting(store) => waiting(server, subject, &store).await,
        Served::Forwarded(store) => return through_gateway(server, &store).await,
    };
    if status.verbs.is_empty() {
        return Err(denied(subject, Verb::Read, None));
    }
    Ok(status)
}

/// One store; refuses a caller who has no verb on it.
pub(crate) async fn one_store(
    server: &Server,
    subject: &Subject,
    hosted: &Hosted,
) -> Result<(StoreStatus, Status), Problem> {
    let seen = hosted.store.status().await;
    let status = status(server, subject, hosted, &seen);
    if status.verbs.is_empty() {
        return Err(denied(subject, Verb::Read, None));
    }
    Ok((status, seen))
}

/// What the gateway of a store says of it, to this pod's account; with what is this process's own.
async fn through_gateway(server: &Server, store: &Forward) -> Result<StoreStatus, Problem> {
    let status = store.status().await?;
    Ok(StoreStatus {
        name: store.name.clone(),
        sidecar_version: env!("CARGO_PKG_VERSION").into(),
        configuration: server.configurations.status(&store.name),
        ..status
    })
}

/// The same where the gateway says nothing: as far as this process knows.
fn unreached(server: &Server, subject: &Subject, store: &Forward, problem: Problem) -> StoreStatus {
    let (name, sources) = (store.name.clone(), store.sources.clone());
    let access = store.access.clone().filter(|_| problem.code != Code::AccessDenied);
    unknown(server, subject, &Waiting { name, sources, access, problem, leadership: None })
}

async fn waiting(server: &Server, subject: &Subject, store: &Waiting) -> StoreStatus {
    let unknown = unknown(server, subject, store);
    let Some(leadership) = &store.leadership else { return unknown };
    let seen = leadership.status().await;
    StoreStatus {
        store_id: Some(seen.identity.log),
        primary: seen.primary.clone(),
        term: seen.term,
        sources: store.sources.iter().map(|declared| source(declared, &seen)).collect(),
        config_position: seen.config_position,
        ..unknown
    }
}

/// What can be told of a store whose log is not known.
fn unknown(server: &Server, subject: &Subject, store: &Waiting) -> StoreStatus {
    let verbs = store.access.as_ref().map(|access| access.verbs(subject)).unwrap_or_default();
    let problem = &store.problem;
    let source = |declared: &DeclaredSource| {
        let (state, message) = match &declared.unprovisioned {
            Some(reason) => ("Unprovisioned", reason.clone()),
            None if problem.code == Code::NotProvisioned => ("Unprovisioned", problem.detail.clone()),
            None => ("Unreachable", problem.detail.clone()),
        };
        unseen(declared, state, message)
    };
    StoreStatus {
        name: store.name.clone(),
        store_id: None,
        primary: None,
        term: Term::ZERO,
        positions: Vec::new(),
        sources: store.sources.iter().map(source).collect(),
        consistency_percent: None,
        verified_percent: None,
        config_position: Position::ZERO,
        sidecar_version: env!("CARGO_PKG_VERSION").into(),
        verbs: verbs.into_iter().map(|verb| verb.as_str().to_owned()).collect(),
        configuration: server.configurations.status(&store.name),
    }
}

fn unseen(declared: &DeclaredSource, state: &str, message: String) -> SourceStatus {
    SourceStatus {
        name: declared.name.clone(),
        engine: declared.engine.clone(),
        role: declared.role.clone(),
        state: state.into(),
        database_id: None,
        term: None,
        position: None,
        lag_events: None,
        lag_seconds: None,
        verified: None,
        message,
    }
}

fn status(server: &Server, subject: &Subject, hosted: &Hosted, status: &Status) -> StoreStatus {
    let verbs = hosted.policy().access.verbs(subject);
    StoreStatus {
        name: hosted.name.clone(),
        store_id: Some(status.identity.log),
        primary: status.primary.clone(),
        term: status.term,
        positions: vec![status.tail.position],
        sources: hosted.sources.iter().map(|declared| source(declared, status)).collect(),
        consistency_percent: percent(status, Verified::consistency),
        verified_percent: percent(status, Verified::coverage),
        config_position: status.config_position,
        sidecar_version: env!("CARGO_PKG_VERSION").into(),
        verbs: verbs.into_iter().map(|verb| verb.as_str().to_owned()).collect(),
        configuration: server.configurations.status(&hosted.name),
    }
}

fn source(declared: &DeclaredSource, status: &Status) -> SourceStatus {
    let DeclaredSource { name, engine, role, unprovisioned, remark, is_in_maintenance } = declared;
    let seen = status.sources.iter().find(|source| source.name == *name);
    let (state, message) = match seen.map(|source| &source.state) {
        Some(SourceState::Primary | SourceState::Level) => ("InSync", remark.clone().unwrap_or_default()),
        Some(SourceState::Behind) => ("Lagging", remark.clone().unwrap_or_default()),
        Some(SourceState::Stalled(Stalled { position, reason })) => {
            ("Stalled", format!("it cannot store position {position}: {reason}"))
        }
        Some(SourceState::NotOpened) => ("Syncing", "not opened as primary yet".to_owned()),
        Some(SourceState::Failing(failure @ Failure::WrongStore(_))) => ("Divergent", failure.to_string()),
        Some(SourceState::Failing(failure)) => ("Unreachable", failure.to_string()),
        None => ("Unprovisioned", unprovisioned.clone().unwrap_or_default()),
    };
    let state = if seen.is_some() && *is_in_maintenance { "Maintenance" } else { state };
    SourceStatus {
        name: name.clone(),
        engine: engine.clone(),
        role: seen.map_or_else(|| role.clone(), |source| format!("{:?}", source.role)),
        state: state.into(),
        database_id: seen.map(|source| source.identity.database),
        term: seen.map(|source| source.term),
        position: seen.map(|source| source.position),
        lag_events: seen.map(|source| source.lag_events),
        lag_seconds: seen.and_then(|source| source.lag).map(|lag| lag.as_secs()),
        verified: seen.and_then(|source| source.verified).map(verified),
        message,
    }
}

fn verified(known: Verified) -> VerifiedStatus {
    let Verified { through, end, missing, differing, extra, repaired, since, answered } = known;
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    VerifiedStatus { through, end, since, missing, differing, extra, repaired, answered }
}

/// The share of the worst of the sources: never rounded up to all of it.
fn percent(status: &Status, share: fn(&Verified) -> f64) -> Option<String> {
    let shares = status.sources.iter().filter_map(|source| source.verified.as_ref().map(share));
    let worst = shares.reduce(f64::min)?;
    Some(format!("{:.2}", (worst * 10_000.0).floor() / 100.0))
}
