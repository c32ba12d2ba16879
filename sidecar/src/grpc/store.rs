use std::{sync::Arc, time::Duration};

use axum::response::Response;
use bytes::Bytes;
use polylog_api::{Problem, StoreStatus, grpc, proto::polylog::v1};

use super::{
    answer::{self, Messages},
    message::Incoming,
};
use crate::{
    hosted::Hosted,
    http::Place,
    operations::{errors, one_store, visible_stores},
    server::Server,
};

/// A watched store is told of at most this often.
const PAUSE: Duration = Duration::from_secs(1);

/// `ListStores`
pub(super) async fn list(mut incoming: Incoming) -> Result<Response, Problem> {
    incoming.only::<v1::ListStoresRequest>().await?;
    let stores = visible_stores(&incoming.server).await.into_iter().map(grpc::store).collect();
    Ok(answer::one(&v1::ListStoresResponse { stores }))
}

/// `GetStore`
pub(super) async fn get(mut incoming: Incoming) -> Result<Response, Problem> {
    let hosted = hosted(&mut incoming).await?;
    let (status, _) = one_store(&incoming.server, &hosted).await?;
    Ok(answer::one(&grpc::store(status)))
}

/// `WatchStore`
pub(super) async fn watch(mut incoming: Incoming) -> Result<Response, Problem> {
    let hosted = hosted(&mut incoming).await?;
    let server = incoming.server;
    let place = server.room().stream()?;
    let (status, _) = one_store(&server, &hosted).await?;
    Ok(answer::many(Watching { server, hosted, next: Some(status.clone()), told: status, _place: place }))
}

async fn hosted(incoming: &mut Incoming) -> Result<Arc<Hosted>, Problem> {
    let request = incoming.only::<v1::GetStoreRequest>().await?.message;
    incoming.server.store((!request.store.is_empty()).then_some(&request.store))
}

struct Watching {
    server: Arc<Server>,
    hosted: Arc<Hosted>,
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
            let (status, _) = one_store(&self.server, &self.hosted).await?;
            if status != self.told {
                return Ok(status);
            }
        }
    }
}
