//! Certificates of the operator's own, such as the webhook's: made here, kept in a Secret, renewed while the webhook answers.
//!
//! Every process of the operator does the same work: it reads the Secret, does the next step if one is due, and writes it
//! only if nobody else did meanwhile. So no process has to lead, and none has to wait for another.

mod authority;
mod contents;
mod keeper;
mod rotation;
mod serving;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use authority::{IssueError, Issued};
pub(crate) use contents::Contents;
pub(crate) use keeper::{Keeper, Names};
pub use rotation::Lifetimes;
pub(crate) use rotation::next;
pub(crate) use serving::Serving;
