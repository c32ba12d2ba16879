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
    election,
    error::EngineError,
    head::HeadDocument,
    mutants::{Mutant, is_on},
    swap::{Swap, SwapError},
    wait,
};

/// After an attempt that came late the next one waits for up to this long times the attempts so far.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: u32 = 10;
/// So long after others were noticed nothing is guessed. Whoever guesses right is faster than all who have to read first,
/// and would always win against them; those say so in the head after so many attempts.
const FAIR: Duration = Duration::from_secs(1);
const PATIENT_ATTEMPTS: u32 = 2;

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
    /// When other writers were noticed last.
    others: Option<Instant>,
    pub(crate) memory: Memory,
}

/// A head that was read or written.
struct Known {
    document: HeadDocument,
    is_written_out: bool,
    /// Whether it was read for this attempt, so that a refusal may rest on it.
    is_fresh: bool,
}

/// How one attempt of an operation ended.
enum Tried {
    Done(Box<Effect>),
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
        Self { handle, tail, remembered: None, others: None, memory: Memory::default() }
    }

    /// Carries an operation out, again and again while others come first.
    pub(crate) async fn operate(
        &mut self,
        of: &Identity,
        request: &Request,
    ) -> Result<Effect, OperationError> {
        let deadline = Instant::now() + self.handle.config.operation_timeout;
        let (mut is_unresolved, mut attempts) = (false, 0_u32);
        let failed = |is_unresolved, failure| match is_unresolved {
            true => OperationError::Unknown(failure),
            false => OperationError::Failed(failure),
        };
        loop {
            match self.attempt(of, request, deadline).await {
                Ok(Tried::Done(effect)) => return Ok(*effect),
                Ok(Tried::Late) => self.others = Some(Instant::now()),
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
            if attempts.is_multiple_of(PATIENT_ATTEMPTS)
                && let Err(error) = self.handle.want().await
            {
                return Err(failed(is_unresolved, error.failure()));
            }
            // the second attempt comes at once: mostly the guess was wrong, and nobody is there
            if attempts > 1 {
                let share = u32::from(uuid::Uuid::new_v4().as_bytes()[15]);
                tokio::time::sleep(PAUSE * attempts.min(LONGEST_PAUSE) * share / 255).await;
            }
        }
    }

    async fn attempt(
        &mut self,
        of: &Identity,
        request: &Request,
        deadline: Instant,
    ) -> Result<Tried, Stopped> {
        let known = self.known(request).await?;
        let head = &known.document;
        let must_wait = request.writes_entries() && !is_on(Mutant::NoWaitForWriteOut);
        if must_wait && !known.is_written_out && !self.handle.write_out(head).await? {
            let what = "event documents are of a later head than the one that is there".to_owned();
            return self.late_or_damaged(&known, what).await;
        }
        let effect = match self.decide(of, head, request).await {
            Err(EngineError::Mismatch(what)) => return self.late_or_damaged(&known, what).await,
            Err(error) => return Err(error.into()),
            Ok(decided) => decided,
        };
        let effect = match effect {
            Ok(effect) => effect,
            Err(_) if !known.is_fresh => return Ok(Tried::Late),
            Err(reason) => return Ok(Tried::Refused(reason, Box::new(known.document))),
        };
        if let Some(cut) = effect.cut {
            match self.handle.save(head, cut).await {
                Err(EngineError::Mismatch(what)) => return self.late_or_damaged(&known, what).await,
                saved => saved?,
            }
        }
        let next = if request.writes_entries() { head.after_writing(&effect) } else { head.after(&effect) };
        match self.handle.swap(head, &next, (!known.is_fresh, deadline)).await {
            Ok(Swap::Landed) => {}
            Ok(Swap::Late) => return Ok(Tried::Late),
            Ok(Swap::Unresolved) => return Ok(Tried::Unresolved),
            Err(SwapError::Refused(error)) => return Err(Stopped::Before(error)),
            Err(SwapError::Unknown(error)) => return Err(Stopped::Unknown(error)),
        }
        // what stays of a batch is as much written out as it was
        let was_written_out = (!request.writes_entries()).then_some(known.is_written_out);
        self.landed(head, next, &effect, was_written_out).await;
        Ok(Tried::Done(Box::new(effect)))
    }

    /// What documents that do not fit a head mean: another head came, or the documents were replaced under this one.
    async fn late_or_damaged(&self, known: &Known, what: String) -> Result<Tried, Stopped> {
        let is_still_there =
            known.is_fresh && self.handle.head_document().await?.operation == known.document.operation;
        if is_still_there { Err(EngineError::damaged(what).into()) } else { Ok(Tried::Late) }
    }

    async fn known(&mut self, request: &Request) -> Result<Known, EngineError> {
        let is_alone = self.others.is_none_or(|noticed| noticed.elapsed() >= FAIR);
        if let Some(known) = self.remembered.take().filter(|_| is_alone && request.may_guess()) {
            return Ok(Known { is_fresh: false, ..known });
        }
        let seen = self.handle.history.seen();
        let document = self.handle.head_document().await?;
        self.handle.prove(seen, &document).await?;
        Ok(Known { document, is_written_out: false, is_fresh: true })
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
        effect: &Effect,
        was_written_out: Option<bool>,
    ) {
        self.handle.history.remember(&document.head);
        self.handle.keep(&document);
        if effect.cut.is_some() {
            self.memory.forget();
        } else {
            self.memory.remember(&before.head.tail, document.head.clone(), &effect.write);
        }
        wait::publish(&self.tail, document.head.tail.position);
        let is_written_out = match was_written_out {
            Some(was_written_out) => was_written_out,
            None => matches!(self.handle.write_out_new(&document).await, Ok(true)),
        };
        self.remembered = Some(Known { document, is_written_out, is_fresh: false });
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
