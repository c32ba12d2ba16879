//! What truncations removed. A record counts only once the head tells of its cut.

use polylog_log::{Cut, Position, QuarantinePlace, Quarantined};

use crate::{
    connection::Handle,
    document::HeadDocument,
    error::EngineError,
    events::{self, Verbatim, WITHOUT_QUERYABLE},
    faults::{EVENTS_READ, QUARANTINED},
    requests::{Ask, Put, Written},
    schema::Store,
};

/// Events that are read at once.
const AT_ONCE: u64 = 500;

impl Handle {
    /// Puts aside what a truncation is going to remove; `false` = somebody with a newer head did so before.
    pub(crate) async fn save(&self, head: &HeadDocument, cut: Cut) -> Result<bool, EngineError> {
        let (store, index) = (self.store(head), self.config.indices.quarantine());
        let first = cut.keep.position.next();
        let mut removed = Vec::new();
        if first <= head.base.position {
            let stored = self.events_in(head, (first, head.base.position), WITHOUT_QUERYABLE).await?;
            let mut builder = events::EntryBuilder::default();
            for stored in stored {
                removed.extend(builder.push(stored)?);
            }
        }
        removed.extend(head.batch.iter().filter(|entry| entry.first() >= first).cloned());
        let documents: Vec<Put<'_>> = removed
            .iter()
            .flat_map(|entry| entry.events.iter().map(move |event| (entry, event)))
            .map(|(entry, event)| Put {
                index: &index,
                id: store.quarantined(cut.number, event.position),
                content: serde_json::to_vec(&Verbatim::of(entry, event))
                    .expect("plain structs with string keys serialise"),
            })
            .collect();
        for outcome in self.put_many(QUARANTINED, head.head.revision, &documents).await? {
            match outcome {
                Written::Done => {}
                Written::Conflict => return Ok(false),
                Written::Failed(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// See [`polylog_log::Source::quarantine`].
    pub(crate) async fn quarantined(
        &self,
        after: QuarantinePlace,
        limit: usize,
    ) -> Result<Vec<Quarantined>, EngineError> {
        let head = self.sure_head().await?.document;
        let (store, index) = (self.store(&head), self.config.indices.quarantine());
        let mut found = Vec::new();
        for cut in head.cuts.iter().filter(|cut| cut.number >= after.cut) {
            let behind = if cut.number == after.cut { after.position } else { cut.keep.position };
            self.of_cut((&store, &index), (*cut, behind), limit, &mut found).await?;
        }
        Ok(found)
    }

    /// What a truncation removed behind a position, until there is as much as is wanted.
    async fn of_cut(
        &self,
        (store, index): (&Store, &str),
        (cut, behind): (Cut, Position),
        limit: usize,
        found: &mut Vec<Quarantined>,
    ) -> Result<(), EngineError> {
        let missing =
            || EngineError::damaged(format!("what truncation {} removed is not all there", cut.number));
        let mut builder = events::EntryBuilder::default();
        let mut from = behind.next();
        while from <= cut.removed.position && found.len() < limit {
            let to = cut.removed.position.min(from.plus(AT_ONCE - 1));
            let ids = (from.get()..=to.get())
                .map(|position| store.quarantined(cut.number, Position::new(position)));
            let asked: Vec<Ask> = ids.map(|id| Ask::new(index, id, WITHOUT_QUERYABLE)).collect();
            let stored: Vec<Option<Verbatim>> = self.get_many(EVENTS_READ, &asked).await?;
            for stored in stored {
                if let Some(entry) = builder.push(stored.ok_or_else(missing)?.read())?
                    && found.len() < limit
                {
                    found.push(Quarantined { cut, entry });
                }
            }
            from = to.next();
        }
        Ok(())
    }
}
