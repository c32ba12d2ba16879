use std::collections::BTreeMap;

use elasticsearch::http::Method;
use polylog_log::{Failure, RefusedReason};
use serde::Deserialize;
use serde_json::Value;

use super::{Actual, Flavor, Kind, Place, StoredIndex};
use crate::{
    ElasticsearchConfig,
    connection::{Body, Handle},
    error::EngineError,
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

async fn look(handle: &Handle, place: &Place) -> Result<Actual, EngineError> {
    let (flavor, version) = server(handle).await?;
    let mut indices = BTreeMap::new();
    for kind in KINDS {
        if let Some(stored) = index(handle, &kind.name(&place.indices)).await? {
            indices.insert(kind, stored);
        }
    }
    let identity = match indices.contains_key(&Kind::Head) {
        true => match handle.head_document().await {
            Ok(known) => Some(known.document.head.identity),
            Err(EngineError::Failure(Failure::NotProvisioned(_))) => None,
            Err(error) => return Err(error),
        },
        false => None,
    };
    Ok(Actual { flavor, version, indices, identity })
}

/// What the server says it is.
async fn server(handle: &Handle) -> Result<(Flavor, String), EngineError> {
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
