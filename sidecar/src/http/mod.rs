//! The HTTP server: routes, bodies, answers and streams.

mod append;
pub(crate) mod body;
mod calls;
mod cloud_events;
mod context;
mod door;
mod events;
mod follow;
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
mod server_sent;
mod stores;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
};

pub(crate) use door::Door;
pub use guard::Guard;
pub use listen::{BindError, Listeners, Serving};
pub(crate) use respond::full;
pub use room::Bounds;
pub(crate) use room::{Place, Room};
pub(crate) use route::LATER;

use crate::{grpc, server::Server};

/// The outward service: HTTP, and gRPC beside it. Paths are taken apart by [`route`], since a router would decode and normalise them.
pub fn router(server: Arc<Server>) -> Router {
    let handle = |State(server): State<Arc<Server>>, request: Request| async {
        if grpc::is_call(&request) {
            return grpc::handle(server, request).await;
        }
        handle::handle(server, request).await
    };
    Router::new().fallback(handle).with_state(server)
}
