//! The swap of the head's document.

use std::time::{Duration, Instant};

use crate::{
    connection::Handle,
    document::{HeadDocument, Trace},
    error::EngineError,
    head::KnownHead,
    mutants::{Mutant, is_believed, is_on, is_repeated},
    requests::Token,
};

/// How often a swap without a clear answer is looked into, and how long after the one before.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// What became of a swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Swap {
    Landed(Landed),
    /// Another came first; it did not take place and never will.
    Late,
    /// Others came after it, or before it: no trace tells.
    Unresolved,
}

/// A swap that took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landed {
    /// What the next one names; `None` = somebody came after.
    pub(crate) token: Option<Token>,
    /// Writes that it met on its way, which left the head as it was: confirmations of what was read, here or elsewhere.
    pub(crate) met: Vec<Token>,
}

/// Why a swap has no outcome.
pub(crate) enum SwapError {
    /// The server did not take it.
    Refused(EngineError),
    /// It may have taken place, or may still.
    Unknown(EngineError),
}

/// What one look at the head says of a swap.
enum Look {
    /// It took place; see [`Landed::token`].
    Landed(Option<Token>),
    /// Another one did, or nobody can tell.
    Other(Swap),
    /// It has not taken place yet; the same one again.
    Again(Token),
}

impl Handle {
    /// Swaps the head's document, and finds out whether that happened when no clear answer came. A conflict is not clear:
    /// a cluster repeats a write whose shard has moved, and then it may be one with the swap itself.
    pub(crate) async fn swap(&self, from: &KnownHead, next: &HeadDocument) -> Result<Swap, SwapError> {
        let mut answer = match is_believed(self, next) {
            true => Err(EngineError::Lost),
            false => self.put_head(from.token, next).await,
        };
        if is_repeated() {
            answer = self.put_head(from.token, next).await;
        }
        let mut doubt = match answer {
            Ok(token) => return Ok(Swap::Landed(Landed { token: Some(token), met: Vec::new() })),
            Err(error) if error.is_conflict() && is_on(Mutant::ConflictIsRefusal) => return Ok(Swap::Late),
            Err(error) if error.left_nothing() => return Err(SwapError::Refused(error)),
            Err(_) if is_on(Mutant::UnresolvedSwap) => return Ok(Swap::Late),
            Err(error) => error,
        };
        let deadline = Instant::now() + self.config.operation_timeout;
        let (mut tried, mut met) = (0, Vec::new());
        while !matches!(doubt, EngineError::Crashed) && Instant::now() < deadline {
            // where others come first, the log goes on; where nothing answers, it does not
            if !doubt.is_conflict() {
                if tried == TRIES {
                    break;
                }
                tokio::time::sleep(PAUSE * tried).await;
                tried += 1;
            }
            let token = match self.look(&from.document, next, doubt.is_conflict()).await {
                Ok(Look::Landed(token)) => return Ok(Swap::Landed(Landed { token, met })),
                Ok(Look::Other(swap)) => return Ok(swap),
                Ok(Look::Again(token)) => {
                    met.push(token);
                    token
                }
                Err(error) => {
                    doubt = error;
                    continue;
                }
            };
            // it still may take place: the same swap again, of which at most one does
            match self.put_head(token, next).await {
                Ok(token) => return Ok(Swap::Landed(Landed { token: Some(token), met })),
                Err(error) => doubt = error,
            }
        }
        Err(SwapError::Unknown(doubt))
    }

    async fn look(
        &self,
        from: &HeadDocument,
        next: &HeadDocument,
        is_conflict: bool,
    ) -> Result<Look, EngineError> {
        let now = self.head_document().await?;
        match now.document.trace(from, next) {
            // what was read may be what a server alone believes: a write that changes nothing confirms it
            Trace::Landed => Ok(Look::Landed(Some(self.put_head(now.token, next).await?))),
            Trace::NotYet => Ok(Look::Again(now.token)),
            Trace::Passed => {
                let Some(proof) = next.proof(from) else { return Ok(Look::Other(Swap::Unresolved)) };
                let now = self.sure(now).await?;
                let chain = self.chain_at(&now.document, proof.position).await?;
                if chain == Some(proof.chain) {
                    return Ok(Look::Landed(None));
                }
                Ok(Look::Other(if is_conflict { Swap::Late } else { Swap::Unresolved }))
            }
        }
    }
}
