//! The few requests that everything is made of.

use std::fmt::Write;

use elasticsearch::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use polylog_log::Failure;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    connection::{Body, Handle},
    error::{CONFLICT, EngineError, ErrorBody, ServerError},
    faults::Points,
    mutants::{Mutant, is_on},
};

/// What the next conditional write of a document names: the write that it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    sequence: i64,
    term: i64,
}

impl Token {
    /// One that no write of the log has.
    pub(crate) fn of_another(self) -> Self {
        Self { sequence: self.sequence + 1_000_000, ..self }
    }
}

/// A document as it was found.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) token: Token,
    pub(crate) content: T,
}

/// How many copies have a write.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Shards {
    #[serde(default)]
    successful: u32,
    failed: u32,
}

impl Shards {
    /// A write that not all copies have, of those that must, does not count: what comes of it is unknown.
    fn check(self, required: u32) -> Result<(), EngineError> {
        if self.failed == 0 && self.successful >= required {
            return Ok(());
        }
        let Shards { successful, failed } = self;
        let words = format!("a write reached {successful} copies of {required} required, {failed} failed");
        Err(EngineError::Transport(words))
    }
}

/// Which document a request asks for, and which of its fields.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ask {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_source")]
    fields: Fields,
}

/// Fields of a document.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fields {
    Excludes(&'static [&'static str]),
    Includes(&'static [&'static str]),
}

impl Ask {
    pub(crate) fn new(index: &str, id: String, fields: Fields) -> Self {
        Self { index: index.to_owned(), id, fields }
    }
}

/// A document to be written among others, unless one of a higher revision is there.
pub(crate) struct Put<'a> {
    pub(crate) index: &'a str,
    pub(crate) id: String,
    /// The JSON of the document.
    pub(crate) content: Vec<u8>,
}

/// What became of one document of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    /// One of a higher revision is there.
    Conflict,
    Failed(ServerError),
}

