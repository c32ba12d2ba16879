use serde::{Deserialize, Serialize};

/// What a refused or failed request left in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// Nothing was written.
    Nothing,
    /// It may have been written, or may still be; a retry with the same ids tells.
    Unknown,
    /// It stands in the primary's log, but the ack level was not reached.
    PrimaryOnly,
}

/// A status of gRPC, by its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs, reason = "they are gRPC's")]
pub enum GrpcStatus {
    Ok = 0,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $grpc:ident, $written:ident, $retry:literal, $title:literal;)*) => {
        /// What went wrong, as a stable word: for programs to branch on, and to look up in the book.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The word, as in JSON.
            pub const fn text(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }

            /// The gRPC status that goes with it.
            pub const fn grpc(self) -> GrpcStatus {
                match self { $(Code::$name => GrpcStatus::$grpc,)* }
            }

            /// What it says about the log.
            pub const fn written(self) -> Written {
                match self { $(Code::$name => Written::$written,)* }
            }

            /// Whether the very same request, with the same ids, may succeed later without anybody changing it.
            pub const fn retry(self) -> bool {
                match self { $(Code::$name => $retry,)* }
            }

            /// A short sentence, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// The request is malformed; `detail` names the field. Correct it.
    InvalidRequest = "invalid_request", 400, InvalidArgument, Nothing, false, "the request is not valid";
    /// An append without an expected version. Say what is expected of the stream.
    ExpectedVersionRequired = "expected_version_required", 400, InvalidArgument, Nothing, false, "an append must say which version it expects";
    /// A filter that does not parse. Correct it.
    InvalidFilter = "invalid_filter", 400, InvalidArgument, Nothing, false, "the filter is not valid";
    /// The data is not what the schema of its type asks for. Correct the data or the schema.
    SchemaViolation = "schema_violation", 422, InvalidArgument, Nothing, false, "the data does not match the schema of its type";
    /// A limit on size or number. Send less at once.
    LimitExceeded = "limit_exceeded", 413, InvalidArgument, Nothing, false, "a limit is exceeded";
    /// No identity was given, or it is not accepted. Send a valid token.
    Unauthenticated = "unauthenticated", 401, Unauthenticated, Nothing, false, "the caller is not known";
    /// The store's access list does not allow this. Ask its owner.
    AccessDenied = "access_denied", 403, PermissionDenied, Nothing, false, "the caller may not do this";
    /// The request came from a web page, or was addressed to another host. Call from a program.
    ForbiddenOrigin = "forbidden_origin", 403, PermissionDenied, Nothing, false, "requests from this origin are not accepted";
    /// No such path. Look it up in `/openapi.json`.
    NotFound = "not_found", 404, NotFound, Nothing, false, "there is nothing at this path";
    /// No store of that name here. List the stores.
    StoreNotFound = "store_not_found", 404, NotFound, Nothing, false, "there is no such store";
    /// The stream has no events.
    StreamNotFound = "stream_not_found", 404, NotFound, Nothing, false, "there is no such stream";
    /// The log has no such event.
    EventNotFound = "event_not_found", 404, NotFound, Nothing, false, "there is no such event";
    /// No read model of that name.
    ModelNotFound = "model_not_found", 404, NotFound, Nothing, false, "there is no such read model";
    /// No consumer group of that name.
    GroupNotFound = "group_not_found", 404, NotFound, Nothing, false, "there is no such consumer group";
    /// The path does not know this method.
    MethodNotAllowed = "method_not_allowed", 405, Unimplemented, Nothing, false, "the path does not know this method";
    /// None of the asked media types can be given.
    NotAcceptable = "not_acceptable", 406, InvalidArgument, Nothing, false, "the answer cannot be given in the media type asked for";
    /// The stream is not at the expected version. Read what was missed and decide again.
    VersionConflict = "version_conflict", 409, Aborted, Nothing, false, "the stream is not at the expected version";
    /// An id or idempotency key stands in the log with other content. Use new ids for new events.
    IdConflict = "id_conflict", 409, AlreadyExists, Nothing, false, "an id was used before with other content";
    /// The delivery was given to another consumer meanwhile.
    AckExpired = "ack_expired", 409, FailedPrecondition, Nothing, false, "the event was delivered again";
    /// The database holds another log than expected. Check the connection.
    WrongStore = "wrong_store", 409, FailedPrecondition, Nothing, false, "the source holds another store";
    /// The token's position belongs to a tail that lost. Read again without a token.
    HistoryForked = "history_forked", 410, DataLoss, Nothing, false, "the position belongs to a lost history";
    /// The body has another media type than JSON or a CloudEvent.
    UnsupportedMediaType = "unsupported_media_type", 415, InvalidArgument, Nothing, false, "the body's media type is not accepted";
    /// Too much at once. Try again after the time given.
    Overloaded = "overloaded", 429, ResourceExhausted, Nothing, true, "too many requests wait";
    /// A bug, or damage. Look into the log of the sidecar; a retry with the same ids is safe.
    Internal = "internal", 500, Internal, Unknown, false, "something unforeseen went wrong";
    /// The store has no source that can search.
    NoSearchSource = "no_search_source", 501, Unimplemented, Nothing, false, "the store has no source that can search";
    /// This version or this source cannot do it.
    NotSupported = "not_supported", 501, Unimplemented, Nothing, false, "this is not supported";
    /// The source holds no log yet. Provision it.
    NotProvisioned = "not_provisioned", 503, Unavailable, Nothing, true, "the store is not provisioned yet";
    /// The store's mounted configuration cannot be served. Correct it; it is read again by itself.
    InvalidConfiguration = "invalid_configuration", 503, Unavailable, Nothing, true, "the store's configuration cannot be served";
    /// No source is primary now. Try again.
    NoPrimary = "no_primary", 503, Unavailable, Nothing, true, "there is no primary";
    /// This process is going away. Try another, or this one after its restart.
    Draining = "draining", 503, Unavailable, Nothing, true, "the sidecar is shutting down";
    /// No source has reached the asked position in time. Try again.
    NotCaughtUp = "not_caught_up", 503, Unavailable, Nothing, true, "no source has reached the asked position yet";
    /// No source answers. Try again.
    SourceUnavailable = "source_unavailable", 503, Unavailable, Nothing, true, "no source answers";
    /// A database refuses its service until somebody changes something there; `facts.reason` says what.
    SourceRefused = "source_refused", 503, FailedPrecondition, Nothing, false, "the source refuses its service";
    /// The source that keeps the data of this type is down. Try again.
    RouteUnavailable = "route_unavailable", 503, Unavailable, Nothing, true, "the source that keeps this type's data is not available";
    /// The read model stands still.
    ProjectionStalled = "projection_stalled", 503, Unavailable, Nothing, true, "the projection is stalled";
    /// The stored format is newer than this version. Update the sidecar.
    SidecarTooOld = "sidecar_too_old", 503, FailedPrecondition, Nothing, false, "the store needs a newer sidecar";
    /// The deadline passed after the write was sent. Send the same ids again to learn what became of it.
    OutcomeUnknown = "outcome_unknown", 504, DeadlineExceeded, Unknown, true, "the deadline passed after the write was sent";
    /// In the primary's log, but not held by as many sources as asked. Send the same ids again.
    AcksTimeout = "acks_timeout", 504, DeadlineExceeded, PrimaryOnly, true, "the ack level was not reached in time";
}

