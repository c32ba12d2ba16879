//! The document that decides everything, as values: what it holds, what an operation makes of it, what became of a swap.
//! No I/O, and nothing of an engine.

use std::sync::Arc;

use polylog_log::{ConfigPoint, Cut, Effect, Entry, Event, Head, Point};
use uuid::Uuid;

/// The head's document.
#[derive(Debug, Clone)]
pub(crate) struct HeadDocument {
    /// With the revision that fences what is written out.
    pub(crate) head: Head,
    /// Fresh at every swap: tells whose it was.
    pub(crate) operation: Uuid,
    /// Everything up to here is written out; above, event documents are no facts.
    pub(crate) base: Point,
    /// What follows `base`, up to the tail.
    pub(crate) batch: Arc<[Entry]>,
    /// Every truncation.
    pub(crate) cuts: Arc<[Cut]>,
    /// The configuration before the first `$config`.
    pub(crate) implicit: ConfigPoint,
}

/// What a head, read after a swap without a clear answer, says of the swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    /// It took place.
    Landed,
    /// It did not take place yet, and still may.
    NotYet,
    /// Another came; this one took place before it if its last entry is in the log.
    Passed,
}

impl HeadDocument {
    /// A provisioned, empty one.
    pub(crate) fn first(head: Head) -> Self {
        let (base, implicit) = (head.tail, head.config.clone());
        Self { head, operation: Uuid::nil(), base, batch: Arc::new([]), cuts: Arc::new([]), implicit }
    }

    /// The events of the batch.
    pub(crate) fn in_batch(&self) -> impl DoubleEndedIterator<Item = (&Entry, &Event)> {
        self.batch.iter().flat_map(|entry| entry.events.iter().map(move |event| (entry, event)))
    }

    /// The document after an operation that writes no entries: what stays of the batch stays in it.
    pub(crate) fn after(&self, effect: &Effect) -> Self {
        let mut next = Self { head: effect.head.clone(), operation: Uuid::new_v4(), ..self.clone() };
        let tail = effect.head.tail;
        if tail.position < self.head.tail.position {
            next.batch = self.batch.iter().filter(|entry| entry.last() <= tail.position).cloned().collect();
            if tail.position < self.base.position {
                next.base = tail;
            }
        }
        if let Some(cut) = effect.cut {
            next.cuts = self.cuts.iter().copied().chain([cut]).collect();
        }
        next
    }

    /// The document after an operation that writes entries, before which the batch was written out.
    pub(crate) fn after_writing(&self, effect: &Effect) -> Self {
        Self { base: self.head.tail, batch: effect.write.clone().into(), ..self.after(effect) }
    }

    /// What this head says of a swap of `from` for `next`.
    pub(crate) fn trace(&self, from: &Self, next: &Self) -> Trace {
        if self.operation == next.operation {
            Trace::Landed
        } else if self.is_same(from) {
            Trace::NotYet
        } else {
            Trace::Passed
        }
    }

    /// Whether nobody has swapped it in between.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.operation, self.head.revision) == (other.operation, other.head.revision)
    }

    /// The entry whose presence proves that the swap from `from` took place; none where the swap wrote nothing.
    pub(crate) fn proof(&self, from: &Self) -> Option<Point> {
        // what stood in the head before tells nothing of this swap
        self.batch.last().map(Entry::point).filter(|point| *point != from.head.tail)
    }
}

#[cfg(test)]
mod tests {
    use polylog_log::{
        Config, DatabaseId, Identity, Incarnation, LogId, Member, Nonce, Operation, Rules, SourceName, Term,
    };

    use super::*;

    fn promised(from: &HeadDocument, nonce: u128) -> HeadDocument {
        let nonce = Nonce::new(Uuid::from_u128(nonce));
        let operation = Operation::Promise { term: from.head.term.next(), nonce };
        let effect = from.head.admit(&from.head.identity, operation, Rules::ALL).expect("a promise");
        from.after(&effect)
    }

    #[test]
    fn a_swap_is_recognised_by_its_operation_alone() {
        let identity = Identity {
            log: LogId::new(Uuid::from_u128(1)),
            database: DatabaseId::new(Uuid::from_u128(2)),
            incarnation: Incarnation::new(Uuid::from_u128(3)),
        };
        let voter = Member {
            name: SourceName::recorded("a"),
            database: identity.database,
            incarnation: identity.incarnation,
        };
        let first = HeadDocument::first(Head::empty(identity, Config::implicit(voter)));
        let (mine, other) = (promised(&first, 7), promised(&first, 7));
        assert_eq!(mine.head, other.head, "the same operation by two senders");
        assert_eq!(mine.trace(&first, &mine), Trace::Landed);
        assert_eq!(first.trace(&first, &mine), Trace::NotYet);
        assert_eq!(other.trace(&first, &mine), Trace::Passed);
        assert_eq!((mine.proof(&first), mine.head.term), (None, Term::FIRST));
    }
}
