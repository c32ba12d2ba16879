use polylog_log::{Entry, EntryError, Head, LogId, Point, Position};

/// Events of one page.
const MOST: usize = 500;

/// A way through a source's log from its beginning: everything up to here is what digests and chain say.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    pub(super) at: Point,
    /// Truncations of the source when it was read last.
    cuts: u64,
    /// Events to be read next: fewer where something cannot be read.
    pub(super) page: usize,
}

impl Walk {
    pub(super) fn begin(log: LogId) -> Self {
        Self::from(Point::start(log))
    }

    pub(super) fn from(at: Point) -> Self {
        Self { at, cuts: 0, page: MOST }
    }

    pub(super) fn next(&self) -> Position {
        self.at.position.next()
    }

    /// Goes on over entries as far as each is whole and follows from the one before it.
    pub(super) fn take(&mut self, entries: &[Entry]) -> Result<(), EntryError> {
        for entry in entries {
            entry.follows(&self.at)?;
            self.at = entry.point();
        }
        self.page = (self.page * 2).min(MOST);
        Ok(())
    }

    /// Something could not be read: fewer at once find out what. `false` = it was a single one.
    pub(super) fn narrows(&mut self) -> bool {
        let is_wide = self.page > 1;
        self.page = (self.page / 8).max(1);
        is_wide
    }

    /// Whether the source lost a part of what was walked over to a truncation since.
    pub(super) fn is_cut(&mut self, head: &Head) -> bool {
        let is_new = head.cuts() > std::mem::replace(&mut self.cuts, head.cuts());
        is_new && head.last_cut.is_some_and(|cut| cut.keep.position < self.at.position)
    }
}

#[cfg(test)]
mod tests {
    use polylog_log::{
        AggregateId, Category, Chain, CommitId, DataDigest, Digest, Event, EventId, EventType, Fingerprint,
        JSON, StreamName, Term, Timestamp, Version,
    };
    use uuid::Uuid;

    use super::*;

    fn log() -> LogId {
        LogId::new(Uuid::from_u128(1))
    }

    fn event(number: u64) -> Event {
        let mut event = Event {
            position: Position::new(number),
            stream: StreamName::recorded("a-1"),
            category: Category::recorded("a"),
            aggregate_id: AggregateId::recorded("1"),
            version: Version::new(number),
            id: EventId::new(Uuid::from_u128(number.into())),
            event_type: EventType::recorded("Happened"),
            data: Some("{}".into()),
            data_digest: DataDigest::of(b"{}"),
            content_type: JSON.into(),
            metadata: None,
            correlation_id: None,
            causation_id: None,
            time: Timestamp::EPOCH,
            recorded_at: Timestamp::EPOCH,
            first: Position::new(number),
            last: Position::new(number),
            commit_id: CommitId::new(Uuid::from_u128(number.into())),
            digest: Digest::from_bytes([0; 16]),
        };
        event.digest = event.compute_digest();
        event
    }

    fn entries(count: u64) -> Vec<Entry> {
        let mut previous = Point::start(log());
        let entry = |number: u64| {
            let event = event(number);
            let (term, fingerprint) = (Term::new(1), Fingerprint::from_bytes([0; 16]));
            let chain = Entry::compute_chain(previous.chain, term, fingerprint, [&event].into_iter());
            let entry = Entry { term, fingerprint, events: vec![event], chain };
            previous = entry.point();
            entry
        };
        (1..=count).map(entry).collect()
    }

    #[test]
    fn a_walk_ends_before_the_first_entry_that_is_not_what_it_should_be() {
        let good = entries(9);
        let mut walk = Walk::begin(log());
        walk.take(&good).expect("a good log");
        assert_eq!(walk.at, good[8].point());
        let damages: [fn(&mut Vec<Entry>); 5] = [
            |entries| entries[4].events[0].data = Some("other".into()),
            |entries| entries[4].events[0].digest = Digest::from_bytes([7; 16]),
            |entries| entries[4].chain = Chain::from_bytes([7; 16]),
            |entries| entries[4].term = Term::new(2),
            |entries| drop(entries.remove(4)),
        ];
        for damage in damages {
            let mut damaged = good.clone();
            damage(&mut damaged);
            let mut walk = Walk::begin(log());
            walk.take(&damaged).expect_err("damage");
            assert_eq!(walk.at, good[3].point());
        }
    }

    #[test]
    fn what_cannot_be_read_is_read_in_smaller_parts() {
        let mut walk = Walk::begin(log());
        let mut tries = 0;
        while walk.narrows() {
            tries += 1;
        }
        assert_eq!((walk.page, tries), (1, 3));
        walk.take(&entries(1)).expect("a good entry");
        assert_eq!(walk.page, 2);
    }
}
