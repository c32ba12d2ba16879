//! What becomes of requests and answers.

use std::time::Duration;

use polylog_log::{Failure, LeaseAnswer, OperationError, SourceName};
use rand::Rng;

use super::{
    promises::{Before, Kept},
    routed::data_is_kept,
    source::SimSource,
    world::{Happening, World},
};
use crate::quorum::{Answer, Operation, Request, peer::lost};

impl World {
    pub(super) fn send(&mut self, peer: usize, request: Request) {
        let (life, id) = (self.lives[peer], request.id);
        self.say(|| format!("p{peer} -> {}: #{id} {}", request.source, brief(&request.operation)));
        let is_cut =
            self.cut.contains(&(peer, request.source.clone())) || self.down.contains(&request.source);
        let passes = self.gate.as_ref().is_none_or(|gate| gate(peer, &request));
        let unanswered = lost(&request.operation);
        self.after(self.plan.timeout, Happening::Answer { peer, life, id, answer: unanswered });
        if is_cut || !passes {
            return self.say(|| format!("     #{id} of p{peer} does not arrive"));
        }
        let mut delay = self.delay(&request.source);
        let mut answers = true;
        if self.is_stormy() {
            let (loss, wander) = (self.plan.loss, self.plan.wander);
            if self.chance(loss) {
                return self.say(|| format!("     #{id} of p{peer} is lost"));
            }
            answers = !self.chance(loss);
            if self.chance(loss) {
                delay += self.millis(0..wander);
            }
            if self.chance(loss / 2.0) {
                let again = delay + self.millis(0..wander);
                // no connection carries a request twice: who sent it heard nothing the first time
                answers &= !matches!(request.operation, Operation::Append(_));
                self.after(
                    again,
                    Happening::Execute { peer, life, request: request.clone(), answers: false },
                );
            }
        }
        self.after(delay, Happening::Execute { peer, life, request, answers });
    }

    fn delay(&mut self, source: &SourceName) -> Duration {
        let is_slow = self.slow.contains(source) || self.is_stormy() && self.chance(0.05);
        Duration::from_micros(self.random.random_range(200..if is_slow { 60_000 } else { 2_500 }))
    }

    pub(super) fn execute(&mut self, peer: usize, life: u64, request: Request, answers: bool) -> Kept {
        let id = request.id;
        let name = request.source.clone();
        let is_refused = self.read_only.contains(&name) && request.operation.writes();
        if self.down.contains(&name) || is_refused {
            let failure = if is_refused { SimSource::read_only() } else { SimSource::down() };
            let answer = failed(&request.operation, failure);
            if answers {
                self.after(Duration::from_micros(200), Happening::Answer { peer, life, id, answer });
            }
            return Ok(());
        }
        let Some(source) = self.sources.get_mut(&name) else { return Ok(()) };
        let before = Before::of(source);
        let answer = source.execute(&request);
        let source = &self.sources[&name];
        let kept = match self.outside.contains(&name) {
            true => Ok(()),
            false => self.promises.executed(&self.plan, &name, &before, source, &request.operation),
        };
        let kept = kept.and_then(|()| match &answer {
            Answer::Changed(Ok(_)) => data_is_kept(&name, &self.sources, &request.operation),
            _ => Ok(()),
        });
        let head = &source.head;
        let state =
            format!("term {} lead {} tail {}/{}", head.term, head.lead, head.tail.position, head.tail.term);
        self.say(|| format!("     {name}: #{id} of p{peer} {}: {state}", outcome_of(&answer)));
        kept?;
        if answers && !self.cut.contains(&(peer, name.clone())) {
            let delay = self.delay(&name);
            self.after(delay, Happening::Answer { peer, life, id, answer });
        }
        Ok(())
    }
}

/// What is answered where nothing is done.
fn failed(operation: &Operation, failure: Failure) -> Answer {
    match operation {
        Operation::Head => Answer::Head(Err(failure)),
        Operation::ReadLog(_) => Answer::Page(Err(failure)),
        Operation::Append(_) => Answer::Appended(Err(OperationError::Failed(failure))),
        _ => Answer::Changed(Err(OperationError::Failed(failure))),
    }
}

fn brief(operation: &Operation) -> String {
    match operation {
        Operation::Append(append) => format!("append {} under {}", append.batch.len(), append.term),
        Operation::Apply(apply) => {
            format!("apply {} after {} under {}", apply.entries.len(), apply.previous.position, apply.term)
        }
        Operation::Head => "head".into(),
        Operation::Promise(term, nonce) => format!("promise {term} to {nonce}"),
        Operation::Open(open) => format!("open {} at {}", open.term, open.tail.position),
        Operation::Truncate(truncate) => {
            format!(
                "truncate {} to {} under {}",
                truncate.tail.position, truncate.keep.position, truncate.term
            )
        }
        Operation::Strip(strip) => format!("strip {} events", strip.events.len()),
        Operation::ReadLog(read) => format!("read {} to {}", read.from, read.to),
        Operation::Lease(swap) => match &swap.set {
            Some(lease) => format!("keep {}", lease.holder),
            None => "what it keeps".into(),
        },
    }
}

fn outcome_of(answer: &Answer) -> String {
    match answer {
        Answer::Head(_) => "tells its head".into(),
        Answer::Page(Ok(page)) => format!("tells {} entries", page.entries.len()),
        Answer::Changed(Ok(_)) => "done".into(),
        Answer::Appended(Ok(appended)) => format!("{} verdicts", appended.verdicts.len()),
        Answer::Leased(Ok(LeaseAnswer { lease: Some(lease), .. })) => format!("keeps {}", lease.holder),
        Answer::Leased(Ok(_)) => "keeps nothing".into(),
        Answer::Changed(Err(error)) | Answer::Appended(Err(error)) | Answer::Leased(Err(error)) => {
            format!("refused ({error})")
        }
        Answer::Page(Err(failure)) => failure.to_string(),
    }
}
