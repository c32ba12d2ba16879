//! Which primary to obey, and how to open one: the decision is pure, its execution below it.
//!
//! One attempt is `promise`, then `open` with the tail that came inside the promise. What a process remembers of an
//! attempt is its nonce; after a crash or an unknown outcome the head tells how far it came, and a lost attempt is
//! never resumed but followed by one of a higher term.

use std::time::{Duration, Instant};

use polylog_log::{FORMAT, Failure, Head, Identity, Nonce, Open, OperationError, Source, SourceName, Term};
use rand::Rng;
use uuid::Uuid;

use crate::{AppendError, OpenError, backoff::Backoff, caught::caught};

/// How long another's attempt may take before it counts as dead; one live attempt takes a few milliseconds. The upper
/// half is random, so that two who wait do not promise in step.
const PATIENCE: Duration = Duration::from_millis(300);
/// Operations of one search; more means that others are busy opening.
const LONGEST_SEARCH: usize = 6;

/// What a head asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is a primary that can be used.
    Use,
    /// Promise this term.
    Promise(Term, Nonce),
    /// Open the term that was promised to us.
    Open(Open),
    /// There is no primary, and it is not ours to open one, or not yet.
    Wait,
    /// It cannot be used at all.
    Refuse(AppendError),
}

/// One process's view of the election: its own attempt, and an attempt of others that it watches.
#[derive(Debug, Clone)]
pub(crate) struct Election {
    of: Identity,
    name: SourceName,
    may_open: bool,
    own: Option<(Term, Nonce)>,
    watched: Option<Watched>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    term: Term,
    grant: Option<Nonce>,
    dead_at: Instant,
}

impl Election {
    pub(crate) fn new(of: Identity, name: SourceName, may_open: bool) -> Self {
        Self { of, name, may_open, own: None, watched: None }
    }

    /// Decides by a head that was just read; `random` is fresh for every call.
    pub(crate) fn decide(&mut self, now: Instant, head: &Head, random: u128) -> Decision {
        if let Some(error) = self.unusable(head) {
            return Decision::Refuse(error);
        }
        if head.is_primary() {
            (self.own, self.watched) = (None, None);
            let is_configured = head.config.config.version.0 > 0;
            return if is_configured || self.may_open { Decision::Use } else { Decision::Wait };
        }
        if !self.may_open {
            return Decision::Wait;
        }
        if head.format > FORMAT {
            return Decision::Refuse(Failure::FormatTooNew { found: head.format, known: FORMAT }.into());
        }
        if let Some((term, nonce)) = self.own
            && (head.term, head.grant) == (term, Some(nonce))
        {
            return Decision::Open(Open {
                term,
                nonce,
                tail: head.tail,
                primary: self.name.clone(),
                forced: false,
                missing: Vec::new(),
            });
        }
        if head.term.is_zero() || self.is_dead(now, head, random) {
            let (term, nonce) = (head.term.next(), Nonce::new(Uuid::from_u128(random)));
            self.own = Some((term, nonce));
            return Decision::Promise(term, nonce);
        }
        Decision::Wait
    }

    fn unusable(&self, head: &Head) -> Option<AppendError> {
        let config = &head.config.config;
        if head.identity != self.of {
            let found = format!("log {}, database {}", head.identity.log, head.identity.database);
            return Some(Failure::WrongStore(found).into());
        }
        match &config.voters[..] {
            [voter] if voter.database == self.of.database && voter.incarnation == self.of.incarnation => None,
            [voter] => {
                let message = format!("the log's only voter is {}, another database", voter.name);
                Some(Failure::WrongStore(message).into())
            }
            voters => {
                let names: Vec<&str> = voters.iter().map(|voter| voter.name.as_str()).collect();
                Some(AppendError::NotSupported(format!(
                    "the log's voters are {}, and this process knows one source: put the others back with state: Draining, \
                     and remove them once they vote no more",
                    names.join(", ")
                )))
            }
        }
    }

    /// Whether the attempt that this head shows has stood still for long enough.
    fn is_dead(&mut self, now: Instant, head: &Head, random: u128) -> bool {
        match self.watched {
            Some(watched) if (watched.term, watched.grant) == (head.term, head.grant) => {
                now >= watched.dead_at
            }
            _ => {
                let spread = (random % 1_000) as u32;
                let dead_at = now + PATIENCE / 2 + PATIENCE / 2 * spread / 1_000;
                self.watched = Some(Watched { term: head.term, grant: head.grant, dead_at });
                false
            }
        }
    }
}

/// Looks for the primary, and opens one if it must and may. `NoPrimary` means: try again a little later.
pub(crate) async fn find_primary(source: &dyn Source, election: &mut Election) -> Result<Head, AppendError> {
    let mut head = caught(source.head()).await??;
    for _ in 0..LONGEST_SEARCH {
        let now = tokio::time::Instant::now().into_std();
        let random = rand::rng().random();
        let answer = match election.decide(now, &head, random) {
            Decision::Use => return Ok(head),
            Decision::Wait => return Err(AppendError::NoPrimary),
            Decision::Refuse(error) => return Err(error),
            Decision::Promise(term, nonce) => {
                tracing::info!(event = "term_promising", %term, "promising a term");
                caught(source.promise(&election.of, term, nonce)).await?
            }
            Decision::Open(open) => {
                tracing::info!(event = "term_opening", term = %open.term, tail = %open.tail.position, "opening a term");
                caught(source.open(&election.of, open)).await?
            }
        };
        head = match answer {
            Ok(head) => head,
            Err(OperationError::Refused { head, .. }) => *head,
            // Whether it was executed shows in the head at the next search.
            Err(OperationError::Failed(failure) | OperationError::Unknown(failure)) => {
                return Err(failure.into());
            }
        };
    }
    Err(AppendError::NoPrimary)
}

/// Finds or opens the primary when a store is opened; waits for others that are opening it.
pub(crate) async fn open_log(
    source: &dyn Source,
    election: &mut Election,
    at_most: Duration,
) -> Result<Head, OpenError> {
    let deadline = tokio::time::Instant::now() + at_most;
    let mut backoff = Backoff::default();
    loop {
        let is_late = tokio::time::Instant::now() >= deadline;
        match find_primary(source, election).await {
            Ok(head) => return Ok(head),
            Err(AppendError::NoPrimary) if is_late || !election.may_open => return Err(OpenError::NoPrimary),
            Err(AppendError::NoPrimary) => {}
            // Before anything was sent there is nothing to find out.
            Err(AppendError::Source(failure)) if is_late || election.own.is_none() => {
                return Err(failure.into());
            }
            Err(AppendError::Source(failure @ (Failure::Unreachable(_) | Failure::Timeout(_)))) => {
                tracing::warn!(event = "election_step_unknown", %failure, "the outcome of an election step is unknown");
            }
            Err(AppendError::Source(failure)) => return Err(failure.into()),
            Err(error) => {
                return Err(OpenError::NotSupported { field: "voters", reason: error.to_string() });
            }
        }
        let pause = backoff.failed(rand::rng().random());
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests;
