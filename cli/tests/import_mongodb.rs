//! `polylog import --from mongodb` on a real server of its protocol.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "cli/support.rs"]
mod support;

mod import_from;

use std::sync::LazyLock;

use import_from::{Event, Gate, Import, check_store, complete, events};
use mongodb::{
    Client, Database,
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
};
use polylog_test_bed::{Keeps, MongodbServer};
use serde_json::{Value, json};
use support::Dev;

static SERVER: LazyLock<MongodbServer> = LazyLock::new(|| MongodbServer::start(Keeps::Memory));

async fn database() -> (Database, String) {
    let name = SERVER.new_name();
    let client = Client::with_uri_str(SERVER.url()).await.expect("a client");
    (client.database(&name), name)
}

fn document(event: &Event) -> Document {
    let parsed = |json: &str| serde_json::from_str::<Bson>(json).expect(json);
    let millis = event.time.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    doc! {
        "_id": &event.id, "aggregateType": "Payment", "aggregateId": format!("p{}", event.aggregate),
        "version": i32::try_from(event.version).expect("small"), "type": "PaymentProcessed",
        "data": parsed(&event.data), "metadata": parsed(&event.metadata), "timestamp": DateTime::from_millis(millis),
        "correlationId": format!("c{}", event.aggregate),
    }
}

async fn fill(database: &Database, events: &[Event]) {
    for part in events.chunks(500) {
        database.collection("events").insert_many(part.iter().map(document)).await.expect("inserted");
    }
}

fn import<'a>(dev: &'a Dev, port: u16, name: &str) -> Import<'a> {
    let arguments = ["--from", "mongodb", name].map(str::to_owned).to_vec();
    Import { dev, arguments, url: format!("mongodb://127.0.0.1:{port}/") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_needs_no_mapping_and_a_killed_import_goes_on() {
    let (database, name) = database().await;
    let events = events(2_500, 25);
    fill(&database, &events).await;
    let dev = Dev::start();
    let gate = Gate::before(SERVER.port());
    let import = import(&dev, gate.port(), &format!("{name}.events"));
    import.killed_at(&gate, 450_000, import.command(&[]));
    assert!(dev.events(&[]).is_empty(), "nothing is written before everything was read");
    let (summary, said) = import.succeeds(&[]);
    let read = said.split("going on: ").nth(1).and_then(|rest| rest.split(' ').next()).expect(&said);
    assert!(read.parse::<usize>().is_ok_and(|read| read > 50 && read < events.len()), "{said}");
    assert_eq!(summary, complete(events.len(), events.len()));
    check_store(&dev, &events);
    assert_eq!(import.succeeds(&[]).0, complete(events.len(), 0), "the same command again does nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_streams_are_told_and_nothing_is_written() {
    let (database, name) = database().await;
    let mut events = events(60, 3);
    events[30].version = 90;
    fill(&database, &events).await;
    let dev = Dev::start();
    let import = import(&dev, SERVER.port(), &format!("{name}.events"));
    import.refused(&[], "stream Payment-p0 has no version 11");
    let collection = database.collection::<Document>("events");
    let change = |change: Document| collection.update_one(doc! { "_id": &events[30].id }, change);
    change(doc! { "$set": { "version": 11, "timestamp": "soon" } }).await.expect("changed");
    import.refused(&[], "document \"0198f2c0-0000-7000-8000-000000000030\": its time is \"soon\"");
    change(doc! { "$set": { "timestamp": "2024-01-01T00:30:00.030Z" } }).await.expect("changed");
    assert_eq!(import.succeeds(&[]).0, complete(60, 60));
    events[30].version = 11;
    check_store(&dev, &events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_mapping_or_collection_is_told() {
    let (database, name) = database().await;
    fill(&database, &events(10, 1)).await;
    let dev = Dev::start();
    let import = import(&dev, SERVER.port(), &format!("{name}.events"));
    import.refused(
        &["--map", "type=kind"],
        "there is no field \"kind\" for type; there are _id, aggregateType",
    );
    let both = ["--map", "version=type", "--map", "type=type"];
    import.refused(&both, "its version is no whole number: PaymentProcessed");
    let named = |collection: &str| ["--from", "mongodb", collection].map(str::to_owned).to_vec();
    let nowhere = Import { arguments: named(&format!("{name}.orders")), ..import };
    nowhere.refused(&[], "there is no collection");
    let unnamed = Import { arguments: named("events"), ..nowhere };
    unnamed.refused(&[], "DATABASE.events");
    assert_eq!(unnamed.outcome(&["--from-url", "mongodb://127.0.0.1:1/x"]).0, 3);
    unnamed.refused(&["--from-url", "http://me:geheim@h/d"], "mongodb://");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_another_shape() {
    let (database, name) = database().await;
    let id = |n: u8| ObjectId::from_bytes([n; 12]);
    let documents = [0_u8, 1].map(|n| {
        doc! {
            "_id": id(n), "streamId": "account-17", "revision": i64::from(n),
            "event": { "name": "Moved", "body": { "z": 1.5, "a": id(9), "at": DateTime::from_millis(5) } },
            "at": DateTime::from_millis(1_704_067_200_000 + i64::from(n)), "tenant": "t",
        }
    });
    database.collection("journal").insert_many(documents).await.expect("inserted");
    let dev = Dev::start();
    let import = Import {
        url: format!("mongodb://127.0.0.1:{}/{name}", SERVER.port()),
        ..import(&dev, SERVER.port(), "journal")
    };
    let mapping = ["--map", "type=event.name", "--map", "data=event.body", "--map", "time=at"];
    assert_eq!(import.succeeds(&mapping).0, complete(2, 2));
    let events = dev.events(&["account-17"]);
    let of = |event: &Value| json!([event["version"], event["time"], event["metadata"]["$imported"]]);
    let hex = |n: u8| id(n).to_hex();
    assert_eq!(
        events.iter().map(of).collect::<Vec<_>>(),
        [
            json!([1, "2024-01-01T00:00:00Z", {"_id": {"$oid": hex(0)}, "tenant": "t"}]),
            json!([2, "2024-01-01T00:00:00.001Z", {"_id": {"$oid": hex(1)}, "tenant": "t"}]),
        ]
    );
    let data =
        r#""data":{"z":1.5,"a":{"$oid":"090909090909090909090909"},"at":{"$date":{"$numberLong":"5"}}}"#;
    assert!(dev.run(&["export"]).contains(data), "{}", dev.run(&["export"]));
}