/// Not a code of this version: a newer one must have sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown error code {0:?}")]
pub struct UnknownCode(String);

impl std::str::FromStr for Code {
    type Err = UnknownCode;
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|code| code.text() == text).ok_or_else(|| UnknownCode(text.into()))
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.text())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The published list: a code that vanishes or changes its meaning breaks programs.
    const PUBLISHED: &[(&str, u16, i32, Written)] = &[
        ("invalid_request", 400, 3, Written::Nothing),
        ("expected_version_required", 400, 3, Written::Nothing),
        ("invalid_filter", 400, 3, Written::Nothing),
        ("schema_violation", 422, 3, Written::Nothing),
        ("limit_exceeded", 413, 3, Written::Nothing),
        ("unauthenticated", 401, 16, Written::Nothing),
        ("access_denied", 403, 7, Written::Nothing),
        ("forbidden_origin", 403, 7, Written::Nothing),
        ("not_found", 404, 5, Written::Nothing),
        ("store_not_found", 404, 5, Written::Nothing),
        ("stream_not_found", 404, 5, Written::Nothing),
        ("event_not_found", 404, 5, Written::Nothing),
        ("model_not_found", 404, 5, Written::Nothing),
        ("group_not_found", 404, 5, Written::Nothing),
        ("method_not_allowed", 405, 12, Written::Nothing),
        ("not_acceptable", 406, 3, Written::Nothing),
        ("version_conflict", 409, 10, Written::Nothing),
        ("id_conflict", 409, 6, Written::Nothing),
        ("ack_expired", 409, 9, Written::Nothing),
        ("wrong_store", 409, 9, Written::Nothing),
        ("history_forked", 410, 15, Written::Nothing),
        ("unsupported_media_type", 415, 3, Written::Nothing),
        ("overloaded", 429, 8, Written::Nothing),
        ("internal", 500, 13, Written::Unknown),
        ("no_search_source", 501, 12, Written::Nothing),
        ("not_supported", 501, 12, Written::Nothing),
        ("not_provisioned", 503, 14, Written::Nothing),
        ("no_primary", 503, 14, Written::Nothing),
        ("draining", 503, 14, Written::Nothing),
        ("not_caught_up", 503, 14, Written::Nothing),
        ("source_unavailable", 503, 14, Written::Nothing),
        ("source_refused", 503, 9, Written::Nothing),
        ("route_unavailable", 503, 14, Written::Nothing),
        ("projection_stalled", 503, 14, Written::Nothing),
        ("sidecar_too_old", 503, 9, Written::Nothing),
        ("outcome_unknown", 504, 4, Written::Unknown),
        ("acks_timeout", 504, 4, Written::PrimaryOnly),
    ];

    #[test]
    fn the_table_is_what_was_published() {
        let row = |code: &Code| (code.text(), code.status(), code.grpc() as i32, code.written());
        let table: Vec<_> = Code::ALL.iter().map(row).collect();
        assert_eq!(table, PUBLISHED);
    }

    #[test]
    fn codes_are_unique_and_parse_back() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.text()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.text().parse(), Ok(*code));
            assert!(code.text().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        }
        assert!("Version_conflict".parse::<Code>().is_err());
    }

    #[test]
    fn whatever_may_have_been_written_may_be_sent_again() {
        for code in Code::ALL.iter().filter(|code| code.written() != Written::Nothing) {
            assert!(code.retry() || *code == Code::Internal, "{code}");
        }
    }
}
