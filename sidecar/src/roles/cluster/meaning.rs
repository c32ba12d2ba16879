//! What the manifests mean is said by the log: `$config` and `$policy`. The gateway brings it there.

use std::time::Duration;

use bytes::Bytes;
use polylog_crds::resolve::ResolvedStore;
use polylog_replication::{AppendError, DesiredConfig, OpenError, Store};

use super::hindrance::{LONGEST, LONGEST_REFUSED};
use crate::{config::policy_document, configuration::Reason, operations::errors};

/// Others may write between a look and a write.
const TRIES: usize = 3;

/// Writes of unknown outcome that are remembered.
const REMEMBERED: usize = 8;

/// What a gateway's mount said the log should say: what it last said there, and what may have been written since.
pub(super) struct Meaning {
    configs: Vec<DesiredConfig>,
    policies: Vec<Bytes>,
}

impl Meaning {
    pub(super) fn of(config: DesiredConfig, policy: Bytes) -> Self {
        Self { configs: vec![config], policies: vec![policy] }
    }

    /// Brings the log from what was mounted to what is mounted now, if it still says what was mounted; what somebody
    /// else put there meanwhile stays, since this mount may be the older one. What is in the way, and how seldom it may be
    /// tried again, if it is to be: another gateway may have been on its way to what is mounted here too.
    pub(super) async fn follow(
        &mut self,
        log: &Store,
        new_config: DesiredConfig,
        new_policy: Bytes,
    ) -> (Option<Reason>, Option<Duration>) {
        let says = |is_known: bool| is_known.then_some(Ok(Brought::Says));
        let config = match says(self.configs == [new_config.clone()]) {
            Some(says) => says,
            None => self.config(log, &new_config).await,
        };
        let policy = match says(self.policies == [new_policy.clone()]) {
            Some(says) => says,
            None => self.policy(log, &new_policy).await,
        };
        let mut reason = None;
        let mut again = None;
        for (what, brought) in [("$policy", &policy), ("$config", &config)] {
            match brought {
                Ok(Brought::Says) => {}
                Ok(Brought::SaysOther) => {
                    again = again.or(Some(LONGEST_REFUSED));
                    reason = Some(Reason {
                        code: "log_differs",
                        message: format!(
                            "somebody else wrote {what} since this was mounted, and it stays: put it right through \
                             polylog.admin.v1, or restart the gateway to write what is mounted"
                        ),
                    });
                }
                Err(Failed { code, message, may_pass }) => {
                    if *may_pass {
                        again = Some(LONGEST);
                    }
                    reason = Some(Reason { code, message: format!("{what} was not written: {message}") });
                }
            }
        }
        if matches!(config, Ok(Brought::Says)) {
            self.configs = vec![new_config];
        }
        if matches!(policy, Ok(Brought::Says)) {
            self.policies = vec![new_policy];
        }
        (reason, again)
    }

    async fn config(&mut self, log: &Store, new: &DesiredConfig) -> Result<Brought, Failed> {
        for _ in 0..TRIES {
            let (version, is_new) = log.compare_config(new).await?;
            if is_new {
                return Ok(Brought::Says);
            }
            let mut is_ours = false;
            for config in &self.configs {
                is_ours |= log.compare_config(config).await? == (version, true);
            }
            if !is_ours {
                return Ok(Brought::SaysOther);
            }
            remember(&mut self.configs, new);
            match log.put_config(new, version, deadline()).await {
                Ok(_) => return Ok(Brought::Says),
                Err(OpenError::Configure { error, .. })
                    if matches!(*error, AppendError::VersionConflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Brought::SaysOther)
    }

    async fn policy(&mut self, log: &Store, new: &Bytes) -> Result<Brought, Failed> {
        for _ in 0..TRIES {
            let (version, found) =
                log.read_policy().await.map_err(|error| Failed::of(errors::of_read(error)))?;
            if found.as_ref() == Some(new) {
                return Ok(Brought::Says);
            }
            if !found.is_some_and(|found| self.policies.contains(&found)) {
                return Ok(Brought::SaysOther);
            }
            remember(&mut self.policies, new);
            match log.put_policy(new.clone(), version, deadline()).await {
                Ok(_) => return Ok(Brought::Says),
                Err(AppendError::VersionConflict { .. }) => {}
                Err(error) => return Err(Failed::of(errors::of_append(error))),
            }
        }
        Ok(Brought::SaysOther)
    }
}

/// What a store's manifest says for its `$policy`, as bytes.
pub(super) fn policy_of(store: &ResolvedStore) -> Bytes {
    serde_json::to_vec(&policy_document(store)).expect("a policy has only string keys").into()
}

/// A write may land although nobody hears of it.
fn remember<T: Clone + PartialEq>(ours: &mut Vec<T>, new: &T) {
    if !ours.contains(new) {
        ours.truncate(REMEMBERED - 1);
        ours.push(new.clone());
    }
}

/// What the log says after a try.
enum Brought {
    /// What is mounted.
    Says,
    /// What somebody else wrote.
    SaysOther,
}

struct Failed {
    code: &'static str,
    message: String,
    may_pass: bool,
}

impl Failed {
    fn of(problem: polylog_api::Problem) -> Self {
        Self { code: problem.code.text(), message: problem.detail, may_pass: true }
    }
}

impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Source(failure) => Self::of(errors::of_source(&failure)),
            OpenError::Configure { error, .. } => Self::of(errors::of_append(*error)),
            OpenError::NoPrimary | OpenError::Leaderless { .. } => {
                Self::of(errors::of_append(AppendError::NoPrimary))
            }
            OpenError::NotSupported { .. } => {
                Self { code: "not_supported", message: error.to_string(), may_pass: false }
            }
        }
    }
}

