//! What a peer sends, and why.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::{
    Acks, Append, Apply, Failover, Failure, Head, Identity, OperationError, Position, SourceName, Watermarks,
};

use super::{LONGEST_ATTEMPT, LOOK_EVERY, PATIENCE, PUBLISH_AFTER, Peer, Purpose, nonce_of};
use crate::{
    AppendError,
    group::{Next, Primary},
    quorum::{
        copying::{Copying, From, Step},
        election::{Attempt, Mode, Outcome},
        request::{Operation, Request},
        rules::Rule,
    },
};

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
        let ready = self.ready(now);
        let Some(attempt) = &mut self.attempt else { return };
        for (source, operation) in attempt.next(now, &ready) {
            requests.extend(self.request(source, Purpose::Elect, operation));
        }
    }

    fn ready(&self, now: Instant) -> Vec<(SourceName, Identity)> {
        let names = self.sources.names().filter(|name| self.sources.is_ready(name, now));
        names.filter_map(|name| Some((name.clone(), self.sources.get(name)?.identity))).collect()
    }

    /// Whether to elect now. A primary that is silent to this process alone is left in place: as long as the others' heads
    /// move, somebody reaches it.
    fn should_elect(&mut self, now: Instant, random: u128) -> Option<Mode> {
        if !self.options.has_duties {
            return None;
        }
        let after = self.options.failover_after;
        let spread = after.mul_f64((random % 1_000) as f64 / 2_000.0);
        let heads: Vec<(&SourceName, &Head)> = self.sources.heads().collect();
        let shown: Vec<_> =
            heads.iter().map(|(name, head)| ((*name).clone(), head.term, head.tail.position)).collect();
        let still_since = match &self.stillness {
            Some((before, since)) if *before == shown => *since,
            _ => now,
        };
        let newest = heads.iter().max_by_key(|(_, head)| (head.tail.term, head.tail.position));
        let config = newest.map(|(_, head)| head.config.config.clone());
        let is_new = heads.len() == self.sources.names().count()
            && heads.iter().all(|(_, head)| head.lead.is_zero() && head.tail.position.is_zero());
        self.stillness = Some((shown, still_since));
        let still_for = now.saturating_duration_since(still_since);
        if is_new {
            return (self.lead.is_none() && still_for >= spread / 4).then_some(Mode::First);
        }
        let config = config.filter(|config| !self.options.is_begun || config.version.0 > 0)?;
        // promising to too few would only strand them under a term that nobody opens
        let answers = |name: &SourceName| {
            self.sources.get(name).is_some_and(|known| known.head.is_some() && known.failing_since.is_none())
        };
        let answering = config.voters.iter().filter(|voter| answers(&voter.name)).count();
        if answering < Acks::Majority.required(config.voters.len()) {
            return None;
        }
        let lost = self.lead.as_ref().is_none_or(|lead| {
            self.sources.is_silent(lead.evidence.primary(), now, after)
        });
        if lost {
            let fails_over = config.failover == Failover::Automatic;
            return (fails_over && still_for >= after + spread).then_some(Mode::Majority);
        }
        self.strands_somebody(now, after + spread).then(|| {
            let primary = self.lead.as_ref().map(|lead| lead.evidence.primary().clone());
            primary.map(|primary| Mode::Switch { from: primary.clone(), to: primary })
        })?
    }

    /// Whether a voter stands under a later term than the primary, and has for so long that nobody is about to open it. It
    /// takes nothing from the primary any more, until that is opened again under a term later still.
    fn strands_somebody(&mut self, now: Instant, long: Duration) -> bool {
        let Some(lead) = &self.lead else { return false };
        let later = self.sources.heads().map(|(_, head)| head.term).filter(|term| *term > lead.evidence.term()).max();
        let since = match (later, self.stranded) {
            (None, _) => None,
            (Some(term), Some((before, since))) if before == term => Some((term, since)),
            (Some(term), _) => Some((term, now)),
        };
        self.stranded = since;
        since.is_some_and(|(_, since)| now.saturating_duration_since(since) >= long)
    }

    pub(super) fn step_appends(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let primary = self.lead.as_ref().map(|lead| Primary {
            term: lead.evidence.term(),
            config: lead.evidence.config().config.version,
        });
        self.gathers_until = None;
        loop {
            match self.group.next(now) {
                Next::Append(batch) => {
                    let Some(lead) = &self.lead else {
                        let gone = OperationError::Failed(Failure::Unreachable("the primary is gone".into()));
                        self.group.appended(now, batch.attempt, Err(gone), 1.0);
                        continue;
                    };
                    let (source, watermarks) = (lead.evidence.primary().clone(), lead.evidence.watermarks());
                    let Primary { term, config } = batch.primary;
                    let append = Append { term, config, batch: batch.commits, watermarks };
                    let purpose = Purpose::Append { attempt: batch.attempt, term };
                    self.appended_at = Some(now);
                    requests.extend(self.request(source, purpose, Operation::Append(append)));
                }
                Next::FindPrimary => {
                    let found = primary.ok_or(AppendError::NoPrimary);
                    let is_found = found.is_ok();
                    self.group.found(now, found, 1.0);
                    if !is_found {
                        self.looked_at.clear();
                        break;
                    }
                }
                Next::Gather(until) => {
                    self.gathers_until = Some(until);
                    break;
                }
                Next::Wait(_) => break,
            }
        }
    }

    pub(super) fn step_copies(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let Some(lead) = &self.lead else { return };
        let config = lead.evidence.config().config.clone();
        let watermarks = lead.evidence.watermarks();
        let primary = lead.evidence.primary().clone();
        let tail = lead.evidence.tail().position;
        let waits = !self.unacked.is_empty() || !self.barriers.is_empty();
        if !self.options.has_duties && !waits {
            return;
        }
        let voters = config.voters.iter().map(|voter| (voter, tail));
        let learners = config.learners.iter().map(|learner| (learner, watermarks.acked));
        let members: Vec<(SourceName, Position)> =
            voters.chain(learners).map(|(member, cap)| (member.name.clone(), cap)).collect();
        for (name, cap) in members {
            let is_busy = self.is_under_way(|one| one.purpose == Purpose::Copy(name.clone()));
            if name == primary || is_busy || !self.sources.is_ready(&name, now) {
                continue;
            }
            if let Some((source, operation)) = self.copy(&name, cap, watermarks) {
                requests.extend(self.request(source, Purpose::Copy(name), operation));
            }
        }
    }

    fn copy(&mut self, to: &SourceName, cap: Position, watermarks: Watermarks) -> Option<(SourceName, Operation)> {
        let lead = self.lead.as_mut()?;
        let (term, primary) = (lead.evidence.term(), lead.evidence.primary().clone());
        let (log, rules) = (self.options.log, self.options.rules);
        let copying = lead
            .copies
            .entry(to.clone())
            .or_insert_with(|| Copying::new(log, term, From::Primary, to.clone(), rules));
        match copying.next(cap, watermarks) {
            Step::Ask => Some((to.clone(), Operation::Head)),
            Step::ReadOrigin(read) => Some((primary, Operation::ReadLog(read))),
            Step::ReadDestination(read) => Some((to.clone(), Operation::ReadLog(read))),
            Step::Apply(apply) => Some((to.clone(), Operation::Apply(apply))),
            Step::Truncate(truncate) => Some((to.clone(), Operation::Truncate(truncate))),
            // what it holds counts only once it stands under the term
            Step::Level => {
                let head = self.sources.get(to)?.head.as_ref()?;
                let tells = head.term < term || head.watermarks.stable < watermarks.stable.min(head.tail.position);
                let (previous, entries) = (head.tail, Vec::new());
                let is_same = copying.common() == Some(head.tail);
                (tells && is_same)
                    .then(|| (to.clone(), Operation::Apply(Apply { term, previous, entries, watermarks })))
            }
            Step::Stop(_) => None,
        }
    }

    pub(super) fn step_watermarks(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let Some(lead) = &self.lead else { return };
        let evidence = &lead.evidence;
        let watermarks = evidence.watermarks();
        let is_idle = self.appended_at.is_none_or(|at| now.saturating_duration_since(at) >= PUBLISH_AFTER);
        let published = self.sources.get(evidence.primary()).and_then(|known| known.head.as_ref());
        let is_news = published.is_some_and(|head| {
            head.watermarks.stable < watermarks.stable || head.watermarks.acked < watermarks.acked
        });
        let is_busy =
            self.is_under_way(|one| matches!(one.purpose, Purpose::Publish | Purpose::Append { .. }));
        if !is_idle || !is_news || is_busy || !self.sources.is_ready(evidence.primary(), now) {
            return;
        }
        let (source, term) = (evidence.primary().clone(), evidence.term());
        let config = evidence.config().config.version;
        let append = Append { term, config, batch: Arc::from([]), watermarks };
        requests.extend(self.request(source, Purpose::Publish, Operation::Append(append)));
    }

    /// Reads heads where nothing else brings them, or where somebody waits for fresh ones.
    pub(super) fn step_looks(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let barriers = &self.barriers;
        let wanted: BTreeSet<SourceName> = self
            .sources
            .names()
            .filter(|name| barriers.iter().any(|barrier| barrier.wants(name, self.lead.as_ref())))
            .cloned()
            .collect();
        let names: Vec<SourceName> = self.sources.names().cloned().collect();
        for name in names {
            let looked = self.looked_at.get(&name);
            let is_due = looked.is_none_or(|at| now.saturating_duration_since(*at) >= LOOK_EVERY);
            let is_busy = self.is_under_way(|one| one.source == name && one.purpose == Purpose::Look);
            if is_busy || !(is_due || wanted.contains(&name)) || !self.sources.is_ready(&name, now) {
                continue;
            }
            self.looked_at.insert(name.clone(), now);
            requests.extend(self.request(name, Purpose::Look, Operation::Head));
        }
    }
}
