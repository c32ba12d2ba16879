use http::{StatusCode, request::Parts};
use polylog_api::{Problem, StoreList};

use super::{
    query::Query,
    respond::{self, Answer},
};
use crate::{
    identity::Peer,
    operations::{any_store, visible_stores},
    server::Server,
};

/// `GET /v1/stores`
pub(crate) async fn list(server: &Server, peer: &Peer, parts: Parts) -> Answer {
    no_query(&parts)?;
    let stores = visible_stores(server, &peer.subject).await;
    Ok(respond::json(StatusCode::OK, &StoreList { stores }))
}

/// `GET /v1/stores/{store}`
pub(crate) async fn one(server: &Server, peer: &Peer, name: &str, parts: Parts) -> Answer {
    no_query(&parts)?;
    Ok(respond::json(StatusCode::OK, &any_store(server, &peer.subject, Some(name)).await?))
}

fn no_query(parts: &Parts) -> Result<(), Problem> {
    Query::parse(parts.uri.query())?.finish()
}
