use std::sync::Arc;

use polylog_log::{
    Append, Apply, Applying, CommitReceipt, ConfigPoint, Cut, Effect, Entry, Facts, Failure, Identity, Nonce,
    Open, Opening, Operation, OperationError, Point, Position, Quarantined, RecordedCommit, Refusal, Rule,
    StreamHead, StreamName, Term, Timestamp, Truncate, Truncating, Wanted,
};
use uuid::Uuid;

use super::{
    Connection, Lost,
    documents::{Filter, HeadDocument},
    swap::Swap,
};
use crate::entries::{Row, entries};

/// How often an operation starts anew because another came first.
const TRIES: usize = 300;

/// An operation on the head.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Promise(Term, Nonce),
    Open(Open),
    Append(Append),
    Apply(Apply),
    Truncate(Truncate),
}

impl Request {
    /// What leaves the batch as it is, or makes it shorter, need not write it out.
    fn needs_write_out(&self) -> bool {
        matches!(self, Request::Open(_) | Request::Append(_) | Request::Apply(_))
    }
}

impl Connection {
    /// Reads the head, writes its batch out, decides, swaps, writes the new batch out.
    pub(super) async fn operate(&self, of: &Identity, request: &Request) -> Result<Effect, OperationError> {
        let mut is_unresolved = false;
        for _ in 0..TRIES {
            let tried = self.attempt(of, request).await;
            match tried {
                Ok(Tried::Done(effect)) => return Ok(*effect),
                Ok(Tried::Late) => {}
                Ok(Tried::Unresolved) => is_unresolved = true,
                Ok(Tried::Refused(reason, head)) if !is_unresolved => {
                    return Err(OperationError::Refused { reason, head: Box::new(head.head.clone()) });
                }
                Ok(Tried::Refused(..)) | Ok(Tried::Lost) => return Err(OperationError::Unknown(Lost.into())),
                Err(Lost) if is_unresolved => return Err(OperationError::Unknown(Lost.into())),
                Err(Lost) => return Err(OperationError::Failed(Lost.into())),
            }
        }
        let failure = Failure::Unreachable("others always came first".into());
        Err(if is_unresolved { OperationError::Unknown(failure) } else { OperationError::Failed(failure) })
    }

    async fn attempt(&self, of: &Identity, request: &Request) -> Result<Tried, Lost> {
        let head = self.head_document().await?;
        let must_wait = request.needs_write_out() && self.server.is_on(Rule::WriteOutFirst);
        if must_wait && !self.write_out(&head).await? {
            return Ok(Tried::Late);
        }
        let effect = match self.decide(of, &head, request).await? {
            Ok(effect) => effect,
            Err(reason) => return Ok(Tried::Refused(reason, head)),
        };
        if let Some(cut) = effect.cut.filter(|_| self.server.is_on(Rule::TruncateQuarantines)) {
            self.save(&head, cut).await?;
        }
        let next = Arc::new(next(&head, &effect, request));
        let Ok(swap) = self.swap(&head, &next).await else { return Ok(Tried::Lost) };
        Ok(match swap {
            Swap::Landed => {
                // the swap decided; whoever comes next writes out what this leaves
                let _ = self.write_out(&next).await;
                Tried::Done(Box::new(effect))
            }
            Swap::Late => Tried::Late,
            Swap::Unresolved => Tried::Unresolved,
        })
    }

    async fn decide(
        &self,
        of: &Identity,
        head: &HeadDocument,
        request: &Request,
    ) -> Result<Result<Effect, Refusal>, Lost> {
        let rules = self.server.options.rules;
        let clock = self.server.schedule.clock();
        let admit = |operation: Operation<'_>| Ok(head.head.admit(of, operation, rules));
        match request {
            Request::Promise(term, nonce) => admit(Operation::Promise { term: *term, nonce: *nonce }),
            Request::Open(open) => {
                let facts = &self.facts(head, &Wanted::by_open()).await?;
                let Open { term, nonce, tail, ref primary, forced, ref missing } = *open;
                admit(Operation::Open(Opening { term, nonce, tail, primary, forced, missing, facts, clock }))
            }
            Request::Append(append) => {
                let facts = &self.facts(head, &Wanted::by_batch(&append.batch)).await?;
                let Append { term, config, ref batch, watermarks } = *append;
                admit(Operation::Append { term, config, batch, facts, watermarks, clock })
            }
            Request::Apply(apply) => {
                let Apply { term, previous, ref entries, watermarks } = *apply;
                admit(Operation::Apply(Applying { term, previous, entries, watermarks }))
            }
            Request::Truncate(Truncate { term, keep, tail }) => {
                let kept = self.kept(head, keep.position).await?;
                let config = &self.config_at(head, keep.position).await?;
                admit(Operation::Truncate(Truncating { term: *term, keep: *keep, tail: *tail, kept, config }))
            }
        }
    }

