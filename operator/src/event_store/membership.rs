//! Which sources belong to the log, and which of them vote. Pure.

use std::collections::{BTreeMap, BTreeSet};

use polylog_crds::{
    event_store::{EventStoreStatus, SourceRole, SourceState, SourceSyncState},
    resolve::{ResolvedSource, ResolvedStore},
    validate::FindingCode,
};
use polylog_log::{DatabaseId, Identity, Incarnation};

use super::refusal::{Reason, Refusal};
use crate::pods::PodCounts;

/// A source of the log, as sidecars and the gateway are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) source: String,
    /// Its database, and the adoption of it that counts, once they were seen.
    pub(crate) database: Option<(DatabaseId, Incarnation)>,
    /// It is filled, and does not vote.
    pub(crate) follows: Option<Follows>,
}

/// Why a source does not vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Pods that are older than it cannot reach it.
    NotYet,
    /// It is about to be removed.
    Draining,
    /// That is its role.
    Learner,
}

/// What was written down of a store's sources before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Before {
    /// Whether the store has a log.
    pub(crate) has_log: bool,
    /// Sources that hold it.
    pub(crate) provisioned: BTreeSet<String>,
    /// Those of them that vote, as the gateway saw it last.
    pub(crate) voters: BTreeSet<String>,
}

impl Before {
    pub(crate) fn of(status: Option<&EventStoreStatus>) -> Self {
        let Some(status) = status else { return Self::default() };
        let sources = status.sources.iter().flatten();
        let there = sources
            .filter(|source| source.database_id.is_some() && source.state != SourceSyncState::Unprovisioned);
        let name = |source: &polylog_crds::event_store::SourceStatus| source.name.as_str().to_owned();
        Self {
            has_log: status.store_id.is_some(),
            provisioned: there.clone().map(name).collect(),
            voters: there.filter(|source| source.role == SourceRole::Voter).map(name).collect(),
        }
    }
}

/// The sources of the log that a store is to have.
fn sources(store: &ResolvedStore) -> impl Iterator<Item = &ResolvedSource> {
    store.sources.iter().filter(|source| source.provisioned)
}

/// Whether several sources hold the log, or are to.
pub(crate) fn are_several(store: &ResolvedStore) -> bool {
    sources(store).count() > 1
}

/// Whether a source that comes may vote as far as pods are concerned: a sidecar that cannot reach it could not append.
pub(crate) fn may_vote(pods: &PodCounts) -> bool {
    !pods.is_partial && pods.restart_needed == 0 && pods.outdated == 0
}

