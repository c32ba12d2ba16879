use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use async_trait::async_trait;
use polylog_log::{
    Append, Appended, Apply, Applying, CategoryPage, Digests, Effect, EventId, Failure, FoundEvent, Head,
    Identity, LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, Opening, Operation, OperationError,
    Position, QuarantinePlace, Quarantined, ReadCategory, ReadLog, ReadStream, Refusal, Repair, Repaired,
    Repairing, Rule, Source, StreamPage, Strip, Term, Truncate, Truncating, Wanted,
};

use super::{
    Connection,
    tables::{Change, Tables},
};
use crate::{LIMITS, entries::Row};

#[async_trait]
impl Source for Connection {
    async fn head(&self) -> Result<Head, Failure> {
        self.server.schedule.step().await;
        self.read(|tables| tables.head.clone())
    }

    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        let rules = self.server.options.rules;
        let decide = |tables: &Tables, _| tables.head.admit(of, Operation::Promise { term, nonce }, rules);
        self.operate(decide, |effect| effect.head).await
    }

    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        let rules = self.server.options.rules;
        let decide = |tables: &Tables, clock| {
            let opening = Opening {
                term: open.term,
                nonce: open.nonce,
                tail: open.tail,
                primary: &open.primary,
                forced: open.forced,
                missing: &open.missing,
                facts: &tables.facts(&Wanted::by_open()),
                clock,
            };
            tables.head.admit(of, Operation::Open(opening), rules)
        };
        self.operate(decide, |effect| effect.head).await
    }

    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        let rules = self.server.options.rules;
        if let Some(answer) = self.under_way(&append.batch) {
            return Ok(answer);
        }
        let decide = |tables: &Tables, clock| {
            let Append { term, config, batch, watermarks } = append;
            let facts = &tables.facts(&Wanted::by_batch(&batch));
            let operation = Operation::Append { term, config, batch: &batch, facts, watermarks, clock };
            tables.head.admit(of, operation, rules)
        };
        let answer = |Effect { verdicts, head, write, .. }| Appended { verdicts, head, written: write };
        self.operate(decide, answer).await
    }

    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        let rules = self.server.options.rules;
        let decide = |tables: &Tables, _| {
            let Apply { term, previous, entries, watermarks } = &apply;
            let (term, previous, watermarks) = (*term, *previous, *watermarks);
            let applying = Applying { term, previous, entries, watermarks };
            tables.head.admit(of, Operation::Apply(applying), rules)
        };
        self.operate(decide, |effect| effect.head).await
    }

    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        let rules = self.server.options.rules;
        let decide = |tables: &Tables, _| {
            let Truncate { term, keep, tail } = truncate;
            let (kept, config) = (tables.kept(keep.position), tables.config_at(keep.position));
            let truncating = Truncating { term, keep, tail, kept, config };
            tables.head.admit(of, Operation::Truncate(truncating), rules)
        };
        self.operate(decide, |effect| effect.head).await
    }

    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        let rules = self.server.options.rules;
        self.transact(|tables, _| {
            let range = repair.range();
            let rows = range.map(|range| tables.rows(range)).unwrap_or_default();
            let held = repair.held(rows.iter().map(|row| (row.event.position, row.held())));
            let rewrite = tables.head.admit_repair(of, Repairing { repair: &repair, held: &held }, rules)?;
            let rows = rewrite.rows.iter().map(|(entry, event)| Arc::new(Row::of(entry, event, rules)));
            Ok((rows.map(Change::Insert).collect(), rewrite.told(tables.head.clone())))
        })
        .await
    }

    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        let rules = self.server.options.rules;
        self.transact(|tables, _| {
            tables.head.admit_strip(of, rules)?;
            let named = strip.events.iter().filter_map(|(position, _)| tables.events.get(position));
            let named = named.filter(|row| strip.names(&row.event, rules));
            let changes = named.map(|row| Change::Insert(Arc::new(row.without_data())));
            Ok((changes.collect(), tables.head.clone()))
        })
        .await
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
        let rules = self.server.options.rules;
        self.transact(|tables, _| {
            if rules.on(Rule::Identity) && *of != tables.head.identity {
                return Err(Refusal::WrongStore);
            }
            let held = tables.leases.get(&swap.name).cloned();
            if rules.on(Rule::LeaseCompares) && held != swap.expect {
                return Ok((Vec::new(), LeaseAnswer { swapped: false, lease: held }));
            }
            let change = Change::Lease(swap.name, swap.set.clone());
            Ok((vec![change], LeaseAnswer { swapped: true, lease: swap.set }))
        })
        .await
    }

    fn limits(&self) -> Limits {
        LIMITS
    }
}