    /// Puts aside what a truncation is going to remove. A record counts only once the head tells of its cut.
    async fn save(&self, head: &HeadDocument, cut: Cut) -> Result<(), Lost> {
        let removed = cut.keep.position.next()..=head.head.tail.position;
        for entry in entries(self.rows(head, removed, &Filter::All).await?) {
            self.insert_quarantined(&Quarantined { cut, entry }).await?;
        }
        Ok(())
    }

    async fn facts(&self, head: &HeadDocument, wanted: &Wanted) -> Result<Facts, Lost> {
        let all = Position::FIRST..=Position::new(u64::MAX);
        let mut facts = Facts::default();
        for stream in &wanted.streams {
            if let Some(found) = self.stream_head(head, stream).await? {
                facts.streams.insert(stream.clone(), found);
            }
        }
        for row in self.rows(head, all.clone(), &Filter::Ids(&wanted.events)).await? {
            facts.events.insert(row.event.id, (row.event.stream.clone(), row.event.position));
        }
        for entry in entries(self.rows(head, all, &Filter::Commits(&wanted.commits)).await?) {
            let event = &entry.events[0];
            let recorded = RecordedCommit {
                receipt: CommitReceipt::of(&entry),
                fingerprint: entry.fingerprint,
                first_event: event.id,
            };
            facts.commits.insert(event.commit_id, recorded);
        }
        Ok(facts)
    }

    pub(super) async fn stream_head(
        &self,
        head: &HeadDocument,
        stream: &StreamName,
    ) -> Result<Option<StreamHead>, Lost> {
        let rules = self.server.options.rules;
        let filter = Filter::Stream(stream, rules);
        let row = match head.batch_rows().rfind(|row| filter.selects(row)) {
            Some(row) => Some(Arc::new(row)),
            None => self.last(Position::ZERO..=head.facts_end(rules), &filter).await?,
        };
        Ok(row.map(|row| StreamHead {
            version: row.event.version,
            category: row.event.category.clone(),
            aggregate_id: row.event.aggregate_id.clone(),
        }))
    }

    /// The entry that ends at a position, if one does.
    async fn kept(&self, head: &HeadDocument, at: Position) -> Result<Option<(Point, Timestamp)>, Lost> {
        if at.is_zero() {
            return Ok(Some((Point::start(head.head.identity.log), Timestamp::EPOCH)));
        }
        let row = self.rows(head, at..=at, &Filter::All).await?.pop();
        let row = row.filter(|row| row.event.last == at);
        Ok(row.map(|row| (Point { position: at, term: row.term, chain: row.chain }, row.event.recorded_at)))
    }

    /// The configuration in force at a position.
    async fn config_at(&self, head: &HeadDocument, at: Position) -> Result<ConfigPoint, Lost> {
        let row = self.rows(head, Position::FIRST..=at, &Filter::Configs).await?.pop();
        Ok(row.and_then(|row| config(&row)).unwrap_or_else(|| head.implicit.clone()))
    }
}

fn config(row: &Row) -> Option<ConfigPoint> {
    let config = serde_json::from_slice(row.event.data.as_deref()?).ok()?;
    Some(ConfigPoint { position: row.event.position, config: Arc::new(config) })
}

/// How one attempt of an operation ended.
enum Tried {
    Done(Box<Effect>),
    Refused(Refusal, Arc<HeadDocument>),
    Late,
    Unresolved,
    Lost,
}

/// The head document after an operation.
fn next(from: &HeadDocument, effect: &Effect, request: &Request) -> HeadDocument {
    let mut next = HeadDocument { head: effect.head.clone(), operation: Uuid::new_v4(), ..from.clone() };
    next.cuts.extend(effect.cut);
    match request {
        Request::Promise(..) => {}
        Request::Open(_) | Request::Append(_) | Request::Apply(_) => {
            next.base = from.head.tail;
            next.batch = effect.write.clone();
        }
        Request::Truncate(Truncate { keep, .. }) => {
            next.batch.retain(|entry: &Entry| entry.last() <= keep.position);
            if keep.position < next.base.position {
                next.base = *keep;
            }
        }
    }
    next
}
