use std::collections::BTreeMap;

use crate::{
    Chain, Entry, Event, FORMAT, Fingerprint, Head, Identity, Point, Position, Refusal, Rule, Rules, Term,
};

/// See [`Source::repair`](crate::Source::repair).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Where the history stands before the entries.
    pub previous: Point,
    /// Whole entries, in order, as another source holds them. The last one must be proven by what stands here: by the
    /// chain in one of its rows, or by the head.
    pub entries: Vec<Entry>,
}

/// What a repair wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Rows that were not there.
    pub missing: u64,
    /// Rows that were not what their digest says, or could not be read.
    pub damaged: u64,
    /// The head, which a repair does not change.
    pub head: Head,
}

/// An event with what its row says of its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// The event.
    pub event: Event,
    /// The term of its entry.
    pub term: Term,
    /// The chain at the end of its entry.
    pub chain: Chain,
    /// What its commit was; on the first event of an entry.
    pub fingerprint: Option<Fingerprint>,
}

/// What stands at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Missing,
    /// A row that cannot be read.
    Unreadable,
    /// A row.
    Row(Box<HeldRow>),
}

/// A repair, with what an engine found at each of its positions, in the same atomic step.
#[derive(Debug, Clone, Copy)]
pub struct Repairing<'a> {
    /// What should stand there.
    pub repair: &'a Repair,
    /// One for each event, in order.
    pub held: &'a [Held],
}

/// What an engine does for an admitted repair, all of it in one atomic step.
#[derive(Debug, Default)]
pub struct Rewrite<'a> {
    /// The rows to be written, in place of whatever stands at their positions.
    pub rows: Vec<(&'a Entry, &'a Event)>,
    /// How many of them were not there.
    pub missing: u64,
}

impl Repair {
    /// Its events, each with its entry.
    pub fn rows(&self) -> impl Iterator<Item = (&Entry, &Event)> {
        self.entries.iter().flat_map(|entry| entry.events.iter().map(move |event| (entry, event)))
    }

    /// What was found, in the order of the events.
    pub fn held(&self, found: impl IntoIterator<Item = (Position, Held)>) -> Vec<Held> {
        let mut found: BTreeMap<Position, Held> = found.into_iter().collect();
        self.rows().map(|(_, event)| found.remove(&event.position).unwrap_or(Held::Missing)).collect()
    }

    /// First and last position; `None` without entries.
    pub fn range(&self) -> Option<std::ops::RangeInclusive<Position>> {
        Some(self.entries.first()?.first()..=self.entries.last()?.last())
    }
}

impl Rewrite<'_> {
    /// What the sender is told.
    pub fn told(&self, head: Head) -> Repaired {
        Repaired { missing: self.missing, damaged: self.rows.len() as u64 - self.missing, head }
    }
}

impl HeldRow {
    /// Whether its event is what its digests say.
    fn is_true(&self) -> bool {
        let Event { data, data_digest, .. } = &self.event;
        let has_data = data.as_ref().is_none_or(|data| crate::DataDigest::of(data) == *data_digest);
        has_data && self.event.compute_digest() == self.event.digest
    }

    fn is(&self, entry: &Entry, event: &Event) -> bool {
        self.event == *event && self.is_of(entry, event)
    }

    fn is_of(&self, entry: &Entry, event: &Event) -> bool {
        let fingerprint = (event.position == event.first).then_some(entry.fingerprint);
        (self.term, self.chain, self.fingerprint) == (entry.term, entry.chain, fingerprint)
    }

    /// Whether it is the event, and one of both has no data: its digests vouch for it.
    fn is_but_for_data(&self, entry: &Entry, event: &Event) -> bool {
        let one_lacks_it = self.event.data.is_none() != event.data.is_none();
        one_lacks_it && self.event.digest == event.digest && self.is_of(entry, event)
    }

    /// Whether the data that belongs to the event stands here, whatever else is damaged.
    fn has_data_of(&self, event: &Event) -> bool {
        self.event.data.as_ref().is_some_and(|data| crate::DataDigest::of(data) == event.data_digest)
    }
}

impl Head {
    /// Decides a repair. What is written back is what this source's own chain proves, so that a repair that comes late, or
    /// from somebody who was deposed, is as good as any.
    pub fn admit_repair<'a>(
        &self,
        of: &Identity,
        repairing: Repairing<'a>,
        rules: Rules,
    ) -> Result<Rewrite<'a>, Refusal> {
        let Repairing { repair, held } = repairing;
        if rules.on(Rule::Identity) && *of != self.identity {
            return Err(Refusal::WrongStore);
        }
        if self.format > FORMAT {
            return Err(Refusal::NewerFormat { found: self.format, known: FORMAT });
        }
        let mut previous = repair.previous;
        for entry in &repair.entries {
            entry.follows(&previous)?;
            previous = entry.point();
        }
        if rules.on(Rule::RepairProven) && !self.proves(repairing) {
            return Err(Refusal::Mismatch);
        }
        let mut rewrite = Rewrite::default();
        for ((entry, event), held) in repair.rows().zip(held) {
            match held {
                Held::Row(row) if row.is(entry, event) => continue,
                // what one has and the other lacks is kept elsewhere
                Held::Row(row) if row.is_true() && row.is_but_for_data(entry, event) => continue,
                // the only copy of the data may be this one: it is for somebody to look at
                Held::Row(row)
                    if rules.on(Rule::RepairKeepsData) && event.data.is_none() && row.has_data_of(event) =>
                {
                    return Err(Refusal::OtherEvent(event.position));
                }
                // a whole event that somebody wrote, and no damage: it is for somebody to look at
                Held::Row(row)
                    if rules.on(Rule::RepairKeepsOthers)
                        && row.is_true()
                        && row.event.digest != event.digest =>
                {
                    return Err(Refusal::OtherEvent(event.position));
                }
                Held::Missing => rewrite.missing += 1,
                Held::Unreadable | Held::Row(_) => {}
            }
            rewrite.rows.push((entry, event));
        }
        Ok(rewrite)
    }

    /// Whether the own log has the last entry's chain where that entry stands: it covers everything before it.
    fn proves(&self, Repairing { repair, held }: Repairing<'_>) -> bool {
        let Some(last) = repair.entries.last() else { return true };
        if last.last() >= self.tail.position {
            return last.point() == self.tail;
        }
        let own = held.iter().rev().take(last.events.len());
        let has_chain = |held: &Held| match held {
            Held::Row(row) => (row.term, row.chain) == (last.term, last.chain),
            Held::Missing | Held::Unreadable => false,
        };
        own.into_iter().any(has_chain)
    }
}
