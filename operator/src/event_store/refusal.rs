use std::fmt;

use polylog_crds::validate::FindingCode;
use polylog_log::{Failure, RefusedReason};

/// One word for programs: a condition's reason. They do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// What was found in the manifest.
    Found(FindingCode),
    InvalidObject,
    InvalidConnection,
    SecretNotFound,
    SecretKeyMissing,
    SecretForbidden,
    /// A database holds the log of another store, or none where there was one.
    IdentityConflict,
    /// A table of somebody else has one of our names.
    ForeignTable,
    /// A credential that the database does not accept.
    Unauthorized,
    /// A right that the credential lacks.
    InsufficientRights,
    /// No trust between us and the server.
    TlsRefused,
    ReadOnly,
    DiskFull,
    /// The server's settings would lose what was acknowledged, or the like.
    ServerRefused,
    Unreachable,
    /// Something that only an administrator can make is not there.
    NotProvisioned,
    FormatTooNew,
    Damaged,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Found(code) => write!(f, "{code:?}"),
            reason => write!(f, "{reason:?}"),
        }
    }
}

/// Why a store is not as its manifest says, and what its author should do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// Approved steps were being carried out.
    pub(crate) while_applying: bool,
    /// The stored format that is too new.
    pub(crate) found_format: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), while_applying: false, found_format: None }
    }

    /// What a source's failure means for its store.
    pub(crate) fn of_source(place: &str, failure: &Failure) -> Self {
        let reason = match failure {
            Failure::Unreachable(_) | Failure::Timeout(_) => Reason::Unreachable,
            Failure::NotProvisioned(_) => Reason::NotProvisioned,
            Failure::WrongStore(words) if words.contains("belongs to another application") => {
                Reason::ForeignTable
            }
            Failure::WrongStore(_) => Reason::IdentityConflict,
            Failure::Refused { reason, .. } => match reason {
                RefusedReason::Auth => Reason::Unauthorized,
                RefusedReason::Rights => Reason::InsufficientRights,
                RefusedReason::Tls => Reason::TlsRefused,
                RefusedReason::ReadOnly => Reason::ReadOnly,
                RefusedReason::DiskFull => Reason::DiskFull,
                #[allow(unreachable_patterns, reason = "the reasons may grow")]
                _ => Reason::ServerRefused,
            },
            Failure::FormatTooNew { .. } => Reason::FormatTooNew,
            Failure::Damaged(_) => Reason::Damaged,
        };
        let found_format = match failure {
            Failure::FormatTooNew { found, .. } => Some(*found),
            _ => None,
        };
        let message = format!("{place}: {failure}: {}", reason.next_step());
        Self { found_format, ..Self::new(reason, message) }
    }

    /// Whether the manifest itself cannot be: `Valid` is False. Otherwise the database stands in the way.
    pub(crate) fn is_invalid(&self) -> bool {
        matches!(
            self.reason,
            Reason::Found(_)
                | Reason::InvalidObject
                | Reason::InvalidConnection
                | Reason::SecretNotFound
                | Reason::SecretKeyMissing
                | Reason::SecretForbidden
                | Reason::IdentityConflict
                | Reason::ForeignTable
        )
    }

    /// Whether a credential was tried and not accepted.
    pub(crate) fn is_of_credentials(&self) -> bool {
        matches!(self.reason, Reason::Unauthorized | Reason::InsufficientRights | Reason::TlsRefused)
    }
}

impl Reason {
    fn next_step(self) -> &'static str {
        match self {
            Reason::IdentityConflict => {
                "nothing was changed; give the store a schema of its own (elsewhere a database or a prefix), or the \
                 database that holds its log"
            }
            Reason::ForeignTable => {
                "nothing was changed; give the log a schema of its own (elsewhere a database or a prefix)"
            }
            Reason::Unauthorized => "correct the user or the password in the Secret",
            Reason::InsufficientRights => {
                "grant it (polylog grants prints the statements), or give a provisioningConnection that may"
            }
            Reason::TlsRefused => "check tls.mode, tls.caRef and the host's name",
            Reason::ReadOnly => "connect to a server, and as a role, that may write",
            Reason::DiskFull => "give the server more room",
            Reason::ServerRefused => "have the database's administrator put it right",
            Reason::Unreachable => {
                "correct the address, or let the operator reach it; it is tried again by itself"
            }
            Reason::NotProvisioned => "create what is missing, or let the operator create it",
            Reason::FormatTooNew => "update the operator",
            Reason::Damaged => "have the database restored",
            _ => "correct the manifest",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_is_told_apart_from_what_cannot_be() {
        let of = |failure: Failure| Refusal::of_source("postgres://db/shop", &failure);
        let refused = |reason| Failure::Refused { reason, message: "words".into() };
        let rights = of(refused(RefusedReason::Rights));
        assert_eq!(rights.reason.to_string(), "InsufficientRights");
        assert!(!rights.is_invalid() && rights.is_of_credentials());
        assert!(rights.message.contains("words") && rights.message.contains("polylog grants"));
        assert!(of(refused(RefusedReason::Auth)).is_of_credentials());
        let down = of(Failure::Unreachable("no route".into()));
        assert!(!down.is_invalid() && !down.is_of_credentials());
        let other = of(Failure::WrongStore("the schema holds log 1, not 2".into()));
        assert!(other.is_invalid() && other.reason == Reason::IdentityConflict);
        let foreign = of(Failure::WrongStore("x.polylog_head belongs to another application".into()));
        assert_eq!(foreign.reason.to_string(), "ForeignTable");
        assert_eq!(Reason::Found(FindingCode::NotSupported).to_string(), "NotSupported");
    }
}