/// The store's own ack timeout is shorter.
fn deadline() -> std::time::Instant {
    std::time::Instant::now() + std::time::Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use polylog_crds::{replication_strategy::Divergence, validate::Capabilities};
    use polylog_log::{Approval, SourceName, StepClass};
    use polylog_replication::StoreOptions;

    use super::*;
    use crate::{
        config::{self, desired_config},
        sources::{self, Database, StoreFolder, StorePlace},
    };

    fn declared() -> ResolvedStore {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/payments");
        let declared = config::load(&path, &[], &Capabilities::DEV).expect("an example is right");
        declared.stores.into_iter().next().expect("it has a store")
    }

    async fn follow(
        meaning: &mut Meaning,
        log: &Store,
        store: &ResolvedStore,
    ) -> (Option<Reason>, Option<Duration>) {
        meaning.follow(log, desired_config(store), policy_of(store)).await
    }

    async fn open(root: &std::path::Path, store: &ResolvedStore) -> Store {
        let source = SourceName::recorded("ledger");
        let place = StorePlace {
            source: source.clone(),
            folder: root.to_owned(),
            database: Database::Sqlite(root.join("ledger.db")),
            indexes: Default::default(),
        };
        let folder = StoreFolder::claim(place.folder.clone()).expect("claimed");
        let approval = Approval::up_to(StepClass::Slow);
        let provisioned = sources::provision(&folder, &place, approval).await.expect("provisioned");
        let options =
            StoreOptions::new("payments", source, provisioned.source.shared(), provisioned.identity);
        let options =
            StoreOptions { policy: Some(policy_of(store)), config: desired_config(store), ..options };
        Store::open(options).await.expect("an open store")
    }

    #[tokio::test]
    async fn a_change_is_written_where_the_log_says_what_was_mounted_before() {
        let root = tempfile::tempdir().expect("a folder");
        let mut store = declared();
        let log = open(root.path(), &store).await;
        let mut meaning = Meaning::of(desired_config(&store), policy_of(&store));
        assert_eq!(follow(&mut meaning, &log, &store).await, (None, None));

        store.policy.limits.commit_events = 7;
        store.strategy.divergence = Divergence::ReplayIfClean;
        assert_eq!(follow(&mut meaning, &log, &store).await, (None, None));
        assert_eq!(log.read_policy().await.expect("a policy").1, Some(policy_of(&store)));
        assert_eq!(log.status().await.config.divergence, polylog_log::Divergence::ReplayIfClean);

        // somebody else's stays
        let mut other = store.clone();
        other.policy.limits.commit_events = 8;
        log.set_policy(policy_of(&other)).await.expect("written");
        store.policy.limits.commit_events = 9;
        let (reason, again) = follow(&mut meaning, &log, &store).await;
        assert_eq!((reason.map(|reason| reason.code), again), (Some("log_differs"), Some(LONGEST_REFUSED)));
        assert_eq!(log.read_policy().await.expect("a policy").1, Some(policy_of(&other)));

        // until it was on its way to the same, or the mount says what it wrote
        log.set_policy(policy_of(&store)).await.expect("written");
        assert_eq!(follow(&mut meaning, &log, &store).await, (None, None));
        log.set_policy(policy_of(&other)).await.expect("written");
        assert_eq!(follow(&mut meaning, &log, &other).await, (None, None));
        assert_eq!(follow(&mut meaning, &log, &store).await, (None, None));
        assert_eq!(log.read_policy().await.expect("a policy").1, Some(policy_of(&store)));
    }
}
