use std::collections::BTreeMap;

use polylog_log::RecordedEvent;

/// A place in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) [i64; 3]);

/// The first hits of an order, as many as there is room for, of those that were offered.
///
/// What is kept is without gaps: once a hit had to go for want of room, none behind it is taken any more.
#[derive(Debug)]
pub(super) struct Best {
    kept: BTreeMap<Key, (RecordedEvent, f64)>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    /// Hits up to here were given before.
    after: Option<Key>,
    /// The first that had to go.
    gone: Option<Key>,
}

impl Best {
    pub(super) fn new(after: Option<Key>, most: usize, most_bytes: usize) -> Self {
        Self { kept: BTreeMap::new(), bytes: 0, most: most.max(1), most_bytes, after, gone: None }
    }

    /// Keeps a hit if it is among the first.
    pub(super) fn offer(&mut self, key: Key, event: &RecordedEvent, score: f64) {
        let was_given = self.after.is_some_and(|after| key <= after);
        if was_given || self.gone.is_some_and(|gone| key >= gone) {
            return;
        }
        self.bytes += event.event.size();
        self.kept.insert(key, (event.clone(), score));
        while self.kept.len() > self.most || self.bytes > self.most_bytes && self.kept.len() > 1 {
            let Some((key, (event, _))) = self.kept.pop_last() else { break };
            self.bytes -= event.event.size();
            self.gone = Some(key);
        }
    }

    /// Whether there are more than are kept.
    pub(super) fn has_more(&self) -> bool {
        self.gone.is_some()
    }

    /// The place of the last one that is kept.
    pub(super) fn last(&self) -> Option<Key> {
        self.kept.last_key_value().map(|(key, _)| *key)
    }

    /// In their order.
    pub(super) fn into_hits(self) -> Vec<(RecordedEvent, f64)> {
        self.kept.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{operations::search::asked::Sort, test_events::event};

    fn events(times: &[(i64, u8)]) -> Vec<RecordedEvent> {
        let one = |(index, (time, size)): (usize, &(i64, u8))| {
            let mut event = event(&format!("\"{}\"", "x".repeat(usize::from(*size))));
            event.position = polylog_log::Position::new(index as u64 + 1);
            event.time = polylog_log::Timestamp::from_micros(*time);
            RecordedEvent {
                event,
                term: polylog_log::Term::new(1),
                chain: polylog_log::Chain::from_bytes([0; 16]),
            }
        };
        times.iter().enumerate().map(one).collect()
    }

    proptest! {
        /// Pages joined are the whole in order: nothing is missing, nothing stands twice, whatever the sizes.
        #[test]
        fn pages_join_without_gaps(
            times in prop::collection::vec((-5_i64..5, any::<u8>()), 0..60),
            most in 1_usize..9, most_bytes in 1_usize..3_000, score in 0_usize..3,
        ) {
            let events = events(&times);
            for sort in [Sort::Newest, Sort::Oldest, Sort::Score, Sort::Position, Sort::PositionBackward] {
                let scored = |event: &RecordedEvent| (event.event.position.get() as usize * score % 3) as f64;
                let mut whole: Vec<_> = events.iter().map(|event| sort.key(event, scored(event))).collect();
                whole.sort();
                let (mut joined, mut after) = (Vec::new(), None);
                loop {
                    let mut best = Best::new(after, most, most_bytes);
                    events.iter().for_each(|event| best.offer(sort.key(event, scored(event)), event, scored(event)));
                    after = best.last();
                    let has_more = best.has_more();
                    let page = best.into_hits();
                    prop_assert!(page.len() <= most && (!has_more || !page.is_empty()));
                    joined.extend(page.iter().map(|(event, score)| sort.key(event, *score)));
                    if !has_more {
                        break;
                    }
                }
                prop_assert_eq!(joined, whole);
            }
        }
    }
}
