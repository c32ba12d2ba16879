//! What is this engine's own: servers that lack something, provisioning, a server that forgets, and what every engine
//! shows on its server.

mod support;

use std::{sync::Arc, time::Duration};

use polylog_log::{
    Approval, CheckOutcome, CheckTopic, Commit, Desired, Expected, FailPoints, Failure, Fault, IndexOptions,
    LogId, OperationError, Plan, Position, ReadLog, RefusedReason, Source, StepClass, StreamAppend,
};
use polylog_source_mongodb::{
    CollectionPrefix, MongodbConfig, MongodbSource, POINTS, preflight,
    provision::{self, Actual},
};
use polylog_test_bed::{Keeps, MongodbServer, crashes, payloads, processes};
use support::{SERVER, Store, append, check_log, commit, desired, event, identity, lead, stream, write};

/// The steps to there, without a prefix.
fn steps(desired: &Desired, actual: &Actual) -> Result<Plan, Failure> {
    provision::plan(desired, &CollectionPrefix::default(), actual)
}

/// Why a server with these habits is refused.
async fn refusal(habits: &[&str]) -> String {
    let server = MongodbServer::with(Keeps::Memory, habits);
    let store = Store::unprovisioned(&server, identity(1));
    let config = MongodbConfig { allow_unsafe_durability: false, probe_rounds: 10, ..store.config() };
    match support::provision(&config, &desired(identity(1))).await {
        Err(Failure::Refused { reason: RefusedReason::Unsuitable, message }) => {
            let opened = MongodbSource::open(config).await.err();
            assert!(matches!(opened, Some(Failure::NotProvisioned(_))), "nothing may be left: {opened:?}");
            message
        }
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => String::new(),
    }
}

#[tokio::test]
async fn a_server_that_lacks_a_property_is_refused_by_its_name() {
    assert_eq!(refusal(&["strict"]).await, "", "this one lacks nothing");
    let lacking: [(&[&str], &str); 5] = [
        (&[], "does not look at write concerns"),
        (&["strict", "no-majority"], "w: majority"),
        (&["strict", "double-ids"], "inserted one _id at once"),
        (&["strict", "lost-increments"], "increments at once"),
        (&["strict", "false-wins"], "conditional updates are not atomic"),
    ];
    for (habits, reason) in lacking {
        let found = refusal(habits).await;
        assert!(found.contains(reason), "{habits:?}: {found:?}");
    }
}

#[tokio::test]
async fn what_is_provisioned_needs_nothing_more_and_what_is_missing_is_made() {
    let store = Store::unprovisioned(&SERVER, identity(1));
    let (config, desired) = (store.config(), desired(identity(1)));
    let plan = steps(&desired, &provision::inspect(&config).await.expect("a look")).expect("a plan");
    assert!(
        plan.to_string().contains("db.runCommand(EJSON.deserialize({\"create\":\"polylog_events\"}))"),
        "{plan}"
    );
    let refused = provision::apply(&config, &plan, &Approval::none()).await.expect("nothing to do");
    assert!(refused.done.is_empty() && refused.waiting == plan.steps);
    // a provisioning that ended in the middle: the head comes last
    let mut begun = plan.clone();
    begun.steps.truncate(3);
    provision::apply(&config, &begun, &Approval::up_to(StepClass::Additive)).await.expect("three steps");
    support::provision(&config, &desired).await.expect("the rest");
    let actual = provision::inspect(&config).await.expect("a look");
    assert_eq!(actual.identity, Some(identity(1)));
    assert!(steps(&desired, &actual).expect("a plan").is_empty(), "{actual:?}");
    // the same plan again meets what is there
    let again = provision::apply(&config, &plan, &Approval::up_to(StepClass::Additive)).await;
    assert!(matches!(again, Err(Failure::Unreachable(_))), "{again:?}");

    let indexes = IndexOptions { event_type: true, aggregate_id: false };
    let more = Desired { indexes, ..desired.clone() };
    let plan = steps(&more, &actual).expect("a plan");
    assert_eq!(plan.steps.iter().map(|step| step.class).collect::<Vec<_>>(), [StepClass::Additive], "{plan}");
    support::provision(&config, &more).await.expect("an index");
    let actual = provision::inspect(&config).await.expect("a look");
    assert!(steps(&more, &actual).expect("a plan").is_empty());
    let plan = steps(&desired, &actual).expect("a plan");
    assert_eq!(plan.class(), Some(StepClass::Destructive), "{plan}");
    let dropped = provision::apply(&config, &plan, &Approval::none().and_plan(plan.hash())).await;
    assert_eq!(dropped.expect("done").done, plan.steps);
    let actual = provision::inspect(&config).await.expect("a look");
    assert!(steps(&desired, &actual).expect("a plan").is_empty(), "{actual:?}");

    let other = Desired { identity: identity(9), ..desired };
    assert!(matches!(steps(&other, &actual), Err(Failure::WrongStore(_))));
}

