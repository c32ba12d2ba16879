//! The conditions of a store. Pure.

use polylog_crds::{Condition, ConditionStatus, event_store::ProvisioningMode};

use super::{
    budget::{self, Room},
    gateway::Seen,
    membership::{Follows, Membership},
    provision::{Progress, SourceProgress},
    refusal::Refusal,
    status::{self, Facts, Judged, approval_message, mode},
    validate::shortened,
};

/// A condition before it is known since when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) type_: &'static str,
    pub(crate) status: ConditionStatus,
    pub(crate) reason: String,
    pub(crate) message: String,
}

fn told(
    type_: &'static str,
    status: ConditionStatus,
    reason: impl Into<String>,
    message: impl Into<String>,
) -> Told {
    Told { type_, status, reason: reason.into(), message: shortened(message.into()) }
}

const TRUE: ConditionStatus = ConditionStatus::True;
const FALSE: ConditionStatus = ConditionStatus::False;
const UNKNOWN: ConditionStatus = ConditionStatus::Unknown;
const JOINING: &str = "SourcesJoining";

/// All conditions, each with the time since when its status holds.
pub(crate) fn conditions(facts: &Facts<'_>, previous: Vec<Condition>) -> Vec<Condition> {
    let (valid, provisioned, credentials) = (valid(facts), provisioned(facts, &previous), credentials(facts));
    let (approval, available) = (approval(facts), available(facts));
    let replicating = replicating(facts);
    let ready = ready(facts, &[&valid, &provisioned, &credentials, &approval, &replicating], &available);
    let told = [
        ready,
        available,
        valid,
        provisioned,
        replicating,
        consistent(facts, &previous),
        approval,
        sidecars(facts),
        credentials,
        room(facts, &previous),
        reconciling(facts),
        stalled(facts),
    ];
    told.into_iter().map(|told| since(told, &previous, facts)).collect()
}

/// The time of the last change of the status, as tools expect it.
fn since(told: Told, previous: &[Condition], facts: &Facts<'_>) -> Condition {
    let before = previous.iter().find(|condition| condition.type_ == told.type_);
    let unchanged = before.filter(|condition| condition.status == told.status);
    Condition {
        type_: told.type_.to_owned(),
        status: told.status,
        reason: told.reason,
        message: told.message,
        observed_generation: facts.generation,
        last_transition_time: unchanged.map_or(facts.now, |condition| condition.last_transition_time),
    }
}

fn consistent(facts: &Facts<'_>, previous: &[Condition]) -> Told {
    let Some(found) = status::consistency(facts) else {
        return told("Consistent", UNKNOWN, "NotVerified", "the gateway does not say what it verified");
    };
    let wrong = found.missing + found.differing + found.extra;
    let is_half = found.verified_percent.parse::<f64>().is_ok_and(|percent| percent >= 50.0);
    let was = |condition: &Condition| condition.type_ == "Consistent" && condition.status == TRUE;
    let was_consistent = is_half && previous.iter().any(was);
    match wrong {
        // what was just appended is read within seconds: once all was read, that is no news
        0 if found.verified_percent == "100.00" || was_consistent => told("Consistent", TRUE, "Verified", ""),
        0 => {
            let message = format!("{} % of the log were read so far", found.verified_percent);
            told("Consistent", UNKNOWN, "Verifying", message)
        }
        _ => {
            let message = format!(
                "{} events are missing, {} differ, {} rows stand behind the log's end; the gateway's log line \
                 source_inconsistent names them",
                found.missing, found.differing, found.extra
            );
            told("Consistent", FALSE, "Inconsistent", message)
        }
    }
}

fn valid(facts: &Facts<'_>) -> Told {
    match facts.refusal() {
        Some(refusal) if refusal.is_invalid() => {
            told("Valid", FALSE, refusal.reason.to_string(), refusal.message.as_str())
        }
        _ => {
            let warnings = facts.known().map(|known| known.warnings.join("\n"));
            told("Valid", TRUE, "Accepted", warnings.unwrap_or_default())
        }
    }
}

