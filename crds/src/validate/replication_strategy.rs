//! ReplicationStrategies, by themselves and for the stores that use them.

use super::at;
use super::capabilities::{Capabilities, Feature, Support};
use super::expressions;
use super::finding::{About, Finding, FindingCode, Kind};
use crate::event_store::{EventStoreSpec, SourceRole, SourceState};
use crate::manifests::{Manifests, ObjectKey};
use crate::replication_strategy::{
    Divergence, FailoverMode, ReadPreference, ReplicationStrategySpec, StrategyType,
};
use crate::resolve::ResolvedStrategy;
use crate::resolve::{provisioned, source_names, voter_count};
use crate::values::{AckLevel, Duration, SourceName};

/// No request takes longer.
const LONGEST_ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Variables of a route's condition: what is known of an event without its data.
const ROUTE_VARIABLES: [&str; 4] = ["type", "stream", "category", "metadata"];

/// What is wrong with a strategy whichever store uses it.
pub(super) fn check(
    manifests: &Manifests,
    key: &ObjectKey,
    capabilities: &Capabilities,
    findings: &mut Vec<Finding>,
) {
    let Some(loaded) = manifests.strategies.get(key) else { return };
    let spec = &loaded.object.spec;
    let mut about = About { kind: Kind::ReplicationStrategy, object: key.clone(), findings };
    if spec.type_ == StrategyType::EventTypePartitioning
        && capabilities.support(Feature::EventTypePartitioning) != Support::Works
    {
        let message = format!("{} of this version cannot partition by event type", capabilities.program);
        about.refuse(at(["type"]), FindingCode::NotSupported, message);
    }
    for (index, route) in spec.routes.iter().flatten().enumerate() {
        let problem = route.when.as_ref().and_then(|when| expressions::problem(when, &ROUTE_VARIABLES));
        if let Some(message) = problem {
            about.refuse(at(["routes"]).item(index).field("when"), FindingCode::InvalidExpression, message);
        }
    }
    let failover = spec.failover.as_ref();
    for (path, duration) in [
        (at(["ackTimeout"]), spec.ack_timeout),
        (at(["failover", "after"]), failover.and_then(|failover| failover.after)),
    ] {
        if duration.is_some_and(Duration::is_zero) {
            about.refuse(path, FindingCode::InvalidValue, "must be longer than nothing");
        }
    }
    if let Some(timeout) = spec.ack_timeout.filter(|timeout| *timeout > LONGEST_ACK_TIMEOUT) {
        let message = format!(
            "is {timeout}; it may be more than 0s and up to {LONGEST_ACK_TIMEOUT}, the longest that a request takes"
        );
        about.refuse(at(["ackTimeout"]), FindingCode::InvalidValue, message);
    }
    let limit = failover.and_then(|failover| failover.max_unreplicated.as_ref());
    if limit.and_then(|limit| limit.bytes).is_some_and(|bytes| bytes.bytes() == 0) {
        let path = at(["failover", "maxUnreplicated", "bytes"]);
        about.refuse(path, FindingCode::InvalidValue, "nothing could be appended");
    } else if limit.is_some_and(|limit| limit.bytes.is_some()) {
        let path = at(["failover", "maxUnreplicated", "bytes"]);
        about.feature(capabilities, Feature::UnreplicatedBytes, path);
    }
    if spec.reads.as_ref().and_then(|reads| reads.prefer) == Some(ReadPreference::Local) {
        about.feature(capabilities, Feature::ReadLocally, at(["reads", "prefer"]));
    }
}