#[tokio::test]
async fn a_database_that_is_not_provisioned_is_not_opened() {
    let store = Store::unprovisioned(&SERVER, identity(1));
    let opened = MongodbSource::open(store.config()).await.err();
    assert!(matches!(opened, Some(Failure::NotProvisioned(_))), "{opened:?}");
}

#[tokio::test]
async fn two_logs_share_a_database_by_prefixes_and_one_is_wiped() {
    let plain = Store::new().await;
    let prefix = CollectionPrefix::parse("shop_").expect("a good prefix");
    let of = identity(9);
    let config = MongodbConfig { prefix, ..plain.config() };
    support::provision(&config, &desired(of)).await.expect("a provisioned database");
    let source = MongodbSource::open(config.clone()).await.expect("an open source");
    lead(&source, &of, 1).await;
    append(&source, &of, vec![commit(of.log, "s", Expected::NoStream)]).await.expect("an append");
    let other = provision::wipe(&config, LogId::new(uuid::Uuid::from_u128(77))).await;
    assert!(matches!(other, Err(Failure::WrongStore(_))), "{other:?}");
    let wiped = provision::wipe(&config, of.log).await.expect("wiped");
    assert_eq!(wiped.last(), Some(&"polylog_head"), "{wiped:?}");
    assert_eq!(wiped.len(), 4);
    assert!(provision::wipe(&config, of.log).await.expect("nothing is left").is_empty());
    assert!(matches!(MongodbSource::open(config).await.err(), Some(Failure::NotProvisioned(_))));
    assert_eq!(plain.open().await.head().await.expect("a head").identity, plain.identity);
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let store = Store::unprovisioned(&SERVER, identity(1));
    let client = mongodb::Client::with_uri_str(&store.url).await.expect("a client");
    let theirs = client.database(&store.database).collection("polylog_events");
    theirs.insert_one(mongodb::bson::doc! { "_id": 1, "name": "theirs" }).await.expect("inserted");
    let refused = [
        support::provision(&store.config(), &desired(identity(1))).await.err(),
        provision::wipe(&store.config(), identity(1).log).await.err(),
    ];
    for refused in refused {
        assert!(
            matches!(&refused, Some(Failure::WrongStore(words)) if words.starts_with("polylog_events belongs to another application")),
            "{refused:?}"
        );
    }
    let checks = preflight(&store.config(), None, None).await;
    let tables = checks.iter().find(|check| check.topic == CheckTopic::Tables).expect("a line");
    assert!(matches!(&tables.outcome, CheckOutcome::Failed { fix, .. } if fix.contains("collectionPrefix")));
}

