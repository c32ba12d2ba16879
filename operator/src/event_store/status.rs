//! What is reported about a store. Pure.

use jiff::Timestamp;
use polylog_crds::{
    ObjectRef,
    event_store::{
        ConsistencyStatus, EventStoreStatus, PlanPhase, PlanStatus, PlanStep, PodsStatus, ProvisioningMode,
        SourceRole, SourceState, SourceStatus, SourceSyncState, StalledAt, StatusSummary, StepClass,
        StrategyStatus,
    },
    resolve::{ResolvedSource, ResolvedStore},
    values::SourceName,
};
use polylog_log::StepClass as LogStepClass;

use super::{
    budget::Pools,
    conditions,
    gateway::{Seen, SeenSource, SeenVerified},
    membership::{Follows, Membership},
    provision::Progress,
    refusal::Refusal,
    validate::shortened,
};
use crate::{names, pods::PodCounts};

/// Steps that a status shows.
const MOST_STEPS: usize = 20;
/// Characters of a step that a status shows.
const LONGEST_STEP: usize = 256;
/// Characters of what is said of a source.
const LONGEST_MESSAGE: usize = 1024;

/// What came of the last look at a store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Judged {
    /// Something stands in the way; of the store no more may be known than before.
    Refused(Refusal),
    /// It can be served; its databases were not looked at, since somebody else provisions and keeps the credentials.
    Blind(Known),
    /// Its databases were looked at.
    Looked(Known, Progress),
}

/// A store that can be served, as far as its status needs it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    /// Who vouches for its gateway, in PEM, as far as that is known.
    pub(crate) authorities: Option<String>,
    pub(crate) store: ResolvedStore,
    pub(crate) warnings: Vec<String>,
    pub(crate) strategy_generation: Option<i64>,
    /// What sidecars and gateway are told of its sources, where there are several.
    pub(crate) members: Vec<Membership>,
    /// How many connections its processes may have.
    pub(crate) pools: Pools,
}

impl Judged {
    /// Whether sources wait until they may vote.
    pub(crate) fn has_followers(&self) -> bool {
        match self {
            Judged::Refused(_) => false,
            Judged::Blind(known) | Judged::Looked(known, _) => {
                known.members.iter().any(|member| member.follows == Some(Follows::NotYet))
            }
        }
    }
}

/// Everything that a status is made of.
pub(crate) struct Facts<'a> {
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) generation: Option<i64>,
    pub(crate) judged: &'a Judged,
    pub(crate) gateway: &'a Seen,
    pub(crate) pods: &'a PodCounts,
    pub(crate) previous: Option<&'a EventStoreStatus>,
    pub(crate) now: Timestamp,
}

impl Facts<'_> {
    pub(crate) fn known(&self) -> Option<&Known> {
        match self.judged {
            Judged::Refused(_) => None,
            Judged::Blind(known) | Judged::Looked(known, _) => Some(known),
        }
    }

    pub(crate) fn progress(&self) -> Option<&Progress> {
        match self.judged {
            Judged::Looked(_, progress) => Some(progress),
            Judged::Refused(_) | Judged::Blind(_) => None,
        }
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self.judged {
            Judged::Refused(refusal) => Some(refusal),
            Judged::Blind(_) | Judged::Looked(..) => None,
        }
    }
}

/// The whole status.
pub(crate) fn status(facts: &Facts<'_>) -> EventStoreStatus {
    let previous = facts.previous.cloned().unwrap_or_default();
    let log = facts.progress().and_then(|progress| progress.log);
    let sources = facts.known().map(|known| sources(facts, known)).or_else(|| kept(facts, previous.sources));
    EventStoreStatus {
        observed_generation: facts.generation,
        store_id: log.map(|log| log.to_string()).or(previous.store_id),
        primary: primary(facts).or(previous.primary),
        term: facts.gateway.term().or(previous.term),
        position: facts.gateway.position().or(previous.position),
        endpoint: facts.known().map(|_| polylog_injection::names::gateway(facts.namespace, facts.name)),
        gateway_authority: facts
            .known()
            .and_then(|known| known.authorities.clone())
            .or(previous.gateway_authority),
        summary: Some(summary(sources.as_deref().unwrap_or_default(), facts)),
        strategy: facts.known().map(strategy).or(previous.strategy),
        sources,
        consistency: consistency(facts),
        pods: Some(pods(facts.pods)),
        plan: Some(plan(facts, previous.plan)),
        conditions: Some(conditions::conditions(facts, previous.conditions.unwrap_or_default())),
    }
}

