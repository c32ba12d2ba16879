use std::{collections::BTreeSet, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use polylog_log::{Failure as Source, RefusedReason};
use polylog_source_elasticsearch::{Address, Cluster, Credentials};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use super::{
    access::Access,
    document::{Document, Members},
    mapping::{Mapping, TimeUnit},
    part::Part,
    reader::{Fields, Page, PageSize, Reader, told},
};
use crate::exit::Failure;

/// Reads an index, or what an alias or a pattern stands for, at one point in time.
pub(crate) struct ElasticsearchReader {
    cluster: Cluster,
    /// For messages.
    place: String,
    /// For paths.
    index: String,
    is_opensearch: bool,
    /// Fields by which documents can be sorted, with what the index calls them.
    sortable: Vec<(String, String)>,
    point: Option<String>,
    sort: Vec<String>,
    after: Option<Vec<Value>>,
    size: PageSize,
}

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the server keeps the point in time between two pages.
const KEEP: &str = "10m";
/// What stands as it is in a path: names, patterns and several of them.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b',').remove(b'*');
/// Documents of which the fields are looked at.
const SAMPLE: usize = 100;
/// Most documents that may stand at the same place of the order: a page is at most so large.
const MOST_ALIKE: usize = 10_000;

#[derive(Deserialize)]
struct Answer {
    pit_id: Option<String>,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    total: Option<Total>,
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_source")]
    source: Option<Box<RawValue>>,
    #[serde(default)]
    sort: Vec<Value>,
}

impl ElasticsearchReader {
    pub(crate) fn connect(access: &Access, name: &str) -> Result<Self, Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let mut address = Address::parse(&access.url).map_err(|error| usage(&error))?;
        if let Some(key) = &access.api_key {
            address.credentials = Some(Credentials::ApiKey(key.clone()));
        } else if let Some(password) = &access.password {
            let Some(Credentials::Basic { username, .. }) = address.credentials else {
                return Err(usage(&"--from-password-file: the address names no user, as https://user@host"));
            };
            address.credentials = Some(Credentials::Basic { username, password: password.clone() });
        }
        address.ca.clone_from(&access.ca);
        let place = format!("{address} {name}");
        let cluster = Cluster::new(&address, PATIENCE).map_err(|failure| told(&place, &failure))?;
        Ok(Self {
            cluster,
            place,
            index: utf8_percent_encode(name, PLAIN).to_string(),
            is_opensearch: false,
            sortable: Vec::new(),
            point: None,
            sort: Vec::new(),
            after: None,
            size: PageSize::new(),
        })
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, document: Option<&Value>) -> Result<T, Failure> {
        let answer = self.cluster.post(path, document).await.map_err(|failure| self.told(&failure))?;
        self.parsed(&answer)
    }

    fn parsed<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(answer).map_err(|error| {
            Failure::Failed(anyhow::anyhow!("{}: an answer that cannot be read: {error}", self.place))
        })
    }

    fn told(&self, failure: &Source) -> Failure {
        told(&self.place, failure)
    }

    /// Makes findable what was written: without it a search knows only what was there at the last refresh.
    async fn refresh(&self) -> Result<(), Failure> {
        match self.cluster.post(&format!("/{}/_refresh", self.index), None).await {
            Ok(_) => Ok(()),
            Err(Source::Refused { reason: RefusedReason::Rights | RefusedReason::ReadOnly, .. }) => {
                eprintln!(
                    "{}: this user may not refresh it; what was written since its last refresh is not read",
                    self.place
                );
                Ok(())
            }
            Err(failure) => Err(self.told(&failure)),
        }
    }

    async fn search(&mut self, size: usize) -> Result<(Answer, usize), Failure> {
        let sort: Vec<Value> = self.sort.iter().map(|field| json!({ field: "asc" })).collect();
        let mut question = json!({
            "pit": { "id": self.point, "keep_alive": KEEP }, "size": size, "sort": sort, "_source": true,
            "track_total_hits": self.after.is_none()
        });
        if let Some(after) = &self.after {
            question["search_after"] = json!(after);
        }
        let path = "/_search?allow_partial_search_results=false";
        let answer = self.cluster.post(path, Some(&question)).await.map_err(|failure| self.told(&failure))?;
        let bytes = answer.len();
        let answer: Answer = self.parsed(&answer)?;
        if answer.pit_id.is_some() {
            self.point.clone_from(&answer.pit_id);
        }
        Ok((answer, bytes))
    }
}

