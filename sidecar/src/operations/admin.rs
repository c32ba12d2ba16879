//! What an administrator can do with a store, beyond its configuration.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use polylog_api::{Code, Problem};
use polylog_log::{Position, QuarantinePlace, Quarantined, SourceName};
use polylog_replication::{ForceRefused, Leadership, PrimaryWish, Role, SourceState, StoreStatus};
use tokio::time::Instant;

use super::{Call, errors};
use crate::{
    identity::Subject,
    pipeline::require_any,
    policy::Verb,
    server::{Served, Server},
};

/// Entries of a page of what truncations removed.
pub(crate) const QUARANTINE_PAGE: (usize, usize) = (100, 1_000);
/// How often it is looked whether another primary is there.
const LOOK: Duration = Duration::from_millis(20);

/// A primary, and the term that it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Led {
    pub(crate) primary: SourceName,
    pub(crate) term: polylog_log::Term,
}

/// Where a page of what truncations removed begins: behind this place of this source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuarantineToken {
    pub(crate) source: SourceName,
    pub(crate) after: QuarantinePlace,
}

/// Entries that truncations removed, and where the next page begins.
pub(crate) struct QuarantinePage {
    pub(crate) entries: Vec<(SourceName, Quarantined)>,
    pub(crate) next: Option<QuarantineToken>,
}

impl std::fmt::Display for QuarantineToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, after } = self;
        write!(f, "{source}:{}:{}", after.cut, after.position)
    }
}

impl FromStr for QuarantineToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.rsplitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok());
        let (Some(position), Some(cut)) = (number(), number()) else {
            return Err("it must be `next` of an earlier answer");
        };
        let source = parts.next().and_then(|name| SourceName::parse(name).ok());
        let source = source.ok_or("it must be `next` of an earlier answer")?;
        Ok(Self { source, after: QuarantinePlace { cut, position: Position::new(position) } })
    }
}

/// Refuses who is no administrator of the store.
pub(crate) fn require_admin(call: &Call) -> Result<(), Problem> {
    require_any(&call.policy.access, &call.caller.peer.subject, Verb::Admin).map(drop)
}

/// Has everything read again, and compared. The number stands in the status once that was done.
pub(crate) fn verify(call: &Call) -> Result<u64, Problem> {
    call.hosted.store.verify().ok_or_else(|| elsewhere("verify"))
}

/// Makes another source primary; nothing is lost by it.
pub(crate) async fn switch(call: &Call, to: SourceName) -> Result<Led, Problem> {
    let (store, declared) = (&call.hosted.store, &call.hosted.primary);
    let before = store.status().await;
    if !before.sources.iter().any(|source| source.name == to && source.role == Role::Voter) {
        return Err(invalid("primary", "it must name a source that votes"));
    }
    if let Some(wanted) = declared.wanted.as_ref().filter(|wanted| **wanted != to) {
        let reason = format!("the manifest says spec.primary: {wanted}; change it there");
        return Err(invalid("primary", reason));
    }
    if before.primary.as_ref() == Some(&to) {
        return Ok(Led { primary: to, term: before.term });
    }
    if !store.has_duties() {
        return Err(elsewhere("switch"));
    }
    store.want_primary(PrimaryWish { wanted: Some(to.clone()), avoided: declared.avoided.clone() }).await;
    let is_primary = |status: &StoreStatus| status.primary.as_ref() == Some(&to);
    let led = until_led(&store.leadership(), call.deadline, is_primary).await;
    // it was asked for once; what comes later decides for itself
    store.want_primary(declared.clone()).await;
    led.ok_or_else(|| {
        Problem::new(Code::NotCaughtUp, format_args!("{to} did not become primary in time"))
            .next_step("wait until it answers and lacks nothing, and try again")
    })
}

/// The way to another primary of a store, whether it is open or not, for an administrator of it.
pub(crate) fn leadership(
    server: &Server,
    subject: &Subject,
    store: Option<&str>,
) -> Result<Leadership, Problem> {
    match server.find(store)? {
        Served::Open(hosted) => {
            require_any(&hosted.policy().access, subject, Verb::Admin)?;
            Ok(hosted.store.leadership())
        }
        Served::Waiting(waiting) => {
            let (Some(access), Some(leadership)) = (&waiting.access, &waiting.leadership) else {
                return Err(waiting.problem.clone());
            };
            require_any(access, subject, Verb::Admin)?;
            Ok(leadership.clone())
        }
        Served::Forwarded(forward) => Err(forward.unreachable("it is reached through its gateway now")),
    }
}

