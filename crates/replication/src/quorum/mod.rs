//! One log over several voters, without I/O: who holds what, whom to copy to, and who becomes primary.
//!
//! Time and randomness come in as arguments; requests go out as values and their answers come back, so that a simulator
//! can lose, delay and repeat them.

mod changes;
mod copying;
mod election;
mod evidence;
mod known;
mod memory;
pub(crate) mod peer;
mod request;
mod rules;
mod settled;
mod stripping;
mod written;

pub use peer::ForceRefused;
pub(crate) use peer::{Peer, PeerOptions, Seen, SeenLead, SeenSource, lost, rests_on};
pub(crate) use request::{Answer, Operation, Request};
#[cfg(test)]
pub(crate) use rules::Rule;
pub(crate) use rules::Rules;
pub(crate) use settled::Settled;

#[cfg(test)]
mod simulation;
