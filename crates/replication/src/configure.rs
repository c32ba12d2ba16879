//! `$config` and `$policy`: what the manifests want becomes events, if it is not what the log says already.

use std::{collections::BTreeSet, time::Instant};

use bytes::Bytes;
use polylog_log::{
    Acks, CONFIG, Commit, Config, ConfigVersion, Expected, Failover, Failure, Head, Member, POLICY, Point,
    ReadStream, Route, SourceName, StreamName, Version, VersionConflict,
};

use crate::{
    AppendError, DesiredConfig, OpenError, caught::caught, reader::Who, replicated::Handle, shared::Shared,
    writer::Writer,
};

/// Others may write a version while this process decides on one; more often than this in a row means that two
/// processes want different things.
const LONGEST_RACE: usize = 5;

/// Routes travel in `$config`, which stands in every head: most bytes of them.
const LARGEST_ROUTES: usize = 8 << 10;

/// What became of a try.
pub(crate) enum Put<V> {
    /// What was wanted is in force, under this version.
    InForce(V),
    /// The version in force was not the expected one, or another process was faster.
    Refused(AppendError),
}

fn not_configured(error: AppendError) -> OpenError {
    OpenError::Configure { what: "$config", error: Box::new(error) }
}

fn other_version(stream: &str, expected: Version, actual: Version, at: Point) -> AppendError {
    let expected = if expected.is_zero() { Expected::NoStream } else { Expected::Version(expected) };
    let conflict = VersionConflict { stream: StreamName::recorded(stream), expected, actual };
    AppendError::VersionConflict { conflicts: vec![conflict], at }
}

impl DesiredConfig {
    /// Whether this version can do what is asked for, with so many voters.
    pub(crate) fn check(&self, voters: usize) -> Result<(), OpenError> {
        let refuse = |field, reason: String| Err(OpenError::NotSupported { field, reason });
        if self.acks.required(voters) > voters {
            return refuse("acks", format!("{} needs more voters than the log's {voters}", self.acks));
        }
        if usize::from(self.min_in_sync) > voters {
            let reason = format!("{} needs more voters than the log's {voters}", self.min_in_sync);
            return refuse("minInSync", reason);
        }
        let of_route = |route: &Route| {
            let types = route.types.iter().map(|name| name.as_str().len() + 3).sum::<usize>();
            types + route.when.as_ref().map_or(0, String::len) + route.source.as_str().len() + 40
        };
        let bytes = self.routes.iter().map(of_route).sum::<usize>();
        if bytes > LARGEST_ROUTES {
            return refuse("routes", format!("they may have {LARGEST_ROUTES} bytes, these have {bytes}"));
        }
        // below a majority, processes may be told to open the log with whatever voters answer
        let waits_for_majority = self.acks.required(voters) >= Acks::Majority.required(voters);
        if self.failover == Failover::Automatic && voters < 3 && waits_for_majority {
            return refuse("failover", format!("Automatic needs three voters, the log has {voters}"));
        }
        Ok(())
    }

    /// The first configuration of a log with these members.
    pub(crate) fn first(&self, voters: Vec<Member>, learners: Vec<Member>) -> Config {
        self.of(ConfigVersion(1), voters, learners)
    }

    fn of(&self, version: ConfigVersion, voters: Vec<Member>, learners: Vec<Member>) -> Config {
        let names = || voters.iter().map(|voter| voter.name.clone()).collect();
        Config {
            version,
            in_sync: if self.acks == Acks::All { names() } else { Vec::new() },
            order: if self.order.is_empty() { names() } else { self.order.clone() },
            voters,
            learners,
            acks: self.acks,
            min_in_sync: self.min_in_sync,
            failover: self.failover,
            divergence: self.divergence,
            max_unreplicated_events: self.max_unreplicated_events,
            routes: self.routes.clone(),
            default_route: self.default_route.clone(),
            keepers: self.keepers(),
            is_newer: false,
        }
    }

