//! The HTTP server: routes, bodies, answers and streams.

mod append;
pub(crate) mod body;
mod cloud_events;
mod context;
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

use axum::{Router, extract::State};

pub use guard::Guard;
pub use listen::{BindError, Listeners, Serving};
pub(crate) use respond::full;
pub use room::Bounds;
pub(crate) use room::Room;
pub(crate) use route::LATER;

use crate::server::Server;

/// The outward service. Paths are taken apart by [`route`], since a router would decode and normalise them.
pub fn router(server: Arc<Server>) -> Router {
    let handle = |State(server): State<Arc<Server>>, request| handle::handle(server, request);
    Router::new().fallback(handle).with_state(server)
}
