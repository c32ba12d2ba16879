//! The HTTP server: routes, bodies, answers and streams.

mod admin;
mod append;
pub(crate) mod body;
mod calls;
mod cloud_events;
mod context;
mod door;
mod events;
mod follow;
mod forward;
mod guard;
mod handle;
mod lines;
mod listen;
mod negotiate;
mod path;
pub(crate) mod query;
mod read;
mod respond;
mod room;
mod route;
mod search;
mod server_sent;
mod stores;

use std::{convert::Infallible, sync::Arc};

use axum::body::Body;
use hyper::service::service_fn;

pub(crate) use body::Kind;
pub(crate) use door::Door;
pub use guard::Guard;
pub use listen::{Answers, BindError, Listeners, Serving};
pub(crate) use respond::full;
pub use room::Bounds;
pub(crate) use room::{Place, Room};
pub(crate) use route::LATER;

use crate::{grpc, server::Server};

/// The outward service: HTTP, and gRPC beside it. Paths are taken apart by [`route`], since a router would decode and
/// normalise them.
pub fn service(server: Arc<Server>) -> impl Answers {
    service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (server, request) = (server.clone(), request.map(Body::new));
        async move {
            Ok::<_, Infallible>(match grpc::is_call(&request) {
                true => grpc::handle(server, request).await,
                false => handle::handle(server, request).await,
            })
        }
    })
}
