//! CloudEvents 1.0, JSON format and HTTP binding, in and out.

mod read;
mod write;

pub use read::CloudEvent;
pub use write::{BinaryEvent, to_binary, write_structured};

/// Media type of one event in structured mode.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// Media type of a JSON array of events.
pub const BATCH: &str = "application/cloudevents-batch+json";

/// Extension attributes that say where an event stands in a log; they mean nothing in another one.
const PLACE: [&str; 2] = ["plposition", "plversion"];

#[cfg(test)]
mod tests;
