//! Searches and counts by the server's own query language.
//!
//! A search sees what was there at the last refresh: up to there the index answers, and what came later, or what the index
//! does not know enough of, is read and looked at one by one. Where that is too much, or the index does not hold every
//! event of the log, it gives no answer, and the log is looked at instead.

use std::collections::{BTreeMap, HashMap};

use polylog_log::{
    Category, Count, Counted, Event, EventType, Find, Findings, Order, Position, RecordedEvent, Sought,
    Tallies, Tally, TallyRow, Timestamp, metadata_values,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    connection::Handle,
    document::HeadDocument,
    error::EngineError,
    events::{self, StoredEvent, WITHOUT_QUERYABLE},
    faults::NOWHERE,
    mutants::{Mutant, is_on},
    page,
    refresh::Covered,
    requests::Answer,
    terms::{self, Part},
};

/// Events that are read at once, until their bytes are enough.
const CHUNK: usize = 50;

/// Groups of one answer, and values of one name: beyond, the log is looked at.
const MOST_GROUPS: usize = 5_000;
const MOST_VALUES: usize = 10_000;

/// Kinds that one search may name: a server takes 1,024 conditions.
const MOST_KINDS: usize = 400;

/// Times between these are numbers that a server's histogram keeps exactly, since it computes with doubles: a quotient of
/// whole numbers whose sum is below 2^53 is never rounded up to the next whole number.
const EXACT_TIMES: i64 = 1 << 52;

/// What a search is answered from.
pub(crate) struct Ground {
    head: HeadDocument,
    parts: Vec<Part>,
    /// Up to here the index answers.
    searched: Position,
    /// What has to be looked at besides, and is sought.
    rest: Vec<StoredEvent>,
}

#[derive(Deserialize)]
struct Place {
    position: Position,
}

/// A question that the index answers.
pub(crate) trait Question: Sync {
    type Answer: Send;

    fn sought(&self) -> &Sought;

    /// Names of metadata that are counted.
    fn names(&self) -> &[String] {
        &[]
    }

    /// `None` = the index cannot say.
    fn ask(
        &self,
        handle: &Handle,
        ground: &Ground,
    ) -> impl Future<Output = Result<Option<Self::Answer>, EngineError>> + Send;
}

impl Question for Find {
    type Answer = Findings;

    fn sought(&self) -> &Sought {
        &self.sought
    }

    async fn ask(&self, handle: &Handle, ground: &Ground) -> Result<Option<Findings>, EngineError> {
        handle.found(ground, self).await
    }
}

impl Question for Count {
    type Answer = Counted;

    fn sought(&self) -> &Sought {
        &self.sought
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    async fn ask(&self, handle: &Handle, ground: &Ground) -> Result<Option<Counted>, EngineError> {
        handle.counted(ground, self).await
    }
}

/// See [`polylog_log::Source::find_by_index`]. Asks again when a truncation came meanwhile. What the server does not take,
/// the index does not know.
pub(crate) async fn answer<Q: Question>(
    handle: &Handle,
    question: &Q,
) -> Result<Option<Q::Answer>, EngineError> {
    let sought = question.sought();
    let Some(parts) = terms::parts(sought, question.names()) else { return Ok(None) };
    if sought.kinds.as_ref().is_some_and(|kinds| kinds.len() > MOST_KINDS) {
        return Ok(None);
    }
    for _ in 0..page::TRIES {
        let head = handle.sure_head().await?.document;
        let asked = async {
            match handle.ground(&head, sought, &parts).await? {
                Some(ground) => question.ask(handle, &ground).await,
                None => Ok(None),
            }
        };
        let answer = match asked.await {
            Err(EngineError::Server(error)) if error.status == 400 => {
                tracing::debug!(%error, "a search that the server does not take");
                Ok(None)
            }
            answer => answer,
        };
        if page::is_unchanged(handle, &head).await? {
            return answer;
        }
    }
    Err(page::truncated())
}

impl Handle {
    async fn ground(
        &self,
        head: &HeadDocument,
        sought: &Sought,
        parts: &[Part],
    ) -> Result<Option<Ground>, EngineError> {
        if sought.to > head.head.tail.position {
            return Ok(None);
        }
        let written = sought.to.min(head.base.position);
        let Some(Covered { searched, without }) = self.covered(head, written, parts).await? else {
            return Ok(None);
        };
        // another search may have seen more since this one has read the head
        let searched = searched.min(written);
        let mut rest: Vec<StoredEvent> = Vec::new();
        let without: Vec<Position> = without.into_iter().filter(|at| *at <= searched).collect();
        rest.extend(self.events_at(head, &without, WITHOUT_QUERYABLE).await?.into_iter().flatten());
        if searched < written {
            rest.extend(self.events_in(head, (searched.next(), written), WITHOUT_QUERYABLE).await?);
        }
        rest.extend(head.in_batch().map(|(entry, event)| events::of_batch(entry, event)));
        // whose data another source keeps, says its words there
        let is_elsewhere = |event: &Event| event.data.is_none() && event.keeper().is_some();
        if sought.words.is_some() && rest.iter().any(|stored| is_elsewhere(&stored.event)) {
            return Ok(None);
        }
        rest.retain(|stored| sought.holds(&stored.event));
        let searched =
            if is_on(Mutant::SearchBeyondVisible) { Position::new(1 << 52) } else { searched.min(sought.to) };
        Ok(Some(Ground { head: head.clone(), parts: parts.to_vec(), searched, rest }))
    }