/// With one copy it is the first voter, once the gateway has opened the log there; with several the gateway says it.
fn primary(facts: &Facts<'_>) -> Option<SourceName> {
    let known = facts.known()?;
    let Seen::Answered { is_open: true, primary, .. } = facts.gateway else { return None };
    match known.members.is_empty() {
        true => known.store.first_primary().map(|source| source.name.clone()),
        false => primary.as_ref()?.parse().ok(),
    }
}

fn strategy(known: &Known) -> StrategyStatus {
    let strategy = &known.store.strategy;
    StrategyStatus {
        name: strategy.name.as_ref().map(|name| name.as_str().to_owned()),
        type_: strategy.type_,
        generation: known.strategy_generation,
        acks: strategy.acks,
        failover: strategy.failover.mode,
    }
}

fn sources(facts: &Facts<'_>, known: &Known) -> Vec<SourceStatus> {
    known.store.sources.iter().map(|source| self::source(facts, known, source)).collect()
}

/// What was told of the sources of a store that has an obstacle. A head that a newer version raised is seen all the same.
fn kept(facts: &Facts<'_>, before: Option<Vec<SourceStatus>>) -> Option<Vec<SourceStatus>> {
    let mut sources = before?;
    let raised = facts.refusal().and_then(|refusal| refusal.found_format);
    if let ([only], Some(found)) = (&mut sources[..], raised) {
        only.format_version = Some(found);
    }
    Some(sources)
}

fn source(facts: &Facts<'_>, known: &Known, source: &ResolvedSource) -> SourceStatus {
    let name = source.name.as_str();
    let looked = facts.progress().and_then(|progress| progress.sources.iter().find(|one| one.source == name));
    let before = facts.previous.and_then(|previous| previous.sources.as_ref());
    let before = before.and_then(|before| before.iter().find(|before| before.name == source.name));
    let follows = known.members.iter().find(|member| member.source == name).and_then(|member| member.follows);
    let seen = facts.gateway.source(name);
    // the log says who votes, once there is somebody who has read it
    let votes = seen.and_then(|seen| seen.votes).unwrap_or(match follows {
        None => true,
        Some(Follows::NotYet | Follows::Learner) => false,
        Some(Follows::Draining) => before.is_none_or(|before| before.role == SourceRole::Voter),
    });
    let in_maintenance = source.state == SourceState::Maintenance;
    let is_missing = looked.is_some_and(|one| one.identity.is_none() && one.failure.is_none());
    let (state, message) = match seen {
        _ if !source.provisioned => {
            (SourceSyncState::Unprovisioned, Some("this version keeps fewer copies of a log".to_owned()))
        }
        Some(SeenSource { is_up: false, .. }) if !in_maintenance => {
            (SourceSyncState::Unreachable, Some("the gateway gets no answer".to_owned()))
        }
        _ if is_missing => (SourceSyncState::Unprovisioned, None),
        _ if in_maintenance => (SourceSyncState::Maintenance, None),
        // the only copy has everything
        _ if known.members.is_empty() => (SourceSyncState::InSync, None),
        Some(SeenSource { stalled: Some(_), .. }) => (SourceSyncState::Stalled, None),
        Some(SeenSource { lag_events: Some(0), .. }) => (SourceSyncState::InSync, None),
        Some(_) if follows == Some(Follows::NotYet) => (SourceSyncState::Syncing, None),
        Some(_) => (SourceSyncState::Lagging, None),
        // nobody says how far it is
        None => (before.map_or(SourceSyncState::Syncing, |before| before.state), None),
    };
    let failure = looked.and_then(|one| one.failure.as_ref().or(one.shut.as_ref()));
    let said = |failure: &Refusal| failure.message.chars().take(LONGEST_MESSAGE).collect();
    // what somebody has to do is said first
    let unusable = failure.filter(|failure| failure.is_invalid()).map(said);
    let waits = match (follows, votes) {
        (Some(Follows::NotYet), _) => {
            Some("it follows, and votes once every pod was restarted that cannot reach it".to_owned())
        }
        (Some(Follows::Draining), true) => Some("it is about to be removed, and votes still".to_owned()),
        (Some(Follows::Draining), false) => Some("it votes no more, and may be removed".to_owned()),
        (Some(Follows::Learner), true) => Some("it is about to follow only, and votes still".to_owned()),
        (Some(Follows::Learner), false) | (None, _) => None,
    };
    let lag_events = seen.and_then(|seen| seen.lag_events);
    let end = facts.gateway.position();
    let position = match state {
        SourceSyncState::InSync => end,
        SourceSyncState::Lagging | SourceSyncState::Syncing | SourceSyncState::Stalled => {
            end.zip(lag_events).map(|(end, lag)| end.saturating_sub(lag))
        }
        _ => None,
    };
    // what was seen of its database stays true while it does not answer
    let database_id = looked.and_then(|one| one.identity).map(|identity| identity.database.to_string());
    let is_silent = looked.is_none_or(|one| one.failure.is_some());
    let before = before.filter(|_| is_silent && source.provisioned);
    SourceStatus {
        name: source.name.clone(),
        role: if votes { source.role } else { SourceRole::Learner },
        state,
        position,
        lag_events,
        lag_seconds: seen.and_then(|seen| seen.lag_seconds),
        format_version: looked.and_then(|one| one.format).or_else(|| before?.format_version),
        database_id: database_id.or_else(|| before.and_then(|before| before.database_id.clone())),
        stalled: seen
            .and_then(|seen| seen.stalled)
            .map(|position| StalledAt { position, reason: stalled(facts) }),
        quarantined: seen.and_then(|seen| seen.quarantined),
        message: unusable.or(message).or(waits).or(failure.map(said)),
    }
}

