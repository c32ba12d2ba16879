//! What a caller can rely on when answers get lost, servers are busy and connections break.

mod append;
mod read;
mod server;
mod subscribe;
