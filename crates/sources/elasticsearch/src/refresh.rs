//! Up to where a search by the index sees every event, and which of them the index knows enough of.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use polylog_log::Position;
use serde::Deserialize;
use serde_json::json;

use crate::{
    connection::Handle,
    document::HeadDocument,
    error::EngineError,
    faults::NOWHERE,
    mutants::{Mutant, is_on},
    requests::Answer,
    terms::{self, Part},
};

/// Searches make events searchable at most this often: each time makes a small file that the server has to merge.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// Events that the index does not know enough of and that are looked at one by one; with more the log is looked at.
const MOST_WITHOUT: usize = 256;

/// What the index answers.
#[derive(Debug, Clone)]
pub(crate) struct Covered {
    /// Everything up to here.
    pub(crate) searched: Position,
    /// But for these, which lack a part.
    pub(crate) without: Vec<Position>,
}

/// What this process knows of the index.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    /// When the last refresh on behalf of a search began.
    refreshed: Option<Instant>,
    /// After so many truncations.
    cuts: u64,
    /// By the parts of the index, what it answers.
    covered: BTreeMap<Vec<Part>, Covered>,
    /// Parts that too many events lack for good.
    lacking: BTreeSet<Vec<Part>>,
}

impl Handle {
    /// What the index answers of the events up to `to`, which are written out; `None` = there are gaps, or too many events
    /// of which it does not know enough.
    pub(crate) async fn covered(
        &self,
        head: &HeadDocument,
        to: Position,
        parts: &[Part],
    ) -> Result<Option<Covered>, EngineError> {
        let mut knowledge = self.knowledge.lock().await;
        let cuts = head.head.cuts();
        if knowledge.cuts != cuts {
            *knowledge = Knowledge { refreshed: knowledge.refreshed, cuts, ..Knowledge::default() };
        }
        if knowledge.lacking.contains(parts) {
            return Ok(None);
        }
        let searched = self.searchable_near(head, to, &mut knowledge.refreshed).await?;
        let known = knowledge.covered.get(parts).cloned();
        let known = known.unwrap_or(Covered { searched: Position::ZERO, without: Vec::new() });
        if known.searched >= searched {
            return Ok(Some(known));
        }
        if is_on(Mutant::GapsBelieved) {
            return Ok(Some(Covered { searched, ..known }));
        }
        let Some(covered) = self.look_closer(head, searched, parts, known).await? else { return Ok(None) };
        if covered.without.len() > MOST_WITHOUT {
            knowledge.lacking.insert(parts.to_vec());
            return Ok(None);
        }
        knowledge.covered.insert(parts.to_vec(), covered.clone());
        Ok(Some(covered))
    }

    /// A position up to which a search sees every event as it is, few events before `to`.
    async fn searchable_near(
        &self,
        head: &HeadDocument,
        to: Position,
        refreshed: &mut Option<Instant>,
    ) -> Result<Position, EngineError> {
        let (cuts, base) = (head.head.cuts(), head.base.position);
        let known = self.searchable(|known| *known);
        let is_near = to.get() <= known.1.get().saturating_add(self.config.read_beyond);
        if known.0 == cuts && is_near || is_on(Mutant::NoRefresh) {
            return Ok(if is_on(Mutant::NoRefresh) { base } else { known.1.min(base) });
        }
        if let Some(early) = refreshed.and_then(|last| REFRESH_EVERY.checked_sub(last.elapsed())) {
            tokio::time::sleep(early).await;
        }
        *refreshed = Some(Instant::now());
        // everything up to the base was written out before the head was read
        self.refresh(NOWHERE, &self.config.indices.events()).await?;
        self.now_searchable(cuts, base);
        Ok(base)
    }

    /// Looks which of the events after those that are known the index knows enough of; `None` = some are missing.
    async fn look_closer(
        &self,
        head: &HeadDocument,
        searched: Position,
        parts: &[Part],
        known: Covered,
    ) -> Result<Option<Covered>, EngineError> {
        #[derive(Deserialize)]
        struct Place {
            position: Position,
        }
        let store = self.store(head);
        let new = json!({ "range": { "position": { "gt": known.searched.get() } } });
        let mut having = terms::having(&store, searched.get(), parts);
        having.push(new.clone());
        let mut all = terms::having(&store, searched.get(), &[]);
        all.push(new);
        let lacking = json!({
            "size": MOST_WITHOUT + 1,
            "_source": ["position"],
            "sort": ["position"],
            "track_total_hits": false,
            "query": { "bool": { "filter": all, "must_not": [{ "bool": { "filter": having.clone() } }] } },
        });
        let index = self.config.indices.events();
        let lacking: Answer<Place> = self.ask(NOWHERE, &index, &lacking).await?;
        let counted =
            json!({ "size": 0, "track_total_hits": true, "query": { "bool": { "filter": having } } });
        let counted: Answer<Place> = self.ask(NOWHERE, &index, &counted).await?;
        let mut without = known.without;
        let lacking: Vec<Position> = lacking.contents().map(|place| place.position).collect();
        let expected = searched.get() - known.searched.get();
        let are_too_many = lacking.len() > MOST_WITHOUT;
        let is_whole = counted.total() + lacking.len() as u64 == expected;
        without.extend(lacking);
        Ok((are_too_many || is_whole).then_some(Covered { searched, without }))
    }
}
