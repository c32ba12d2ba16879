use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use http::{HeaderMap, header};
use parking_lot::Mutex;
use polylog_api::{Code, Problem};
use tokio_util::sync::CancellationToken;

use super::{
    Entrance, Transport,
    strangers::{PATIENCE, Stranger},
};
use crate::identity::Peer;

/// Bad tokens that one connection may bring.
const MOST_REFUSED: u32 = 16;

/// A connection from another pod.
pub(crate) struct Visitor {
    entrance: Arc<Entrance>,
    /// Counted as long as it has brought no good token.
    stranger: Mutex<Option<Stranger>>,
    refused: AtomicU32,
    /// Somebody is known now.
    known: CancellationToken,
    /// It brought too many bad tokens.
    unwelcome: CancellationToken,
}

impl Visitor {
    /// A connection that was just accepted; `None` = too many like it bring nothing.
    pub(crate) fn new(entrance: Arc<Entrance>, address: SocketAddr) -> Option<Self> {
        let stranger = entrance.strangers.enter(address.ip().to_canonical())?;
        Some(Self {
            entrance,
            stranger: Mutex::new(Some(stranger)),
            refused: AtomicU32::new(0),
            known: CancellationToken::new(),
            unwelcome: CancellationToken::new(),
        })
    }

    /// What it is to speak; `None` = it cannot be let in.
    pub(crate) fn transport(&self) -> Option<Arc<Transport>> {
        self.entrance.transport.load_full()
    }

    /// Ends when the connection is not to go on: no good token in time, or too many bad ones.
    pub(crate) async fn to_leave(&self) {
        tokio::select! {
            () = self.unwelcome.cancelled() => return,
            () = tokio::time::sleep(PATIENCE) => return,
            () = self.known.cancelled() => {}
        }
        self.unwelcome.cancelled().await;
    }

    /// Who sends a request with these headers.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Peer>, Problem> {
        let verifier = self.entrance.verifier.load();
        let Some(verifier) = verifier.as_deref() else { return Err(no_keys()) };
        let outcome = bearer(headers).and_then(|token| verifier.verify(token).map_err(Problem::from));
        match &outcome {
            Ok(_) => {
                self.refused.store(0, Ordering::Relaxed);
                if !self.known.is_cancelled() {
                    self.known.cancel();
                    drop(self.stranger.lock().take());
                }
            }
            Err(_) => {
                if self.refused.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_REFUSED {
                    self.unwelcome.cancel();
                }
            }
        }
        outcome
    }
}

fn no_keys() -> Problem {
    Problem::new(
        Code::InvalidConfiguration,
        "store/issuer and store/jwks.json are not mounted here, so that no token can be checked",
    )
    .next_step(
        "have the cluster's issuer and keys mounted into the gateway; they are read again by themselves",
    )
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let refused = |detail: &str| {
        Err(Problem::new(Code::Unauthenticated, detail).next_step(
            "send `Authorization: Bearer` with the pod's projected service account token for audience polylog",
        ))
    };
    let Some(value) = values.next() else { return refused("there is no Authorization header") };
    if values.next().is_some() {
        return refused("there is more than one Authorization header");
    }
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    match token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, token)) => Ok(token.trim()),
        None => refused("the Authorization header is not of the form Bearer TOKEN"),
    }
}
