//! What the driver's reports mean for the callers.

use std::time::Instant;

use polylog_log::{Appended, Failure, OperationError, Refusal};

use super::{Group, Pace, Phase, Primary};
use crate::{AppendError, verdict::may_still_land};

impl<T> Group<T> {
    /// Takes what became of the attempt with this number.
    pub(crate) fn appended(
        &mut self,
        now: Instant,
        attempt: u64,
        result: Result<Appended, OperationError>,
        random: f64,
    ) {
        let Phase::Appending { since } = self.phase else { return };
        if attempt != self.attempt {
            return;
        }
        self.phase = Phase::Ready;
        let Some(taken) = &mut self.taken else { return };
        match result {
            Ok(appended) if appended.verdicts.len() == taken.commits.len() => {
                self.answered(now, since, appended);
            }
            Ok(appended) => {
                let (verdicts, commits) = (appended.verdicts.len(), taken.commits.len());
                taken.may_be_written = true;
                let message = format!("{verdicts} answers to {commits} commits");
                self.pause(now, Failure::Damaged(message).into(), random);
            }
            Err(OperationError::Unknown(failure)) => {
                taken.may_be_written = true;
                self.pause(now, failure.into(), random);
            }
            Err(OperationError::Failed(failure)) if is_lasting(&failure) => {
                self.primary = None;
                self.refuse_taken(failure.into());
            }
            Err(OperationError::Failed(failure)) => self.pause(now, failure.into(), random),
            Err(OperationError::Refused { reason, .. }) => self.refused(now, reason, random),
        }
    }

    /// Takes the result of looking for the primary.
    pub(crate) fn found(&mut self, now: Instant, result: Result<Primary, AppendError>, random: f64) {
        if self.phase != Phase::Finding {
            return;
        }
        self.phase = Phase::Ready;
        match result {
            Ok(primary) => self.primary = Some(primary),
            Err(error) => {
                let lasts = match &error {
                    AppendError::Source(failure) => is_lasting(failure),
                    AppendError::NotSupported(_) => true,
                    _ => false,
                };
                if lasts {
                    self.refuse_taken(error.clone());
                    self.refuse_waiting(&error);
                }
                self.pause(now, error, random);
            }
        }
    }

    fn answered(&mut self, now: Instant, since: Instant, appended: Appended) {
        let Some(taken) = self.taken.take() else { return };
        self.backoff.succeeded();
        self.obstacle = None;
        let head = &appended.head;
        self.primary = Some(Primary { term: head.term, config: head.config.config.version });
        self.sent.batches += 1;
        let events = taken.commits.iter().map(|commit| commit.event_count()).sum::<usize>();
        self.sent.events += events as u64;
        let (answered, waiting) = (taken.commits.len(), self.waiting.len());
        self.pace = Pace::after(now.duration_since(since), now, answered, waiting, events);
        let commits = taken.commits.iter().zip(appended.verdicts);
        for (caller, (commit, verdict)) in taken.callers.into_iter().zip(commits) {
            let Some(caller) = caller else { continue };
            let is_unknown = taken.may_be_written && may_still_land(commit, &verdict);
            let outcome = if is_unknown { Err(AppendError::OutcomeUnknown) } else { Ok(verdict) };
            self.outcomes.push((caller.handle, outcome));
        }
    }

    fn refused(&mut self, now: Instant, reason: Refusal, random: f64) {
        match reason {
            Refusal::Fenced | Refusal::ConfigChanged | Refusal::Mismatch => {
                self.primary = None;
                self.pause(now, AppendError::NoPrimary, random);
            }
            Refusal::BackPressure => {
                let error = self.overloaded();
                self.refuse_taken(error);
            }
            Refusal::WrongStore => {
                self.primary = None;
                self.refuse_taken(Failure::WrongStore(reason.to_string()).into());
            }
            // reads go on; appends do once this process is a newer one
            Refusal::NewerFormat { found, known } => {
                self.primary = None;
                self.refuse_taken(Failure::FormatTooNew { found, known }.into());
            }
            Refusal::NewerConfig(_) => {
                self.primary = None;
                self.refuse_taken(AppendError::TooOld(reason.to_string()));
            }
            Refusal::AfterConfig
            | Refusal::TermJump
            | Refusal::Entries(_)
            | Refusal::EntryAboveTerm
            | Refusal::OtherEvent(_)
            | Refusal::BelowStable => {
                self.refuse_taken(Failure::Damaged(format!("refused an append: {reason}")).into());
            }
        }
    }

    fn pause(&mut self, now: Instant, obstacle: AppendError, random: f64) {
        self.obstacle = Some(obstacle);
        self.phase = Phase::Pausing { until: now + self.backoff.failed(random) };
    }

    /// Answers a batch that will not be sent again: nothing of it was written, unless an earlier attempt may have been.
    fn refuse_taken(&mut self, error: AppendError) {
        let Some(taken) = self.taken.take() else { return };
        let told = if taken.may_be_written { AppendError::OutcomeUnknown } else { error };
        let callers = taken.callers.into_iter().flatten();
        self.outcomes.extend(callers.map(|caller| (caller.handle, Err(told.clone()))));
    }

    fn refuse_waiting(&mut self, error: &AppendError) {
        (self.waiting_events, self.waiting_bytes) = (0, 0);
        let callers = self.waiting.drain(..).map(|waiting| waiting.caller.handle);
        self.outcomes.extend(callers.map(|handle| (handle, Err(error.clone()))));
    }
}

/// Whether trying again within a caller's deadline is of no use.
fn is_lasting(failure: &Failure) -> bool {
    !matches!(failure, Failure::Unreachable(_) | Failure::Timeout(_))
}
