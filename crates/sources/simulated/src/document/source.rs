use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use async_trait::async_trait;
use polylog_log::{
    Append, Appended, Apply, CategoryPage, Digests, EventId, Failure, FoundEvent, Head, Identity,
    LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError, Position, QuarantinePlace,
    Quarantined, ReadCategory, ReadLog, ReadStream, Refusal, Repair, Repaired, Repairing, Rule, Source,
    StreamPage, Strip, Term, Truncate,
};

use super::{
    Connection, Lost,
    documents::{EventDocument, Filter},
    operate::Request,
};
use crate::{LIMITS, entries::Row};

#[async_trait]
impl Source for Connection {
    async fn head(&self) -> Result<Head, Failure> {
        Ok(self.head_document().await?.head.clone())
    }

    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        self.operate(of, &Request::Promise(term, nonce)).await.map(|effect| effect.head)
    }

    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        self.operate(of, &Request::Open(open)).await.map(|effect| effect.head)
    }

    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        let effect = self.operate(of, &Request::Append(append)).await?;
        Ok(Appended { verdicts: effect.verdicts, head: effect.head, written: effect.write })
    }

    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        self.operate(of, &Request::Apply(apply)).await.map(|effect| effect.head)
    }

    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        self.operate(of, &Request::Truncate(truncate)).await.map(|effect| effect.head)
    }

    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        let failed = |lost: Lost| OperationError::Failed(lost.into());
        let document = self.head_document().await.map_err(failed)?;
        let range = repair.range().unwrap_or(Position::FIRST..=Position::ZERO);
        let rows = self.rows(&document, range, &Filter::All).await.map_err(failed)?;
        let held = repair.held(rows.iter().map(|row| (row.event.position, row.held())));
        let (head, rules) = (&document.head, self.server.options.rules);
        let rewrite = head
            .admit_repair(of, Repairing { repair: &repair, held: &held }, rules)
            .map_err(|reason| OperationError::Refused { reason, head: Box::new(head.clone()) })?;
        for (entry, event) in &rewrite.rows {
            let row = Arc::new(Row::of(entry, event, rules));
            let written = self.put_back(&EventDocument { revision: head.revision, row }).await;
            written.map_err(|lost| OperationError::Unknown(lost.into()))?;
        }
        Ok(rewrite.told(head.clone()))
    }

    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        let failed = |lost: Lost| OperationError::Failed(lost.into());
        let document = self.head_document().await.map_err(failed)?;
        let (head, rules) = (&document.head, self.server.options.rules);
        head.admit_strip(of, rules)
            .map_err(|reason| OperationError::Refused { reason, head: Box::new(head.clone()) })?;
        // what is not written out yet stands in the head with its data
        if strip.events.iter().any(|(position, _)| *position > document.base.position) {
            let waits = "the last batch is not written out yet".to_owned();
            return Err(OperationError::Failed(Failure::Unreachable(waits)));
        }
        for (position, _) in &strip.events {
            let Some(stored) = self.event_document(*position).await.map_err(failed)? else { continue };
            if strip.names(&stored.row.event, rules) {
                let row = Arc::new(stored.row.without_data());
                let written = self.put_back(&EventDocument { revision: stored.revision, row }).await;
                written.map_err(|lost| OperationError::Unknown(lost.into()))?;
            }
        }
        Ok(head.clone())
    }

    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure> {
        self.log_page(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        self.stream_page(read).await
    }

    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        self.category_page(read).await
    }

    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure> {
        self.found(id).await
    }

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.digests_of(range).await
    }

    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.quarantined(after, limit).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        let mut tail = self.server.tail.subscribe();
        // a timeout is an answer, too; and the sender lives as long as the server
        let _ = tokio::time::timeout(at_most, tail.wait_for(|tail| *tail > after)).await;
    }

    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        let document = self.head_document().await.map_err(|lost| OperationError::Failed(lost.into()))?;
        if self.server.is_on(Rule::Identity) && *of != document.head.identity {
            let (reason, head) = (Refusal::WrongStore, Box::new(document.head.clone()));
            return Err(OperationError::Refused { reason, head });
        }
        let unknown = |lost: Lost| OperationError::Unknown(lost.into());
        let (swapped, lease) = self.replace_lease(&swap).await.map_err(unknown)?;
        Ok(LeaseAnswer { swapped, lease })
    }

    fn limits(&self) -> Limits {
        LIMITS
    }
}
