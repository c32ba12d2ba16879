//! Group commit without I/O: which commits are sent together, when, and what their callers are told.
//!
//! Time and randomness come in as arguments, so that every behaviour can be tested by a list of steps.

mod answers;
mod batches;
mod gather;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::{Commit, ConfigVersion, Term, Verdict};

use self::gather::Pace;
use crate::{AppendError, QueueBounds, backoff::Backoff};

/// Most events in a batch of more than one commit; also most commits.
const BATCH_EVENTS: usize = 500;
/// Most bytes in a batch of more than one commit.
const BATCH_BYTES: usize = 1 << 20;
/// What an event takes in memory beyond its variable parts; a commit without events counts as one.
const EVENT_OVERHEAD: usize = 256;
/// Bounds of what an overloaded caller is told to wait.
const RETRY_AFTER: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(5);

/// The term under which appends are sent, and the configuration they are made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Primary {
    pub(crate) term: Term,
    pub(crate) config: ConfigVersion,
}

/// What the driver does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing before this moment, unless something happens.
    Wait(Option<Instant>),
    /// Nothing before this moment, which is near: more commits are about to come.
    Gather(Instant),
    /// Read the head, open a term if need be, and report with [`Group::found`].
    FindPrimary,
    /// Send this, and report with [`Group::appended`].
    Append(Batch),
}

/// Commits to be sent together.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// Number of this attempt; the report names it.
    pub(crate) attempt: u64,
    pub(crate) primary: Primary,
    pub(crate) commits: Arc<[Commit]>,
}

/// What became of a caller's commit.
pub(crate) type Outcome = Result<Verdict, AppendError>;

struct Waiting<T> {
    commit: Commit,
    size: usize,
    caller: Caller<T>,
}

struct Caller<T> {
    deadline: Instant,
    handle: T,
}

/// A batch that was taken from the queue and is not answered yet.
struct Taken<T> {
    commits: Arc<[Commit]>,
    /// One per commit; `None` once its caller was told something.
    callers: Vec<Option<Caller<T>>>,
    /// An attempt was sent and its outcome is not known: it may be written, now or later.
    may_be_written: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Ready,
    Finding,
    Appending { since: Instant },
    Pausing { until: Instant },
}

/// How well commits travel together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Batches that were answered.
    pub batches: u64,
    /// Events in them, refused ones included.
    pub events: u64,
}

/// The state of group commit; `T` is how a caller is reached.
pub(crate) struct Group<T> {
    bounds: QueueBounds,
    waiting: VecDeque<Waiting<T>>,
    waiting_events: usize,
    waiting_bytes: usize,
    taken: Option<Taken<T>>,
    phase: Phase,
    primary: Option<Primary>,
    attempt: u64,
    backoff: Backoff,
    /// What stands against sending, as told to those whose deadline passes meanwhile.
    obstacle: Option<AppendError>,
    pace: Pace,
    /// No deadline is before this moment.
    earliest: Option<Instant>,
    is_draining: bool,
    sent: Sent,
    outcomes: Vec<(T, Outcome)>,
}

impl<T> Group<T> {
    pub(crate) fn new(bounds: QueueBounds, primary: Option<Primary>) -> Self {
        Self {
            bounds,
            waiting: VecDeque::new(),
            waiting_events: 0,
            waiting_bytes: 0,
            taken: None,
            phase: Phase::Ready,
            primary,
            attempt: 0,
            backoff: Backoff::default(),
            obstacle: None,
            pace: Pace::default(),
            earliest: None,
            is_draining: false,
            sent: Sent::default(),
            outcomes: Vec::new(),
        }
    }

    /// Takes a commit, or refuses it and gives the caller back. Tells whether the driver must be woken.
    pub(crate) fn offer(
        &mut self,
        commit: Commit,
        deadline: Instant,
        handle: T,
    ) -> Result<bool, (T, AppendError)> {
        let size = commit.size() + EVENT_OVERHEAD * commit.event_count().max(1);
        let is_full = self.waiting.len() >= self.bounds.commits
            || (!self.waiting.is_empty() && self.waiting_bytes + size > self.bounds.bytes);
        if self.is_draining {
            return Err((handle, AppendError::Draining));
        }
        if is_full {
            return Err((handle, self.overloaded()));
        }
        let is_earliest = self.earliest.is_none_or(|earliest| deadline < earliest);
        self.earliest = if is_earliest { Some(deadline) } else { self.earliest };
        self.waiting_events += commit.event_count();
        self.waiting_bytes += size;
        self.waiting.push_back(Waiting { commit, size, caller: Caller { deadline, handle } });
        Ok(is_earliest || self.phase == Phase::Ready)
    }