    /// The sources that its routes name.
    fn keepers(&self) -> Vec<SourceName> {
        let named = self.routes.iter().map(|route| &route.source).chain(&self.default_route);
        named.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The configuration that follows the one in the log, or `None` if that is what is desired.
    pub(crate) fn after(&self, head: &Head, voters: &[Member]) -> Option<Config> {
        let current = &head.config.config;
        // one that holds the log alone has nobody who follows: what is left of sources that went goes with this
        let mut desired = self.of(current.version, voters.to_vec(), Vec::new());
        // who kept data once keeps it for good
        let new = std::mem::replace(&mut desired.keepers, current.keepers.clone());
        desired.keepers.extend(new.into_iter().filter(|name| !current.keepers.contains(name)));
        let is_first = current.version.0 == 0;
        (is_first || desired != **current)
            .then(|| Config { version: ConfigVersion(current.version.0 + 1), ..desired })
    }

    /// Whether the log's settings are these, whoever its members are.
    fn is_set(&self, current: &Config, order: &[SourceName]) -> bool {
        let order = if self.order.is_empty() { order } else { &self.order };
        (self.acks, self.min_in_sync, self.failover, self.divergence, self.max_unreplicated_events)
            == (
                current.acks,
                current.min_in_sync,
                current.failover,
                current.divergence,
                current.max_unreplicated_events,
            )
            && order == current.order
            && (&self.routes, &self.default_route) == (&current.routes, &current.default_route)
    }
}

impl Shared {
    /// The version of the configuration in force, and whether it is what is `desired`.
    pub(crate) async fn compare_config(
        &self,
        desired: &DesiredConfig,
    ) -> Result<(ConfigVersion, bool), Failure> {
        let asked = self.heads.ask();
        let head = caught(self.reader.head()).await??;
        self.heads.publish(&head, asked);
        let current = &head.config.config;
        let is_in_force = match self.writer {
            Writer::One(_) => desired.after(&head, &self.voters).is_none(),
            Writer::Many(_) => desired.is_set(current, &self.names()),
        };
        Ok((current.version, is_in_force))
    }

    /// Makes `desired` the log's configuration, if it is not.
    pub(crate) async fn set_config(
        &self,
        desired: &DesiredConfig,
        deadline: Instant,
    ) -> Result<(), OpenError> {
        let mut error = AppendError::OutcomeUnknown;
        for _ in 0..LONGEST_RACE {
            match self.put_config(desired, None, deadline).await? {
                Put::InForce(_) => return Ok(()),
                Put::Refused(conflict) => error = conflict,
            }
        }
        Err(not_configured(error))
    }

    /// The same in one try, and only over the version that is `expected`.
    pub(crate) async fn put_config(
        &self,
        desired: &DesiredConfig,
        expected: Option<ConfigVersion>,
        deadline: Instant,
    ) -> Result<Put<ConfigVersion>, OpenError> {
        desired.check(self.voters.len())?;
        let asked = self.heads.ask();
        let head = caught(self.reader.head()).await??;
        self.heads.publish(&head, asked);
        let current = head.config.config.version;
        let after = match self.writer {
            Writer::One(_) => desired.after(&head, &self.voters),
            Writer::Many(_) => Some(desired.of(current, self.voters.clone(), self.learners.clone())),
        };
        let Some(config) = after else { return Ok(Put::InForce(current)) };
        if let Some(expected) = expected.filter(|expected| *expected != current) {
            let version = |version: ConfigVersion| Version::new(u64::from(version.0));
            return Ok(Put::Refused(other_version(CONFIG, version(expected), version(current), head.tail)));
        }
        if let Writer::Many(handle) = &self.writer {
            return self.bring_to(handle, desired, config, deadline).await;
        }
        let commit = Commit::configure(self.identity.log, &config);
        Ok(match self.append(commit, None, deadline).await {
            Ok(_) => {
                tracing::info!(event = "config_written", store = %self.name, version = config.version.0, "wrote $config");
                Put::InForce(config.version)
            }
            Err(conflict @ (AppendError::VersionConflict { .. } | AppendError::IdConflict { .. })) => {
                Put::Refused(conflict)
            }
            Err(error) => return Err(not_configured(error)),
        })
    }

