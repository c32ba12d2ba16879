//! Which primary a peer obeys.

use std::{collections::BTreeMap, time::Instant};

use polylog_log::{Head, Identity, Member, SourceName};

use super::{Lead, Peer};
use crate::quorum::{evidence::Evidence, rules::Rule, written::Written};

impl<T> Peer<T> {
    /// Takes any head of any source.
    pub(super) fn saw(&mut self, source: &SourceName, head: &Head, now: Instant) {
        let is_ours = self.sources.get(source).is_some_and(|known| known.identity == head.identity);
        if !is_ours {
            return;
        }
        let is_begun = head.config.config.version.0 > 0 || !self.options.is_begun;
        let is_opened = head.is_primary() || !self.options.rules.on(Rule::ObeyOpened) && !head.term.is_zero();
        // one that was restored and adopted again was opened as another, with a longer log
        let Identity { database, incarnation, .. } = head.identity;
        let is_itself = |voter: &Member| (voter.database, voter.incarnation) == (database, incarnation);
        if is_opened && is_begun && head.config.config.voters.iter().any(is_itself) {
            self.obey(source, head);
        }
        let Some(lead) = &mut self.lead else { return };
        if lead.evidence.primary() != source {
            // the configuration may count another database under this name: one that was lost, and is to be replaced
            let config = &lead.evidence.config().config;
            let mut members = config.voters.iter().chain(&config.learners);
            let is_other = members.any(|member| member.name == *source && !self.sources.is_member(member));
            if !is_other {
                lead.evidence.shows(source, head);
            }
            return;
        }
        self.primary_answered_at = Some(now);
        if head.term > lead.evidence.term() {
            self.lead = None;
        }
    }

    /// Takes that a source shows less than it showed before: what it said is worth nothing.
    pub(super) fn distrust(&mut self, source: &SourceName) {
        if let Some(attempt) = &mut self.attempt {
            attempt.distrust(source);
        }
        if let Some(lead) = &mut self.lead {
            lead.copies.remove(source);
            lead.strips.remove(source);
            lead.evidence.forget(source);
            if lead.evidence.primary() == source {
                self.lead = None;
            }
        }
    }

    /// Takes a head that shows its source to be a primary.
    pub(super) fn obey(&mut self, source: &SourceName, head: &Head) {
        match &mut self.lead {
            Some(lead) if lead.evidence.term() == head.term && lead.evidence.primary() == source => {
                lead.evidence.leads(head);
            }
            Some(lead) if lead.evidence.term() == head.term => self.rival = true,
            Some(lead) if lead.evidence.term() > head.term => {}
            // a primary of the past: the log went on without it
            _ if self.sources.heads().any(|(_, other)| other.tail.term > head.term) => {}
            _ => {
                let evidence = Evidence::new(source.clone(), head, self.options.rules);
                let written = Written::new(self.options.rules);
                let (copies, strips) = (BTreeMap::new(), BTreeMap::new());
                self.lead = Some(Lead { evidence, copies, written, strips });
                self.rival = false;
                self.group.primary_changed();
            }
        }
    }
}
