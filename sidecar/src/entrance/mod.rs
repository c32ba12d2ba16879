//! How other pods come in: over TLS or not, each with a token that says which service account sends the request.

mod crypto;
mod keys;
mod strangers;
mod transport;
mod verifier;
mod visitor;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::body::Body;
use http::Request;
use polylog_api::{Code, Problem};

use self::{strangers::Strangers, verifier::Verifier};
pub(crate) use self::{transport::Transport, visitor::Visitor};
use crate::{identity::Peer, mounted::EntranceFiles, server::Server};

/// How other pods come in, as it is mounted now. Without anything mounted nobody does.
#[derive(Default)]
pub(crate) struct Entrance {
    transport: ArcSwapOption<Transport>,
    verifier: ArcSwapOption<Verifier>,
    strangers: Arc<Strangers>,
}

/// What of the entrance was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) transport: bool,
    pub(crate) keys: bool,
}

impl Entrance {
    /// Takes over what is mounted. What cannot be used leaves what was there before.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub(crate) fn follow(&self, files: &EntranceFiles, wants_tls: bool) -> (Taken, Result<(), String>) {
        let (transport, no_transport) = self.follow_transport(files, wants_tls);
        let (keys, no_keys) = self.follow_keys(files);
        let wrong: Vec<String> = no_transport.into_iter().chain(no_keys).collect();
        let outcome = if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) };
        (Taken { transport, keys }, outcome)
    }

    fn follow_transport(&self, files: &EntranceFiles, wants_tls: bool) -> (bool, Option<String>) {
        if self.transport.load().as_deref().is_some_and(|now| now.is_of(files, wants_tls)) {
            return (false, None);
        }
        match Transport::of(files, wants_tls) {
            Ok(transport) => (self.transport.swap(Some(Arc::new(transport))).is_some(), None),
            Err(reason) => (false, Some(reason)),
        }
    }

    fn follow_keys(&self, files: &EntranceFiles) -> (bool, Option<String>) {
        let now = self.verifier.load();
        if files.issuer.is_none() && files.keys.is_none() {
            self.verifier.store(None);
            return (now.is_some(), None);
        }
        if now.as_deref().is_some_and(|now| now.is_of(files)) {
            return (false, None);
        }
        match Verifier::of(files) {
            Ok(verifier) => {
                self.verifier.store(Some(Arc::new(verifier)));
                (true, None)
            }
            Err(reason) => (false, Some(reason)),
        }
    }

    /// Whether connections can be taken.
    pub(crate) fn is_ready(&self) -> bool {
        self.transport.load().is_some()
    }
}

/// Who sends a request, if it is to be answered: on loopback whoever can reach that, else the token says it.
pub(crate) fn admit(server: &Server, request: &Request<Body>) -> Result<Arc<Peer>, Problem> {
    match request.extensions().get::<Arc<Visitor>>() {
        None => {
            server.guard.check(request.uri(), request.headers())?;
            Ok(server.own())
        }
        Some(visitor) => {
            let peer = visitor.authenticate(request.headers())?;
            server.guard.check_of_pods(request.uri(), request.headers())?;
            Ok(peer)
        }
    }
}

/// What ends a stream whose caller is not known any more.
pub(crate) fn expired() -> Problem {
    Problem::new(Code::Unauthenticated, "the token with which this began has expired")
        .next_step("go on from the last position with the token that is mounted now")
}
