//! What the gateways of all stores need so that other pods can come in: the cluster's published keys, by which they check
//! tokens, and an authority that vouches for them.

mod authority;
mod cluster_keys;
mod pair;

use std::{sync::Arc, time::Duration};

use kube::Client;
use polylog_crds::values::{NamespaceName, ObjectName};
use tokio::sync::watch;

use self::authority::AuthorityKeeper;
pub(crate) use self::{
    authority::Vouching,
    cluster_keys::ClusterKeys,
    pair::{Certified, KEY as CERTIFICATE_KEY, Noted, PairError, Pairs, authorities_of, noted},
};

/// How often both are read. A cluster's new keys sign tokens as soon as they are published.
const EVERY: Duration = Duration::from_secs(60);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// What every gateway is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Common {
    /// Whether it was tried to read them.
    pub(crate) is_tried: bool,
    /// What the cluster publishes, as far as it could be read.
    pub(crate) keys: Option<ClusterKeys>,
    /// Who vouches for gateways, once there is somebody.
    pub(crate) authority: Option<Arc<Vouching>>,
}

/// What is known now.
pub(crate) type Known = watch::Receiver<Common>;

/// Keeps them current for ever. May be dropped at any time.
pub(crate) async fn keep(
    client: Client,
    namespace: NamespaceName,
    secret: ObjectName,
    known: watch::Sender<Common>,
) {
    let keeper = AuthorityKeeper::new(&client, &namespace, secret);
    let mut has_failed = false;
    loop {
        let (keys, authority) = tokio::join!(cluster_keys::read(&client), keeper.look());
        let mut failures: Vec<String> = Vec::new();
        let keys = keys.map_err(|error| failures.push(error.to_string())).ok();
        let authority = authority.map_err(|error| failures.push(error.to_string())).ok();
        known.send_if_modified(|known| {
            let next = Common {
                is_tried: true,
                // what was good a moment ago is better than nothing
                keys: keys.or_else(|| known.keys.clone()),
                authority: authority.map(Arc::new).or_else(|| known.authority.clone()),
            };
            let is_new = *known != next;
            *known = next;
            is_new
        });
        let is_failure = !failures.is_empty();
        if is_failure && !has_failed {
            let error = failures.join("; ");
            tracing::warn!(
                event = "entrance_unready",
                error,
                "what gateways need for other pods could not be read; it is tried again"
            );
        }
        has_failed = is_failure;
        tokio::time::sleep(if is_failure { AGAIN } else { EVERY }).await;
    }
}
