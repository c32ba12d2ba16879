//! The document that decides everything.

use std::{
    future::IntoFuture,
    sync::{Arc, PoisonError},
};

use mongodb::bson::{Bson, Document, doc};
use polylog_log::{
    Config, ConfigPoint, Cut, DatabaseId, Effect, Entry, Event, FORMAT, Failure, Head, Identity, Incarnation,
    LogId, Nonce, Point, Position, Term, Timestamp, Watermarks,
};
use uuid::Uuid;

use crate::{
    connection::Handle,
    error::EngineError,
    events::{self, EntryBuilder},
    faults::HEAD_READ,
    fields::{self, Fields, number, optional},
    schema::LANE,
};

/// The head's document, without the list of truncations.
#[derive(Debug, Clone)]
pub(crate) struct HeadDocument {
    /// With the revision that every swap compares.
    pub(crate) head: Head,
    /// Fresh at every swap: tells whose it was.
    pub(crate) operation: Uuid,
    /// Everything up to here is written out; above, event documents are no facts.
    pub(crate) base: Point,
    /// What follows `base`, up to the tail.
    pub(crate) batch: Arc<[Entry]>,
    /// The configuration before the first `$config`.
    pub(crate) implicit: ConfigPoint,
}

impl HeadDocument {
    /// The events of the batch.
    pub(crate) fn in_batch(&self) -> impl DoubleEndedIterator<Item = (&Entry, &Event)> {
        self.batch.iter().flat_map(|entry| entry.events.iter().map(move |event| (entry, event)))
    }

    /// The document after an operation.
    pub(crate) fn after(&self, effect: &Effect) -> Self {
        let mut next = Self { head: effect.head.clone(), operation: Uuid::new_v4(), ..self.clone() };
        let tail = effect.head.tail;
        if tail.position < self.head.tail.position {
            next.batch = self.batch.iter().filter(|entry| entry.last() <= tail.position).cloned().collect();
            if tail.position < self.base.position {
                next.base = tail;
            }
        }
        next
    }

    /// The document after an operation that writes entries, before which the batch was written out.
    pub(crate) fn after_writing(&self, effect: &Effect) -> Self {
        Self { base: self.head.tail, batch: effect.write.clone().into(), ..self.after(effect) }
    }

    /// The update that makes the document before into this one.
    pub(crate) fn update(&self, before: &Self) -> Document {
        let head = &self.head;
        let mut set = doc! {
            "rev": number(head.revision),
            "op": fields::uuid(self.operation),
            "term": number(head.term.get()),
            "grant": optional(head.grant.map(|nonce| fields::uuid(nonce.uuid()))),
            "lead": number(head.lead.get()),
            "tail": fields::point(&head.tail),
            "recordedAtMicros": head.recorded_at.as_micros(),
            "stable": number(head.watermarks.stable.get()),
            "acked": number(head.watermarks.acked.get()),
            "base": fields::point(&self.base),
            "batch": batch(&self.batch),
            "wanted": false,
        };
        if head.config != before.head.config {
            set.insert("config", config(&head.config));
        }
        let mut update = doc! {};
        if let Some(cut) = head.last_cut.filter(|cut| Some(*cut) != before.head.last_cut) {
            set.insert("lastCut", cut_document(&cut));
            update.insert("$push", doc! { "cutLog": cut_document(&cut) });
        }
        update.insert("$set", set);
        update
    }

    /// A provisioned, empty one.
    pub(crate) fn first(head: &Head) -> Document {
        let Identity { log, database, incarnation } = head.identity;
        doc! {
            "_id": LANE,
            "format": number(u64::from(head.format)),
            "rev": number(head.revision),
            "op": fields::uuid(Uuid::nil()),
            "log": fields::uuid(log.uuid()),
            "store": fields::uuid(database.uuid()),
            "incarnation": fields::uuid(incarnation.uuid()),
            "term": number(head.term.get()),
            "grant": Bson::Null,
            "lead": number(head.lead.get()),
            "tail": fields::point(&head.tail),
            "recordedAtMicros": head.recorded_at.as_micros(),
            "stable": number(0),
            "acked": number(0),
            "config": config(&head.config),
            "implicit": config(&head.config),
            "base": fields::point(&head.tail),
            "batch": [],
            "lastCut": Bson::Null,
            "cutLog": [],
        }
    }

    /// Reads a document.
    pub(crate) fn read(document: &Document) -> Result<Self, Failure> {
        let found = format(document)?;
        // what a newer version left that this one cannot read is no damage
        Self::parse(document, found).map_err(|failure| match found {
            found if found > FORMAT => Failure::FormatTooNew { found, known: FORMAT },
            _ => failure,
        })
    }

    fn parse(document: &Document, format: u32) -> Result<Self, Failure> {
        let fields = Fields::of("the head", document);
        let position = |field| fields.number(field).map(Position::new);
        let head = Head {
            identity: identity(document)?,
            format,
            term: Term::new(fields.number("term")?),
            grant: fields.optional_uuid("grant")?.map(Nonce::new),
            lead: Term::new(fields.number("lead")?),
            tail: fields.point("tail")?,
            recorded_at: Timestamp::from_micros(fields.signed("recordedAtMicros")?),
            config: read_config(fields, "config")?,
            watermarks: Watermarks { stable: position("stable")?, acked: position("acked")? },
            last_cut: fields.optional_inner("lastCut")?.map(read_cut).transpose()?,
            revision: fields.number("rev")?,
        };
        let mut builder = EntryBuilder::default();
        let mut batch = Vec::new();
        let is_whole = document.contains_key("batch");
        for event in if is_whole { fields.documents("batch")? } else { Vec::new() } {
            batch.extend(builder.push(events::read(event)?)?);
        }
        let (base, operation) = (fields.point("base")?, fields.uuid("op")?);
        let end = batch.last().map_or(base, Entry::point);
        if is_whole && (end != head.tail || builder.is_open()) {
            return Err(Failure::Damaged("the head's batch does not end at its tail".into()));
        }
        let implicit = read_config(fields, "implicit")?;
        Ok(Self { head, operation, base, batch: batch.into(), implicit })
    }
}

