//! The stored format does not move: these vectors were computed by another program (golden/recompute.py).

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use polylog_log::{
    Chain, Commit, CommitId, Config, ConfigPoint, DataDigest, DatabaseId, EventId, EventType, Expected,
    Facts, Fingerprint, Head, Identity, Incarnation, LogId, Member, NewEvent, Operation, Position, Rules,
    SourceName, StreamAppend, StreamName, Term, Timestamp, Watermarks,
};
use serde_json::Value;
use uuid::Uuid;

fn vectors() -> Value {
    serde_json::from_str(include_str!("golden/v1.json")).expect("the vectors are JSON")
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn uuid(value: &Value) -> Uuid {
    value.as_str().and_then(|id| id.parse().ok()).expect("a UUID")
}

fn new_event(event: &Value) -> NewEvent {
    let data = STANDARD.decode(event["data"].as_str().expect("data")).expect("base64");
    NewEvent {
        id: EventId::new(uuid(&event["id"])),
        event_type: EventType::parse(event["type"].as_str().expect("a type")).expect("a good type"),
        data_digest: DataDigest::of(&data),
        data: data.into(),
        content_type: text(&event["contentType"]).expect("a content type"),
        metadata: text(&event["metadata"]).map(Into::into),
        correlation_id: text(&event["correlationId"]),
        causation_id: text(&event["causationId"]),
        time: event["time"].as_i64().map(Timestamp::from_micros),
    }
}

fn commit(log: LogId, entry: &Value) -> Commit {
    let append = |append: &Value| {
        let stream = StreamName::parse(append["stream"].as_str().expect("a stream")).expect("a good name");
        let events = append["events"].as_array().expect("events").iter().map(new_event).collect();
        StreamAppend::new(stream, Expected::Any, events)
    };
    Commit::new(log, entry["appends"].as_array().expect("appends").iter().map(append).collect())
}

fn primary(log: LogId, term: Term) -> Head {
    let identity = Identity {
        log,
        database: DatabaseId::new(Uuid::from_u128(2)),
        incarnation: Incarnation::new(Uuid::from_u128(3)),
    };
    let name = SourceName::recorded("ledger");
    let voter = Member { name, database: identity.database, incarnation: identity.incarnation };
    let config = ConfigPoint { position: Position::ZERO, config: Arc::new(Config::implicit(voter.clone())) };
    Head { term, lead: term, config, ..Head::empty(identity, Config::implicit(voter)) }
}

#[test]
fn ids_fingerprints_digests_and_chains_are_those_of_the_format() {
    let golden = vectors();
    let log = LogId::new(uuid(&golden["log"]));
    let term = Term::new(golden["term"].as_u64().expect("a term"));
    let head = primary(log, term);
    assert_eq!(Chain::start(log).to_string(), golden["start"]);

    let entries = golden["entries"].as_array().expect("entries");
    let batch: Vec<Commit> = entries.iter().map(|entry| commit(log, entry)).collect();
    let operation = Operation::Append {
        term,
        config: head.config.config.version,
        batch: &batch,
        facts: &Facts::default(),
        watermarks: Watermarks::default(),
        clock: Timestamp::from_micros(golden["clock"].as_i64().expect("a clock")),
    };
    let effect = head.admit(&head.identity, operation, Rules::ALL).expect("the primary appends");
    assert_eq!(effect.write.len(), entries.len());
    for (written, expected) in effect.write.iter().zip(entries) {
        assert_eq!(written.fingerprint.to_string(), expected["fingerprint"]);
        assert_eq!(written.chain.to_string(), expected["chain"]);
        let events = expected["events"].as_array().expect("events");
        assert_eq!(written.events.len(), events.len());
        for (event, expected) in written.events.iter().zip(events) {
            assert_eq!(event.position.get(), expected["position"]);
            assert_eq!(event.version.get(), expected["version"]);
            assert_eq!(event.category.as_str(), expected["category"]);
            assert_eq!(event.aggregate_id.as_str(), expected["aggregateId"]);
            assert_eq!(event.commit_id.to_string(), expected["commitId"]);
            assert_eq!(event.data_digest.to_string(), expected["dataDigest"]);
            assert_eq!(event.time.as_micros(), expected["time"]);
            assert_eq!(event.digest.to_string(), expected["digest"]);
        }
    }
}

#[test]
fn an_idempotency_key_gives_the_ids_of_the_format() {
    let golden = vectors();
    let log = LogId::new(uuid(&golden["log"]));
    let part = |name: &str| text(&golden["key"][name]).expect("a part of the key");
    let (operation, scope, key) = (part("operation"), part("scope"), part("key"));
    assert_eq!(CommitId::from_key(log, &operation, &scope, &key).to_string(), part("commitId"));
    assert_eq!(EventId::from_key(log, &operation, &scope, &key, 0).to_string(), part("eventId"));
}

#[test]
fn a_fingerprint_depends_on_the_log() {
    let golden = vectors();
    let commit = commit(LogId::new(uuid(&golden["log"])), &golden["entries"][0]);
    let other = LogId::new(Uuid::from_u128(9));
    assert_ne!(Fingerprint::of(other, &commit.appends), commit.fingerprint);
}