/// What is wrong with a store and its strategy together. Findings about the strategy name the store.
pub(super) fn check_store(
    manifests: &Manifests,
    key: &ObjectKey,
    store: &EventStoreSpec,
    capabilities: &Capabilities,
    about: &mut About<'_>,
) {
    let names = source_names(store);
    let voters = voter_count(store);
    let mut resolved = ResolvedStrategy::default_for(&names, voters);
    if let Some(reference) = &store.strategy_ref {
        let strategy_key = ObjectKey { namespace: key.namespace.clone(), name: reference.name.clone() };
        match manifests.strategies.get(&strategy_key) {
            None => {
                let message = format!("there is no ReplicationStrategy {strategy_key}");
                about.refuse(at(["strategyRef", "name"]), FindingCode::InvalidReference, message);
            }
            Some(strategy) => {
                let spec = &strategy.object.spec;
                resolved = ResolvedStrategy::resolve(Some(reference.name.clone()), spec, &names, voters);
                let about =
                    About { kind: Kind::ReplicationStrategy, object: strategy_key, findings: about.findings };
                Pair {
                    store_key: key,
                    spec,
                    resolved: &resolved,
                    names: &names,
                    voters,
                    capabilities,
                    about,
                }
                .check();
            }
        }
    }
    check_keepers(store, &resolved, about);
    check_placement(store, &resolved, capabilities, about);
}

/// Sources that routes name: what one of them keeps is in no other.
fn check_keepers(store: &EventStoreSpec, strategy: &ResolvedStrategy, about: &mut About<'_>) {
    let named = |name: &SourceName| {
        let routes = strategy.routes.iter().map(|route| &route.source);
        routes.chain(&strategy.default_route).any(|source| source == name)
    };
    for (index, source) in store.sources.iter().enumerate().filter(|(_, source)| named(&source.name)) {
        let path = at(["sources"]).item(index);
        if source.state == Some(SourceState::Draining) {
            let message = "routes of its strategy name it: it keeps data that no other source has";
            about.refuse(path.field("state"), FindingCode::InvalidValue, message);
        } else if source.effective_role() != SourceRole::Voter {
            let message = "routes of its strategy name it: a source that keeps data has to be a voter";
            about.refuse(path.field("role"), FindingCode::InvalidValue, message);
        }
    }
}

/// Which sources are part of the log, and whether the wanted primary is one of them.
fn check_placement(
    store: &EventStoreSpec,
    strategy: &ResolvedStrategy,
    capabilities: &Capabilities,
    about: &mut About<'_>,
) {
    let provisioned = provisioned(&store.sources, &strategy.order, capabilities.voters);
    let has_voters = store.sources.iter().any(|source| source.effective_role() == SourceRole::Voter);
    if has_voters && voter_count(store) == 0 {
        let message = "every voter is Draining: nobody would keep the log; let one be Active";
        about.refuse(at(["sources"]), FindingCode::InvalidValue, message);
    }
    let wanted = store.sources.iter().find(|source| Some(&source.name) == store.primary.as_ref());
    if let Some(state) = wanted.and_then(|source| source.state).filter(|state| *state != SourceState::Active)
    {
        let message = format!("its state is {state:?}: it cannot be the primary; name another, or none");
        about.refuse(at(["primary"]), FindingCode::InvalidValue, message);
    }
    for (index, source) in store.sources.iter().enumerate() {
        if !provisioned.contains(&source.name) {
            let path = at(["sources"]).item(index);
            about.warn(path, FindingCode::Unprovisioned, "replication: not in this version");
        }
    }
    if let Some(primary) = &store.primary
        && provisioned.first() != Some(primary)
        && (capabilities.support(Feature::PlannedSwitch) != Support::Works || capabilities.voters < 2)
    {
        let first = provisioned.first().map_or("none", SourceName::as_str);
        let message = format!(
            "this version cannot switch the primary from the first voter of the order, which is {first}; remove the \
             field or change the order"
        );
        about.refuse(at(["primary"]), FindingCode::NotSupported, message);
    }
}

struct Pair<'check> {
    store_key: &'check ObjectKey,
    spec: &'check ReplicationStrategySpec,
    resolved: &'check ResolvedStrategy,
    names: &'check [SourceName],
    voters: usize,
    capabilities: &'check Capabilities,
    about: About<'check>,
}