impl Reader for ElasticsearchReader {
    async fn fields(&mut self) -> Result<Fields, Failure> {
        let about = self.cluster.get("/").await.map_err(|failure| self.told(&failure))?;
        let about: Value = self.parsed(&about)?;
        self.is_opensearch = about["version"]["distribution"] == "opensearch";
        let mappings = self.cluster.get(&format!("/{}/_mapping", self.index)).await;
        let mappings: Value = self.parsed(&mappings.map_err(|failure| self.told(&failure))?)?;
        let mut names = BTreeSet::new();
        let mut indices = mappings.as_object().into_iter().flat_map(|indices| indices.values());
        let first = indices
            .next()
            .ok_or_else(|| Failure::Usage(format!("{}: there is no such index", self.place)))?;
        self.sortable = sortable(&first["mappings"]["properties"]);
        for other in indices {
            let also = sortable(&other["mappings"]["properties"]);
            self.sortable.retain(|field| also.contains(field));
        }
        for index in mappings.as_object().into_iter().flat_map(|indices| indices.values()) {
            let properties = index["mappings"]["properties"].as_object();
            names.extend(properties.into_iter().flat_map(|properties| properties.keys().cloned()));
        }
        self.refresh().await?;
        // an index need not know all fields that its documents have
        let sample: Answer =
            self.post(&format!("/{}/_search", self.index), Some(&json!({ "size": SAMPLE }))).await?;
        for hit in &sample.hits.hits {
            let Some(source) = &hit.source else { continue };
            names.extend(Members::of(source).iter().flat_map(Members::names).map(str::to_owned));
        }
        names.insert("_id".to_owned());
        Ok(Fields { names: names.into_iter().collect(), all: false })
    }

    /// As the engine reads its own dates.
    fn assume(&self, mapping: &mut Mapping) {
        mapping.time_zone.get_or_insert_with(|| "UTC".to_owned());
        mapping.time_unit.get_or_insert(TimeUnit::Milliseconds);
    }

    async fn begin(&mut self, mapping: &Mapping, after: Option<&str>) -> Result<u64, Failure> {
        self.sort = order(mapping, &self.sortable).ok_or_else(|| {
            Failure::Usage(format!(
                "{}: it can be sorted neither by the events' ids nor by their streams and versions: one of these needs \
                 fields of the types keyword or integer",
                self.place
            ))
        })?;
        let path = match self.is_opensearch {
            true => format!("/{}/_search/point_in_time?keep_alive={KEEP}", self.index),
            false => format!("/{}/_pit?keep_alive={KEEP}", self.index),
        };
        let opened: Value = self.post(&path, None).await?;
        let point = opened["id"].as_str().or(opened["pit_id"].as_str());
        let point = point.ok_or_else(|| {
            Failure::Failed(anyhow::anyhow!("{}: the server gives no point in time", self.place))
        })?;
        self.point = Some(point.to_owned());
        let (answer, _) = self.search(0).await?;
        self.after = match after {
            None => None,
            Some(cursor) => Some(serde_json::from_str(cursor).map_err(anyhow::Error::new)?),
        };
        Ok(answer.hits.total.map_or(0, |total| total.value))
    }

