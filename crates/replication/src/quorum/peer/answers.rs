//! What answers mean to a peer.

use std::time::Instant;

use polylog_log::{Appended, Failure, OperationError, Point, Refusal, SourceName, Term, Verdict};

use super::{Peer, Purpose, Unacked, UnderWay};
use crate::{
    AppendError,
    quorum::{evidence::Evidence, request::Answer, rules::Rule},
    verdict::may_still_land,
};

impl<T> Peer<T> {
    /// Takes the answer to the request of this number. One that is lost is [`OperationError::Unknown`], or a failed read.
    pub(crate) fn answer(&mut self, now: Instant, id: u64, answer: Answer, random: f64) {
        let Some(under_way) = self.under_way.remove(&id) else { return };
        let UnderWay { source, purpose, floor, sent_at, writes } = under_way;
        let mut answer = answer;
        match answer.head().cloned() {
            Some(head) => {
                self.sources.answered(&source, now, sent_at, floor, &head);
                let went_back = self.sources.get(&source).is_some_and(|known| known.went_back);
                if went_back && self.options.rules.on(Rule::WentBack) {
                    self.distrust(&source);
                    answer = lost_like(&answer);
                } else if self.is_enough && self.sources.is_vouched(&source) {
                    self.saw(&source, &head, now);
                    self.prove(&source, id, &head);
                    self.wrote(&source, &mut answer);
                }
            }
            None if matches!(answer, Answer::Leased(Ok(_))) => {}
            // what is not dropped or kept now is later: it says nothing of the source
            None if matches!(purpose, Purpose::Strip(_) | Purpose::Remind) => {}
            None if writes => {
                self.sources.refused_write(&source, sent_at, now, random);
                // whether it answers at all is seen at once
                self.looked_at.remove(&source);
            }
            None => self.sources.failed(&source, now, random),
        }
        match purpose {
            Purpose::Look | Purpose::Publish | Purpose::Configure => {}
            Purpose::Append { attempt, term } => {
                if let Answer::Appended(result) = answer {
                    let result = result.map_err(of_one_of_several);
                    self.appended(now, attempt, term, result, random);
                }
            }
            Purpose::Copy(to) => self.copied(&source, &to, answer),
            Purpose::Ahead(to) => {
                let copying = self.lead.as_mut().and_then(|lead| lead.copies.get_mut(&to));
                if let (Some(copying), Answer::Page(page)) = (copying, answer) {
                    copying.was_read_ahead(page.ok());
                }
            }
            Purpose::Strip(of) => self.stripped(&of, now, answer),
            Purpose::Elect => self.elected(&source, answer),
            Purpose::Ask | Purpose::Remind => {
                if let Answer::Leased(result) = answer {
                    self.told(&source, result, now);
                }
            }
        }
        self.release(now);
    }

    /// Takes that a look was not answered, and that this says nothing. `false`: it was no look.
    pub(crate) fn forgives(&mut self, id: u64) -> bool {
        let is_look = self.under_way.get(&id).is_some_and(|one| one.purpose == Purpose::Look);
        if is_look {
            self.under_way.remove(&id);
        }
        is_look
    }

    /// Keeps what was written under the term that is obeyed, to push it.
    fn wrote(&mut self, source: &SourceName, answer: &mut Answer) {
        let Answer::Appended(Ok(Appended { head, written, .. })) = answer else { return };
        let Some(lead) = &mut self.lead else { return };
        if lead.evidence.primary() == source && lead.evidence.term() == head.term {
            lead.written.take(std::mem::take(written));
        }
    }

    fn elected(&mut self, source: &SourceName, answer: Answer) {
        let Some(attempt) = &mut self.attempt else { return };
        match answer {
            Answer::Head(result) => attempt.head(source, result.as_ref().ok()),
            Answer::Changed(result) => attempt.changed(source, &result),
            Answer::Page(result) => attempt.page(source, result.ok()),
            Answer::Appended(_) | Answer::Leased(_) => {}
        }
    }

    fn copied(&mut self, source: &SourceName, to: &SourceName, answer: Answer) {
        let Some(lead) = &mut self.lead else { return };
        let Some(copying) = lead.copies.get_mut(to) else { return };
        match answer {
            Answer::Head(Ok(head)) => copying.at(&head),
            Answer::Changed(result) => copying.changed(&result),
            Answer::Page(Ok(page)) if source == to => copying.destination_page(page),
            Answer::Page(Ok(page)) => copying.origin_page(page),
            Answer::Head(Err(_)) | Answer::Page(Err(_)) => copying.failed(),
            Answer::Appended(_) | Answer::Leased(_) => {}
        }
        let held = copying.common();
        let head = self.sources.get(to).and_then(|known| known.head.as_ref());
        if let (Some(held), Some(head)) = (held, head)
            && head.term == lead.evidence.term()
            && head.tail == held
            && self.sources.is_vouched(to)
        {
            lead.evidence.holds(to, held, head.cuts());
        }
    }