fn provisioned(facts: &Facts<'_>, previous: &[Condition]) -> Told {
    const TYPE: &str = "Provisioned";
    match facts.judged {
        Judged::Refused(refusal) if refusal.is_invalid() => {
            // what was found before still stands in the database
            let before = previous.iter().find(|condition| condition.type_ == TYPE);
            match before {
                Some(before) => told(TYPE, before.status, before.reason.as_str(), before.message.as_str()),
                None => told(TYPE, UNKNOWN, "NotTried", "the EventStore is not valid"),
            }
        }
        Judged::Refused(refusal) => told(TYPE, FALSE, refusal.reason.to_string(), refusal.message.as_str()),
        Judged::Blind(_) => {
            let message = "somebody else provisions, and the operator may not read the credentials";
            told(TYPE, UNKNOWN, "External", message)
        }
        Judged::Looked(_, progress) if progress.waiting.is_empty() => {
            // one that does not answer comes back by itself
            let needs_somebody = |one: &SourceProgress| one.failure.as_ref().is_some_and(Refusal::is_invalid);
            let told_of = progress.sources.iter().find(|one| needs_somebody(one) || is_new(facts, one));
            match told_of.and_then(|one| one.failure.as_ref()) {
                Some(failure) => told(TYPE, FALSE, failure.reason.to_string(), failure.message.as_str()),
                None => told(TYPE, TRUE, "UpToDate", ""),
            }
        }
        Judged::Looked(_, progress) => match mode(facts) {
            Some(ProvisioningMode::External) => {
                let message = format!("somebody else provisions; {}", missing(facts, progress));
                told(TYPE, FALSE, "SchemaMissing", message)
            }
            Some(ProvisioningMode::PlanOnly) => told(TYPE, FALSE, "PlanOnly", missing(facts, progress)),
            _ => told(TYPE, FALSE, "ApprovalRequired", approval_message(facts, progress)),
        },
    }
}

fn missing(facts: &Facts<'_>, progress: &Progress) -> String {
    let steps: Vec<String> =
        progress.waiting.steps().map(|(source, step)| format!("{source}: {}", step.summary)).collect();
    format!("{} (ConfigMap polylog-{}-plan has the statements)", steps.join("; "), facts.name)
}

fn approval(facts: &Facts<'_>) -> Told {
    const TYPE: &str = "ApprovalRequired";
    match facts.progress() {
        Some(progress) if !progress.waiting.is_empty() && mode(facts) == Some(ProvisioningMode::Apply) => {
            told(TYPE, TRUE, "PlanWaits", approval_message(facts, progress))
        }
        _ => told(TYPE, FALSE, "NothingWaits", ""),
    }
}

fn credentials(facts: &Facts<'_>) -> Told {
    const TYPE: &str = "CredentialsValid";
    match facts.judged {
        Judged::Refused(refusal) if refusal.is_of_credentials() => {
            told(TYPE, FALSE, refusal.reason.to_string(), refusal.message.as_str())
        }
        Judged::Looked(_, progress) => {
            // one that does not answer comes back by itself
            let mut refused = progress.sources.iter().flat_map(|one| [&one.shut, &one.failure]).flatten();
            match refused.find(|refusal| refusal.is_of_credentials()) {
                Some(refusal) => told(TYPE, FALSE, refusal.reason.to_string(), refusal.message.as_str()),
                None => told(TYPE, TRUE, "Accepted", ""),
            }
        }
        Judged::Refused(_) | Judged::Blind(_) => told(TYPE, UNKNOWN, "NotTried", ""),
    }
}

