use std::{sync::Arc, time::Duration};

use axum::response::Response;
use bytes::Bytes;
use polylog_api::{
    Code, Problem,
    proto::{
        DESCRIPTORS,
        grpc::health::v1::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus},
    },
};

use super::{
    answer::{self, Messages},
    message::Incoming,
    reflection,
};
use crate::{http::Place, server::Server};

/// How often a watched state is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// `Check`
pub(super) async fn check(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<HealthCheckRequest>().await?.message;
    match status(&incoming.server, &request.service).await {
        ServingStatus::ServiceUnknown => {
            let shown: String = request.service.chars().take(200).collect();
            Err(Problem::new(Code::NotFound, format_args!("there is no service {shown:?}"))
                .next_step("leave the service out to ask for the server"))
        }
        status => Ok(answer::one(&message(status))),
    }
}

/// `Watch`
pub(super) async fn watch(mut incoming: Incoming) -> Result<Response, Problem> {
    let service = incoming.only::<HealthCheckRequest>().await?.message.service;
    let server = incoming.server;
    let place = server.room().stream()?;
    Ok(answer::many(Watching { server, service, told: None, _place: place }))
}

/// The server serves when appends are accepted by every store, as `/readyz` says; so do its services.
async fn status(server: &Server, service: &str) -> ServingStatus {
    if !service.is_empty() && !reflection::has_service(DESCRIPTORS, service) {
        return ServingStatus::ServiceUnknown;
    }
    match server.ready().await {
        Ok(()) => ServingStatus::Serving,
        Err(_) => ServingStatus::NotServing,
    }
}

fn message(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status as i32 }
}

struct Watching {
    server: Arc<Server>,
    service: String,
    told: Option<ServingStatus>,
    _place: Place,
}

impl Messages for Watching {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if self.told == Some(ServingStatus::NotServing) && self.server.drain.has_begun() {
                return Ok(None);
            }
            let status = status(&self.server, &self.service).await;
            if self.told != Some(status) {
                self.told = Some(status);
                let mut framed = Vec::new();
                answer::write(&mut framed, &message(status));
                return Ok(Some(framed.into()));
            }
            tokio::select! {
                () = self.server.drain.begun() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
            if self.server.drain.has_begun() && status == ServingStatus::ServiceUnknown {
                return Ok(None);
            }
        }
    }
}