impl Pair<'_> {
    fn check(&mut self) {
        self.names();
        self.acks();
        self.min_in_sync();
        self.failover();
        self.later();
    }

    /// What only matters with several voters, and is not in every version.
    fn later(&mut self) {
        let voters = self.voters.min(self.capabilities.voters);
        let is_missing = |feature| voters > 1 && self.capabilities.support(feature) != Support::Works;
        let program = self.capabilities.program;
        if self.spec.type_ == StrategyType::BestEffort && is_missing(Feature::BestEffort) {
            let message =
                format!("{program} of this version has no BestEffort for a store with several voters");
            self.about.refuse(at(["type"]), FindingCode::NotSupported, message);
        } else if self.resolved.divergence == Divergence::ReplayIfClean && is_missing(Feature::ReplayIfClean)
        {
            let message =
                format!("{program} of this version replays nothing from quarantine; take Quarantine");
            self.about.refuse(at(["divergence"]), FindingCode::NotSupported, message);
        }
    }

    fn names(&mut self) {
        let mut named = Vec::new();
        for (index, name) in self.spec.order.iter().flatten().enumerate() {
            named.push((name, at(["order"]).item(index)));
        }
        for (index, route) in self.spec.routes.iter().flatten().enumerate() {
            named.push((&route.source, at(["routes"]).item(index).field("source")));
        }
        named.extend(self.spec.default_route.as_ref().map(|name| (name, at(["defaultRoute"]))));
        for (name, path) in named {
            if !self.names.contains(name) {
                let message = format!("EventStore {} has no source {name}", self.store_key);
                self.about.refuse(path, FindingCode::InvalidReference, message);
            }
        }
    }

    fn acks(&mut self) {
        let acks = self.resolved.acks;
        let required = acks.required(self.voters);
        let path = if self.spec.acks.is_some() { at(["acks"]) } else { at(["type"]) };
        let (store, voters) = (self.store_key, self.voters);
        if required > voters {
            let message = format!("acks {acks} needs {required} voters, but EventStore {store} has {voters}");
            self.about.refuse(path, FindingCode::InvalidValue, message);
        } else if required > self.capabilities.voters {
            let message = format!(
                "acks {acks} needs {required} voters of EventStore {store}, but this version keeps one copy \
                 (replication: not in this version)"
            );
            self.about.refuse(path, FindingCode::NotSupported, message);
        }
    }

    fn min_in_sync(&mut self) {
        let Some(min_in_sync) = self.spec.min_in_sync else { return };
        let (store, voters) = (self.store_key, self.voters);
        let path = at(["minInSync"]);
        let majority = AckLevel::Majority.required(voters);
        if self.resolved.acks != AckLevel::All {
            self.about.warn(path, FindingCode::NoEffect, "counts only with acks All");
        } else if usize::from(min_in_sync) > voters {
            let message = format!("is {min_in_sync}, but EventStore {store} has {voters} voters");
            self.about.refuse(path, FindingCode::InvalidValue, message);
        } else if usize::from(min_in_sync) < majority {
            let message = format!(
                "is {min_in_sync}, less than the majority of EventStore {store}, which is {majority}"
            );
            self.about.refuse(path, FindingCode::InvalidValue, message);
        }
    }

    fn failover(&mut self) {
        if self.resolved.failover.mode != FailoverMode::Automatic {
            let after = self.spec.failover.as_ref().and_then(|failover| failover.after);
            if after.is_some_and(|after| !after.is_zero()) {
                let message = "counts only with Automatic failover";
                self.about.warn(at(["failover", "after"]), FindingCode::NoEffect, message);
            }
            return;
        }
        let declared = self.spec.failover.as_ref().is_some_and(|failover| failover.mode.is_some());
        let path = if declared { at(["failover", "mode"]) } else { at(["type"]) };
        let (store, voters) = (self.store_key, self.voters);
        if self.spec.type_ != StrategyType::BestEffort && voters < 3 {
            let message = format!(
                "Automatic needs 3 voters to elect a primary, but EventStore {store} has {voters}; take Manual"
            );
            self.about.refuse(path, FindingCode::InvalidValue, message);
        } else if voters.min(self.capabilities.voters) < 2 {
            let message = format!(
                "Automatic failover of EventStore {store} needs a second copy to fail over to, but this version keeps \
                 one (replication: not in this version); set failover.mode to Manual or Never"
            );
            self.about.refuse(path, FindingCode::NotSupported, message);
        }
    }
}
