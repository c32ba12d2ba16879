use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use polylog_api::Problem;
use tokio::time::Instant;

use super::View;
use crate::{
    filter::Filter,
    hosted::Hosted,
    identity::Peer,
    pipeline::Caller,
    policy::{Policy, Verb},
    server::Server,
};

/// Longest that a request may take, whatever its caller asks for.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);
/// Largest position or version.
pub(crate) const LARGEST: u64 = (1 << 53) - 1;

/// A request to one store.
pub(crate) struct Call {
    pub(crate) server: Arc<Server>,
    pub(crate) hosted: Arc<Hosted>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) caller: Caller,
    pub(crate) deadline: Instant,
}

impl Call {
    /// Reads what all requests have in common: who calls, the store, headers (in gRPC: metadata), until when the caller waits.
    pub(crate) fn new(
        server: Arc<Server>,
        peer: Arc<Peer>,
        store: Option<&str>,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Self, Problem> {
        let hosted = server.store(store)?;
        let caller = Caller::of(peer, headers)?;
        Ok(Self { policy: hosted.policy(), server, hosted, caller, deadline })
    }

    /// What the caller sees through a filter; refuses one who may not do this on any category.
    pub(crate) fn view(&self, verb: Verb, filter: Filter) -> Result<View, Problem> {
        let Self { hosted, policy, caller, .. } = self;
        View::new(hosted.clone(), policy.clone(), caller.peer.clone(), verb, filter)
    }
}
