//! The head's document as it is stored.

use std::{sync::Arc, time::Instant};

use polylog_log::{
    Config, ConfigPoint, Cut, DatabaseId, FORMAT, Failure, Head, Identity, Incarnation, LogId, Nonce, Point,
    Position, Term, Timestamp, Watermarks,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    connection::Handle,
    document::HeadDocument,
    error::EngineError,
    events::{self, Verbatim},
    faults::{HEAD_READ, HEAD_SWAPPED, NOWHERE, Points},
    mutants::{Mutant, believed, is_on},
    requests::{Found, Token},
    schema,
};

/// A head as it was read or written, and what the next swap names.
#[derive(Debug, Clone)]
pub(crate) struct KnownHead {
    pub(crate) token: Token,
    pub(crate) document: HeadDocument,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    format: u32,
    rev: u64,
    op: Uuid,
    log: LogId,
    store: DatabaseId,
    incarnation: Incarnation,
    term: Term,
    grant: Option<Nonce>,
    lead: Term,
    tail: Point,
    recorded_at_micros: i64,
    stable: Position,
    acked: Position,
    config: StoredConfig,
    implicit: StoredConfig,
    base: Point,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch: Option<Vec<Verbatim>>,
    cuts: Vec<Cut>,
}

#[derive(Serialize, Deserialize)]
struct StoredConfig {
    position: Position,
    content: String,
}

impl StoredConfig {
    fn of(point: &ConfigPoint) -> Self {
        let content =
            serde_json::to_string(&*point.config).expect("plain structs with string keys serialise");
        Self { position: point.position, content }
    }

    fn read(&self) -> Result<ConfigPoint, Failure> {
        let position = self.position;
        let config = Config::parse(self.content.as_bytes()).map_err(|error| {
            Failure::Damaged(format!("the configuration at position {position}: {error}"))
        })?;
        Ok(ConfigPoint { position, config: Arc::new(config) })
    }
}

/// The JSON of a document.
pub(crate) fn stored(document: &HeadDocument) -> Value {
    let head = &document.head;
    let Identity { log, database, incarnation } = head.identity;
    let stored = Stored {
        format: head.format,
        rev: head.revision,
        op: document.operation,
        log,
        store: database,
        incarnation,
        term: head.term,
        grant: head.grant,
        lead: head.lead,
        tail: head.tail,
        recorded_at_micros: head.recorded_at.as_micros(),
        stable: head.watermarks.stable,
        acked: head.watermarks.acked,
        config: StoredConfig::of(&head.config),
        implicit: StoredConfig::of(&document.implicit),
        base: document.base,
        batch: Some(events::verbatim(document.batch.iter())),
        cuts: document.cuts.to_vec(),
    };
    serde_json::to_value(stored).expect("plain structs with string keys serialise")
}

/// Reads a document, with or without its batch.
pub(crate) fn read(stored: Value) -> Result<HeadDocument, Failure> {
    let format = stored.get("format").and_then(Value::as_u64);
    let format = format.ok_or_else(|| Failure::Damaged("the head tells no format".into()))?;
    let found = u32::try_from(format).unwrap_or(u32::MAX);
    let unreadable = |error: String| match found {
        // what a newer version left that this one cannot read is no damage
        found if found > FORMAT => Failure::FormatTooNew { found, known: FORMAT },
        _ => Failure::Damaged(format!("the head: {error}")),
    };
    let stored: Stored = serde_json::from_value(stored).map_err(|error| unreadable(error.to_string()))?;
    let is_whole = stored.batch.is_some();
    let batch =
        events::entries(stored.batch.unwrap_or_default()).map_err(|error| unreadable(error.to_string()))?;
    let end = batch.last().map_or(stored.base, polylog_log::Entry::point);
    if is_whole && end != stored.tail {
        return Err(unreadable("its batch does not end at its tail".into()));
    }
    let (log, database, incarnation) = (stored.log, stored.store, stored.incarnation);
    let head = Head {
        identity: Identity { log, database, incarnation },
        format: stored.format,
        term: stored.term,
        grant: stored.grant,
        lead: stored.lead,
        tail: stored.tail,
        recorded_at: Timestamp::from_micros(stored.recorded_at_micros),
        config: stored.config.read()?,
        watermarks: Watermarks { stable: stored.stable, acked: stored.acked },
        last_cut: stored.cuts.last().copied(),
        revision: stored.rev,
    };
    Ok(HeadDocument {
        head,
        operation: stored.op,
        base: stored.base,
        batch: batch.into(),
        cuts: stored.cuts.into(),
        implicit: stored.implicit.read()?,
    })
}

