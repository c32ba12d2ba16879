//! The one task of a store that sends appends: it drives [`Group`] against the source.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use parking_lot::Mutex;
use polylog_log::{Append, Appended, Commit, Failure, Head, Identity, OperationError, Source, Watermarks};
use rand::Rng;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use tracing::{Instrument, Span};

use crate::{
    AppendError, QueueBounds,
    bootstrap::{Election, find_primary},
    caught::caught,
    group::{Batch, Group, Next, Outcome, Primary, Sent},
    heads::{Asked, Heads},
    trace::{self, CommitSpans},
};

/// How long a search for the primary may take before it is begun anew.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);
/// Timers are good to a millisecond; what is shorter is waited for by yielding to other tasks.
const SHORTEST_TIMER: Duration = Duration::from_millis(2);

/// Where appends are handed in. The task behind it ends after [`Queue::drain`], once everything is answered.
pub(crate) struct Queue {
    group: Mutex<Group<Waiter>>,
    wake: Notify,
}

impl Queue {
    pub(crate) fn new(bounds: QueueBounds, primary: &Head) -> Arc<Self> {
        let group = Group::new(bounds, Some(primary_of(primary)));
        Arc::new(Self { group: Mutex::new(group), wake: Notify::new() })
    }

    /// Hands in a commit and waits for its outcome. Dropping the future does not take the commit back.
    pub(crate) async fn append(&self, commit: Commit, deadline: std::time::Instant) -> Outcome {
        #[cfg(feature = "mutants")]
        let early = mutants::early_answer(&commit);
        let (caller, outcome) = oneshot::channel();
        let waiter = Waiter { caller, spans: CommitSpans::waiting() };
        let wakes = self.group.lock().offer(commit, deadline, waiter).map_err(|(_, error)| error)?;
        if wakes {
            self.wake.notify_one();
        }
        #[cfg(feature = "mutants")]
        let outcome = mutants::sooner(early, outcome);
        // The task answers everybody; if it is gone without having done so, nothing is known.
        outcome.await.unwrap_or(Err(AppendError::OutcomeUnknown))
    }

    /// Refuses what comes from now on.
    pub(crate) fn drain(&self) {
        self.group.lock().drain();
        self.wake.notify_one();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.group.lock().is_draining()
    }

    /// Commits and bytes that wait to be sent.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        self.group.lock().waiting()
    }

    /// Batches that were answered so far.
    pub(crate) fn sent(&self) -> Sent {
        self.group.lock().sent()
    }
}

/// Whoever waits for the outcome of a commit.
struct Waiter {
    caller: oneshot::Sender<Outcome>,
    spans: CommitSpans,
}

/// Where a retry is answered before its first try is.
#[cfg(feature = "mutants")]
mod mutants {
    use polylog_log::{Verdict, mutants};

    use super::*;

    pub(super) fn early_answer(commit: &Commit) -> impl Future<Output = Verdict> + use<> {
        let (id, is_retry) = (commit.id, mutants::is_retry(commit.id));
        async move {
            loop {
                match mutants::early_answer(id).filter(|_| is_retry) {
                    Some(receipt) => return Verdict::Duplicate(receipt),
                    None if is_retry => tokio::time::sleep(Duration::from_millis(1)).await,
                    None => std::future::pending().await,
                }
            }
        }
    }

    pub(super) async fn sooner(
        early: impl Future<Output = Verdict>,
        outcome: oneshot::Receiver<Outcome>,
    ) -> Result<Outcome, oneshot::error::RecvError> {
        tokio::select! {
            biased;
            verdict = early => Ok(Ok(verdict)),
            outcome = outcome => outcome,
        }
    }
}

/// The task behind a [`Queue`].
pub(crate) struct Appender {
    queue: Arc<Queue>,
    source: Arc<dyn Source>,
    identity: Identity,
    heads: Arc<Heads>,
    /// As it stands when nothing is under way.
    election: Election,
}

type Pending = Pin<Box<dyn Future<Output = Done> + Send>>;

enum Done {
    Appended { attempt: u64, asked: Asked, result: Result<Appended, OperationError> },
    Found { election: Election, asked: Asked, result: Result<Head, AppendError> },
}

impl Appender {
    pub(crate) fn new(
        queue: Arc<Queue>,
        source: Arc<dyn Source>,
        identity: Identity,
        heads: Arc<Heads>,
        election: Election,
    ) -> Self {
        Self { queue, source, identity, heads, election }
    }

