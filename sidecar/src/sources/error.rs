use std::{io, path::PathBuf};

use polylog_api::Code;
use polylog_log::{Failure, RefusedReason};

use crate::operations::errors::of_source;

/// Why a store's log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Another process serves the folder. Stop it, or use another folder.
    #[error("{path} is in use by another polylog dev{by}: stop it, or choose another folder with --data")]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Which one, if it is known.
        by: String,
    },
    /// The folder cannot be read or written. Check its rights.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The file cannot be used as a source. The failure says why.
    #[error("{path}: {failure}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        failure: Failure,
    },
    /// The database cannot be used as a source. The message says why, and what to do.
    #[error("{place}: {}", told(failure))]
    Database {
        /// Its address, without credentials.
        place: String,
        /// What is wrong with it.
        failure: Failure,
    },
}

impl SourceError {
    /// Whether it may pass by itself: the database did not answer.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Database { failure: Failure::Unreachable(_) | Failure::Timeout(_), .. })
    }
}

/// The code with which a source's failure is told.
pub fn code_of(failure: &Failure) -> Code {
    of_source(failure).code
}

/// A database's failure when a process begins: the code, what is wrong, what to do.
pub(crate) fn told(failure: &Failure) -> String {
    let next = match failure {
        Failure::Unreachable(_) | Failure::Timeout(_) => {
            "start the database or correct its address, then start again; nothing was appended"
        }
        Failure::NotProvisioned(_) => "create what is missing, or correct the connection",
        Failure::WrongStore(_) => {
            "give the address of the database that holds this store's log; to begin a new one, another --data folder and an \
             empty schema"
        }
        Failure::Refused { reason, .. } => match reason {
            RefusedReason::Auth => {
                "correct the user or the password, and check whom the server lets in from here (pg_hba.conf, the user's host)"
            }
            RefusedReason::Rights => "grant it; polylog grants prints what the users of a source need",
            RefusedReason::Tls => "check tls.mode, the authority (tls.caRef) and the host's name",
            RefusedReason::ReadOnly => "connect to a server, and as a role, that may write",
            RefusedReason::DiskFull => "give the server more room",
            #[allow(unreachable_patterns, reason = "the reasons may grow")]
            _ => "have the database's administrator put it right",
        },
        Failure::FormatTooNew { .. } => "update polylog",
        Failure::Damaged(_) => "have the database verified or restored",
    };
    format!("{}: {failure}\n  next: {next}", code_of(failure))
}