/// How to see why. The database's words may hold data of events, which not everybody may read who may read a status.
fn stalled(facts: &Facts<'_>) -> String {
    let (namespace, name, instance) = (facts.namespace, facts.name, names::INSTANCE);
    let (label, gateway) = names::GATEWAY;
    format!(
        "the database does not take it; its words: kubectl logs --namespace {namespace} --selector \
         {label}={gateway},{instance}={name} --tail -1 | grep source_stalled"
    )
}

/// What nobody measured is left empty.
fn summary(sources: &[SourceStatus], facts: &Facts<'_>) -> StatusSummary {
    let pods = facts.pods;
    let in_sync = sources.iter().filter(|source| source.state == SourceSyncState::InSync).count();
    let lag = sources.iter().filter_map(|source| source.lag_events).max();
    StatusSummary {
        sources: format!("{in_sync}/{}", sources.len()),
        lag: lag.map(|lag| lag.to_string()).unwrap_or_default(),
        // a share of what was not read says nothing
        consistent: match consistency(facts) {
            Some(found) if found.verified_percent == "0.00" => String::new(),
            Some(found) => format!("{} %", found.percent.trim_end_matches('0').trim_end_matches('.')),
            None => String::new(),
        },
        pods: format!("{}/{}", pods.injected.saturating_sub(pods.outdated), pods.selected),
    }
}

