//! Whether another primary is opened, and how.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::{Config, Failover, Head, Identity, SourceName};

use super::{LONGEST_ATTEMPT, PATIENCE, Peer, Purpose, nonce_of};
use crate::quorum::{
    election::{Attempt, Mode, Outcome},
    request::Request,
    rules::Rule,
};

/// A switch that failed is tried again after this long.
const SWITCH_AGAIN: Duration = Duration::from_secs(2);

impl<T> Peer<T> {
    pub(super) fn step_election(&mut self, now: Instant, random: u128, requests: &mut Vec<Request>) {
        if let Some(outcome) = self.attempt.as_ref().and_then(Attempt::outcome).cloned() {
            self.attempt = None;
            if let Outcome::Opened(source, head) = outcome {
                self.obey(&source, &head);
            } else {
                // whoever was ahead gets time to open
                self.stillness = None;
            }
        }
        if self.attempt.is_none()
            && let Some(mode) = self.should_elect(now, random)
        {
            let term = self.sources.highest_term().next();
            let attempt = Attempt::new(
                self.options.log,
                term,
                nonce_of(if self.options.rules.on(Rule::FreshNonce) { random } else { 7 }),
                mode,
                now + PATIENCE,
                now + LONGEST_ATTEMPT,
                self.options.is_begun,
                self.options.rules,
            );
            self.attempt = Some(attempt);
        }
        if self.attempt.is_none() {
            return;
        }
        let ready = self.ready(now);
        let Some(attempt) = &mut self.attempt else { return };
        attempt.doubt(self.sources.doubted().cloned().collect());
        for (source, operation) in attempt.next(now, &ready) {
            requests.extend(self.request(source, Purpose::Elect, operation));
        }
    }

    fn ready(&self, now: Instant) -> Vec<(SourceName, Identity)> {
        let names = self.sources.names().filter(|name| self.sources.is_ready_to_write(name, now));
        let trusted = names
            .filter(|name| self.sources.is_told(name, true))
            .filter_map(|name| Some((name, self.sources.get(name)?)))
            .filter(|(_, known)| !known.went_back);
        trusted.map(|(name, known)| (name.clone(), known.identity)).collect()
    }

    /// Whether to elect now. A primary that is silent to this process alone is left in place: as long as the others' heads
    /// move, somebody reaches it.
    fn should_elect(&mut self, now: Instant, random: u128) -> Option<Mode> {
        if !self.options.has_duties {
            return None;
        }
        let after = self.options.failover_after;
        let after = after + after.mul_f64((random % 1_000) as f64 / 2_000.0);
        let still_since = self.still_since(now);
        let still_for = now.saturating_duration_since(still_since);
        if self.is_new() {
            return (self.lead.is_none() && still_for >= (after - self.options.failover_after) / 4)
                .then_some(Mode::First);
        }
        let config = self.newest_config()?;
        if let Some(forced) = self.forced(&config) {
            return (still_for >= after - self.options.failover_after).then_some(forced);
        }
        // what moved after the last look is not known
        let seen_until = self.sources.seen_until().unwrap_or(now);
        let still_for = seen_until.saturating_duration_since(still_since);
        let long = self.options.failover_after;
        let primary = self.lead.as_ref().map(|lead| lead.evidence.primary());
        // it may answer, and yet be of no use
        let is_out = primary.is_none_or(|primary| self.sources.is_out(primary, now, long));
        let is_lost = primary.is_none_or(|primary| self.sources.is_silent(primary, now, long));
        // promising to too few would only strand them under a term that nobody opens
        let takes_part = |name: &SourceName| {
            self.sources.answers(name) && self.sources.is_told(name, true) && self.sources.is_vouched(name)
        };
        if !self.reaches_majority(&config, takes_part) {
            let may_open =
                self.orders.opens_minority && config.is_lossy() && config.failover == Failover::Automatic;
            let opens = may_open && is_lost && still_for >= after * 2;
            return opens.then(|| self.minority(&config)).flatten();
        }
        if is_out {
            let fails_over =
                config.failover == Failover::Automatic || !self.options.rules.on(Rule::FailoverAsked);
            let reopened =
                || self.last_primary(&config).map(|last| Mode::Switch { from: last.clone(), to: last });
            return match still_for >= after {
                true if fails_over => Some(Mode::Majority),
                true if is_lost => reopened(),
                true => self.replacement(now, &config),
                false => None,
            };
        }
        if let Some(switch) = self.switch(now, &config) {
            return Some(switch);
        }
        if self.rival {
            self.rival = false;
            return Some(Mode::Majority);
        }
        self.strands_somebody(now, after).then(|| {
            let primary = self.lead.as_ref().map(|lead| lead.evidence.primary().clone());
            primary.map(|primary| Mode::Switch { from: primary.clone(), to: primary })
        })?
    }

    /// Since when no source was seen to move.
    fn still_since(&mut self, now: Instant) -> Instant {
        let moves = self.sources.moves();
        let since = match self.stillness {
            Some((before, since)) if before == moves || !self.options.rules.on(Rule::SignsOfLife) => since,
            _ => now,
        };
        self.stillness = Some((moves, since));
        since
    }

