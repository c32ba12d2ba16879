//! Bringing the others to the primary's log, telling them what is committed, and showing them that it lives.

use std::{sync::Arc, time::Instant};

use polylog_log::{Apply, Position, SourceName, Watermarks};

use super::{LOOK_EVERY, PUBLISH_AFTER, Peer, Purpose};
use crate::quorum::{
    copying::{Copying, From, Step},
    request::{Operation, Request},
    rules::Rule,
};

impl<T> Peer<T> {
    pub(super) fn step_copies(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let Some(lead) = &self.lead else { return };
        let waits = !self.unacked.is_empty() || !self.barriers.is_empty();
        if !self.options.has_duties && !waits {
            return;
        }
        let (config, watermarks) = (lead.evidence.config().config.clone(), lead.evidence.watermarks());
        let tail = lead.evidence.tail().position;
        // what a learner holds never has to be taken from it again, where no acknowledged event can be lost
        let settled = match config.is_lossy() {
            _ if !self.options.rules.on(Rule::LearnersLast) => tail,
            true => watermarks.acked,
            false => watermarks.stable,
        };
        let voters = config.voters.iter().map(|voter| (voter, tail));
        let learners = config.learners.iter().map(|learner| (learner, settled));
        let beats = self.beats(now);
        if let Some(lead) = &mut self.lead {
            let others = config.voters.iter().chain(&config.learners).map(|member| &member.name);
            let others = others.filter(|name| *name != lead.evidence.primary());
            let held = others.map(|name| lead.evidence.held_by(name)).min();
            lead.written.forget_until(held.unwrap_or(tail));
        }
        for (member, cap) in voters.chain(learners) {
            let name = &member.name;
            let is_primary = self.lead.as_ref().is_none_or(|lead| lead.evidence.primary() == name);
            let is_busy = self.is_under_way(|one| matches!(&one.purpose, Purpose::Copy(to) if to == name));
            if is_primary || !self.sources.is_ready(name, now) || !self.sources.is_member(member) {
                continue;
            }
            if is_busy {
                requests.extend(self.read_ahead(name, cap, now));
                continue;
            }
            if let Some((source, mut operation)) = self.copy(name, cap, watermarks, beats, now) {
                if let Operation::Apply(apply) = &mut operation {
                    self.spare(name, &config.keepers, apply);
                }
                // one that takes no writes is tried again after a while
                if operation.writes() && !self.sources.is_ready_to_write(name, now) {
                    continue;
                }
                requests.extend(self.request(source, Purpose::Copy(name.clone()), operation));
                requests.extend(self.read_ahead(name, cap, now));
            }
        }
    }

    /// Reads the next page for a source that is busy with one.
    fn read_ahead(&mut self, to: &SourceName, cap: Position, now: Instant) -> Option<Request> {
        let is_read = self.is_under_way(|one| matches!(&one.purpose, Purpose::Ahead(of) if of == to));
        let lead = self.lead.as_mut()?;
        let primary = lead.evidence.primary().clone();
        if is_read || !self.sources.is_ready(&primary, now) {
            return None;
        }
        let read = lead.copies.get_mut(to)?.read_ahead(cap)?;
        self.request(primary, Purpose::Ahead(to.clone()), Operation::ReadLog(read))
    }

    /// Voters that have not moved since this moment are shown that somebody reaches the primary, if this process does.
    fn beats(&self, now: Instant) -> Option<Instant> {
        let reached =
            self.primary_answered_at.filter(|at| now.saturating_duration_since(*at) < LOOK_EVERY * 2);
        reached.filter(|_| self.options.has_duties && self.attempt.is_none())?;
        // whoever reaches it reads it in vain, if nothing can be written there
        let lead = self.lead.as_ref()?;
        if self.sources.refuses_writes(lead.evidence.primary(), now, self.options.failover_after) {
            return None;
        }
        now.checked_sub(self.options.failover_after / 3)
    }

    fn copy(
        &mut self,
        to: &SourceName,
        cap: Position,
        watermarks: Watermarks,
        beats: Option<Instant>,
        now: Instant,
    ) -> Option<(SourceName, Operation)> {
        let lead = self.lead.as_mut()?;
        let (term, primary) = (lead.evidence.term(), lead.evidence.primary());
        let (log, rules) = (self.options.log, self.options.rules);
        if !lead.copies.contains_key(to) {
            lead.copies.insert(to.clone(), Copying::new(log, term, From::Primary, to.clone(), rules));
        }
        let copying = lead.copies.get_mut(to)?;
        match copying.next(cap, watermarks, Some(&lead.written)) {
            Step::Ask => Some((to.clone(), Operation::Head)),
            Step::ReadOrigin(read) => Some((primary.clone(), Operation::ReadLog(read))),
            Step::ReadDestination(read) => Some((to.clone(), Operation::ReadLog(read))),
            Step::Apply(apply) => Some((to.clone(), Operation::Apply(apply))),
            Step::Truncate(truncate) => Some((to.clone(), Operation::Truncate(truncate))),
            // what it holds counts only once it stands under the term
            Step::Level => {
                let known = self.sources.get(to)?;
                let head = known.head.as_ref()?;
                let is_still = beats.zip(known.moved_at).is_some_and(|(since, moved_at)| moved_at < since);
                // the next entries bring it, where any come soon
                let is_quiet =
                    known.moved_at.is_none_or(|at| now.saturating_duration_since(at) >= PUBLISH_AFTER);
                let lags = is_quiet && head.watermarks.stable < watermarks.stable.min(head.tail.position);
                let tells = head.term < term || lags || is_still;
                let (previous, entries) = (head.tail, Arc::from([]));
                let is_same = copying.common() == Some(head.tail);
                (tells && is_same)
                    .then(|| (to.clone(), Operation::Apply(Apply { term, previous, entries, watermarks })))
            }
            Step::Wait | Step::Stop(_) => None,
        }
    }
}
