//! What a client did and heard, as it is handed from the process that did it to the one that checks it.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::check::Moment;

/// One operation of a client.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub began: Moment,
    pub ended: Moment,
    pub what: What,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum What {
    /// One commit, with one event for each of its streams; sent once or several times.
    Append { events: Vec<Event>, outcome: Outcome },
    /// The last event of a stream; `position` is the end of the log that it was read from.
    Read { stream: String, version: u64, last: Option<Uuid>, position: Option<u64>, promise: Promise },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Event {
    pub stream: String,
    pub id: Uuid,
    /// The version that the stream must have; `None` = any.
    pub expected: Option<u64>,
}

/// What an append's client knows in the end.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// Version and position of each event.
    Acknowledged(Vec<(u64, u64)>),
    /// Versions did not hold: the streams and the versions that they had. The last try began at `tried`; an earlier one
    /// may still be executed if `is_retry`.
    Refused {
        tried: Moment,
        is_retry: bool,
        actual: Vec<(String, u64)>,
    },
    /// Nothing was written, for certain.
    Nothing,
    Unknown,
}

/// What a read promises to show.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Promise {
    /// Everything acknowledged before it began.
    Strong,
    /// At least this version of the stream, whose token it sent.
    Session(u64),
}

/// Now, on a clock that all processes of this machine share.
pub fn now() -> Moment {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
