//! The swap of the head document, and the writing out of its batch.

use std::sync::Arc;

use polylog_log::{Chain, Position, Rule};

use super::{
    Connection, Lost,
    documents::{EventDocument, HeadDocument},
};
use crate::entries::rows;

/// How often a swap without an answer is looked into.
const TRIES: usize = 8;

/// What became of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swap {
    /// It took place.
    Landed,
    /// Another came first; it did not take place and never will.
    Late,
    /// Others came after it, or before it: no trace tells.
    Unresolved,
}

impl Connection {
    /// Swaps the head document, and finds out whether that happened when no answer came.
    pub(super) async fn swap(&self, from: &HeadDocument, next: &Arc<HeadDocument>) -> Result<Swap, Lost> {
        let revision = from.head.revision;
        let mut is_first = true;
        for _ in 0..TRIES {
            match self.replace_head(revision, next).await {
                Ok(true) => return Ok(Swap::Landed),
                Ok(false) if is_first => return Ok(Swap::Late),
                Err(Lost) if !self.server.is_on(Rule::SwapResolved) => return Ok(Swap::Late),
                Ok(false) | Err(Lost) => {}
            }
            is_first = false;
            let Ok(now) = self.head_document().await else { continue };
            if now.operation == next.operation {
                return Ok(Swap::Landed);
            }
            if now.head.revision != revision {
                let is_mine = match next.batch.last() {
                    Some(entry) => self.chain_at(&now, entry.last()).await? == Some(entry.chain),
                    None => false,
                };
                return Ok(if is_mine { Swap::Landed } else { Swap::Unresolved });
            }
            // not landed yet, and it still may: the same swap again, of which at most one takes place
        }
        Err(Lost)
    }

    /// The chain of the entry that holds a position of a head's log.
    async fn chain_at(&self, head: &HeadDocument, position: Position) -> Result<Option<Chain>, Lost> {
        if position > head.head.tail.position {
            return Ok(None);
        }
        if position > head.base.position {
            return Ok(head.batch.iter().find(|entry| entry.last() >= position).map(|entry| entry.chain));
        }
        Ok(self.event_document(position).await?.map(|document| document.row.chain))
    }

    /// Writes a head's batch out, one document per event; `false` = others are further than this head.
    pub(super) async fn write_out(&self, head: &HeadDocument) -> Result<bool, Lost> {
        let rules = self.server.options.rules;
        let fence = if rules.on(Rule::FenceByRevision) { head.head.revision } else { head.head.term.get() };
        for row in head.batch.iter().flat_map(|entry| rows(entry, rules)) {
            let document = EventDocument { revision: fence, row: Arc::new(row) };
            if self.insert_event(&document).await? || self.replace_event(&document).await? {
                continue;
            }
            let stored = self.event_document(document.row.event.position).await?;
            if stored.is_none_or(|stored| stored.row.chain != document.row.chain) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