    async fn page(&mut self) -> Result<Page, Failure> {
        let mut size = self.size.get().max(2);
        let hits = loop {
            let (answer, bytes) = self.search(size).await?;
            let mut hits = answer.hits.hits;
            let lengths = hits.iter().filter_map(|hit| Some(hit.source.as_ref()?.get().len()));
            self.size.had(bytes, lengths.max().unwrap_or(0));
            let is_last = hits.len() < size;
            if is_last {
                break hits;
            }
            // there may be more of those that stand where the last one does: they are read together, by the next page
            let places = self.sort.len();
            let last = hits[hits.len() - 1].sort[..places].to_vec();
            hits.retain(|hit| hit.sort[..places] != last);
            if !hits.is_empty() {
                break hits;
            }
            if size >= MOST_ALIKE {
                let fields = self.sort.join(", ");
                let words =
                    format!("{}: more than {MOST_ALIKE} documents have the same {fields}", self.place);
                return Err(Failure::Usage(words));
            }
            size = (size * 4).min(MOST_ALIKE);
        };
        let Some(last) = hits.last() else { return Ok(Page::empty()) };
        let after = last.sort[..self.sort.len()].to_vec();
        let cursor = serde_json::to_string(&after).map_err(anyhow::Error::new)?;
        self.after = Some(after);
        let documents = hits.into_iter().map(|hit| {
            let id = serde_json::value::to_raw_value(&hit.id).map_err(anyhow::Error::new)?;
            let Some(fields) = hit.source else {
                let words = format!("{}: document {} has no _source", self.place, hit.id);
                return Err(Failure::Usage(words));
            };
            Ok(Document { name: format!("document {}", hit.id), id: Some(id), fields })
        });
        Ok(Page { documents: documents.collect::<Result<_, _>>()?, cursor: Some(cursor) })
    }

    async fn end(&mut self) {
        let Some(point) = self.point.take() else { return };
        let (path, document) = match self.is_opensearch {
            true => ("/_search/point_in_time", json!({ "pit_id": [point] })),
            false => ("/_pit", json!({ "id": point })),
        };
        // the server gives it up by itself a few minutes later
        let _ = self.cluster.delete(path, &document).await;
    }
}

/// What documents are sorted by: the same again for an import that goes on, and all but unique.
fn order(mapping: &Mapping, sortable: &[(String, String)]) -> Option<Vec<String>> {
    let by = |part: Part| {
        let field = mapping.field(part)?;
        sortable.iter().find(|(name, _)| name == field).map(|(_, called)| called.clone())
    };
    let stream = by(Part::Stream).or_else(|| by(Part::AggregateId));
    by(Part::Id).map(|id| vec![id]).or_else(|| Some(vec![stream?, by(Part::Version)?]))
}

/// Fields of an index by which it can be sorted: each with its name there, which is another where a text has a keyword
/// beside it.
fn sortable(properties: &Value) -> Vec<(String, String)> {
    const KINDS: [&str; 6] = ["keyword", "long", "integer", "short", "byte", "unsigned_long"];
    let is_sortable = |field: &Value| {
        field["type"].as_str().is_some_and(|kind| KINDS.contains(&kind)) && field["doc_values"] != false
            // values that are longer are not there for sorting
            && field["ignore_above"].as_u64().is_none_or(|above| above >= 256)
    };
    let mut found = Vec::new();
    for (name, field) in properties.as_object().into_iter().flatten() {
        if is_sortable(field) {
            found.push((name.clone(), name.clone()));
        } else if is_sortable(&field["fields"]["keyword"]) {
            found.push((name.clone(), format!("{name}.keyword")));
        }
        for (inner, called) in sortable(&field["properties"]) {
            found.push((format!("{name}.{inner}"), format!("{name}.{called}")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_sorted_by_what_tells_them_apart() {
        let properties = json!({
            "eventId": {"type": "keyword"},
            "text": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
            "short": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 10}}},
            "plain": {"type": "text"},
            "stored": {"type": "keyword", "doc_values": false},
            "version": {"type": "integer"},
            "meta": {"properties": {"key": {"type": "keyword"}, "note": {"type": "text"}}}
        });
        let sortable = sortable(&properties);
        let sorted = |said: &[(&str, &str)]| {
            let said: Vec<_> = said.iter().map(|(part, field)| ((*part).into(), (*field).into())).collect();
            order(&Mapping::read(None, &said).expect("good"), &sortable).map(|fields| fields.join(" "))
        };
        assert_eq!(sorted(&[("id", "eventId")]).as_deref(), Some("eventId"));
        assert_eq!(sorted(&[("id", "text")]).as_deref(), Some("text.keyword"));
        assert_eq!(sorted(&[("id", "meta.key")]).as_deref(), Some("meta.key"));
        let by_stream = [("id", "_id"), ("aggregateId", "text"), ("version", "version")];
        assert_eq!(sorted(&by_stream).as_deref(), Some("text.keyword version"));
        for id in ["_id", "plain", "short", "stored", "meta.note"] {
            assert_eq!(sorted(&[("id", id), ("version", "version")]), None, "{id}");
        }
    }
}