/// Sources of the log that the manifest lacks. One that votes may be the primary, or hold what no other has yet: it leaves in
/// two steps.
pub(crate) fn check_kept(store: &ResolvedStore, before: &Before) -> Result<(), Refusal> {
    // a source that holds the log alone may have another name
    if before.provisioned.len() < 2 && !are_several(store) {
        return Ok(());
    }
    let kept: BTreeSet<&str> = sources(store).map(|source| source.name.as_str()).collect();
    let gone: Vec<&str> =
        before.voters.iter().map(String::as_str).filter(|name| !kept.contains(name)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let message = format!(
        "spec.sources: {names} votes in the log, and the manifest has no voter of this name: put it back with state: Draining, \
         and remove it once its role in status.sources is Learner",
        names = gone.join(", ")
    );
    Err(Refusal::new(Reason::Found(FindingCode::InvalidValue), message))
}

/// What is told of each source; nothing where one holds the log alone.
pub(crate) fn memberships(
    store: &ResolvedStore,
    before: &Before,
    pods: &PodCounts,
    identities: &BTreeMap<String, Identity>,
) -> Vec<Membership> {
    if !are_several(store) {
        return Vec::new();
    }
    let membership = |source: &ResolvedSource| {
        let name = source.name.as_str();
        // a log begins with all of its sources: no pod uses it yet
        let may_vote = !before.has_log || before.voters.contains(name) || may_vote(pods);
        let identity = identities.get(name);
        Membership {
            source: name.to_owned(),
            database: identity.map(|identity| (identity.database, identity.incarnation)),
            follows: match (source.state, source.role) {
                (SourceState::Draining, _) => Some(Follows::Draining),
                (_, SourceRole::Learner) => Some(Follows::Learner),
                _ => (!may_vote).then_some(Follows::NotYet),
            },
        }
    };
    sources(store).map(membership).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_store::{testing, validate::validated};

    fn store(names: &[&str]) -> ResolvedStore {
        let source = |name: &&str| {
            format!("{{name: {name}, connection: {{secretRef: {{name: db}}}}, postgres: {{schema: {name}}}}}")
        };
        let sources: Vec<String> = names.iter().map(source).collect();
        let (key, found) = testing::dereferenced(&format!("sources: [{}]", sources.join(", ")));
        validated(&key, &found).expect("right").store
    }

    fn before(provisioned: &[&str], voters: &[&str]) -> Before {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Before { has_log: true, provisioned: set(provisioned), voters: set(voters) }
    }

    fn following(store: &ResolvedStore, before: &Before, pods: &PodCounts) -> Vec<String> {
        let all = memberships(store, before, pods, &BTreeMap::new());
        all.into_iter().filter(|one| one.follows.is_some()).map(|one| one.source).collect()
    }

    #[test]
    fn a_source_that_comes_votes_once_every_pod_can_reach_it() {
        let (current, old) = (PodCounts::default(), PodCounts { restart_needed: 2, ..PodCounts::default() });
        let outdated = PodCounts { outdated: 1, ..PodCounts::default() };
        let unseen = PodCounts { is_partial: true, ..PodCounts::default() };
        let three = store(&["a", "b", "c"]);
        assert!(following(&three, &Before::default(), &old).is_empty(), "a new log");
        let alone = before(&["a"], &["a"]);
        assert_eq!(following(&three, &alone, &old), ["b", "c"]);
        assert_eq!(following(&three, &alone, &outdated), ["b", "c"]);
        assert_eq!(following(&three, &alone, &unseen), ["b", "c"], "an operator that has just begun");
        assert!(following(&three, &alone, &current).is_empty());
        // one that votes goes on to, whatever pods come later
        assert_eq!(following(&three, &before(&["a", "b", "c"], &["a", "b"]), &old), ["c"]);
        assert!(memberships(&store(&["a"]), &alone, &old, &BTreeMap::new()).is_empty());
    }

    #[test]
    fn a_source_is_taken_away_once_it_votes_no_more() {
        let kept = before(&["a", "b"], &["a", "b"]);
        assert_eq!(check_kept(&store(&["a", "b", "c"]), &kept), Ok(()));
        assert_eq!(check_kept(&store(&["renamed"]), &before(&["a"], &["a"])), Ok(()));
        let refusal = check_kept(&store(&["b", "c"]), &kept).expect_err("a is gone");
        assert_eq!(refusal.reason.to_string(), "InvalidValue");
        assert!(refusal.message.contains("state: Draining") && refusal.is_invalid(), "{}", refusal.message);
        assert_eq!(check_kept(&store(&["b", "c"]), &before(&["a", "b"], &["b"])), Ok(()));
    }

    #[test]
    fn a_source_that_drains_follows_and_one_under_maintenance_votes() {
        let mut three = store(&["a", "b", "c"]);
        three.sources[0].state = SourceState::Draining;
        three.sources[1].state = SourceState::Maintenance;
        let all = before(&["a", "b", "c"], &["a", "b", "c"]);
        let follows: Vec<_> = memberships(&three, &all, &PodCounts::default(), &BTreeMap::new())
            .into_iter()
            .map(|one| one.follows)
            .collect();
        assert_eq!(follows, [Some(Follows::Draining), None, None]);
    }
}