fn available(facts: &Facts<'_>) -> Told {
    const TYPE: &str = "Available";
    match facts.gateway {
        Seen::Nothing(why) => told(TYPE, UNKNOWN, "GatewayUnreachable", why.as_str()),
        Seen::Answered { is_open: true, sources, .. } => {
            let votes = |name: &str| {
                let members = facts.known().map(|known| known.members.as_slice()).unwrap_or_default();
                members.iter().all(|member| member.source != name || member.follows.is_none())
            };
            // the log says it, where somebody has read it
            let voters =
                || sources.iter().filter(|(name, source)| source.votes.unwrap_or_else(|| votes(name)));
            let up = voters().filter(|(_, source)| source.is_up).count();
            match (voters().count(), up) {
                // what was not measured yet is not down
                (0, _) => told(TYPE, TRUE, "Serving", ""),
                (all, up) if up * 2 > all => told(TYPE, TRUE, "Serving", ""),
                (1, _) => told(TYPE, FALSE, "SourceDown", "the gateway gets no answer from the primary"),
                _ => told(
                    TYPE,
                    FALSE,
                    "SourceDown",
                    "the gateway gets no answer from a majority of the voters",
                ),
            }
        }
        Seen::Answered { is_open: false, .. } => {
            told(TYPE, FALSE, "NotOpen", "the gateway has not opened the log; its log says why")
        }
    }
}

/// Whether a database was never seen to hold the log.
fn is_new(facts: &Facts<'_>, source: &SourceProgress) -> bool {
    let before = facts.previous.and_then(|previous| previous.sources.as_ref());
    let mut before = before.into_iter().flatten();
    let was_there =
        before.any(|before| before.name.as_str() == source.source && before.database_id.is_some());
    source.identity.is_none() && (source.failure.is_none() || !was_there)
}

/// Whether every source that the manifest names has what the log has.
fn replicating(facts: &Facts<'_>) -> Told {
    const TYPE: &str = "Replicating";
    let Some(known) = facts.known() else { return told(TYPE, UNKNOWN, "NotTried", "") };
    if known.members.is_empty() {
        return told(TYPE, UNKNOWN, "OneSource", "one source holds the log alone");
    }
    let names = |is: &dyn Fn(&Membership) -> bool| {
        let members = known.members.iter().filter(|member| is(member));
        members.map(|member| member.source.as_str()).collect::<Vec<_>>().join(", ")
    };
    let following = names(&|member| member.follows == Some(Follows::NotYet));
    if !following.is_empty() {
        let pods = facts.pods;
        let behind = pods.restart_needed.max(pods.outdated);
        let message = format!("{following}: filled, and votes once {behind} older pods were restarted");
        return told(TYPE, FALSE, JOINING, message);
    }
    let looked = facts.progress().map(|progress| progress.sources.as_slice()).unwrap_or_default();
    let missing = names(&|member| looked.iter().any(|one| one.source == member.source && is_new(facts, one)));
    if !missing.is_empty() {
        return told(TYPE, FALSE, JOINING, format!("{missing}: not provisioned yet"));
    }
    match facts.gateway {
        Seen::Nothing(why) => told(TYPE, UNKNOWN, "GatewayUnreachable", why.as_str()),
        Seen::Answered { is_open: false, .. } => {
            told(TYPE, FALSE, "NotOpen", "the gateway has not opened the log")
        }
        Seen::Answered { .. } => {
            let seen = |member: &Membership| facts.gateway.source(&member.source);
            let down = names(&|member| seen(member).is_some_and(|source| !source.is_up));
            let behind = names(&|member| seen(member).is_none_or(|source| source.lag_events != Some(0)));
            match (down.is_empty(), behind.is_empty()) {
                (false, _) => told(TYPE, FALSE, "SourceDown", format!("{down}: no answer")),
                (true, false) => told(TYPE, TRUE, "Lagging", format!("{behind}: behind")),
                (true, true) => told(TYPE, TRUE, "InSync", ""),
            }
        }
    }
}