/// The format that a head is written in: whatever else it holds is as this says.
pub(crate) fn format(document: &Document) -> Result<u32, Failure> {
    let format = Fields::of("the head", document).number("format")?;
    Ok(u32::try_from(format).unwrap_or(u32::MAX))
}

pub(crate) fn identity(document: &Document) -> Result<Identity, Failure> {
    let fields = Fields::of("the head", document);
    Ok(Identity {
        log: LogId::new(fields.uuid("log")?),
        database: DatabaseId::new(fields.uuid("store")?),
        incarnation: Incarnation::new(fields.uuid("incarnation")?),
    })
}

fn batch(entries: &[Entry]) -> Bson {
    let events = entries.iter().flat_map(|entry| entry.events.iter().map(move |event| (entry, event)));
    Bson::Array(events.map(|(entry, event)| Bson::Document(events::verbatim(entry, event))).collect())
}

fn config(config: &ConfigPoint) -> Bson {
    let content = serde_json::to_string(&*config.config).expect("plain structs with string keys serialise");
    Bson::Document(doc! { "position": number(config.position.get()), "content": content })
}

fn read_config(fields: Fields<'_>, field: &str) -> Result<ConfigPoint, Failure> {
    let stored = fields.inner(field)?;
    let position = Position::new(stored.number("position")?);
    let config = Config::parse(stored.text("content")?.as_bytes())
        .map_err(|error| Failure::Damaged(format!("the configuration at position {position}: {error}")))?;
    Ok(ConfigPoint { position, config: Arc::new(config) })
}

fn cut_document(cut: &Cut) -> Document {
    doc! {
        "number": number(cut.number),
        "keep": fields::point(&cut.keep),
        "removed": fields::point(&cut.removed),
        "term": number(cut.term.get()),
    }
}

pub(crate) fn read_cut(fields: Fields<'_>) -> Result<Cut, Failure> {
    Ok(Cut {
        number: fields.number("number")?,
        keep: fields.point("keep")?,
        removed: fields.point("removed")?,
        term: Term::new(fields.number("term")?),
    })
}

impl Handle {
    /// The head's document as it is.
    pub(crate) async fn head_document(&self) -> Result<HeadDocument, EngineError> {
        let find = self
            .connected()
            .await?
            .head
            .find_one(doc! { "_id": LANE })
            .max_time(self.config.request_timeout)
            .projection(doc! { "cutLog": 0 });
        let found = self.request(HEAD_READ, find.into_future()).await?;
        Ok(HeadDocument::read(&found.ok_or_else(not_provisioned)?)?)
    }

    /// The head's document for a page: its batch, which may be large, is asked for only where it is another one than was
    /// seen last.
    pub(crate) async fn head_to_read(&self) -> Result<HeadDocument, EngineError> {
        let light = self.light().await?;
        if light.base == light.head.tail {
            return Ok(light);
        }
        let known = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.operation == light.operation) {
            return Ok(known);
        }
        let document = self.head_document().await?;
        self.keep(&document);
        Ok(document)
    }

    /// Keeps a document for those who read.
    pub(crate) fn keep(&self, document: &HeadDocument) {
        // no code between lock and unlock panics in the middle of a change
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(document.clone());
    }

    /// The head's document as it is, without its batch.
    async fn light(&self) -> Result<HeadDocument, EngineError> {
        let light = doc! { "cutLog": 0, "batch": 0 };
        let find = self
            .connected()
            .await?
            .head
            .find_one(doc! { "_id": LANE })
            .max_time(self.config.request_timeout)
            .projection(light);
        let found = self.request(HEAD_READ, find.into_future()).await?;
        Ok(HeadDocument::read(&found.ok_or_else(not_provisioned)?)?)
    }

    /// The head alone, for whoever only looks where the log stands.
    pub(crate) async fn head_alone(&self) -> Result<Head, EngineError> {
        let seen = self.history.seen();
        let head = self.light().await?.head;
        if self.history.question(seen, &head)?.is_none() {
            return Ok(head);
        }
        let document = self.head_document().await?;
        self.prove(seen, &document).await?;
        Ok(document.head)
    }

    /// One field of the head's document.
    pub(crate) async fn head_field(&self, field: &str) -> Result<Document, EngineError> {
        let find = self
            .connected()
            .await?
            .head
            .find_one(doc! { "_id": LANE })
            .max_time(self.config.request_timeout)
            .projection(doc! { field: 1 });
        let found = self.request(HEAD_READ, find.into_future()).await?;
        Ok(found.ok_or_else(not_provisioned)?)
    }

    /// How often the log was truncated.
    pub(crate) async fn cuts(&self) -> Result<u64, EngineError> {
        let document = self.head_field("lastCut").await?;
        let cut = Fields::of("the head", &document).optional_inner("lastCut")?;
        Ok(cut.map(|cut| cut.number("number")).transpose()?.unwrap_or(0))
    }
}

fn not_provisioned() -> Failure {
    Failure::NotProvisioned("the database has no head".into())
}
