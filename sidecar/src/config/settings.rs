use polylog_crds::{
    event_store::{SourceRole, SourceState},
    replication_strategy::{
        Consistency as DeclaredConsistency, Divergence, FailoverMode, ReadPreference, StrategyType,
    },
    resolve::{MaxUnreplicatedAction, ResolvedSource, ResolvedStore, ResolvedStrategy},
    values::AckLevel,
};
use polylog_log::{Acks, EventType, Limits, Route, SourceName};
use polylog_replication::{Consistency, DesiredConfig, PrimaryWish, VerificationOptions};

use crate::hosted::ReadDefaults;
use crate::policy::{AccessRule, Account, PolicyDocument, Validation};

/// What a store's manifest says for its `$policy`.
pub(crate) fn policy_document(store: &ResolvedStore) -> PolicyDocument {
    let policy = &store.policy;
    let rules = policy.access.rules().iter().map(|rule| AccessRule {
        service_accounts: rule
            .service_accounts
            .iter()
            .map(|account| Account {
                namespace: Some(account.namespace.to_string()),
                name: account.name.to_string(),
            })
            .collect(),
        verbs: rule.verbs.clone(),
        categories: rule.categories.iter().map(ToString::to_string).collect(),
    });
    let schemas = policy.validation.schemas.0.iter();
    PolicyDocument {
        namespace: store.namespace.to_string(),
        access: Some(rules.collect()),
        validation: Validation {
            mode: policy.validation.mode,
            unknown_types: policy.validation.unknown_types,
        },
        schemas: schemas.map(|(name, schema)| (name.to_string(), schema.clone())).collect(),
        enrich: policy.enrich.clone(),
        redact: policy.redact.iter().map(ToString::to_string).collect(),
        limits: Limits {
            event_bytes: policy.limits.event_bytes.bytes(),
            metadata_bytes: policy.limits.metadata_bytes.bytes(),
            commit_events: u64::from(policy.limits.commit_events),
            commit_bytes: policy.limits.commit_bytes.bytes(),
        },
    }
}

/// What a store's strategy says for its `$config`.
pub(crate) fn desired_config(store: &ResolvedStore) -> DesiredConfig {
    let strategy = &store.strategy;
    let unreplicated = &strategy.failover.max_unreplicated;
    DesiredConfig {
        acks: match strategy.acks {
            AckLevel::Count(count) => Acks::Count(count.get()),
            AckLevel::Majority => Acks::Majority,
            AckLevel::All => Acks::All,
        },
        // it counts only with acks All
        min_in_sync: if strategy.acks == AckLevel::All { strategy.min_in_sync } else { 1 },
        failover: match strategy.failover.mode {
            FailoverMode::Never => polylog_log::Failover::Never,
            FailoverMode::Manual => polylog_log::Failover::Manual,
            FailoverMode::Automatic => polylog_log::Failover::Automatic,
        },
        divergence: match strategy.divergence {
            Divergence::Quarantine => polylog_log::Divergence::Quarantine,
            Divergence::ReplayIfClean => polylog_log::Divergence::ReplayIfClean,
        },
        order: order(store),
        max_unreplicated_events: (unreplicated.action == MaxUnreplicatedAction::Refuse)
            .then_some(unreplicated.events),
        routes: strategy.routes.iter().map(route).collect(),
        default_route: strategy.default_route.as_ref().map(|name| SourceName::recorded(name.as_str())),
    }
}

fn route(declared: &polylog_crds::replication_strategy::Route) -> Route {
    Route {
        types: declared.types.iter().flatten().map(|name| EventType::recorded(name.as_str())).collect(),
        when: declared.when.as_ref().map(ToString::to_string),
        source: SourceName::recorded(declared.source.as_str()),
    }
}

/// How a store's sources are verified.
pub(crate) fn verification(store: &ResolvedStore) -> VerificationOptions {
    let declared = store.verification;
    VerificationOptions { cycle: declared.cycle.as_std(), reads_per_second: declared.max_reads_per_second }
}

/// Whether a store's log is opened with whatever voters answer.
pub(crate) fn opens_minority(strategy: &ResolvedStrategy) -> bool {
    strategy.type_ == StrategyType::BestEffort && strategy.failover.mode == FailoverMode::Automatic
}

/// The source that should be primary, where the manifest names one, and those that should not.
pub(crate) fn primary_wish(store: &ResolvedStore) -> PrimaryWish {
    let is_avoided =
        |source: &&ResolvedSource| source.state != SourceState::Active || source.role == SourceRole::Learner;
    let avoided = store.sources.iter().filter(is_avoided);
    PrimaryWish {
        wanted: store.primary.as_ref().map(|name| SourceName::recorded(name.as_str())),
        avoided: avoided.map(|source| SourceName::recorded(source.name.as_str())).collect(),
    }
}

/// The sources that only follow: by their role, or because they are about to be removed and vote no more.
pub(crate) fn followers(store: &ResolvedStore) -> Vec<SourceName> {
    let follows = |source: &&ResolvedSource| {
        source.role == SourceRole::Learner || source.state == SourceState::Draining
    };
    let followers = store.sources.iter().filter(follows);
    followers.map(|source| SourceName::recorded(source.name.as_str())).collect()
}

/// The voters of the log as they are preferred as primary: those that are under maintenance, or about to leave, last.
fn order(store: &ResolvedStore) -> Vec<SourceName> {
    let of_log = |name: &polylog_crds::values::SourceName| {
        let source = store.sources.iter().find(|source| source.name == *name)?;
        (source.provisioned && source.role == SourceRole::Voter).then_some(source)
    };
    let mut sources: Vec<_> = store.strategy.order.iter().filter_map(of_log).collect();
    sources.sort_by_key(|source| source.state != SourceState::Active);
    sources.into_iter().map(|source| SourceName::recorded(source.name.as_str())).collect()
}

/// What a store's strategy says of reads that do not say it themselves.
pub(crate) fn read_defaults(store: &ResolvedStore) -> ReadDefaults {
    let reads = &store.strategy.reads;
    ReadDefaults {
        consistency: match reads.consistency {
            DeclaredConsistency::Strong => Consistency::Strong,
            DeclaredConsistency::Session => Consistency::Session,
            DeclaredConsistency::Bounded => Consistency::Bounded,
            DeclaredConsistency::Eventual => Consistency::Eventual,
        },
        wait: reads.wait.as_std(),
        max_lag_events: reads.max_lag_events,
        max_lag: reads.max_lag.as_std(),
        prefers_primary: reads.prefer == ReadPreference::Primary,
    }
}