impl Handle {
    /// Reads a document by its id: as it is now, whether it can be searched already or not.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        points: Points,
        index: &str,
        id: &str,
        excludes: &str,
    ) -> Result<Option<Found<T>>, EngineError> {
        #[derive(Deserialize)]
        struct Answer<T> {
            found: bool,
            #[serde(rename = "_seq_no")]
            sequence: i64,
            #[serde(rename = "_primary_term")]
            term: i64,
            #[serde(rename = "_source")]
            content: T,
        }
        let mut path = format!("/{index}/_doc/{}", encoded(id));
        if !excludes.is_empty() {
            let _ = write!(path, "?_source_excludes={excludes}");
        }
        let reply = self.pass_around(points, self.send(Method::Get, &path, Body::Nothing)).await?;
        if reply.status == 404 && is_just_missing(&reply.body) {
            return Ok(None);
        }
        let answer: Answer<T> = reply.ok()?.parse()?;
        let token = Token { sequence: answer.sequence, term: answer.term };
        Ok(answer.found.then_some(Found { token, content: answer.content }))
    }

    /// Reads documents by their ids, in the order asked for.
    pub(crate) async fn get_many<T: DeserializeOwned>(
        &self,
        points: Points,
        asked: &[Ask],
    ) -> Result<Vec<Option<T>>, EngineError> {
        #[derive(Serialize)]
        struct Question<'a> {
            docs: &'a [Ask],
        }
        #[derive(Deserialize)]
        struct Answer<T> {
            docs: Vec<Document<T>>,
        }
        #[derive(Deserialize)]
        struct Document<T> {
            #[serde(default)]
            found: bool,
            #[serde(rename = "_source")]
            content: Option<T>,
            error: Option<ErrorBody>,
        }
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = Vec::with_capacity(asked.len());
        for part in asked.chunks(MOST_READ) {
            let question = Body::json(&Question { docs: part });
            let reply = self.pass_around(points, self.send(Method::Post, "/_mget", question)).await?.ok()?;
            let answer: Answer<T> = reply.parse()?;
            if answer.docs.len() != part.len() {
                return Err(EngineError::damaged(
                    "the server answers for other documents than were asked for",
                ));
            }
            for document in answer.docs {
                if let Some(error) = document.error {
                    return Err(EngineError::Server(error.with_status(503)).with_missing_index());
                }
                all.push(document.content.filter(|_| document.found));
            }
        }
        Ok(all)
    }

    /// Writes a document if it is still the one of `token`, or, without one, if there is none.
    pub(crate) async fn put_if(
        &self,
        points: Points,
        index: &str,
        id: &str,
        token: Option<Token>,
        content: &impl Serialize,
    ) -> Result<Token, EngineError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "_seq_no")]
            sequence: i64,
            #[serde(rename = "_primary_term")]
            term: i64,
            #[serde(rename = "_shards")]
            shards: Shards,
        }
        let condition = match token {
            Some(Token { sequence, term }) => format!("if_seq_no={sequence}&if_primary_term={term}"),
            None => "op_type=create".into(),
        };
        let required = self.config.require_copies;
        let path = format!(
            "/{index}/_doc/{}?{condition}&{ONLY_OURS}&wait_for_active_shards={required}",
            encoded(id)
        );
        let write = async {
            let reply = self.send(Method::Put, &path, Body::json(content)).await?.ok()?;
            let answer: Answer = reply.parse()?;
            answer.shards.check(required)?;
            Ok(Token { sequence: answer.sequence, term: answer.term })
        };
        self.pass_around(points, write).await
    }

    /// Writes documents of a revision; tells what became of each.
    pub(crate) async fn put_many(
        &self,
        points: Points,
        revision: u64,
        documents: &[Put<'_>],
    ) -> Result<Vec<Written>, EngineError> {
        #[derive(Deserialize)]
        struct Answer {
            items: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            #[serde(alias = "create")]
            index: Outcome,
        }
        #[derive(Deserialize)]
        struct Outcome {
            status: u16,
            #[serde(rename = "_shards")]
            shards: Option<Shards>,
            error: Option<ErrorBody>,
        }
        let required = self.config.require_copies;
        let path = format!("/_bulk?{ONLY_OURS}&wait_for_active_shards={required}");
        let mut outcomes = Vec::with_capacity(documents.len());
        for part in parts(documents, self.room()) {
            let send = self.send(Method::Post, &path, Body::Lines(lines(revision, part)));
            let answer: Answer = self.pass_around(points, send).await?.ok()?.parse()?;
            if is_on(Mutant::BulkItemsIgnored) {
                outcomes.extend(part.iter().map(|_| Written::Done));
                continue;
            }
            if answer.items.len() != part.len() {
                return Err(EngineError::damaged("the server answers for other documents than were sent"));
            }
            for Item { index: Outcome { status, shards, error } } in answer.items {
                outcomes.push(match (status, error) {
                    (200 | 201, None) => {
                        shards.unwrap_or(Shards { successful: 0, failed: 0 }).check(required)?;
                        Written::Done
                    }
                    (CONFLICT, _) => Written::Conflict,
                    (status, error) => {
                        let error = error.unwrap_or(ErrorBody::Words("not written".into()));
                        Written::Failed(error.with_status(status))
                    }
                });
            }
        }
        Ok(outcomes)
    }

    /// Makes what was written into an index findable by search, in every copy.
    pub(crate) async fn refresh(&self, points: Points, index: &str) -> Result<(), EngineError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "_shards")]
            shards: Shards,
        }
        let path = format!("/{index}/_refresh");
        let send = self.send(Method::Post, &path, Body::Nothing);
        let answer: Answer = self.pass_around(points, send).await?.ok()?.parse()?;
        answer.shards.check(1)
    }

    /// The documents that a search finds, with no shard left out.
    pub(crate) async fn search<T: DeserializeOwned>(
        &self,
        points: Points,
        index: &str,
        question: &serde_json::Value,
    ) -> Result<Vec<T>, EngineError> {
        let mut question = question.clone();
        question["track_total_hits"] = false.into();
        let answer: Answer<T> = self.ask(points, index, &question).await?;
        Ok(answer.hits.hits.into_iter().map(|hit| hit.content).collect())
    }

    /// What a search says, with no shard left out.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        points: Points,
        index: &str,
        question: &serde_json::Value,
    ) -> Result<Answer<T>, EngineError> {
        let path = format!("/{index}/_search?allow_partial_search_results=false");
        let send = self.send(Method::Post, &path, Body::json(question));
        let answer: Answer<T> = self.pass_around(points, send).await?.ok()?.parse()?;
        if answer.timed_out || answer.shards.failed > 0 {
            return Err(EngineError::Transport("a search left out a part of the index".into()));
        }
        Ok(answer)
    }
}

/// What a search says.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer<T> {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Hits<T>,
    #[serde(default)]
    aggregations: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Hits<T> {
    total: Option<Total>,
    hits: Vec<Hit<T>>,
}

#[derive(Debug, Deserialize)]
struct Total {
    value: u64,
}

#[derive(Debug, Deserialize)]
struct Hit<T> {
    #[serde(rename = "_source")]
    content: T,
}

impl<T> Answer<T> {
    /// How many documents there are; 0 where that was not asked for.
    pub(crate) fn total(&self) -> u64 {
        self.hits.total.as_ref().map_or(0, |total| total.value)
    }