impl Handle {
    /// The head's document as a server tells it. A server may tell what is not so: what it believes alone since it lost its
    /// cluster, or what is not yet on its disk. Nothing rests on it before a write has proven it.
    pub(crate) async fn head_document(&self) -> Result<KnownHead, EngineError> {
        self.read_head("").await
    }

    /// A head that was the log's, by an acknowledged write of it: what it holds may be written out, shown and refused upon.
    pub(crate) async fn sure_head(&self) -> Result<KnownHead, EngineError> {
        let deadline = Instant::now() + self.config.operation_timeout;
        loop {
            match self.sure(self.head_document().await?).await {
                // somebody was faster
                Err(error) if error.is_conflict() && Instant::now() < deadline => {}
                outcome => return outcome,
            }
        }
    }

    /// Proves a head that was read by a write that changes nothing, unless this process knows it already.
    pub(crate) async fn sure(&self, read: KnownHead) -> Result<KnownHead, EngineError> {
        if self.is_confirmed(&read.document) || is_on(Mutant::HeadsBelieved) {
            return Ok(read);
        }
        let token = self.put_again(read.token, &read.document).await?;
        Ok(KnownHead { token, ..read })
    }

    async fn read_head(&self, excludes: &str) -> Result<KnownHead, EngineError> {
        let indices = &self.config.indices;
        let found = self.get(HEAD_READ, &indices.head(), &schema::head_id(indices), excludes).await?;
        let missing =
            || Failure::NotProvisioned(format!("{} has no head of {}", indices.head(), indices.key()));
        let Found { token, content } = found.ok_or_else(missing)?;
        if let Some(document) = believed(self) {
            return Ok(KnownHead { token: token.of_another(), document });
        }
        Ok(KnownHead { token, document: read(content)? })
    }

    /// The head alone, for whoever only looks where the log stands.
    pub(crate) async fn head_alone(&self) -> Result<Head, EngineError> {
        let seen = self.history.seen();
        let head = self.read_head("batch").await?.document.head;
        if self.history.question(seen, &head)?.is_none() {
            return Ok(head);
        }
        let known = self.head_document().await?;
        self.prove(seen, &known.document).await?;
        Ok(known.document.head)
    }

    /// The head, confirmed by a write that changes nothing.
    pub(crate) async fn confirmed_head(&self) -> Result<Head, EngineError> {
        let seen = self.history.seen();
        let deadline = Instant::now() + self.config.operation_timeout;
        let document = loop {
            let known = self.head_document().await?;
            match self.put_again(known.token, &known.document).await {
                Ok(_) => break known.document,
                // somebody was faster
                Err(error) if error.is_conflict() && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        };
        self.prove(seen, &document).await?;
        Ok(document.head)
    }

    /// Writes the head's document if it is still the one of `token`.
    pub(crate) async fn put_head(&self, token: Token, document: &HeadDocument) -> Result<Token, EngineError> {
        self.put(HEAD_SWAPPED, token, document).await
    }

    /// The same with what was read under that token: it changes nothing.
    async fn put_again(&self, token: Token, document: &HeadDocument) -> Result<Token, EngineError> {
        self.put(NOWHERE, token, document).await
    }

    async fn put(&self, points: Points, token: Token, document: &HeadDocument) -> Result<Token, EngineError> {
        let indices = &self.config.indices;
        let (index, id) = (indices.head(), schema::head_id(indices));
        let token = self.put_if(points, &index, &id, Some(token), &stored(document)).await?;
        self.confirm(token, document);
        Ok(token)
    }

    /// Where the log ends.
    pub(crate) async fn tail(&self) -> Result<Position, EngineError> {
        Ok(self.read_head("batch").await?.document.head.tail.position)
    }

    /// How often the log was truncated.
    pub(crate) async fn cuts(&self) -> Result<u64, EngineError> {
        Ok(self.read_head("batch").await?.document.head.cuts())
    }
}
