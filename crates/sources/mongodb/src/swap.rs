//! The swap of the head's document.

use std::{
    future::IntoFuture,
    time::{Duration, Instant},
};

use mongodb::bson::doc;
use polylog_log::{Chain, Position};

use crate::{
    connection::Handle,
    error::EngineError,
    faults::HEAD_SWAPPED,
    fields::{number, uuid},
    head::HeadDocument,
    mutants::{Mutant, is_on},
    schema::LANE,
};

/// How long after a look what became of a swap without an answer it is looked into again, times the looks so far.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: u32 = 10;

/// What became of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swap {
    /// It took place.
    Landed,
    /// Another came first; it did not take place and never will.
    Late,
    /// Others came after it, or before it: no trace tells.
    Unresolved,
}

/// Why a swap has no outcome.
pub(crate) enum SwapError {
    /// The server did not take it.
    Refused(EngineError),
    /// It may have taken place, or may still.
    Unknown(EngineError),
}

impl Handle {
    /// Swaps the head's document, and finds out whether that happened when no answer came, until the deadline.
    pub(crate) async fn swap(
        &self,
        from: &HeadDocument,
        next: &HeadDocument,
        (is_guess, deadline): (bool, Instant),
    ) -> Result<Swap, SwapError> {
        let mut lost = match self.replace_head(from, next, is_guess).await {
            Ok(true) => return Ok(Swap::Landed),
            Ok(false) => return Ok(Swap::Late),
            Err(error) if error.left_nothing() => return Err(SwapError::Refused(error)),
            Err(error) => error,
        };
        if is_on(Mutant::UnresolvedSwap) {
            return Ok(Swap::Late);
        }
        let mut tried = 0;
        while !matches!(lost, EngineError::Crashed) && Instant::now() < deadline {
            tokio::time::sleep(PAUSE * tried).await;
            tried = LONGEST_PAUSE.min(tried + 1);
            match self.resolve(from, next).await {
                Ok(Some(swap)) => return Ok(swap),
                Ok(None) => {}
                Err(error) => {
                    lost = error;
                    continue;
                }
            }
            // not landed yet, and it still may: the same swap again, of which at most one takes place
            match self.replace_head(from, next, false).await {
                Ok(true) => return Ok(Swap::Landed),
                Ok(false) => {}
                Err(error) => lost = error,
            }
        }
        Err(SwapError::Unknown(lost))
    }

    /// Looks what became of a swap; `None` = it has not taken place yet.
    async fn resolve(&self, from: &HeadDocument, next: &HeadDocument) -> Result<Option<Swap>, EngineError> {
        let now = self.head_document().await?;
        if now.operation == next.operation {
            return Ok(Some(Swap::Landed));
        }
        if now.operation == from.operation && now.head.revision == from.head.revision {
            return Ok(None);
        }
        // only entries that this swap would write tell of it
        let own = next.batch.last().filter(|entry| entry.last() > from.head.tail.position);
        let is_mine = match own {
            Some(entry) => {
                let is_there = self.chain_at(&now, entry.last()).await? == Some(entry.chain);
                // others may have copied the same entries under another term; a primary's own stand for themselves
                is_there && (next.head.is_primary() || now.head.term == next.head.term)
            }
            None => false,
        };
        Ok(Some(if is_mine { Swap::Landed } else { Swap::Unresolved }))
    }

    /// Tells whoever begins with the head that it wrote itself that others wait for it: the next guess fails. The swap
    /// after that takes the mark away.
    pub(crate) async fn want(&self) -> Result<(), EngineError> {
        let update = self
            .connected()
            .await?
            .head
            .update_one(doc! { "_id": LANE }, doc! { "$set": { "wanted": true } });
        self.patiently(update.into_future()).await.map(drop)
    }

    async fn replace_head(
        &self,
        from: &HeadDocument,
        next: &HeadDocument,
        is_guess: bool,
    ) -> Result<bool, EngineError> {
        let mut expected =
            doc! { "_id": LANE, "rev": number(from.head.revision), "op": uuid(from.operation) };
        if is_guess {
            expected.insert("wanted", doc! { "$ne": true });
        }
        if is_on(Mutant::BlindSwap) {
            expected = doc! { "_id": LANE };
        }
        let update = self.connected().await?.head.update_one(expected, next.update(from));
        Ok(self.request(HEAD_SWAPPED, update.into_future()).await?.matched_count == 1)
    }

    /// The chain of the entry that holds a position of a head's log.
    async fn chain_at(&self, head: &HeadDocument, position: Position) -> Result<Option<Chain>, EngineError> {
        if position > head.head.tail.position {
            return Ok(None);
        }
        if position > head.base.position {
            return Ok(head.batch.iter().find(|entry| entry.last() >= position).map(|entry| entry.chain));
        }
        Ok(self.event_at(position).await?.map(|stored| stored.chain))
    }
}