    /// Runs until the queue drains and is empty.
    pub(crate) async fn run(self) {
        let mut election = Some(self.election.clone());
        let mut pending: Option<(Option<u64>, Pending)> = None;
        let mut gathered = now();
        loop {
            let (next, outcomes, is_over) = {
                let mut group = self.queue.group.lock();
                let next = group.next(now().max(gathered));
                let is_awaited = match &pending {
                    Some((Some(attempt), _)) => group.awaits(*attempt),
                    Some((None, _)) => group.awaits_primary(),
                    None => true,
                };
                if !is_awaited {
                    pending = None;
                }
                (next, group.take_outcomes(), group.is_draining() && group.is_idle())
            };
            for (waiter, outcome) in outcomes {
                // A caller that went away does not want to know.
                let _ = waiter.caller.send(outcome);
            }
            if is_over {
                return;
            }
            let wake_at = match next {
                Next::Append(batch) => {
                    pending = Some((Some(batch.attempt), self.append(batch)));
                    continue;
                }
                Next::FindPrimary => {
                    let election = election.take().unwrap_or_else(|| self.election.clone());
                    pending = Some((None, self.find(election)));
                    continue;
                }
                Next::Gather(until) if until.saturating_duration_since(now()) < SHORTEST_TIMER => {
                    tokio::task::yield_now().await;
                    // By the real clock: a simulated one stands still as long as there is something to do.
                    if std::time::Instant::now() >= until {
                        gathered = until;
                    }
                    continue;
                }
                Next::Gather(until) => Some(until),
                Next::Wait(until) => until,
            };
            tokio::select! {
                biased;
                done = finished(&mut pending) => {
                    pending = None;
                    self.take(done, &mut election);
                }
                () = self.queue.wake.notified() => {}
                () = reached(wake_at) => {}
            }
        }
    }

    fn take(&self, done: Done, election: &mut Option<Election>) {
        let random = rand::rng().random();
        match done {
            Done::Appended { attempt, asked, result } => {
                match &result {
                    Ok(appended) => self.heads.publish(&appended.head, asked),
                    Err(error) => tracing::warn!(event = "append_failed", %error, "an append failed"),
                }
                self.queue.group.lock().appended(now(), attempt, result, random);
            }
            Done::Found { election: used, asked, result } => {
                *election = Some(used);
                match &result {
                    Ok(head) => self.heads.publish(head, asked),
                    Err(error) => tracing::warn!(event = "no_primary", %error, "no primary to append to"),
                }
                let result = result.map(|head| primary_of(&head));
                self.queue.group.lock().found(now(), result, random);
            }
        }
    }

    fn append(&self, batch: Batch) -> Pending {
        let (source, identity, asked) = (self.source.clone(), self.identity, self.heads.ask());
        let Batch { attempt, primary, commits } = batch;
        let Primary { term, config } = primary;
        let batch_span = self.traced(attempt, commits.len());
        let source_span = match batch_span.is_disabled() {
            true => Span::none(),
            false => trace::source_append(&batch_span, term),
        };
        let append = async move {
            let append = Append { term, config, batch: commits, watermarks: Watermarks::default() };
            let result = match caught(source.append(&identity, append)).await {
                Ok(result) => result,
                Err(panicked) => Err(OperationError::Unknown(panicked)),
            };
            Done::Appended { attempt, asked, result }
        };
        Box::pin(append.instrument(source_span))
    }

    /// The span of a batch that is about to be sent, linked with those of its commits.
    fn traced(&self, attempt: u64, commits: usize) -> Span {
        if !trace::is_on() {
            return Span::none();
        }
        let mut group = self.queue.group.lock();
        if !group.taken().any(|waiter| waiter.spans.is_traced()) {
            return Span::none();
        }
        let span = trace::batch(attempt, commits);
        group.taken().for_each(|waiter| waiter.spans.sent(&span));
        span
    }

    fn find(&self, mut election: Election) -> Pending {
        let (source, asked) = (self.source.clone(), self.heads.ask());
        Box::pin(async move {
            let search = tokio::time::timeout(LONGEST_SEARCH, find_primary(&*source, &mut election));
            let result = search.await.unwrap_or_else(|_| Err(Failure::Timeout(LONGEST_SEARCH).into()));
            Done::Found { election, asked, result }
        })
    }
}

fn primary_of(head: &Head) -> Primary {
    Primary { term: head.term, config: head.config.config.version }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

async fn finished(pending: &mut Option<(Option<u64>, Pending)>) -> Done {
    match pending {
        Some((_, operation)) => operation.await,
        None => std::future::pending().await,
    }
}

async fn reached(moment: Option<std::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(Instant::from_std(moment)).await,
        None => std::future::pending().await,
    }
}
