use std::{sync::Arc, time::Duration};

use axum::response::Response;
use bytes::Bytes;
use polylog_api::{Problem, StoreStatus, grpc, proto::polylog::v1};

use super::{
    answer::{self, Messages},
    message::Incoming,
};
use crate::{
    entrance::expired,
    http::Place,
    identity::Peer,
    operations::{any_store, errors, visible_stores},
    server::Server,
};

/// A watched store is told of at most this often.
const PAUSE: Duration = Duration::from_secs(1);

/// `ListStores`
pub(super) async fn list(mut incoming: Incoming) -> Result<Response, Problem> {
    incoming.only::<v1::ListStoresRequest>().await?;
    let stores =
        visible_stores(&incoming.server, &incoming.peer.subject).await.into_iter().map(grpc::store).collect();
    Ok(answer::one(&v1::ListStoresResponse { stores }))
}

/// `GetStore`
pub(super) async fn get(mut incoming: Incoming) -> Result<Response, Problem> {
    let name = name(&mut incoming).await?;
    let status = any_store(&incoming.server, &incoming.peer.subject, name.as_deref()).await?;
    Ok(answer::one(&grpc::store(status)))
}

/// `WatchStore`
pub(super) async fn watch(mut incoming: Incoming) -> Result<Response, Problem> {
    let name = name(&mut incoming).await?;
    let Incoming { server, peer, .. } = incoming;
    let place = server.room().stream()?;
    let status = any_store(&server, &peer.subject, name.as_deref()).await?;
    Ok(answer::many(Watching { server, peer, name, next: Some(status.clone()), told: status, _place: place }))
}

async fn name(incoming: &mut Incoming) -> Result<Option<String>, Problem> {
    let request = incoming.only::<v1::GetStoreRequest>().await?.message;
    Ok(Some(request.store).filter(|name| !name.is_empty()))
}

struct Watching {
    server: Arc<Server>,
    peer: Arc<Peer>,
    name: Option<String>,
    next: Option<StoreStatus>,
    told: StoreStatus,
    _place: Place,
}

impl Messages for Watching {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let status = match self.next.take() {
            Some(first) => first,
            None => self.changed().await?,
        };
        let mut message = Vec::new();
        answer::write(&mut message, &grpc::store(status.clone()));
        self.told = status;
        Ok(Some(message.into()))
    }
}

impl Watching {
    async fn changed(&self) -> Result<StoreStatus, Problem> {
        loop {
            tokio::select! {
                () = self.server.drain.begun() => return Err(errors::draining()),
                () = tokio::time::sleep(PAUSE) => {}
            }
            if !self.peer.is_good() {
                return Err(expired());
            }
            let status = any_store(&self.server, &self.peer.subject, self.name.as_deref()).await?;
            if status != self.told {
                return Ok(status);
            }
        }
    }
}
