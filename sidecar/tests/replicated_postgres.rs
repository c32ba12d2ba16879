//! `polylog-sidecar dev` with one log over PostgreSQL, MariaDB and SQLite: servers are killed and stopped under load, and
//! nothing that was acknowledged is lost.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use polylog_test_bed::PostgresServer;
use serde_json::Value;
use support::{
    Client,
    process::Dev,
    replicas::{append, append_until_acknowledged, length, numbers, source, until, until_level},
    routing,
    three_engines::{MAJORITY, ThreeEngines},
};

/// Appends one event after the other, each until it is acknowledged, until it is told to stop; says how many, and the
/// longest that one took.
async fn writer(client: Client, stop: Arc<AtomicBool>, from: u64) -> (u64, Duration) {
    let (mut number, mut longest) = (from, Duration::ZERO);
    while !stop.load(Ordering::SeqCst) {
        longest = longest.max(append_until_acknowledged(&client, number).await);
        number += 1;
    }
    (number, longest)
}

/// Does something to a server while a writer is at work, and lets it be until `back`; the next number, and the longest
/// time without an acknowledged append.
async fn under_load(dev: &Dev, from: u64, harm: impl FnOnce(), back: impl FnOnce()) -> (u64, Duration) {
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(writer(dev.client.clone(), stop.clone(), from));
    let pause = |after: u64| {
        let stream = dev.client.clone();
        async move {
            // until so many more events are acknowledged
            let deadline = Instant::now() + Duration::from_secs(30);
            let mut wanted = None;
            loop {
                let seen = length(&stream).await;
                let wanted = *wanted.get_or_insert(seen.unwrap_or(from) + after);
                if seen.is_some_and(|seen| seen >= wanted) {
                    return;
                }
                assert!(Instant::now() < deadline, "no progress: {seen:?} of {wanted}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    pause(20).await;
    harm();
    pause(20).await;
    back();
    pause(10).await;
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap()
}

#[tokio::test]
async fn servers_that_are_killed_or_stopped_lose_nothing_and_catch_up() {
    let bed = ThreeEngines::new(MAJORITY, "");
    let dev = bed.dev();
    append(&dev.client, 1).await.ok();
    assert_eq!(until_level(&dev.client).await["primary"], "ledger");

    // a replica is killed: the others go on
    let (next, longest) = under_load(&dev, 2, || bed.mariadb.crash(), || bed.mariadb.start_again()).await;
    assert!(longest < Duration::from_secs(2), "without a replica: {longest:?}");
    until_level(&dev.client).await;

    // the primary is killed: another takes over
    let (next, longest) =
        under_load(&dev, next, || bed.postgres.crash(), || bed.postgres.start_again()).await;
    assert!(longest < Duration::from_secs(3), "from the kill to the next acknowledged append: {longest:?}");
    let level = until_level(&dev.client).await;
    assert_eq!(level["primary"], "mirror", "{level}");

    // the new one hangs, and goes on as if nothing had been
    let (next, longest) = under_load(&dev, next, || bed.mariadb.pause(), || bed.mariadb.resume()).await;
    assert!(longest < Duration::from_secs(6), "a primary that hangs: {longest:?}");
    let level = until_level(&dev.client).await;
    assert_ne!(level["primary"], "mirror", "{level}");

    assert_eq!(numbers(&dev.client).await, (1..next).collect::<Vec<_>>());
    dev.stop();
    assert!(bed.same_events() as u64 > next);

    // a start while one server is away
    bed.postgres.stop();
    let dev = bed.dev();
    append_until_acknowledged(&dev.client, next).await;
    until(&dev.client, "it is told", |status| source(status, "ledger")["state"] == "Unreachable").await;
    bed.postgres.start_again();
    until_level(&dev.client).await;
    assert_eq!(numbers(&dev.client).await, (1..=next).collect::<Vec<_>>());
    dev.stop();
    bed.same_events();
}

/// How many events of `Payment-1` an answer holds, and by whom.
fn counted(answer: &Value) -> (usize, &str) {
    (answer["events"].as_array().unwrap().len(), answer["served"]["source"].as_str().unwrap())
}

/// Every kind of read that may be behind, until each is answered by another source than the primary; the longest that one
/// took.
async fn reads_without_the_primary(client: &Client, events: usize) -> Duration {
    let mut longest = Duration::ZERO;
    for consistency in ["eventual", "bounded&maxLag=5", "bounded&maxLag=1h", "session"] {
        for path in [
            "/v1/streams/Payment-1?limit=1000",
            "/v1/streams/Payment-1?limit=1000&direction=backward",
            "/v1/events?limit=1000",
            "/v1/events?limit=1000&direction=backward",
            "/v1/events?categories=Payment&limit=1000",
        ] {
            let began = Instant::now();
            let answer = client.get(&format!("{path}&consistency={consistency}")).await.ok();
            longest = longest.max(began.elapsed());
            let (read, source) = (answer.json(), answer.header("polylog-source").unwrap().to_owned());
            assert_ne!(source, "ledger", "{path} {consistency}");
            assert_eq!(counted(&read), (events, &*source), "{path} {consistency}: {read}");
        }
    }
    let id = "00000000-0000-7000-8000-000000000001";
    let found = client.get(&format!("/v1/events/{id}?consistency=eventual")).await.ok();
    assert_ne!(found.header("polylog-source"), Some("ledger"));
    let counts = client.get("/v1/statistics?groupBy=type&consistency=eventual").await.ok().json();
    assert_eq!(counts["total"], events, "{counts}");
    longest
}

/// A subscriber that begins now gets everything.
async fn follows_without_the_primary(client: &Client, events: usize) {
    let request = client.request(http::Method::GET, "/v1/subscribe?from=beginning", &[], "");
    let mut body = client.open(request).await.into_body();
    let mut text = String::new();
    while text.matches("event: event\n").count() < events {
        let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("goes on");
        let chunk = frame.expect("is not closed").unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test]
async fn with_one_ack_the_other_servers_are_read_while_the_primary_is_killed_or_stopped() {
    let bed = ThreeEngines::new("{type: Priority, acks: '1', failover: {mode: Manual, after: 500ms}}", "");
    let writer = bed.dev();
    for number in 1..=19 {
        append(&writer.client, number).await.ok();
    }
    let (client, events) = (&writer.client, 20);
    // this process is told by all three that they hold it
    client
        .post(
            "/v1/streams/Payment-1?acks=all",
            r#"{"expectedVersion":"any","events":[{"id":"00000000-0000-7000-8000-000000000020","type":"Paid","data":{"number":20}}]}"#,
        )
        .await
        .ok();
    assert_eq!(until_level(&writer.client).await["primary"], "ledger");
    let token =
        client.get("/v1/streams/Payment-1?limit=1000").await.ok().header("polylog-token").unwrap().to_owned();

    let away = |status: &Value| source(status, "ledger")["state"] == "Unreachable";
    for (harm, back) in [
        (PostgresServer::crash as fn(&PostgresServer), PostgresServer::start_again as fn(&PostgresServer)),
        (PostgresServer::pause, PostgresServer::resume),
    ] {
        harm(&bed.postgres);
        // the first read finds out by itself
        let first = client.get("/v1/streams/Payment-1?limit=1000&consistency=eventual").await.ok();
        assert_eq!(counted(&first.json()).0, events);
        assert_ne!(first.header("polylog-source"), Some("ledger"));
        until(client, "it is told", away).await;
        // a strong one waits for a proof that does not come
        let strong = client.get("/v1/streams/Payment-1?consistency=strong");
        let (longest, strong) = tokio::join!(reads_without_the_primary(client, events), strong);
        strong.problem("no_primary");
        assert!(longest < Duration::from_secs(10), "{longest:?}");
        let with_token =
            client.get(&format!("/v1/streams/Payment-1?limit=1000&token={token}")).await.ok().json();
        assert_eq!(counted(&with_token).0, events);
        follows_without_the_primary(client, events).await;
        back(&bed.postgres);
        until_level(client).await;
    }
    append_until_acknowledged(client, 21).await;
    until_level(client).await;
    writer.stop();
    bed.same_events();
}

#[tokio::test]
async fn each_server_keeps_the_data_of_what_is_routed_to_it_alone() {
    let bed = ThreeEngines::new(
        "{type: EventTypePartitioning, acks: Majority, failover: {mode: Automatic}, routes: [{types: [Paid], source: mirror}, \
         {when: 'metadata.region == \"eu\"', source: spare}], defaultRoute: ledger}",
        "",
    );
    let dev = bed.dev();
    routing::append_some(&dev.client).await;
    let kept = |rows: String| rows.lines().map(|row| row.trim().to_owned()).collect::<Vec<_>>();
    let query = "WHERE data IS NOT NULL AND type NOT LIKE '$%' ORDER BY 1";
    let in_postgres = || kept(bed.in_postgres(&format!("SELECT type FROM payments.polylog_events {query}")));
    let in_mariadb =
        || kept(bed.in_mariadb(&format!("SELECT CAST(type AS CHAR) FROM polylog_events {query}")));
    routing::until_true("each keeps its own", || async {
        in_postgres() == ["Booked"]
            && in_mariadb() == ["Paid", "Paid"]
            && routing::kept_in_file(&bed.file()) == ["Shipped"]
    })
    .await;
    routing::check_all_is_read(&dev.client).await;
    assert!(bed.same_events() >= 6);

    bed.mariadb.stop();
    routing::check_only_paid_is_refused(&dev.client, 100).await;
    let seen = routing::seen(&dev.client).await;
    let states = |wanted: &str| {
        let of_type = seen.iter().take(4).filter(|(event_type, ..)| event_type == wanted);
        of_type.map(|(_, state, number)| (state.as_str(), number.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(states("Paid"), [("UNAVAILABLE", false); 2], "{seen:?}");
    assert_eq!(states("Booked"), [("PRESENT", true)], "{seen:?}");
    bed.mariadb.start_again();
    routing::until_true("it is taken again", || async {
        routing::append(&dev.client, 90, "Paid", "{}").await.status.is_success()
    })
    .await;

    // the primary, which keeps some itself, is gone: another needs no data to take over
    bed.postgres.crash();
    routing::until_true("another takes over", || async {
        routing::append(&dev.client, 91, "Paid", "{}").await.status.is_success()
    })
    .await;
    bed.postgres.start_again();
    until_level(&dev.client).await;
    routing::check_all_is_read(&dev.client).await;
    dev.stop();
    bed.same_events();
}

#[tokio::test]
async fn a_server_that_cannot_store_an_event_stands_still_there_and_holds_up_no_other() {
    let bed = ThreeEngines::new(MAJORITY, "");
    let dev = bed.dev();
    for number in 1..=3 {
        append_until_acknowledged(&dev.client, number).await;
    }
    until_level(&dev.client).await;
    let constraint = |change: &str| {
        bed.in_mariadb(&format!("ALTER TABLE polylog_events {change}"));
    };
    constraint(r#"ADD CONSTRAINT not_five CHECK (data <> '{"number":5}')"#);
    for number in 4..=9 {
        append_until_acknowledged(&dev.client, number).await;
    }
    let is_stalled = |status: &serde_json::Value| {
        let mirror = source(status, "mirror");
        let message = mirror["message"].as_str().unwrap_or_default();
        mirror["state"] == "Stalled" && message.contains("not_five") && mirror["lagEvents"] == 5
    };
    until(&dev.client, "it says where it stands still", is_stalled).await;

    constraint("DROP CONSTRAINT not_five");
    until_level(&dev.client).await;
    assert_eq!(numbers(&dev.client).await, (1..=9).collect::<Vec<_>>());
    dev.stop();
    bed.same_events();
}
