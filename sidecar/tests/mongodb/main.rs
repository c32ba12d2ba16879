//! `polylog-sidecar dev` on servers of MongoDB's protocol.
#![allow(clippy::unwrap_used, reason = "tests")]

mod alone;
mod bad;
mod replicated;
#[path = "../support/mod.rs"]
mod support;

use std::sync::LazyLock;

use mongodb::{
    Client, Database,
    bson::{Bson, Document, doc},
};
use polylog_test_bed::{Keeps, MongodbServer};

/// One server for the tests that neither stop it nor change its habits. It looks at write concerns, as a log demands.
static SERVER: LazyLock<MongodbServer> = LazyLock::new(|| MongodbServer::with(Keeps::Memory, &["strict"]));

/// A server of its own that keeps what it acknowledged.
fn on_disk() -> MongodbServer {
    MongodbServer::with(Keeps::Disk, &["strict"])
}

const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, mongodb: {database: payments}}
";

/// The address of a database.
fn url(server: &MongodbServer, database: &str) -> String {
    format!("{}{database}", server.url())
}

/// A database as another program sees it.
async fn database(server: &MongodbServer, name: &str) -> Database {
    Client::with_uri_str(server.url()).await.unwrap().database(name)
}

/// How many events of a stream are there as documents of their own.
async fn count(server: &MongodbServer, name: &str, filter: Document) -> u64 {
    let events = database(server, name).await.collection::<Document>("polylog_events");
    events.count_documents(filter).await.unwrap()
}

/// A line for each event, in the order of the log: those that are written out, and those that stand in the head yet.
async fn rows(server: &MongodbServer, name: &str) -> Vec<String> {
    use futures::TryStreamExt;
    let database = database(server, name).await;
    let head = database.collection::<Document>("polylog_head").find_one(doc! {}).await.unwrap().unwrap();
    let base = head.get_document("base").unwrap().get_i64("position").unwrap();
    let events = database.collection::<Document>("polylog_events");
    let written = events.find(doc! { "position": { "$lte": base } }).sort(doc! { "_id": 1 });
    let mut all: Vec<Document> = written.await.unwrap().try_collect().await.unwrap();
    all.extend(head.get_array("batch").unwrap().iter().map(|event| event.as_document().unwrap().clone()));
    all.iter().map(row).collect()
}

fn row(event: &Document) -> String {
    let bytes = |field: &str| match event.get(field) {
        Some(Bson::Binary(binary)) => {
            binary.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        }
        other => panic!("{field}: {other:?}"),
    };
    let number = |field: &str| event.get_i64(field).unwrap();
    let stream = event.get_str("stream").unwrap();
    format!(
        "{} {} {stream} {} {} {}",
        number("position"),
        number("term"),
        number("version"),
        bytes("digest"),
        bytes("dataDigest")
    )
}
