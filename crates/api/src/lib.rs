//! Error codes and JSON forms of Polylog's outward interfaces, shared by sidecar, client and CLI. Nothing here does I/O.

mod cloudevents;
mod codes;
mod commit;
mod durations;
mod error;
mod event;
mod expected;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod headers;
mod json;
pub mod metadata;
mod page;
mod problem;
#[cfg(feature = "grpc")]
pub mod proto;
mod received;
mod requests;
mod responses;
mod subscribe;
#[cfg(test)]
mod testing;
mod token;

pub use cloudevents::{BATCH, BinaryEvent, CloudEvent, STRUCTURED, to_binary, write_structured};
pub use codes::{Code, GrpcStatus, UnknownCode, Written};
pub use commit::Keyed;
pub use durations::{InvalidDuration, format_duration, parse_duration};
pub use error::RequestError;
pub use event::{DataState, Framing, write_event};
pub use expected::{ExpectedVersion, InvalidExpectedVersion};
pub use headers::{IdempotencyKey, InvalidKey};
pub use json::{is_json, parse as parse_json};
pub use page::PageWriter;
pub use problem::{Conflict, Problem};
pub use received::{EventJson, ReceivedEvent};
pub use requests::{AppendBody, CommitsBody, NewEventBody, StreamAppendBody};
pub use responses::{
    AppendAnswer, CommitsAnswer, ConfigurationStatus, Location, LocationsAnswer, ReadPage, Served,
    SourceStatus, StoreList, StoreStatus, StreamHeadAnswer, StreamResult, VerifiedStatus,
};
pub use subscribe::{Frame, Mark, write_frame, write_heartbeat, write_retry};
pub use token::{Token, TokenError};
