//! Pages with the head they belong to, read in as many parts as they need: what is taken, and when it is enough. An engine
//! adds the statements.

mod kinds;
mod reading;
mod room;

pub use kinds::{CategoryEvents, EventById, LogEntries, SelectedEvents, StreamEvents};
pub use reading::{Read, Reading};
pub use room::{Guess, Room};

use polylog_log::Failure;

use crate::entries::StoredEvent;

/// A page, and the bytes of its events on average.
pub type Sized<T> = (T, usize);

/// What is read part by part.
pub trait Page {
    /// What is still wanted.
    fn room(&self) -> &Room;

    /// Takes the next event; `false` = it is not wanted, and nothing after it.
    fn take(&mut self, stored: StoredEvent) -> Result<bool, Failure>;
}

#[cfg(test)]
mod tests;