    fn query(&self, ground: &Ground, sought: &Sought) -> Value {
        let having = terms::having(&self.store(&ground.head), ground.searched.get(), &ground.parts);
        terms::query(sought, having)
    }

    async fn found(&self, ground: &Ground, find: &Find) -> Result<Option<Findings>, EngineError> {
        let Find { sought, order, after, max_events, max_bytes, counts } = find;
        let place = |event: &Event| order.place(event.time, event.position);
        let after_place = after.map(|(time, position)| order.place(time, position));
        let mut question = json!({
            // one more tells whether there are more
            "size": max_events.saturating_add(1).min(10_000),
            "query": self.query(ground, sought),
            "sort": sorting(*order),
            "track_total_hits": counts,
            "_source": ["position"],
        });
        if let Some((time, position)) = after {
            let (time, position) = (json!(time.as_micros()), json!(position.get()));
            question["search_after"] = match order {
                Order::Newest | Order::Oldest => json!([time, position]),
                Order::Position | Order::PositionBackward => json!([position]),
            };
        }
        let answer: Answer<Place> = self.ask(NOWHERE, &self.config.indices.events(), &question).await?;
        let total = counts.then(|| answer.total() + ground.rest.len() as u64);
        let mut rest: BTreeMap<(i64, i64), &StoredEvent> = ground
            .rest
            .iter()
            .map(|stored| (place(&stored.event), stored))
            .filter(|(place, _)| after_place.is_none_or(|after| *place > after))
            .collect();
        let positions: Vec<Position> = answer.contents().map(|place| place.position).collect();
        let mut events: Vec<RecordedEvent> = Vec::new();
        let mut bytes = 0;
        let is_full = |events: &[RecordedEvent], bytes: usize| {
            events.len() >= *max_events || bytes >= *max_bytes && !events.is_empty()
        };
        let mut take = |events: &mut Vec<RecordedEvent>, stored: &StoredEvent| {
            if is_full(events, bytes) {
                return false;
            }
            bytes += stored.event.size();
            let StoredEvent { event, term, chain, .. } = stored;
            events.push(RecordedEvent { event: event.clone(), term: *term, chain: *chain });
            true
        };
        for chunk in positions.chunks(CHUNK) {
            let found = self.events_at(&ground.head, chunk, WITHOUT_QUERYABLE).await?;
            for stored in found {
                // an index that says what its documents do not is not believed
                let Some(stored) = stored.filter(|stored| sought.holds(&stored.event)) else {
                    return Ok(None);
                };
                let here = place(&stored.event);
                while let Some(first) = rest.first_entry().filter(|first| *first.key() < here) {
                    if !take(&mut events, first.get()) {
                        return Ok(Some(findings(ground, events, true, total)));
                    }
                    first.remove();
                }
                if !take(&mut events, &stored) {
                    return Ok(Some(findings(ground, events, true, total)));
                }
            }
        }
        for stored in rest.into_values() {
            if !take(&mut events, stored) {
                return Ok(Some(findings(ground, events, true, total)));
            }
        }
        let is_cut = positions.len() > *max_events;
        Ok(Some(findings(ground, events, is_cut, total)))
    }

    async fn counted(&self, ground: &Ground, count: &Count) -> Result<Option<Counted>, EngineError> {
        let Some(mut rows) = self.rows(ground, count).await? else { return Ok(None) };
        // of the rest: by kind and slice, and by each name
        let tally = Tally {
            range: Position::FIRST..=count.sought.to,
            narrow: count.sought.narrow.clone(),
            slice: count.slice,
            names: Vec::new(),
        };
        let mut tallies = Tallies::new(&tally);
        ground.rest.iter().for_each(|stored| tallies.count(&stored.event));
        rows.extend(tallies.rows());
        let mut values = Vec::with_capacity(count.names.len());
        for (index, name) in count.names.iter().enumerate() {
            let Some(mut counts) = self.values(ground, &count.sought, name).await? else { return Ok(None) };
            for stored in &ground.rest {
                let said = metadata_values(stored.event.metadata.as_deref(), &count.names[index..=index]);
                if let Some(value) = said.into_iter().flatten().next() {
                    *counts.entry(value).or_default() += 1;
                }
            }
            values.push(counts.into_iter().collect());
        }
        Ok(Some(Counted { rows, values, head: ground.head.head.clone() }))
    }