    /// With several sources the driver brings the log there, in steps that are each safe: members come and go one by one.
    /// Returns when the settings are in force; members may still be on their way.
    async fn bring_to(
        &self,
        handle: &Handle,
        desired: &DesiredConfig,
        config: Config,
        deadline: Instant,
    ) -> Result<Put<ConfigVersion>, OpenError> {
        handle.want(config).await;
        let names = self.names();
        let is_set = |head: &Head| {
            desired.is_set(&head.config.config, &names) && head.tail.position >= head.config.position
        };
        let (mut heads, deadline) = (self.heads.subscribe(), tokio::time::Instant::from_std(deadline));
        match tokio::time::timeout_at(deadline, heads.wait_for(is_set)).await {
            Ok(Ok(head)) => Ok(Put::InForce(head.config.config.version)),
            Ok(Err(_)) | Err(_) => Err(not_configured(AppendError::OutcomeUnknown)),
        }
    }

    fn names(&self) -> Vec<SourceName> {
        self.voters.iter().map(|voter| voter.name.clone()).collect()
    }

    /// Makes `policy` the log's policy, if it is not.
    pub(crate) async fn set_policy(&self, policy: Bytes, deadline: Instant) -> Result<(), AppendError> {
        let mut error = AppendError::OutcomeUnknown;
        for _ in 0..LONGEST_RACE {
            match self.put_policy(policy.clone(), None, deadline).await? {
                Put::InForce(_) => return Ok(()),
                Put::Refused(conflict) => error = conflict,
            }
        }
        Err(error)
    }

    /// The same in one try, and only over the version that is `expected`.
    pub(crate) async fn put_policy(
        &self,
        policy: Bytes,
        expected: Option<Version>,
        deadline: Instant,
    ) -> Result<Put<Version>, AppendError> {
        let (current, content) = self.read_policy().await?;
        if content.as_ref() == Some(&policy) {
            return Ok(Put::InForce(current));
        }
        if let Some(expected) = expected.filter(|expected| *expected != current) {
            return Ok(Put::Refused(other_version(POLICY, expected, current, self.heads.newest().tail)));
        }
        let version = current.next();
        let commit = Commit::set_policy(self.identity.log, version, policy.to_vec());
        Ok(match self.append(commit, None, deadline).await {
            Ok(_) => {
                tracing::info!(event = "policy_written", store = %self.name, %version, "wrote $policy");
                self.publish_policy(version, Some(policy));
                Put::InForce(version)
            }
            Err(conflict @ (AppendError::VersionConflict { .. } | AppendError::IdConflict { .. })) => {
                Put::Refused(conflict)
            }
            Err(error) => return Err(error),
        })
    }

    /// The last `$policy` and its version.
    pub(crate) async fn read_policy(&self) -> Result<(Version, Option<Bytes>), Failure> {
        let read = ReadStream {
            stream: StreamName::recorded(POLICY),
            from: Version::new(u64::MAX),
            backward: true,
            max_events: 1,
            max_bytes: usize::MAX,
        };
        let page = caught(self.reader.read_stream(Who::level(None), read)).await??;
        let last = page.events.into_iter().next();
        Ok(last.map_or((Version::ZERO, None), |last| (last.event.version, last.event.data)))
    }

    /// Tells everybody of a policy, unless a newer one is known.
    pub(crate) fn publish_policy(&self, version: Version, policy: Option<Bytes>) {
        let mut known = self.policy_version.lock();
        if version > *known {
            *known = version;
            self.policy.send_replace(policy);
        }
    }
}
