//! Events put together to entries.

use polylog_log::{Chain, Entry, Event, Failure, Fingerprint, Held, HeldRow, Term};

/// An event with what its row says of its entry.
pub struct StoredEvent {
    /// The event.
    pub event: Event,
    /// The term of its entry.
    pub term: Term,
    /// The chain up to its entry.
    pub chain: Chain,
    /// What its commit was; on the first event of an entry.
    pub fingerprint: Option<Fingerprint>,
}

impl From<StoredEvent> for Held {
    fn from(StoredEvent { event, term, chain, fingerprint }: StoredEvent) -> Self {
        Held::Row(Box::new(HeldRow { event, term, chain, fingerprint }))
    }
}

/// Puts consecutive events together to entries.
#[derive(Default)]
pub struct EntryBuilder {
    open: Option<Entry>,
}

impl EntryBuilder {
    /// Takes the next event; gives an entry when this was its last one.
    pub fn push(&mut self, stored: StoredEvent) -> Result<Option<Entry>, Failure> {
        let StoredEvent { event, term, chain, fingerprint } = stored;
        let (position, last) = (event.position, event.last);
        match &mut self.open {
            Some(entry) if entry.last().next() == position && entry.events[0].first == event.first => {
                entry.events.push(event);
            }
            None if position == event.first => {
                let fingerprint = fingerprint
                    .ok_or_else(|| Failure::Damaged(format!("no fingerprint at position {position}")))?;
                // bounded: a damaged row must not ask for all memory
                let length = last.get().saturating_sub(position.get()).min(1023) as usize + 1;
                let mut events = Vec::with_capacity(length);
                events.push(event);
                self.open = Some(Entry { term, fingerprint, events, chain });
            }
            _ => return Err(Failure::Damaged(format!("a hole in the log before position {position}"))),
        }
        Ok(if position == last { self.open.take() } else { None })
    }

    /// Whether an entry was begun and not ended.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}
