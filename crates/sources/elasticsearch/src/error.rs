use polylog_log::{Failure, RefusedReason};
use serde::Deserialize;

/// What can go wrong inside the engine, before it is known what that means for the operation.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum EngineError {
    /// No answer came, or none that can be read: it may have been done.
    #[error("{0}")]
    Transport(String),
    /// The server's own words; [`EngineError::failure`] tells what they mean.
    #[error("{0}")]
    Server(ServerError),
    /// Already in the contract's words.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// A request without an answer: a test lost it.
    #[error("injected: no answer")]
    Lost,
    /// A test stopped this handle, as if its process had ended.
    #[error("the process ended")]
    Crashed,
}

/// An error that the server tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} ({status}): {reason}")]
pub(crate) struct ServerError {
    /// As HTTP has it.
    pub(crate) status: u16,
    /// The server's name for it, such as `index_not_found_exception`.
    pub(crate) kind: String,
    /// The server's words.
    pub(crate) reason: String,
}

/// An error as it stands in an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum ErrorBody {
    Cause {
        #[serde(rename = "type", default)]
        kind: String,
        #[serde(default)]
        reason: Option<String>,
    },
    Words(String),
}

impl ErrorBody {
    pub(crate) fn with_status(self, status: u16) -> ServerError {
        match self {
            ErrorBody::Cause { kind, reason } => {
                ServerError { status, kind, reason: reason.unwrap_or_default() }
            }
            ErrorBody::Words(words) => ServerError { status, kind: "error".into(), reason: words },
        }
    }
}

/// A version that is not the one expected.
pub(crate) const CONFLICT: u16 = 409;

impl ServerError {
    /// From an answer whose status is an error.
    pub(crate) fn of(status: u16, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Answer {
            error: ErrorBody,
        }
        match serde_json::from_slice::<Answer>(body) {
            Ok(answer) => answer.error.with_status(status),
            Err(_) => {
                let reason = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
                Self { status, kind: "error".into(), reason }
            }
        }
    }

    /// In the contract's words.
    pub(crate) fn failure(&self) -> Failure {
        let refused = |reason| Failure::Refused { reason, message: self.to_string() };
        match (self.status, self.kind.as_str()) {
            (401, _) => refused(RefusedReason::Auth),
            (_, "cluster_block_exception") if self.reason.contains("/12/") => {
                refused(RefusedReason::DiskFull)
            }
            (403, "cluster_block_exception") => refused(RefusedReason::ReadOnly),
            (403, _) => refused(RefusedReason::Rights),
            (404, "index_not_found_exception") => Failure::NotProvisioned(self.to_string()),
            (413, _) => {
                let message =
                    format!("the server takes no request that large (http.max_content_length): {self}");
                Failure::Refused { reason: RefusedReason::Unsuitable, message }
            }
            // it may be opened again
            (400, "index_closed_exception") => Failure::Unreachable(self.to_string()),
            (400, _) => {
                Failure::Damaged(format!("the server does not take what should be written or read: {self}"))
            }
            _ => Failure::Unreachable(self.to_string()),
        }
    }

    /// Whether a request that writes certainly wrote nothing.
    fn left_nothing(&self) -> bool {
        // an index that is blocked because its disk is full answers 429, as a server does that is only busy
        matches!(self.status, 400 | 401 | 403 | 404 | 405 | 406 | 411 | 413 | 415)
            || self.kind == "cluster_block_exception"
    }
}

impl EngineError {
    /// What was read contradicts itself.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Failure(Failure::Damaged(what.into()))
    }

    /// In the contract's words.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            EngineError::Failure(failure) => failure.clone(),
            EngineError::Server(error) => error.failure(),
            EngineError::Transport(words) => Failure::Unreachable(words.clone()),
            EngineError::Lost | EngineError::Crashed => Failure::Unreachable(self.to_string()),
        }
    }

    /// Whether a request that writes certainly wrote nothing when it ended with this.
    pub(crate) fn left_nothing(&self) -> bool {
        matches!(self, EngineError::Server(error) if error.left_nothing())
    }

    /// Whether the version was another than expected.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, EngineError::Server(error) if error.status == CONFLICT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        let of = |status, kind: &str, reason: &str| {
            let body = format!(
                r#"{{"error":{{"root_cause":[],"type":"{kind}","reason":"{reason}"}},"status":{status}}}"#
            );
            ServerError::of(status, body.as_bytes())
        };
        let reason = |error: &ServerError| match error.failure() {
            Failure::Refused { reason, message } if message.contains(&error.kind) => reason,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(reason(&of(401, "security_exception", "x")), RefusedReason::Auth);
        assert_eq!(reason(&of(403, "security_exception", "x")), RefusedReason::Rights);
        let flood = "index [e] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark];";
        assert_eq!(reason(&of(429, "cluster_block_exception", flood)), RefusedReason::DiskFull);
        let block = "index [e] blocked by: [FORBIDDEN/8/index write (api)];";
        assert_eq!(reason(&of(403, "cluster_block_exception", block)), RefusedReason::ReadOnly);
        let missing = of(404, "index_not_found_exception", "no such index [e]");
        assert!(matches!(missing.failure(), Failure::NotProvisioned(_)));
        assert!(matches!(of(503, "unavailable_shards_exception", "").failure(), Failure::Unreachable(_)));
        assert_eq!(ServerError::of(502, b"<html>").reason, "<html>");
        assert_eq!(ServerError::of(405, br#"{"error":"Incorrect method"}"#).reason, "Incorrect method");
    }

    #[test]
    fn a_write_without_an_answer_may_stand() {
        let server = |status| EngineError::Server(ServerError::of(status, b""));
        let blocked = br#"{"error":{"type":"cluster_block_exception","reason":"[TOO_MANY_REQUESTS/12/x]"}}"#;
        assert!(EngineError::Server(ServerError::of(429, blocked)).left_nothing());
        assert!(server(413).left_nothing() && !server(503).left_nothing() && !server(429).left_nothing());
        assert!(!EngineError::Lost.left_nothing() && !EngineError::Transport(String::new()).left_nothing());
    }
}
