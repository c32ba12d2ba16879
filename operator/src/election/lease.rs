//! The Lease in the cluster.

use std::time::Instant;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::{Api, Client, api::PostParams};
use polylog_crds::values::{NamespaceName, ObjectName};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::judge::{Judge, Step};
use super::{EVERY, GIVE_UP, LEASE, Leadership};

/// Why nobody can be elected.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// The role of the operator lacks a right. Add it: `leases`, verbs `get`, `create`, `update`.
    #[error("the Lease {lease} cannot be used: {error}")]
    Forbidden {
        /// Namespace and name.
        lease: String,
        /// What the API server says.
        error: Box<kube::Error>,
    },
    /// The process was asked to stop before it led.
    #[error("stopped while it waited to lead")]
    Stopped,
}

/// A process that would lead.
pub(crate) struct Candidate {
    api: Api<Lease>,
    lease: String,
    name: ObjectName,
    me: String,
    judge: Judge,
}

impl Candidate {
    /// A candidate for the Lease `name`. `me` must differ for each process, restarts of one pod included.
    pub(crate) fn new(client: Client, namespace: &NamespaceName, name: &ObjectName, me: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace.as_str()),
            lease: format!("{namespace}/{name}"),
            name: name.clone(),
            me,
            judge: Judge::default(),
        }
    }

    /// Waits until this process leads, then keeps the Lease until it is lost or `stop` is cancelled; the task ends then.
    ///
    /// # Errors
    /// A missing right; everything else is tried again.
    pub(crate) async fn elected(
        mut self,
        stop: CancellationToken,
    ) -> Result<(Leadership, JoinHandle<()>), ElectionError> {
        loop {
            let began = Instant::now();
            match self.attempt().await {
                Ok(Some(held)) => {
                    let number = number(&held);
                    let leadership = Leadership::new(number, began);
                    tracing::info!(event = "leading", number, lease = self.lease, "this process leads");
                    let keeper = tokio::spawn(self.keep(held, leadership.clone(), stop));
                    return Ok((leadership, keeper));
                }
                Ok(None) => {}
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    let error = Box::new(kube::Error::Api(status));
                    return Err(ElectionError::Forbidden { lease: self.lease, error });
                }
                Err(error) => {
                    tracing::warn!(event = "lease_unreachable", %error, lease = self.lease, "the Lease cannot be read");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return Err(ElectionError::Stopped),
            }
        }
    }

    /// The Lease, if this process has it now.
    async fn attempt(&mut self) -> Result<Option<Lease>, kube::Error> {
        let found = self.api.get_opt(self.name.as_str()).await?;
        let params = PostParams::default();
        let written = match self.judge.decide(&self.me, found.as_ref(), Instant::now()) {
            Step::Wait => return Ok(None),
            Step::Create => self.api.create(&params, &self.lease(None, 1)).await,
            Step::Take { number } => self.swap(found, number).await,
            Step::Renew => {
                let number = found.as_ref().map_or(1, number);
                self.swap(found, number).await
            }
        };
        match written {
            Ok(lease) => Ok(Some(lease)),
            // somebody else was faster
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn swap(&self, found: Option<Lease>, number: i32) -> Result<Lease, kube::Error> {
        let wanted = self.lease(found, number);
        self.api.replace(self.name.as_str(), &PostParams::default(), &wanted).await
    }

    /// What `me` writes; with the resource version of what it replaces.
    fn lease(&self, replaced: Option<Lease>, number: i32) -> Lease {
        let now = MicroTime(jiff::Timestamp::now());
        let spec = replaced.as_ref().and_then(|lease| lease.spec.as_ref());
        let is_ours = spec.and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.me);
        let acquired = spec.filter(|_| is_ours).and_then(|spec| spec.acquire_time.clone());
        let metadata = replaced.map_or_else(
            || ObjectMeta { name: Some(self.name.to_string()), ..ObjectMeta::default() },
            |lease| lease.metadata,
        );
        let spec = LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            lease_transitions: Some(number),
            acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
            renew_time: Some(now),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    async fn keep(self, mut held: Lease, leadership: Leadership, stop: CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => break,
            }
            let began = Instant::now();
            let rest = GIVE_UP.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(rest, self.swap(Some(held.clone()), leadership.number)).await {
                Ok(Ok(lease)) => {
                    held = lease;
                    renewed = began;
                    leadership.renew(began);
                    continue;
                }
                Ok(Err(kube::Error::Api(status))) if status.code == 409 || status.code == 404 => {
                    // our own write, whose answer was lost, or another one's: the Lease says which
                    match self.api.get_opt(self.name.as_str()).await {
                        Ok(Some(lease)) if self.is_ours(&lease, leadership.number) => {
                            held = lease;
                            continue;
                        }
                        Ok(_) => break,
                        Err(error) => tracing::debug!(%error, "the Lease cannot be read"),
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(event = "lease_unreachable", %error, lease = self.lease, "the Lease is not renewed");
                }
                Err(_) => {}
            }
            if renewed.elapsed() >= GIVE_UP {
                break;
            }
        }
        leadership.lost.cancel();
        tracing::info!(event = "leading_ended", number = leadership.number, "this process leads no longer");
        if stop.is_cancelled() {
            self.release(held).await;
        }
    }

    fn is_ours(&self, lease: &Lease, leadership: i32) -> bool {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref());
        holder == Some(&self.me) && number(lease) == leadership
    }

    /// Lets the next one begin at once; it would wait otherwise, so that a failure is nothing.
    async fn release(&self, held: Lease) {
        let mut free = held;
        if let Some(spec) = &mut free.spec {
            spec.holder_identity = Some(String::new());
        }
        let params = PostParams::default();
        let released = self.api.replace(self.name.as_str(), &params, &free);
        match tokio::time::timeout(EVERY, released).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the Lease is not released"),
            Err(_) => tracing::debug!("the Lease is not released in time"),
        }
    }
}

fn number(lease: &Lease) -> i32 {
    lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(1)
}