/// What verification found, over all sources: the share of the worst of them.
pub(crate) fn consistency(facts: &Facts<'_>) -> Option<ConsistencyStatus> {
    let Seen::Answered { sources, .. } = facts.gateway else { return None };
    let verified: Vec<SeenVerified> = sources.values().map(|source| source.verified).collect();
    let worst = |share: fn(&SeenVerified) -> Option<u32>| {
        let worst = verified.iter().filter_map(share).min()?;
        Some(format!("{}.{:02}", worst / 100, worst % 100))
    };
    let sum = |count: fn(&SeenVerified) -> u64| verified.iter().map(count).sum();
    let age = verified.iter().filter_map(|one| one.age_seconds).max();
    let oldest = age.and_then(|age| facts.now.as_second().checked_sub(i64::try_from(age).ok()?));
    let oldest = oldest.and_then(|at| Timestamp::from_second(at).ok());
    // age and clock are read one after the other: what differs by that is no news
    let before = facts.previous.and_then(|previous| previous.consistency.as_ref()?.oldest_verification);
    let is_same = |before: &Timestamp| {
        oldest.is_some_and(|oldest| (oldest.as_second() - before.as_second()).abs() < 60)
    };
    let oldest = before.filter(is_same).or(oldest);
    Some(ConsistencyStatus {
        percent: worst(|one| one.consistency)?,
        verified_percent: worst(|one| one.coverage)?,
        oldest_verification: oldest,
        missing: sum(|one| one.missing),
        differing: sum(|one| one.differing),
        extra: sum(|one| one.extra),
    })
}

fn pods(counts: &PodCounts) -> PodsStatus {
    PodsStatus {
        selected: counts.selected,
        injected: counts.injected,
        outdated: counts.outdated,
        restart_needed: counts.restart_needed,
        oldest_version: counts.oldest_version.clone(),
        current_version: Some(polylog_injection::Settings::VERSION.to_owned()),
    }
}

fn plan(facts: &Facts<'_>, previous: Option<PlanStatus>) -> PlanStatus {
    let nothing = |phase| PlanStatus { hash: None, phase, steps: None, more: 0, details_ref: None };
    let progress = match facts.judged {
        Judged::Looked(_, progress) => progress,
        Judged::Blind(_) => return nothing(PlanPhase::None),
        Judged::Refused(refusal) => {
            let before = previous.unwrap_or_else(|| nothing(PlanPhase::None));
            return if refusal.while_applying {
                PlanStatus { phase: PlanPhase::Failed, ..before }
            } else {
                before
            };
        }
    };
    if progress.waiting.is_empty() {
        let was_applied =
            previous.is_some_and(|plan| matches!(plan.phase, PlanPhase::Applied | PlanPhase::Pending));
        let is_applied = was_applied || progress.done > 0;
        return nothing(if is_applied { PlanPhase::Applied } else { PlanPhase::None });
    }
    let all: Vec<PlanStep> = progress
        .waiting
        .steps()
        .filter_map(|(source, step)| {
            Some(PlanStep {
                source: source.parse().ok()?,
                class: match step.class {
                    LogStepClass::Additive => StepClass::Additive,
                    LogStepClass::Slow => StepClass::Slow,
                    LogStepClass::Destructive => StepClass::Destructive,
                },
                summary: step.summary.chars().take(LONGEST_STEP).collect(),
            })
        })
        .collect();
    let more = all.len().saturating_sub(MOST_STEPS);
    let details = format!("polylog-{}-plan", facts.name).parse().ok();
    PlanStatus {
        hash: Some(progress.waiting.hash()),
        phase: PlanPhase::Pending,
        steps: Some(all.into_iter().take(MOST_STEPS).collect()),
        more: u32::try_from(more).unwrap_or(u32::MAX),
        details_ref: details.map(|name| ObjectRef { name }),
    }
}

/// What an author can do about steps that wait.
pub(crate) fn approval_message(facts: &Facts<'_>, progress: &Progress) -> String {
    let (hash, steps) = (progress.waiting.hash(), progress.waiting.steps().count());
    let steps = if steps == 1 { "1 step waits".to_owned() } else { format!("{steps} steps wait") };
    let (name, namespace, annotation) = (facts.name, facts.namespace, names::APPROVE_PLAN);
    shortened(format!(
        "{steps} for approval (ConfigMap polylog-{name}-plan shows them); approve: kubectl annotate eventstore {name} \
         --namespace {namespace} --overwrite {annotation}={hash}"
    ))
}

/// How a store is provisioned.
pub(crate) fn mode(facts: &Facts<'_>) -> Option<ProvisioningMode> {
    facts.known().map(|known| known.store.provisioning.mode)
}

#[cfg(test)]
mod tests;
