//! From the configuration in force to the one that is wanted, in steps that are each safe by themselves.
//!
//! A source comes as a learner, is filled, becomes a voter; it goes the same way back. Two majorities of two configurations
//! that follow each other share a voter only if one voter comes or goes at a time.

use polylog_log::{Acks, Config, ConfigVersion, Member, SourceName};

use super::rules::{Rule, Rules};

/// What the next step depends on.
pub(crate) struct Circumstances<'a> {
    pub(crate) rules: Rules,
    pub(crate) primary: &'a SourceName,
    /// Whether the source holds all that is committed, under the term in force.
    pub(crate) is_level: &'a dyn Fn(&SourceName) -> bool,
    /// Whether the source has been silent, or refused writes, for so long that nobody waits for it any more.
    pub(crate) is_out: &'a dyn Fn(&SourceName) -> bool,
}

/// The next configuration; `None` where nothing is to be done, or not yet.
pub(crate) fn next(current: &Config, wanted: Option<&Config>, around: &Circumstances<'_>) -> Option<Config> {
    let mut next = current.clone();
    if let Some(wanted) = wanted {
        settings(&mut next, wanted);
        if around.rules.on(Rule::OneVoter) {
            members(&mut next, wanted, around);
        } else {
            next.voters.clone_from(&wanted.voters);
        }
    }
    next.in_sync = in_sync(&next, around);
    if next == *current {
        return None;
    }
    next.version = ConfigVersion(current.version.0 + 1);
    Some(next)
}

/// What may change at any time.
fn settings(next: &mut Config, wanted: &Config) {
    next.acks = wanted.acks;
    next.min_in_sync = wanted.min_in_sync;
    next.failover = wanted.failover;
    next.divergence = wanted.divergence;
    next.order.clone_from(&wanted.order);
    next.max_unreplicated_events = wanted.max_unreplicated_events;
    next.routes.clone_from(&wanted.routes);
    next.default_route.clone_from(&wanted.default_route);
    // who kept data once keeps it for good
    let new: Vec<SourceName> =
        wanted.keepers.iter().filter(|name| !next.keepers.contains(name)).cloned().collect();
    next.keepers.extend(new);
}

/// One step of one member.
fn members(next: &mut Config, wanted: &Config, around: &Circumstances<'_>) {
    let is_voter = |config: &Config, member: &Member| config.voters.contains(member);
    let is_member =
        |config: &Config, member: &Member| is_voter(config, member) || config.learners.contains(member);
    // a name is one member at most: what another database held goes first
    let is_free = |member: &&Member| {
        let members = next.voters.iter().chain(&next.learners);
        !members.filter(|other| other.name == member.name).any(|other| other != *member)
    };
    let mut comes = wanted.voters.iter().chain(&wanted.learners).filter(|member| !is_member(next, member));
    if let Some(member) = comes.find(is_free).cloned() {
        return next.learners.push(member);
    }
    let rises = |member: &&Member| is_voter(wanted, member) && (around.is_level)(&member.name);
    if let Some(at) = next.learners.iter().position(|member| rises(&member)) {
        let member = next.learners.remove(at);
        return next.voters.push(member);
    }
    // voters that come are awaited before one goes, so that no failure in between leaves fewer than before
    let awaits =
        next.learners.iter().any(|member| is_voter(wanted, member) && !(around.is_out)(&member.name));
    // what only a keeper holds would go with it
    let stays = |member: &Member| {
        next.keepers.contains(&member.name)
            && !wanted.voters.iter().any(|other| other.name == member.name)
            && around.rules.on(Rule::KeepersStay)
    };
    let goes =
        |member: &&Member| !is_voter(wanted, member) && member.name != *around.primary && !stays(member);
    if let Some(at) = next.voters.iter().position(|member| goes(&member)).filter(|_| !awaits)
        && may_lose_one(next, wanted)
    {
        let member = next.voters.remove(at);
        return next.learners.push(member);
    }
    if let Some(at) = next.learners.iter().position(|member| !is_member(wanted, member) && !stays(member)) {
        next.learners.remove(at);
    }
}

/// Whether the rest could still acknowledge.
fn may_lose_one(config: &Config, wanted: &Config) -> bool {
    let rest = config.voters.len().saturating_sub(1);
    rest > 0 && wanted.acks.required(rest) <= rest && usize::from(wanted.min_in_sync) <= rest
}

/// Voters that `All` waits for: those that fell out go, as long as enough stay; those that are level come back.
fn in_sync(config: &Config, around: &Circumstances<'_>) -> Vec<SourceName> {
    if config.acks != Acks::All {
        return Vec::new();
    }
    let voters: Vec<&SourceName> = config.voters.iter().map(|voter| &voter.name).collect();
    let stays = |name: &&&SourceName| match config.in_sync.contains(**name) {
        true => !(around.is_out)(name),
        false => (around.is_level)(name) && !(around.is_out)(name),
    };
    let kept: Vec<SourceName> = voters.iter().filter(stays).map(|name| (*name).clone()).collect();
    let least = usize::from(config.min_in_sync).max(Acks::Majority.required(voters.len()));
    if kept.len() >= least {
        return kept;
    }
    // too few to shrink to: it waits for those that are missing
    let was = voters.iter().filter(|name| config.in_sync.contains(*name) || kept.contains(*name));
    was.map(|name| (*name).clone()).collect()
}

#[cfg(test)]
mod tests;