    fn appended(
        &mut self,
        now: Instant,
        attempt: u64,
        term: Term,
        result: Result<Appended, OperationError>,
        random: f64,
    ) {
        if self.group.may_be_written() && self.options.rules.on(Rule::TriesRemembered) {
            // an attempt under an earlier term, which may win yet
            self.group.taken().for_each(|caller| caller.may_be_written = true);
        }
        self.group.appended(now, attempt, result, random);
        for (mut caller, outcome) in self.group.take_outcomes() {
            let verdict = match outcome {
                Ok(verdict) => verdict,
                Err(AppendError::OutcomeUnknown) => {
                    self.outcomes.push((caller.handle, Err(AppendError::OutcomeUnknown)));
                    continue;
                }
                Err(_) if caller.may_be_written => {
                    self.outcomes.push((caller.handle, Err(AppendError::OutcomeUnknown)));
                    continue;
                }
                Err(error) => {
                    self.outcomes.push((caller.handle, Err(error)));
                    continue;
                }
            };
            if caller.may_be_written && may_still_land(&caller.commit, &verdict) {
                self.outcomes.push((caller.handle, Err(AppendError::OutcomeUnknown)));
                continue;
            }
            caller.may_be_written |= matches!(verdict, Verdict::Committed(_) | Verdict::Duplicate(_));
            if matches!(verdict, Verdict::Duplicate(_)) && !self.options.rules.on(Rule::DuplicatesWait) {
                self.outcomes.push((caller.handle, Ok(verdict)));
                continue;
            }
            let point = rests_on(&verdict);
            if let Some(lead) = self.lead.as_mut().filter(|lead| lead.evidence.term() == term) {
                lead.evidence.knows(point);
            }
            self.unacked.push_back(Unacked { caller, verdict, point, term });
        }
    }

    /// Answers those whose ack level is reached, and sends those again whose term is over.
    pub(super) fn release(&mut self, now: Instant) {
        for (caller, outcome) in self.group.take_outcomes() {
            let outcome = match outcome {
                Err(_) if caller.may_be_written => Err(AppendError::OutcomeUnknown),
                outcome => outcome,
            };
            self.outcomes.push((caller.handle, outcome));
        }
        let Some(lead) = &self.lead else { return };
        if !self.sources.is_vouched(lead.evidence.primary()) {
            // somebody saw more of it: it is looked at again at once
            return;
        }
        let mut over = Vec::new();
        if !self.unacked.is_empty() {
            let evidence = &lead.evidence;
            // most wait for the store's own level
            let reached = evidence.reached(evidence.config().config.acks);
            for unacked in std::mem::take(&mut self.unacked) {
                if unacked.term != evidence.term() {
                    over.push(unacked);
                } else if unacked.point.position <= reached
                    && is_reached(evidence, &unacked)
                    && (is_kept(evidence, &unacked) || !self.options.rules.on(Rule::KeeperHolds))
                {
                    self.outcomes.push((unacked.caller.handle, Ok(unacked.verdict)));
                } else {
                    self.unacked.push_back(unacked);
                }
            }
        }
        over.into_iter().for_each(|unacked| self.append_again(unacked));
        self.release_barriers(now);
    }

    /// Under a new primary the ids are looked up again: what the old one wrote may be there or not.
    fn append_again(&mut self, unacked: Unacked<T>) {
        let caller = unacked.caller;
        let (commit, deadline) = (caller.commit.clone(), caller.deadline);
        if let Err((caller, error)) = self.group.offer(commit, deadline, caller) {
            let error = if caller.may_be_written { AppendError::OutcomeUnknown } else { error };
            self.outcomes.push((caller.handle, Err(error)));
        }
    }
}

/// Whether the level that the caller asked for beyond the store's is reached.
fn is_reached<T>(evidence: &Evidence, unacked: &Unacked<T>) -> bool {
    unacked.caller.acks.is_none_or(|acks| evidence.reached(acks) >= unacked.point.position)
}

/// Whether the sources that keep its data alone hold it.
fn is_kept<T>(evidence: &Evidence, unacked: &Unacked<T>) -> bool {
    unacked.caller.keepers.iter().all(|name| evidence.held_by(name) >= unacked.point.position)
}

/// The point that must be kept for the verdict to stay true.
pub(crate) fn rests_on(verdict: &Verdict) -> Point {
    match verdict {
        Verdict::Committed(receipt) | Verdict::Duplicate(receipt) => receipt.point(),
        Verdict::Checked(at)
        | Verdict::VersionConflict { at, .. }
        | Verdict::IdConflict { at, .. }
        | Verdict::OtherAttributes { at, .. }
        | Verdict::StreamTwice { at, .. } => *at,
    }
}

/// A primary that is another database now is gone, and another takes over: its callers wait for that one.
fn of_one_of_several(error: OperationError) -> OperationError {
    match error {
        OperationError::Failed(Failure::WrongStore(what) | Failure::NotProvisioned(what)) => {
            OperationError::Failed(Failure::Unreachable(what))
        }
        OperationError::Refused { reason: reason @ Refusal::WrongStore, .. } => {
            OperationError::Failed(Failure::Unreachable(reason.to_string()))
        }
        other => other,
    }
}

/// As if this answer had been lost.
fn lost_like(answer: &Answer) -> Answer {
    let failure = Failure::Unreachable("it shows less than it showed before".into());
    match answer {
        Answer::Head(_) => Answer::Head(Err(failure)),
        Answer::Page(_) => Answer::Page(Err(failure)),
        Answer::Appended(_) => Answer::Appended(Err(OperationError::Unknown(failure))),
        Answer::Changed(_) => Answer::Changed(Err(OperationError::Unknown(failure))),
        Answer::Leased(_) => Answer::Leased(Err(OperationError::Unknown(failure))),
    }
}

/// What a lost answer is.
pub(crate) fn lost(operation: &crate::quorum::Operation) -> Answer {
    use crate::quorum::Operation;
    let failure = Failure::Unreachable("no answer".into());
    match operation {
        Operation::Head => Answer::Head(Err(failure)),
        Operation::ReadLog(_) => Answer::Page(Err(failure)),
        Operation::Append(_) => Answer::Appended(Err(OperationError::Unknown(failure))),
        Operation::Lease(_) => Answer::Leased(Err(OperationError::Unknown(failure))),
        Operation::Promise(..)
        | Operation::Open(_)
        | Operation::Apply(_)
        | Operation::Truncate(_)
        | Operation::Strip(_) => Answer::Changed(Err(OperationError::Unknown(failure))),
    }
}
