//! Data that one source keeps alone: it goes to all with its event, and is dropped by the others once that one holds it.
//!
//! So nothing is ever in fewer places than the ack level says: what another source keeps is committed, and stands there.

use std::time::Instant;

use polylog_log::{Apply, Event, Position, SourceName};

use super::{Peer, Purpose};
use crate::quorum::{
    evidence::Evidence,
    request::{Answer, Request},
    rules::{Rule, Rules},
    stripping::Stripping,
};

/// Up to which position a source is known to keep data for the others.
pub(super) fn kept(rules: Rules, evidence: &Evidence, keeper: &SourceName) -> Position {
    let everything = Position::new(u64::MAX);
    let held = if rules.on(Rule::DroppedIfKept) { evidence.held_by(keeper) } else { everything };
    let committed = if rules.on(Rule::DroppedIfCommitted) { evidence.committed() } else { everything };
    held.min(committed)
}

impl<T> Peer<T> {
    /// Takes data out of what is copied to a source, where another keeps it already.
    pub(super) fn spare(&self, to: &SourceName, keepers: &[SourceName], apply: &mut Apply) {
        let Some(lead) = self.lead.as_ref().filter(|_| !keepers.is_empty()) else { return };
        let is_kept = |event: &Event| {
            let keeper = event.keeper().filter(|keeper| keeper != to && keepers.contains(keeper));
            keeper.is_some_and(|keeper| kept(self.options.rules, &lead.evidence, &keeper) >= event.position)
        };
        if !apply.entries.iter().flat_map(|entry| &entry.events).any(is_kept) {
            return;
        }
        let mut entries = apply.entries.to_vec();
        for event in entries.iter_mut().flat_map(|entry| &mut entry.events) {
            if is_kept(event) {
                event.data = None;
            }
        }
        apply.entries = entries.into();
    }

    pub(super) fn step_strips(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let Some(lead) = self.lead.as_ref().filter(|_| self.options.has_duties && self.attempt.is_none())
        else {
            return;
        };
        let config = lead.evidence.config().config.clone();
        if config.keepers.is_empty() {
            return;
        }
        for member in config.voters.iter().chain(&config.learners) {
            let name = &member.name;
            let is_busy = self.is_under_way(|one| matches!(&one.purpose, Purpose::Strip(of) if of == name));
            let is_free = self.sources.is_member(member) && self.sources.is_ready_to_write(name, now);
            if is_busy || !is_free {
                continue;
            }
            let Some(lead) = &mut self.lead else { return };
            // without the rule, what is not committed is dropped as well
            let held = lead.evidence.held_by(name);
            let end = match self.options.rules.on(Rule::DroppedIfCommitted) {
                true => held.min(lead.evidence.committed()),
                false => held,
            };
            let stripping = lead.strips.entry(name.clone()).or_insert_with(|| Stripping::new(name.clone()));
            if let Some(operation) = stripping.next(now, end) {
                requests.extend(self.request(name.clone(), Purpose::Strip(name.clone()), operation));
            }
        }
    }

    pub(super) fn stripped(&mut self, of: &SourceName, now: Instant, answer: Answer) {
        let rules = self.options.rules;
        let Some(lead) = &mut self.lead else { return };
        let Some(stripping) = lead.strips.get_mut(of) else { return };
        let evidence = &lead.evidence;
        let keepers = &evidence.config().config.keepers;
        match answer {
            Answer::Page(Ok(page)) => stripping.page(now, page, |keeper| match keepers.contains(keeper) {
                true => kept(rules, evidence, keeper),
                false => Position::ZERO,
            }),
            Answer::Changed(Ok(_)) => stripping.done(),
            _ => stripping.failed(now),
        }
    }
}