/// Opens the log without the sources of which the caller says that they are stopped or cut off. What only they hold is lost
/// to the log, and ends in quarantine when they are back.
pub(crate) async fn failover(
    of: &Leadership,
    deadline: Instant,
    stopped: BTreeSet<SourceName>,
) -> Result<Led, Problem> {
    let before = of.status().await;
    let voters = || before.sources.iter().filter(|source| source.role == Role::Voter);
    if stopped.is_empty() {
        let reason = "name the sources that are stopped or cut off; where all answer, use switch";
        return Err(invalid("stopped", reason));
    }
    if let Some(unknown) = stopped.iter().find(|name| !voters().any(|voter| voter.name == **name)) {
        return Err(invalid("stopped", format_args!("{unknown} is no source that votes")));
    }
    let is_silent = |source: &&polylog_replication::SourceStatus| {
        matches!(source.state, SourceState::Failing(_)) && !stopped.contains(&source.name)
    };
    if let Some(silent) = voters().find(is_silent) {
        let reason =
            format_args!("{} does not answer either; name it once it is stopped or cut off", silent.name);
        return Err(invalid("stopped", reason));
    }
    let refused = |error: ForceRefused| match error {
        ForceRefused::NoDuties => elsewhere("failover"),
        ForceRefused::Answers(name) => {
            invalid("stopped", format_args!("{name} answers: stop it, or cut it off, first"))
        }
    };
    of.force(stopped.clone()).await.map_err(refused)?;
    let is_new = |status: &StoreStatus| {
        status.term > before.term && status.primary.as_ref().is_some_and(|primary| !stopped.contains(primary))
    };
    until_led(of, deadline, is_new).await.ok_or_else(|| {
        Problem::new(Code::NoPrimary, "no source could be opened in time; it is still tried")
            .next_step("look at the status, and try again if it stays so")
    })
}

/// Entries that truncations removed from the log of one source, or of all of them in the manifest's order.
pub(crate) async fn quarantine(
    call: &Call,
    only: Option<&SourceName>,
    after: Option<QuarantineToken>,
    limit: usize,
) -> Result<QuarantinePage, Problem> {
    let mut names = chosen(call, only)?;
    let begin = after.as_ref().map_or(Some(0), |after| names.iter().position(|name| *name == after.source));
    let begin = begin.ok_or_else(|| invalid("after", "it is of another source"))?;
    let mut place = after.map_or(QuarantinePlace::START, |after| after.after);
    let mut entries: Vec<(SourceName, Quarantined)> = Vec::new();
    for name in names.drain(begin..) {
        let room = limit - entries.len();
        let Some(found) = call.hosted.store.quarantine(&name, place, room).await else { continue };
        let found = found.map_err(|failure| errors::of_source(&failure).fact("source", &name))?;
        place = QuarantinePlace::START;
        entries.extend(found.into_iter().map(|removed| (name.clone(), removed)));
        if entries.len() >= limit {
            break;
        }
    }
    let last = entries.last().filter(|_| entries.len() >= limit);
    let next = last.map(|(source, last)| QuarantineToken { source: source.clone(), after: last.place() });
    Ok(QuarantinePage { entries, next })
}

/// The source of this name, or all of them in the manifest's order.
pub(super) fn chosen(call: &Call, only: Option<&SourceName>) -> Result<Vec<SourceName>, Problem> {
    let names = call.hosted.sources.iter().map(|source| source.name.clone());
    let names: Vec<_> = names.filter(|name| only.is_none_or(|only| only == name)).collect();
    match only.filter(|_| names.is_empty()) {
        Some(unknown) => Err(invalid("source", format_args!("there is no source {unknown}"))),
        None => Ok(names),
    }
}

/// Waits until the status is as wanted; `None` = the caller waits no longer.
async fn until_led(of: &Leadership, deadline: Instant, is: impl Fn(&StoreStatus) -> bool) -> Option<Led> {
    loop {
        let status = of.status().await;
        if let Some(primary) = status.primary.clone().filter(|_| is(&status)) {
            return Some(Led { primary, term: status.term });
        }
        if Instant::now() + LOOK >= deadline {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn elsewhere(what: &str) -> Problem {
    Problem::new(Code::NotSupported, format_args!("{what}: another process does that for this store"))
        .next_step("ask the store's gateway")
}

fn invalid(field: &str, reason: impl std::fmt::Display) -> Problem {
    Problem::new(Code::InvalidRequest, format_args!("{field}: {reason}"))
        .next_step("correct the field")
        .fact("path", field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_a_place_and_comes_back() {
        let after = QuarantinePlace { cut: 3, position: Position::new(17) };
        let token = QuarantineToken { source: SourceName::recorded("ledger"), after };
        assert_eq!(token.to_string(), "ledger:3:17");
        assert_eq!(token.to_string().parse(), Ok(token));
        for bad in ["", "3:17", "ledger:x:17", "ledger:3", ":3:17"] {
            assert!(bad.parse::<QuarantineToken>().is_err(), "{bad}");
        }
    }
}
