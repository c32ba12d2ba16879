//! The replication protocol as a model, explored by stateright: every order in which promises, openings, appends, copies,
//! truncations, late requests and crashes can happen within bounds.
//!
//! Sources are not modelled: each of their steps is decided by the contract that every engine keeps (`Head::admit`).

mod acts;
mod bounds;
mod contract;
mod counting;
mod electing;
mod histories;
mod leading;
mod members;
mod properties;
mod protocol;
mod runs;
mod state;
mod tests;