    /// What to do now; call again after anything happened or the named moment came.
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        self.expire(now);
        if self.taken.as_ref().is_some_and(|taken| taken.callers.iter().all(Option::is_none)) {
            // Everybody was told that the outcome is unknown: nobody is served by finding it out.
            self.taken = None;
            if matches!(self.phase, Phase::Appending { .. }) {
                self.phase = Phase::Pausing { until: now + self.backoff.failed(1.0) };
            }
        }
        match self.phase {
            Phase::Appending { .. } | Phase::Finding => return Next::Wait(self.earliest),
            Phase::Pausing { until } if now < until => {
                return Next::Wait(Some(self.earliest.map_or(until, |earliest| earliest.min(until))));
            }
            Phase::Pausing { .. } | Phase::Ready => self.phase = Phase::Ready,
        }
        if self.is_idle() {
            return Next::Wait(None);
        }
        let Some(primary) = self.primary else {
            self.phase = Phase::Finding;
            return Next::FindPrimary;
        };
        if self.taken.is_none()
            && let Some(until) = self.gathers_until(now)
        {
            return Next::Gather(until);
        }
        self.attempt += 1;
        self.phase = Phase::Appending { since: now };
        let commits = self.take_batch();
        Next::Append(Batch { attempt: self.attempt, primary, commits })
    }

    /// There is another primary than before: whatever stood against sending does no more. It is looked for at once.
    pub(crate) fn primary_changed(&mut self) {
        self.primary = None;
        self.backoff.succeeded();
        if matches!(self.phase, Phase::Pausing { .. }) {
            self.phase = Phase::Ready;
        }
    }

    /// Refuses what comes from now on; what was taken is finished.
    pub(crate) fn drain(&mut self) {
        self.is_draining = true;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// Whether nobody waits for anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.taken.is_none()
    }

    /// Whether the report of this attempt is still of use.
    pub(crate) fn awaits(&self, attempt: u64) -> bool {
        matches!(self.phase, Phase::Appending { .. }) && attempt == self.attempt
    }

    /// Whether the result of a search is awaited.
    pub(crate) fn awaits_primary(&self) -> bool {
        self.phase == Phase::Finding
    }

    /// Whether an attempt of the batch that was taken may have been written, and what became of it is not known.
    pub(crate) fn may_be_written(&self) -> bool {
        self.taken.as_ref().is_some_and(|taken| taken.may_be_written)
    }

    /// Nothing is sent until a primary is found again.
    pub(crate) fn lose_primary(&mut self) {
        self.primary = None;
    }

    /// Those whose commits are in the batch that was taken, without those that were told something already.
    pub(crate) fn taken(&mut self) -> impl Iterator<Item = &mut T> {
        let callers = self.taken.iter_mut().flat_map(|taken| &mut taken.callers);
        callers.flatten().map(|caller| &mut caller.handle)
    }

    /// Commits and bytes that wait to be sent.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.waiting_bytes)
    }

    /// Batches that were answered so far.
    pub(crate) fn sent(&self) -> Sent {
        self.sent
    }

    /// What callers are to be told, each once.
    pub(crate) fn take_outcomes(&mut self) -> Vec<(T, Outcome)> {
        std::mem::take(&mut self.outcomes)
    }

    fn expire(&mut self, now: Instant) {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return;
        }
        let not_sent = self.obstacle.clone().unwrap_or_else(|| self.overloaded());
        let mut earliest: Option<Instant> = None;
        let mut keep = |deadline: Instant| {
            let keeps = now < deadline;
            if keeps {
                earliest = Some(earliest.map_or(deadline, |earliest| earliest.min(deadline)));
            }
            keeps
        };
        for waiting in std::mem::take(&mut self.waiting) {
            if keep(waiting.caller.deadline) {
                self.waiting.push_back(waiting);
                continue;
            }
            self.waiting_events -= waiting.commit.event_count();
            self.waiting_bytes -= waiting.size;
            self.outcomes.push((waiting.caller.handle, Err(not_sent.clone())));
        }
        if let Some(taken) = &mut self.taken {
            let is_sent = taken.may_be_written || matches!(self.phase, Phase::Appending { .. });
            let told = if is_sent { AppendError::OutcomeUnknown } else { not_sent };
            for caller in &mut taken.callers {
                let expired = caller.take_if(|caller| !keep(caller.deadline));
                self.outcomes.extend(expired.map(|caller| (caller.handle, Err(told.clone()))));
            }
        }
        self.earliest = earliest;
    }

    fn overloaded(&self) -> AppendError {
        let by_events = self.waiting_events.max(self.waiting.len()).div_ceil(BATCH_EVENTS);
        let batches = by_events.max(self.waiting_bytes.div_ceil(BATCH_BYTES)).max(1);
        let batches = u32::try_from(batches).unwrap_or(u32::MAX);
        let retry_after = self.pace.took.saturating_mul(batches);
        AppendError::Overloaded { retry_after: retry_after.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end()) }
    }
}
