use std::ops::RangeInclusive;

use polylog_log::{Digest, Digests, Position};

use crate::{connection::Handle, error::EngineError, events, events::WITHOUT_PAYLOAD, page};

/// Events that are looked at in one part.
const AT_ONCE: u64 = 1_000;

/// See [`polylog_log::Source::digests`].
pub(crate) async fn digests(
    handle: &Handle,
    range: &RangeInclusive<Position>,
) -> Result<Digests, EngineError> {
    for _ in 0..page::TRIES {
        let head = handle.sure_head().await?.document;
        let mut digests = Digests { count: 0, combined: Digest::from_bytes([0; 16]), chain: None };
        let mut take = |stored: &events::StoredEvent| {
            digests.count += 1;
            digests.combined.combine(stored.event.digest);
            if stored.event.position == *range.end() {
                digests.chain = Some(stored.chain);
            }
        };
        let mut from = (*range.start()).max(Position::FIRST);
        let end = (*range.end()).min(head.base.position);
        while from <= end {
            let last = end.min(from.plus(AT_ONCE).previous());
            handle.events_in(&head, (from, last), WITHOUT_PAYLOAD).await?.iter().for_each(&mut take);
            from = last.next();
        }
        let in_batch = head.in_batch().filter(|(_, event)| range.contains(&event.position));
        in_batch.for_each(|(entry, event)| take(&events::of_batch(entry, event)));
        if page::is_unchanged(handle, &head).await? {
            return Ok(digests);
        }
    }
    Err(page::truncated())
}
