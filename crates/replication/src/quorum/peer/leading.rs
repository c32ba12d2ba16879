//! Which primary a peer obeys.

use std::collections::BTreeMap;

use polylog_log::{Head, SourceName};

use super::{Lead, Peer};
use crate::quorum::evidence::Evidence;

impl<T> Peer<T> {
    /// Takes any head of any source.
    pub(super) fn saw(&mut self, source: &SourceName, head: &Head) {
        let is_ours = self.sources.get(source).is_some_and(|known| known.identity == head.identity);
        if !is_ours {
            return;
        }
        if self.options.is_begun && head.config.config.version.0 == 0 {
            return;
        }
        if head.is_primary() {
            return self.obey(source, head);
        }
        let is_deposed = self.lead.as_ref().is_some_and(|lead| {
            lead.evidence.primary() == source && head.term > lead.evidence.term()
        });
        if is_deposed {
            self.lead = None;
        }
    }

    /// Takes a head that shows its source to be a primary.
    pub(super) fn obey(&mut self, source: &SourceName, head: &Head) {
        match &mut self.lead {
            Some(lead) if lead.evidence.term() == head.term && lead.evidence.primary() == source => {
                lead.evidence.leads(head);
            }
            Some(lead) if lead.evidence.term() >= head.term => {}
            _ => {
                let evidence = Evidence::new(source.clone(), head, self.options.rules);
                self.lead = Some(Lead { evidence, copies: BTreeMap::new() });
            }
        }
    }
}
