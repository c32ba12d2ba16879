//! The frame of every operation on the head: read it, write its batch out, decide, swap, write the new batch out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::{
    Append, Apply, Effect, Failure, Identity, Nonce, Open, OperationError, Position, Refusal, Term, Truncate,
};
use polylog_source_servers::memory::Memory;
use tokio::sync::watch;

use crate::{
    append, apply,
    connection::Handle,
    document::HeadDocument,
    election,
    error::EngineError,
    head::KnownHead,
    mutants::{Mutant, is_on},
    requests::Token,
    swap::{Landed, Swap, SwapError},
    wait,
};

/// After an attempt that came late the next one waits for up to this long times the attempts so far.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: u32 = 25;

/// Who wrote last remembers the head and has less to ask for the next operation than everybody else, who would always come late.
/// So who wrote beside others gives way for so many times as long as that took, and no longer than this.
const GIVES_WAY: u32 = 2;
const LONGEST_WAY: Duration = Duration::from_secs(1);

/// An operation on the head.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Promise(Term, Nonce),
    Open(Open),
    Append(Append),
    Apply(Apply),
    Truncate(Truncate),
}

impl Request {
    /// What leaves the batch as it is, or makes it shorter, need not write it out.
    fn writes_entries(&self) -> bool {
        matches!(self, Request::Open(_) | Request::Append(_) | Request::Apply(_))
    }

    /// What comes often may begin with what is remembered: the swap proves it.
    fn may_guess(&self) -> bool {
        matches!(self, Request::Append(_) | Request::Apply(_))
    }
}

/// What one process writes with, and what it remembers.
pub(crate) struct Writer {
    pub(crate) handle: Arc<Handle>,
    tail: Arc<watch::Sender<Position>>,
    remembered: Option<Known>,
    /// Until when others go first.
    gives_way: Option<Instant>,
    pub(crate) memory: Memory,
}

/// A head that was read or written.
struct Known {
    head: KnownHead,
    is_written_out: bool,
    /// Whether it was read for this attempt, so that a refusal may rest on it.
    is_fresh: bool,
}

/// How one attempt of an operation ended.
enum Tried {
    Done {
        effect: Box<Effect>,
        is_contended: bool,
    },
    Refused(Refusal, Box<HeadDocument>),
    /// Another came first, or a guess was wrong.
    Late,
    Unresolved,
}

enum Stopped {
    /// This attempt wrote nothing.
    Before(EngineError),
    Unknown(EngineError),
}

impl From<EngineError> for Stopped {
    fn from(error: EngineError) -> Self {
        Self::Before(error)
    }
}

impl Writer {
    pub(crate) fn new(handle: Arc<Handle>, tail: Arc<watch::Sender<Position>>) -> Self {
        Self { handle, tail, remembered: None, gives_way: None, memory: Memory::default() }
    }

    /// Carries an operation out, again and again while others come first.
    pub(crate) async fn operate(
        &mut self,
        of: &Identity,
        request: &Request,
    ) -> Result<Effect, OperationError> {
        let deadline = Instant::now() + self.handle.config.operation_timeout;
        let (mut is_unresolved, mut attempts) = (false, 0_u32);
        // whoever is elected waits for nobody
        if let Some(until) = self.gives_way.take_if(|_| request.may_guess()) {
            tokio::time::sleep_until(until.into()).await;
        }
        let failed = |is_unresolved, failure| match is_unresolved {
            true => OperationError::Unknown(failure),
            false => OperationError::Failed(failure),
        };
        loop {
            let begin = Instant::now();
            match self.attempt(of, request).await {
                Ok(Tried::Done { effect, is_contended }) => {
                    if is_contended || attempts > 0 {
                        self.gives_way = Some(Instant::now() + way(begin.elapsed()));
                    }
                    return Ok(*effect);
                }
                Ok(Tried::Late) => {}
                Ok(Tried::Unresolved) => is_unresolved = true,
                Ok(Tried::Refused(reason, document)) if !is_unresolved => {
                    return Err(OperationError::Refused { reason, head: Box::new(document.head) });
                }
                Ok(Tried::Refused(reason, _)) => {
                    let what = format!("an earlier try got no answer, and now: {reason}");
                    return Err(OperationError::Unknown(Failure::Unreachable(what)));
                }
                Err(Stopped::Before(error)) => return Err(failed(is_unresolved, error.failure())),
                Err(Stopped::Unknown(error)) => return Err(OperationError::Unknown(error.failure())),
            }
            if Instant::now() >= deadline {
                let failure = Failure::Unreachable("other writers always came first".into());
                return Err(failed(is_unresolved, failure));
            }
            attempts += 1;
            // the second attempt comes at once: mostly the guess was wrong, and nobody is there
            if attempts > 1 {
                let share = u32::from(uuid::Uuid::new_v4().as_bytes()[15]);
                tokio::time::sleep(PAUSE * attempts.min(LONGEST_PAUSE) * share / 255).await;
            }
        }
    }

