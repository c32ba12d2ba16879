//! A mounted store on its way to being open.

use std::sync::Arc;

use polylog_crds::{replication_strategy::StrategyType, resolve::ResolvedStore};
use polylog_log::{Acks, Failover, Source, SourceName};
use polylog_replication::{DesiredConfig, StoreOptions, Unopened};

use super::{
    hindrance::Hindrance,
    meaning::{Meaning, policy_of},
    members::Members,
    stores::{Desired, Shared},
};
use crate::{
    config::{desired_config, followers, opens_minority, primary_wish, verification},
    pipeline::check_routes,
};

/// It stays the same between tries: an election, or one that somebody forces, may take longer.
pub(super) struct Opening {
    pub(super) unopened: Unopened,
    pub(super) members: Members,
    /// What is brought into the log, or found there.
    pub(super) meaning: Meaning,
    pub(super) wanted: Arc<Desired>,
    /// Sources that do not vote yet.
    pub(super) learners: Vec<SourceName>,
}

impl Opening {
    /// Begins to open the store over these sources.
    pub(super) async fn begin(
        shared: &Shared,
        wanted: &Arc<Desired>,
        members: Members,
    ) -> Result<Self, Hindrance> {
        let declared = &wanted.mounted.store;
        let name = declared.name.to_string();
        let learners = learners(wanted, &members);
        let config = config_for(declared, members.names().len() - learners.len());
        check_routes(&config.routes).map_err(Hindrance::mounted)?;
        let policy = policy_of(declared);
        let mut replicas = members.replicas(&name, &shared.server.metrics).into_iter();
        let (Some(first), Some(source)) = (replicas.next(), members.first()) else {
            return Err(Hindrance::mounted("the store has no source"));
        };
        let meaning = Meaning::of(config.clone(), policy.clone());
        let may_open = shared.role.may_open();
        let options = StoreOptions {
            config,
            policy: may_open.then_some(policy),
            // the manifest's are in the policy, which the log says
            limits: source.limits(),
            ack_timeout: declared.strategy.ack_timeout.as_std(),
            failover_after: declared.strategy.failover.after.as_std(),
            opens_minority: opens_minority(&declared.strategy),
            primary: primary_wish(declared),
            duties: shared.role.duties(),
            may_open,
            verification: Some(verification(declared)),
            others: replicas.collect(),
            learners: learners.clone(),
            ..StoreOptions::new(&name, first.name, first.source, first.identity)
        };
        let unopened = Unopened::begin(options).await?;
        Ok(Self { unopened, members, meaning, wanted: wanted.clone(), learners })
    }
}

/// The sources that do not vote: not yet, or no more.
pub(super) fn learners(wanted: &Desired, members: &Members) -> Vec<SourceName> {
    let followers = followers(&wanted.mounted.store);
    let follows = |name: &SourceName| {
        let is_told = wanted.mounted.members.get(name.as_str()).is_some_and(|membership| membership.follows);
        is_told || followers.contains(name)
    };
    members.names().into_iter().filter(follows).collect()
}

/// What the manifest says for `$config`, as far as so many voters can do it: those that come later bring the rest.
pub(super) fn config_for(declared: &ResolvedStore, voters: usize) -> DesiredConfig {
    let config = desired_config(declared);
    let most = u8::try_from(voters).unwrap_or(u8::MAX);
    DesiredConfig {
        acks: match config.acks {
            Acks::Count(count) => Acks::Count(count.min(most)),
            other => other,
        },
        min_in_sync: config.min_in_sync.min(most),
        failover: match config.failover {
            Failover::Automatic if voters < 3 && declared.strategy.type_ != StrategyType::BestEffort => {
                Failover::Manual
            }
            other => other,
        },
        ..config
    }
}
