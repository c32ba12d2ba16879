//! The HTTP server.

mod guard;
mod path;
pub(crate) mod query;
mod route;

pub use guard::Guard;
