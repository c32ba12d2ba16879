//! Readers that are answered by others than the primary, by what their process saw a while ago.

use std::collections::BTreeMap;

use polylog_log::{Identity, SourceName};

use super::{promises::Kept, world::World};
use crate::quorum::{Rules, Settled};

/// What may be read of which database, as a process knows.
pub(super) type View = BTreeMap<SourceName, (Identity, Settled)>;

impl World {
    /// Reads every source that the process knows to hold something for good, as far as that goes; then it looks anew.
    pub(super) fn read_behind(&mut self, peer: usize) -> Kept {
        let rules = Rules { off: self.plan.off };
        for (name, (identity, settled)) in &self.views[peer] {
            let Some(source) = self.sources.get(name).filter(|_| !self.outside.contains(name)) else {
                continue;
            };
            if source.head.identity == *identity && settled.is_in(&source.head, rules) {
                self.promises.shown(&self.plan, name, settled.cap, source)?;
            }
        }
        let seen = self.peers[peer].seen();
        if seen.lead.is_none() {
            return Ok(());
        }
        let settled = seen
            .sources
            .into_iter()
            .filter_map(|source| Some((source.name, (source.identity, source.settled?))));
        self.views[peer] = settled.collect();
        Ok(())
    }
}
