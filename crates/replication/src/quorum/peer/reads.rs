//! The proof of a strong read: the primary's tail when it began is committed, by answers that came after it began.

use std::{collections::BTreeSet, time::Instant};

use polylog_log::{Acks, Head, Point, SourceName};

use super::{Barrier, Lead, MOST_BARRIERS, Peer};
use crate::quorum::rules::Rule;

impl<T> Peer<T> {
    /// Asks for a position up to which a strong read must see everything. Where too many ask already, there is no proof.
    pub(crate) fn prove_tail(&mut self, deadline: Instant, handle: T) {
        if self.barriers.len() >= MOST_BARRIERS {
            return self.proofs.push((handle, None));
        }
        let began = self.next_id + 1;
        self.barriers.push(Barrier { handle, began, deadline, tail: None, fresh: BTreeSet::new() });
    }

    /// Proofs that were found, or `None` for those whose deadline passed.
    pub(crate) fn take_proofs(&mut self) -> Vec<(T, Option<Point>)> {
        std::mem::take(&mut self.proofs)
    }

    pub(super) fn prove(&mut self, source: &SourceName, request: u64, head: &Head) {
        let Some(lead) = &self.lead else { return };
        let term = lead.evidence.term();
        for barrier in self.barriers.iter_mut().filter(|barrier| request >= barrier.began) {
            if barrier.tail.is_some_and(|(of, _)| of != term) {
                (barrier.tail, barrier.fresh) = (None, BTreeSet::new());
            }
            if head.term != term {
                continue;
            }
            if source == lead.evidence.primary() && head.is_primary() && barrier.tail.is_none() {
                barrier.tail = Some((term, head.tail));
            }
            barrier.fresh.insert(source.clone());
        }
    }

    pub(super) fn release_barriers(&mut self, _now: Instant) {
        let Some(lead) = &self.lead else { return };
        let evidence = &lead.evidence;
        let voters = &evidence.config().config.voters;
        let majority = Acks::Majority.required(voters.len());
        let is_proven = |barrier: &Barrier<T>| {
            let (term, tail) = barrier.tail?;
            let holds =
                |name: &SourceName| barrier.fresh.contains(name) && evidence.held_by(name) >= tail.position;
            if !self.options.rules.on(Rule::FreshProof) {
                return Some(tail).filter(|_| term == evidence.term());
            }
            let count = voters.iter().filter(|voter| holds(&voter.name)).count();
            let is_committed = evidence.committed() >= tail.position;
            (term == evidence.term() && count >= majority && is_committed).then_some(tail)
        };
        let mut waiting = Vec::new();
        for barrier in std::mem::take(&mut self.barriers) {
            match is_proven(&barrier) {
                Some(tail) => self.proofs.push((barrier.handle, Some(tail))),
                None => waiting.push(barrier),
            }
        }
        self.barriers = waiting;
    }
}

impl<T> Barrier<T> {
    /// Whether a head of this source would help.
    pub(super) fn wants(&self, source: &SourceName, lead: Option<&Lead>) -> bool {
        match lead {
            None => true,
            Some(lead) if lead.evidence.primary() == source => self.tail.is_none(),
            Some(_) => !self.fresh.contains(source),
        }
    }
}