    /// Whether every source is there and empty.
    fn is_new(&self) -> bool {
        self.sources.heads().count() == self.sources.len()
            && self.sources.heads().all(|(_, head)| head.lead.is_zero() && head.tail.position.is_zero())
    }

    /// The configuration of the best log that is known. An empty one says nothing: whoever is not there may hold the log.
    pub(super) fn newest_config(&self) -> Option<Arc<Config>> {
        let heads = self.sources.heads().filter(|(_, head)| !head.tail.position.is_zero());
        let newest = match self.options.rules.on(Rule::ConfigOfBest) {
            true => heads.max_by_key(|(_, head)| (head.tail.term, head.tail.position)),
            false => heads.min_by_key(|(_, head)| head.config.config.version),
        };
        let config = newest.map(|(_, head): (_, &Head)| head.config.config.clone());
        config.filter(|config| !self.options.is_begun || config.version.0 > 0)
    }

    /// The source that was opened last, where it answers. A promise that led to nothing deposed it; to open the same again
    /// is no failover, and loses nothing.
    fn last_primary(&self, config: &Config) -> Option<SourceName> {
        let (name, head) = self.sources.heads().max_by_key(|(_, head)| head.lead)?;
        let is_last = self.sources.heads().all(|(_, other)| other.tail.term <= head.lead);
        let is_voter = config.voters.iter().any(|voter| voter.name == *name && self.sources.is_member(voter));
        (is_last && is_voter && self.sources.answers(name)).then(|| name.clone())
    }

    fn forced(&mut self, config: &Config) -> Option<Mode> {
        let forced = self.orders.forced.clone()?;
        let is_done = self.lead.as_ref().is_some_and(|lead| lead.evidence.term() > forced.above);
        // the operator was wrong: what answers is neither stopped nor cut off
        if is_done || forced.absent.iter().any(|name| self.sources.answers(name)) {
            self.orders.forced = None;
            return None;
        }
        let is_there = |name: &SourceName| forced.absent.contains(name) || self.sources.answers(name);
        let all_there = config.voters.iter().all(|voter| is_there(&voter.name));
        all_there.then_some(Mode::Forced { absent: forced.absent })
    }

    fn minority(&self, config: &Config) -> Option<Mode> {
        let names = config.voters.iter().map(|voter| &voter.name);
        let absent: BTreeSet<_> = names.filter(|name| !self.sources.answers(name)).cloned().collect();
        (absent.len() < config.voters.len()).then_some(Mode::Forced { absent })
    }

    /// Whether the primary that is wanted is level, so that the switch is short.
    fn switch(&mut self, now: Instant, config: &Config) -> Option<Mode> {
        let evidence = &self.lead.as_ref()?.evidence;
        let from = evidence.primary().clone();
        let can = |to: &SourceName| {
            let is_voter =
                config.voters.iter().any(|voter| voter.name == *to && self.sources.is_member(voter));
            let is_level = evidence.held_by(to) >= evidence.committed() && !evidence.committed().is_zero();
            from != *to && is_voter && is_level && self.sources.answers(to)
        };
        let to = match &self.orders.primary {
            Some(wanted) => Some(wanted).filter(|wanted| can(wanted)),
            None if self.orders.avoided.contains(&from) => {
                config.order.iter().find(|to| !self.orders.avoided.contains(*to) && can(to))
            }
            None => None,
        };
        let to = to?.clone();
        if self.orders.switches_at.is_some_and(|at| now < at) {
            return None;
        }
        self.orders.switches_at = Some(now + SWITCH_AGAIN);
        Some(Mode::Switch { from, to })
    }

    /// The source that the operator named in place of a primary that answers and takes no writes: it cannot hand over. A
    /// majority holds all that was acknowledged, unless less was asked for.
    fn replacement(&self, now: Instant, config: &Config) -> Option<Mode> {
        let to = self.orders.primary.clone()?;
        let lead = self.lead.as_ref()?;
        let is_voter = config.voters.iter().any(|voter| voter.name == to && self.sources.is_member(voter));
        let is_level = lead.evidence.held_by(&to) >= lead.evidence.committed();
        let takes_writes = |name: &SourceName| {
            self.sources.answers(name) && !self.sources.is_out(name, now, self.options.failover_after)
        };
        let is_possible = *lead.evidence.primary() != to && is_voter && is_level && takes_writes(&to);
        (is_possible && !config.is_lossy() && self.reaches_majority(config, takes_writes))
            .then_some(Mode::Replace { to })
    }

    /// Whether a voter stands under a later term than the primary, and has for so long that nobody is about to open it. It
    /// takes nothing from the primary any more, until that is opened again under a term later still.
    fn strands_somebody(&mut self, now: Instant, long: Duration) -> bool {
        let Some(lead) = &self.lead else { return false };
        let later =
            self.sources.heads().map(|(_, head)| head.term).filter(|term| *term > lead.evidence.term()).max();
        let since = match (later, self.stranded) {
            (None, _) => None,
            (Some(term), Some((before, since))) if before == term => Some((term, since)),
            (Some(term), _) => Some((term, now)),
        };
        self.stranded = since;
        since.is_some_and(|(_, since)| now.saturating_duration_since(since) >= long)
    }
}
