use std::collections::HashMap;

use polylog_log::{Effect, Point, StreamHead, StreamName};

/// Streams in one generation; two are kept, of some 200 bytes a stream.
const GENERATION: usize = 8_192;

/// What the last append of this connection knew of streams.
///
/// It holds for the very tail that the append left. Whoever else writes, in this process or another, moves the tail to
/// a point with another chain: then nothing of this is used.
#[derive(Default)]
pub(crate) struct StreamHeads {
    tail: Option<Point>,
    recent: HashMap<StreamName, StreamHead>,
    older: HashMap<StreamName, StreamHead>,
}

impl StreamHeads {
    /// Forgets everything unless the log still ends at the tail that the last append left.
    pub(crate) fn hold_at(&mut self, tail: &Point) {
        if self.tail != Some(*tail) {
            *self = Self { tail: Some(*tail), ..Self::default() };
        }
    }

    /// The head of a stream; what is not known is read.
    pub(crate) fn find<E>(
        &mut self,
        stream: &StreamName,
        read: impl FnOnce() -> Result<Option<StreamHead>, E>,
    ) -> Result<Option<StreamHead>, E> {
        if let Some(known) = self.recent.get(stream) {
            return Ok(Some(known.clone()));
        }
        let found = match self.older.remove(stream) {
            Some(known) => Some(known),
            None => read()?,
        };
        if let Some(head) = &found {
            self.keep(stream.clone(), head.clone());
        }
        Ok(found)
    }

    /// Takes over what was just written after the tail that the last [`StreamHeads::hold_at`] named.
    pub(crate) fn wrote(&mut self, effect: &Effect) {
        for event in effect.write.iter().flat_map(|entry| &entry.events) {
            let head = StreamHead {
                version: event.version,
                category: event.category.clone(),
                aggregate_id: event.aggregate_id.clone(),
            };
            self.older.remove(&event.stream);
            self.keep(event.stream.clone(), head);
        }
        self.tail = Some(effect.head.tail);
    }

    fn keep(&mut self, stream: StreamName, head: StreamHead) {
        if self.recent.len() >= GENERATION && !self.recent.contains_key(&stream) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(stream, head);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use polylog_log::{AggregateId, Category, Chain, LogId, Position, Version};
    use uuid::Uuid;

    use super::*;

    fn head(version: u64) -> StreamHead {
        StreamHead {
            version: Version::new(version),
            category: Category::recorded("C"),
            aggregate_id: AggregateId::recorded("a"),
        }
    }

    fn stream(number: usize) -> StreamName {
        StreamName::recorded(&format!("C-{number}"))
    }

    fn found(heads: &mut StreamHeads, tail: &Point, number: usize, stored: u64) -> u64 {
        let read = || Ok::<_, Infallible>(Some(head(stored)));
        heads.hold_at(tail);
        let found = heads.find(&stream(number), read).expect("it cannot fail");
        found.expect("a head").version.get()
    }

    #[test]
    fn nothing_is_trusted_after_the_tail_moved() {
        let here = Point::start(LogId::new(Uuid::from_u128(1)));
        let mut heads = StreamHeads::default();
        assert_eq!(found(&mut heads, &here, 1, 5), 5);
        assert_eq!(found(&mut heads, &here, 1, 6), 5, "it is known at this tail");
        let forked = Point { chain: Chain::from_bytes([7; 16]), ..here };
        assert_eq!(found(&mut heads, &forked, 1, 6), 6, "another chain at the same position");
        let further = Point { position: Position::new(9), ..forked };
        assert_eq!(found(&mut heads, &further, 1, 7), 7);
    }

    #[test]
    fn what_is_used_stays_and_memory_is_bounded() {
        let here = Point::start(LogId::new(Uuid::from_u128(1)));
        let mut heads = StreamHeads::default();
        for number in 0..5 * GENERATION {
            found(&mut heads, &here, number, 1);
            assert_eq!(found(&mut heads, &here, 0, number as u64 + 1), 1, "used all the time");
        }
        assert!(heads.recent.len() + heads.older.len() <= 2 * GENERATION);
        assert_eq!(found(&mut heads, &here, 1, 2), 2, "not used for long");
    }
}