/// Ready = what the spec says is in force, and appends are accepted. The first obstacle is the reason.
fn ready(facts: &Facts<'_>, before: &[&Told], available: &Told) -> Told {
    const TYPE: &str = "Ready";
    let obstacle = before.iter().find(|condition| match condition.type_ {
        "ApprovalRequired" => condition.status == TRUE,
        // the others go on without one that is away
        "Replicating" => condition.reason == JOINING,
        _ => condition.status == FALSE,
    });
    if let Some(obstacle) = obstacle {
        let reason = if obstacle.type_ == "ApprovalRequired" { "ApprovalRequired" } else { &obstacle.reason };
        return told(TYPE, FALSE, reason, obstacle.message.as_str());
    }
    match available.status {
        ConditionStatus::True => told(TYPE, TRUE, "InSync", ""),
        status => {
            let is_new = facts.progress().is_some_and(|progress| progress.log.is_none());
            let reason = if is_new { "NotProvisioned" } else { available.reason.as_str() };
            told(TYPE, status, reason, available.message.as_str())
        }
    }
}

fn sidecars(facts: &Facts<'_>) -> Told {
    const TYPE: &str = "SidecarsCurrent";
    let pods = facts.pods;
    let behind =
        pods.restart_needed.max(pods.outdated).saturating_add(pods.selected.saturating_sub(pods.injected));
    match (pods.selected, behind) {
        (0, _) => told(TYPE, TRUE, "NoPods", ""),
        (_, 0) => told(TYPE, TRUE, "Current", ""),
        (selected, behind) => {
            let message = format!("{behind}/{selected} pods lack the sidecar of this version; restart them");
            told(TYPE, FALSE, "RestartNeeded", message)
        }
    }
}

/// Whether the servers have room for every process of the store at once.
fn room(facts: &Facts<'_>, previous: &[Condition]) -> Told {
    const TYPE: &str = "ConnectionBudget";
    // a server that has no connection left does not say how many it takes
    let as_before = || {
        let before = previous.iter().find(|condition| condition.type_ == TYPE)?;
        Some(told(TYPE, before.status, before.reason.as_str(), before.message.as_str()))
    };
    let not_tried = || told(TYPE, UNKNOWN, "NotTried", "");
    let (known, progress) = match facts.judged {
        Judged::Looked(known, progress) => (known, progress),
        Judged::Refused(_) => return as_before().unwrap_or_else(not_tried),
        Judged::Blind(_) => return not_tried(),
    };
    let rooms: Vec<Room<'_>> = known
        .store
        .sources
        .iter()
        .filter_map(|source| {
            let name = source.name.as_str();
            let limit = progress.sources.iter().find(|one| one.source == name)?.limit?;
            Some(known.pools.room(source, facts.pods.injected, limit))
        })
        .collect();
    let of = |is_enough: bool| {
        let rooms = rooms.iter().filter(|room| room.is_enough() == is_enough).map(Room::to_string);
        rooms.collect::<Vec<_>>().join("; ")
    };
    if !rooms.iter().all(Room::is_enough) {
        return told(TYPE, FALSE, "TooMany", format!("{}: {}", of(false), budget::ADVICE));
    }
    let is_silent =
        |one: &SourceProgress| one.limit.is_none() && (one.failure.is_some() || one.shut.is_some());
    if progress.sources.iter().any(is_silent)
        && let Some(before) = as_before()
    {
        return before;
    }
    match rooms.is_empty() {
        true => {
            told(TYPE, UNKNOWN, "NotMeasured", "the databases do not tell how many connections they take")
        }
        false => told(TYPE, TRUE, "Enough", of(true)),
    }
}

fn reconciling(facts: &Facts<'_>) -> Told {
    const TYPE: &str = "Reconciling";
    match facts.refusal() {
        Some(refusal) if !refusal.is_invalid() => {
            told(TYPE, TRUE, "Retrying", "an obstacle outside the manifest; it is tried again by itself")
        }
        _ => told(TYPE, FALSE, "Done", ""),
    }
}

fn stalled(facts: &Facts<'_>) -> Told {
    const TYPE: &str = "Stalled";
    match facts.refusal() {
        Some(refusal) if refusal.is_invalid() => {
            told(TYPE, TRUE, refusal.reason.to_string(), refusal.message.as_str())
        }
        _ => told(TYPE, FALSE, "Done", ""),
    }
}