#[tokio::test]
async fn a_look_before_tells_what_is_there() {
    let store = Store::new().await;
    let outcome = async |config: &MongodbConfig, known, topic| {
        let checks = preflight(config, None, known).await;
        let found = checks.into_iter().find(|check| check.topic == topic).expect("a line");
        match found.outcome {
            CheckOutcome::Passed => "passed",
            CheckOutcome::Warning { .. } => "warning",
            CheckOutcome::Failed { .. } => "failed",
            CheckOutcome::Unknown => "unknown",
        }
    };
    let (config, log) = (store.config(), store.identity.log);
    let other = LogId::new(uuid::Uuid::from_u128(77));
    for topic in [CheckTopic::Reachable, CheckTopic::Tables, CheckTopic::Identity, CheckTopic::Writable] {
        assert_eq!(outcome(&config, Some(log), topic).await, "passed", "{topic:?}");
    }
    assert_eq!(outcome(&config, Some(other), CheckTopic::Identity).await, "failed");
    // this server does not look at write concerns, which is allowed here
    assert_eq!(outcome(&config, None, CheckTopic::Durability).await, "warning");
    let strict = MongodbConfig { allow_unsafe_durability: false, ..config.clone() };
    assert_eq!(outcome(&strict, None, CheckTopic::Durability).await, "failed");
    assert!(matches!(
        MongodbSource::open(strict).await.err(),
        Some(Failure::Refused { reason: RefusedReason::Unsuitable, .. })
    ));
    let unsafe_setting = store.open().await.unsafe_setting().await.expect("an answer");
    assert!(unsafe_setting.is_some_and(|setting| setting.contains("write concerns")));
    let empty = Store::unprovisioned(&SERVER, identity(1)).config();
    assert_eq!(outcome(&empty, None, CheckTopic::Tables).await, "unknown");
    assert_eq!(outcome(&empty, Some(log), CheckTopic::Identity).await, "failed");
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_the_head_is_written_in_parts() {
    let store = Store::new().await;
    let source = store.primary().await;
    let of = store.identity;
    let batch: Vec<_> =
        (0..2_500).map(|number| commit(of.log, &format!("s-{number}"), Expected::NoStream)).collect();
    let appended = append(&source, &of, batch.clone()).await.expect("an append");
    assert_eq!((appended.verdicts.len(), appended.head.tail.position.get()), (2_500, 2_501));
    assert_eq!(check_log(&store.open().await).await.len(), 2_501);
    // again: every commit is known, in both parts
    let again = append(&source, &of, batch).await.expect("an append");
    assert_eq!(again.head.tail, appended.head.tail);
}

#[tokio::test]
async fn a_server_that_forgets_is_noticed() {
    let server = MongodbServer::start(Keeps::Memory);
    let store = Store::on(&server, identity(1)).await;
    let source = store.primary().await;
    let next = || vec![commit(store.identity.log, "s", Expected::Any)];
    append(&source, &store.identity, next()).await.expect("an append");
    server.crash();
    server.start_again();
    assert!(matches!(source.head().await, Err(Failure::NotProvisioned(_))));
    // somebody provisions it anew, with the identity of old: what this process saw is gone, and it says so
    support::provision(&store.config(), &desired(store.identity)).await.expect("a provisioned database");
    let head = source.head().await;
    assert!(
        matches!(&head, Err(Failure::WrongStore(words)) if words.contains("the log went back")),
        "{head:?}"
    );
    lead(&store.open().await, &store.identity, 1).await;
    let answer = append(&source, &store.identity, next()).await;
    assert!(matches!(answer, Err(OperationError::Failed(Failure::WrongStore(_)))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_of_the_server_lose_nothing_that_was_acknowledged() {
    let server = Arc::new(MongodbServer::start(Keeps::Disk));
    let store = Store::on(&server, identity(1)).await;
    crashes::ten_kills_lose_nothing_that_was_acknowledged(server, &store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_is_unreachable_and_used_again_when_it_is_back() {
    let server = MongodbServer::start(Keeps::Disk);
    let store = Patient(Store::on(&server, identity(1)).await);
    crashes::a_stopped_server_is_unreachable_and_used_again(&server, &store).await;
}

/// Its handles do not wait long for a server.
struct Patient(Store);

#[async_trait::async_trait]
impl polylog_test_bed::Place for Patient {
    fn identity(&self) -> polylog_log::Identity {
        self.0.identity
    }

    async fn open(&self) -> Arc<dyn Source> {
        let connect_timeout = Duration::from_secs(1);
        let config = MongodbConfig { connect_timeout, ..self.0.config() };
        Arc::new(MongodbSource::open(config).await.expect("an open source"))
    }

    fn locator(&self) -> String {
        polylog_test_bed::Place::locator(&self.0)
    }
}

#[tokio::test]
async fn every_way_to_read_gives_the_bytes_that_were_given() {
    payloads::every_way_to_read_gives_the_bytes_that_were_given(&Store::new().await, false).await;
}

#[tokio::test]
async fn a_replica_and_its_quarantine_hold_the_bytes_that_were_given() {
    let (store, replica) = (Store::new().await, Store::of(payloads::replica()).await);
    payloads::a_replica_and_its_quarantine_hold_the_bytes_that_were_given(&store, &replica, false).await;
}

#[tokio::test]
async fn two_processes_append_to_one_database() {
    processes::two_processes_append_to_one_database(&Store::new().await).await;
}

#[tokio::test]
async fn child_that_appends_and_ends() {
    let open = async |locator: &str| {
        Arc::new(MongodbSource::open(support::located(locator)).await.expect("an open source")) as Arc<_>
    };
    processes::child(open).await;
}

#[tokio::test]
async fn a_wait_ends_when_another_process_commits_and_when_its_time_is_over() {
    let store = Store::new().await;
    processes::a_wait_ends_when_another_process_commits_and_when_its_time_is_over(&store).await;
}

/// After a promise all documents of the batch in the head are of an older revision, and still the same.
#[tokio::test]
async fn a_batch_is_not_written_again_one_by_one_after_a_promise() {
    let store = Store::new().await;
    let source = store.primary().await;
    let of = store.identity;
    let batch = (0..300).map(|number| commit(of.log, &format!("s-{number}"), Expected::NoStream)).collect();
    append(&source, &of, batch).await.expect("an append");
    let fail_points = FailPoints::new(POINTS);
    let config = MongodbConfig { fail_points: fail_points.clone(), ..store.config() };
    let source = MongodbSource::open(config).await.expect("an open source");
    fail_points.arm("events write: sent", 10, Fault::Error);
    lead(&source, &of, 2).await;
    assert!(!fail_points.disarm(), "more than ten requests that write events");
    assert_eq!(check_log(&store.open().await).await.len(), 302);
}

#[tokio::test]
async fn a_page_of_large_events_is_read_in_parts() {
    let store = Store::new().await;
    let source = store.primary().await;
    for number in 0..4 {
        let large = |_| event(format!("\"{}\"", "x".repeat(2 << 20)));
        let append = StreamAppend::new(stream("large"), Expected::Any, (0..3).map(large).collect());
        write(&source, &store.identity, Commit::new(store.identity.log, vec![append])).await;
        write(&source, &store.identity, commit(store.identity.log, &format!("s-{number}"), Expected::Any))
            .await;
    }
    let entries = check_log(&store.open().await).await;
    assert_eq!(entries.iter().map(|entry| entry.events.len()).sum::<usize>(), 17);
}

/// Somebody removed or replaced documents under a process that has the source open.
#[tokio::test]
async fn what_the_documents_lost_is_damage_and_nothing_is_written_over_it() {
    let store = Store::new().await;
    let source = store.primary().await;
    let of = store.identity;
    let both = StreamAppend::new(stream("both"), Expected::Any, vec![event("1"), event("2")]);
    write(&source, &of, Commit::new(of.log, vec![both])).await;
    for _ in 0..2 {
        write(&source, &of, commit(of.log, "s", Expected::Any)).await;
    }
    let client = mongodb::Client::with_uri_str(&store.url).await.expect("a client");
    let events = client.database(&store.database).collection::<mongodb::bson::Document>("polylog_events");
    // the entry at 2 and 3 lost its beginning
    events.delete_one(mongodb::bson::doc! { "position": 2_i64 }).await.expect("deleted");
    let read =
        ReadLog { from: Position::new(3), to: Position::new(u64::MAX), max_events: 10, max_bytes: 1 << 20 };
    let read = tokio::time::timeout(Duration::from_secs(20), source.read_log(read)).await.expect("an answer");
    assert!(matches!(read, Err(Failure::Damaged(_))), "{read:?}");
    events.drop().await.expect("dropped");
    let head = source.head().await.expect("a head");
    let answer = append(&source, &of, vec![commit(of.log, "s", Expected::Any)]).await;
    assert!(matches!(answer, Err(OperationError::Failed(Failure::Damaged(_)))), "{answer:?}");
    assert_eq!(source.head().await.expect("a head").tail, head.tail);
}