    /// The documents.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &T> {
        self.hits.hits.iter().map(|hit| &hit.content)
    }

    /// What was counted.
    pub(crate) fn groups<G: DeserializeOwned>(&self) -> Result<G, EngineError> {
        serde_json::from_value(self.aggregations.clone())
            .map_err(|error| EngineError::Transport(format!("an answer that cannot be read: {error}")))
    }
}

impl EngineError {
    /// An index that is missing has a status of its own, which an answer about many documents does not tell.
    fn with_missing_index(self) -> Self {
        match self {
            EngineError::Server(error) if error.kind == "index_not_found_exception" => {
                EngineError::Server(ServerError { status: 404, ..error })
            }
            error => error,
        }
    }
}

impl From<ServerError> for EngineError {
    fn from(error: ServerError) -> Self {
        if error.status == 404 {
            Failure::NotProvisioned(error.to_string()).into()
        } else {
            Self::Server(error)
        }
    }
}

fn is_just_missing(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        found: bool,
    }
    serde_json::from_slice::<Answer>(body).is_ok_and(|answer| !answer.found)
}

fn encoded(id: &str) -> impl std::fmt::Display {
    utf8_percent_encode(id, NON_ALPHANUMERIC)
}

/// An index that is missing is not made by a write, without our mapping: our aliases stand before what was provisioned.
const ONLY_OURS: &str = "require_alias=true";

/// Documents that one request reads at most.
const MOST_READ: usize = 1_000;

/// Documents that one request writes, and their bytes, at most; a server takes 100 MiB, and less is faster.
const MOST_DOCUMENTS: usize = 2_000;
const MOST_BYTES: usize = 5 << 20;

fn parts<'d, 'p>(documents: &'d [Put<'p>], room: usize) -> Vec<&'d [Put<'p>]> {
    let (mut parts, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (index, document) in documents.iter().enumerate() {
        bytes += document.content.len();
        if index > begin && (index - begin >= MOST_DOCUMENTS || bytes > room.min(MOST_BYTES)) {
            parts.push(&documents[begin..index]);
            (begin, bytes) = (index, document.content.len());
        }
    }
    if begin < documents.len() {
        parts.push(&documents[begin..]);
    }
    parts
}

fn lines(revision: u64, documents: &[Put<'_>]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        index: Option<Place<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        create: Option<Place<'a>>,
    }
    #[derive(Serialize)]
    struct Place<'a> {
        #[serde(rename = "_index")]
        index: &'a str,
        #[serde(rename = "_id")]
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version_type: Option<&'static str>,
    }
    let mut lines = Vec::new();
    for document in documents {
        let is_fenced = !is_on(Mutant::BlindUpsert) && !is_on(Mutant::InsertIfAbsent);
        let place = Place {
            index: document.index,
            id: &document.id,
            version: is_fenced.then_some(revision),
            version_type: is_fenced.then_some("external_gte"),
        };
        let line = match is_on(Mutant::InsertIfAbsent) {
            true => Line { index: None, create: Some(place) },
            false => Line { index: Some(place), create: None },
        };
        serde_json::to_writer(&mut lines, &line).expect("plain structs with string keys serialise");
        lines.push(b'\n');
        lines.extend_from_slice(&document.content);
        lines.push(b'\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_a_copy_lacks_does_not_count() {
        let of = |successful, failed| Shards { successful, failed };
        assert!(of(2, 0).check(2).is_ok() && of(1, 0).check(1).is_ok());
        assert!(of(1, 1).check(1).is_err() && of(1, 0).check(2).is_err());
    }

    #[test]
    fn documents_are_divided_and_none_is_lost() {
        let sizes = |sizes: &[usize]| {
            let put = |size: &usize| Put { index: "e", id: String::new(), content: vec![0; *size] };
            let documents: Vec<_> = sizes.iter().map(put).collect();
            parts(&documents, usize::MAX).iter().map(|part| part.len()).collect::<Vec<_>>()
        };
        assert!(sizes(&[]).is_empty());
        assert_eq!(sizes(&[1; 2_001]), [2_000, 1]);
        assert_eq!(sizes(&[MOST_BYTES, 1, MOST_BYTES + 1, 1]), [1, 1, 1, 1]);
    }

    #[test]
    fn a_line_says_which_revision_may_be_replaced() {
        let documents = [Put { index: "e", id: "main/1 \"".into(), content: b"{}".to_vec() }];
        let text = String::from_utf8(lines(7, &documents)).expect("text");
        let line = r#"{"index":{"_index":"e","_id":"main/1 \"","version":7,"version_type":"external_gte"}}"#;
        assert_eq!(text, format!("{line}\n{{}}\n"));
    }
}
