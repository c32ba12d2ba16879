use std::collections::BTreeMap;

use elasticsearch::http::Method;
use polylog_log::{Failure, RefusedReason};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Actual, Flavor, Kind, Place, StoredIndex};
use crate::{
    ElasticsearchConfig,
    connection::{Body, Handle},
    error::EngineError,
    faults::NOWHERE,
    schema::KINDS,
};

/// The oldest versions whose conditional writes are as the engine needs them.
const OLDEST: [(Flavor, u64); 2] = [(Flavor::Elasticsearch, 8), (Flavor::OpenSearch, 2)];

/// Looks at what is in the cluster; changes nothing. `config` has the credential that provisions.
///
/// # Errors
/// The cluster cannot be reached, refuses its service, or is of a version that is too old.
pub async fn inspect(config: &ElasticsearchConfig, place: &Place) -> Result<Actual, Failure> {
    let config = ElasticsearchConfig { indices: place.indices.clone(), ..config.clone() };
    look(&Handle::new(config), place).await.map_err(|error| error.failure())
}

pub(crate) async fn look(handle: &Handle, place: &Place) -> Result<Actual, EngineError> {
    let (flavor, version) = server(handle).await?;
    let mut indices = BTreeMap::new();
    for kind in KINDS {
        if let Some(stored) = index(handle, &kind.name(&place.indices)).await? {
            indices.insert(kind, stored);
        }
    }
    let head = match indices.contains_key(&Kind::Head) {
        true => match handle.head_document().await {
            Ok(known) => Some(known.document.head),
            Err(EngineError::Failure(Failure::NotProvisioned(_))) => None,
            Err(error) => return Err(error),
        },
        false => None,
    };
    let events = match indices.contains_key(&Kind::Events) && head.is_none() {
        true => count(handle, place).await?,
        false => 0,
    };
    let format = head.as_ref().map(|head| head.format);
    Ok(Actual { flavor, version, indices, identity: head.map(|head| head.identity), format, events })
}

/// How many events of this log's key there are.
async fn count(handle: &Handle, place: &Place) -> Result<u64, EngineError> {
    #[derive(Deserialize)]
    struct Answer {
        count: u64,
    }
    let index = place.indices.events();
    handle.refresh(NOWHERE, &index).await?;
    let of_key = json!({ "query": { "prefix": { "store": format!("{}/", place.indices.key()) } } });
    let path = format!("/{index}/_count");
    let answer: Answer = handle.send(Method::Post, &path, Body::json(&of_key)).await?.ok()?.parse()?;
    Ok(answer.count)
}

/// What the server says it is.
pub(crate) async fn server(handle: &Handle) -> Result<(Flavor, String), EngineError> {
    #[derive(Deserialize)]
    struct Answer {
        version: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        number: String,
        distribution: Option<String>,
    }
    let answer: Answer = handle.send(Method::Get, "/", Body::Nothing).await?.ok()?.parse()?;
    let Version { number, distribution } = answer.version;
    let flavor = match distribution.as_deref() {
        Some("opensearch") => Flavor::OpenSearch,
        _ => Flavor::Elasticsearch,
    };
    let major: Option<u64> = number.split('.').next().and_then(|major| major.parse().ok());
    let oldest = OLDEST.into_iter().find(|(of, _)| *of == flavor).map_or(0, |(_, oldest)| oldest);
    if major.is_none_or(|major| major < oldest) {
        let message = format!("{flavor:?} {number} is too old: version {oldest} or later is needed");
        return Err(Failure::Refused { reason: RefusedReason::Unsuitable, message }.into());
    }
    Ok((flavor, number))
}

/// An index, by its name or an alias.
async fn index(handle: &Handle, name: &str) -> Result<Option<StoredIndex>, EngineError> {
    #[derive(Deserialize)]
    struct Declared {
        settings: Value,
        mappings: Value,
    }
    let reply = handle.send(Method::Get, &format!("/{name}?flat_settings=true"), Body::Nothing).await?;
    if reply.status == 404 {
        return Ok(None);
    }
    let reply = reply.ok()?;
    let answer: BTreeMap<String, Declared> = reply.parse()?;
    let mut declared = answer.into_iter();
    match (declared.next(), declared.next()) {
        (Some((name, Declared { settings, mappings })), None) => {
            Ok(Some(StoredIndex { name, settings, mapping: mappings }))
        }
        _ => {
            let message = format!("{name} stands for several indices; it must be one");
            Err(Failure::Refused { reason: RefusedReason::Unsuitable, message }.into())
        }
    }
}