    async fn attempt(&mut self, of: &Identity, request: &Request) -> Result<Tried, Stopped> {
        let known = self.known(request).await?;
        let head = &known.head.document;
        let must_wait = request.writes_entries() && !is_on(Mutant::NoWaitForWriteOut);
        if must_wait && !known.is_written_out && !self.handle.write_out(head).await? {
            return Ok(Tried::Late);
        }
        let effect = match self.decide(of, head, request).await? {
            Ok(effect) => effect,
            Err(_) if !known.is_fresh => return Ok(Tried::Late),
            Err(reason) => return Ok(Tried::Refused(reason, Box::new(known.head.document))),
        };
        if let Some(cut) = effect.cut
            && !self.handle.save(head, cut).await?
        {
            return Ok(Tried::Late);
        }
        let next = if request.writes_entries() { head.after_writing(&effect) } else { head.after(&effect) };
        let Landed { token, met } = match self.handle.swap(&known.head, &next).await {
            Ok(Swap::Landed(landed)) => landed,
            Ok(Swap::Late) => return Ok(Tried::Late),
            Ok(Swap::Unresolved) => return Ok(Tried::Unresolved),
            Err(SwapError::Refused(error)) => return Err(Stopped::Before(error)),
            Err(SwapError::Unknown(error)) => return Err(Stopped::Unknown(error)),
        };
        self.landed(head, next, token, &effect).await;
        // judged now, when what this process's own readers wrote meanwhile has been answered
        let is_contended = token.is_none() || met.iter().any(|met| !self.handle.is_own(*met));
        Ok(Tried::Done { effect: Box::new(effect), is_contended })
    }

    async fn known(&mut self, request: &Request) -> Result<Known, EngineError> {
        if let Some(known) = self.remembered.take().filter(|_| request.may_guess()) {
            return Ok(Known { is_fresh: false, ..known });
        }
        let seen = self.handle.history.seen();
        let head = self.handle.sure_head().await?;
        self.handle.prove(seen, &head.document).await?;
        Ok(Known { head, is_written_out: false, is_fresh: true })
    }

    async fn decide(
        &mut self,
        of: &Identity,
        head: &HeadDocument,
        request: &Request,
    ) -> Result<Result<Effect, Refusal>, EngineError> {
        match request {
            Request::Promise(term, nonce) => Ok(election::promise(of, head, *term, *nonce)),
            Request::Open(open) => election::open(self, of, head, open).await,
            Request::Append(append) => append::append(self, of, head, append).await,
            Request::Apply(apply) => Ok(apply::apply(of, head, apply)),
            Request::Truncate(truncate) => election::truncate(&self.handle, of, head, truncate).await,
        }
    }

    /// The swap decided; writing out comes after, and whoever comes next does it where this one cannot.
    async fn landed(
        &mut self,
        before: &HeadDocument,
        document: HeadDocument,
        token: Option<Token>,
        effect: &Effect,
    ) {
        self.handle.history.remember(&document.head);
        if effect.cut.is_some() {
            self.memory.forget();
        } else {
            self.memory.remember(&before.head.tail, document.head.clone(), &effect.write);
        }
        wait::publish(&self.tail, document.head.tail.position);
        let is_written_out = matches!(self.handle.write_out(&document).await, Ok(true));
        let known = token.map(|token| KnownHead { token, document });
        self.remembered = known.map(|head| Known { head, is_written_out, is_fresh: false });
    }

    /// The database's clock, to be asked for seldom.
    pub(crate) async fn clock(&mut self) -> Result<polylog_log::Timestamp, EngineError> {
        if let Some(clock) = self.memory.clock() {
            return Ok(clock);
        }
        let clock = self.handle.clock().await?;
        self.memory.set_clock(clock);
        Ok(clock)
    }
}

/// How long others go first, after an attempt of so long.
fn way(took: Duration) -> Duration {
    (took * GIVES_WAY).min(LONGEST_WAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_go_first_for_twice_as_long_and_a_second_at_most() {
        let ways = [0, 20, 500, 501, 60_000].map(|millis| way(Duration::from_millis(millis)).as_millis());
        assert_eq!(ways, [0, 40, 1_000, 1_000, 1_000]);
    }
}