    /// Counts by kind and slice of what the index answers.
    async fn rows(&self, ground: &Ground, count: &Count) -> Result<Option<Vec<TallyRow>>, EngineError> {
        let slice = count.slice.map(|seconds| i64::from(seconds.get()) * 1_000_000);
        let mut sources = vec![
            json!({ "category": { "terms": { "field": "aggregateType" } } }),
            json!({ "type": { "terms": { "field": "eventType" } } }),
        ];
        if let Some(micros) = slice {
            let histogram = json!({ "field": "timestampMicros", "interval": micros });
            sources.push(json!({ "slice": { "histogram": histogram } }));
        }
        let (far_before, far_after) = (json!({ "lt": -EXACT_TIMES }), json!({ "gte": EXACT_TIMES }));
        let far = json!({ "bool": { "should": [
            { "range": { "timestampMicros": far_before } }, { "range": { "timestampMicros": far_after } },
        ] } });
        let mut question = json!({
            "size": 0,
            "track_total_hits": false,
            "query": self.query(ground, &count.sought),
            "aggs": { "far": { "filter": far }, "rows": { "composite": { "size": MOST_GROUPS, "sources": sources } } },
        });
        let mut rows = Vec::new();
        loop {
            let answer: Answer<Place> = self.ask(NOWHERE, &self.config.indices.events(), &question).await?;
            let Groups { far, rows: page } = answer.groups()?;
            if slice.is_some() && far.doc_count > 0 {
                return Ok(None);
            }
            rows.extend(page.buckets.into_iter().map(Bucket::row));
            match page.after_key {
                Some(after) => question["aggs"]["rows"]["composite"]["after"] = after,
                None => return Ok(Some(rows)),
            }
        }
    }

    /// How many of what the index answers have each value of a name; `None` = too many, or some that it does not know.
    async fn values(
        &self,
        ground: &Ground,
        sought: &Sought,
        name: &str,
    ) -> Result<Option<HashMap<String, u64>>, EngineError> {
        let Some(include) = terms::pattern(name) else { return Ok(None) };
        let said = json!({ "terms": { "field": "said", "include": include, "size": MOST_VALUES } });
        let question = json!({
            "size": 0,
            "track_total_hits": false,
            "query": self.query(ground, sought),
            "aggs": { "values": said },
        });
        let answer: Answer<Place> = self.ask(NOWHERE, &self.config.indices.events(), &question).await?;
        let ByValue { values } = answer.groups()?;
        if values.sum_other_doc_count > 0 || values.doc_count_error_upper_bound != 0 {
            return Ok(None);
        }
        let known =
            |bucket: ValueBucket| Some((terms::value_said(name, &bucket.key)?.to_owned(), bucket.doc_count));
        Ok(values.buckets.into_iter().map(known).collect())
    }
}

fn findings(ground: &Ground, events: Vec<RecordedEvent>, has_more: bool, total: Option<u64>) -> Findings {
    Findings { events, has_more, total, head: ground.head.head.clone() }
}

fn sorting(order: Order) -> Value {
    match order {
        Order::Newest => json!([{ "timestampMicros": "desc" }, { "position": "desc" }]),
        Order::Oldest => json!([{ "timestampMicros": "asc" }, { "position": "asc" }]),
        Order::Position => json!([{ "position": "asc" }]),
        Order::PositionBackward => json!([{ "position": "desc" }]),
    }
}

#[derive(Deserialize)]
struct Groups {
    far: Far,
    rows: Rows,
}

#[derive(Deserialize)]
struct Far {
    doc_count: u64,
}

#[derive(Deserialize)]
struct Rows {
    #[serde(default)]
    after_key: Option<Value>,
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    key: Key,
    doc_count: u64,
}

#[derive(Deserialize)]
struct Key {
    category: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    slice: f64,
}

impl Bucket {
    fn row(self) -> TallyRow {
        let Key { category, event_type, slice } = self.key;
        TallyRow {
            category: Category::recorded(&category),
            event_type: EventType::recorded(&event_type),
            // a whole number, since times that are not exact are refused
            slice: Timestamp::from_micros(slice as i64),
            values: Vec::new(),
            count: self.doc_count,
        }
    }
}

#[derive(Deserialize)]
struct ByValue {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    sum_other_doc_count: u64,
    #[serde(default)]
    doc_count_error_upper_bound: i64,
    buckets: Vec<ValueBucket>,
}

#[derive(Deserialize)]
struct ValueBucket {
    key: String,
    doc_count: u64,
}
