//! `polylog-sidecar dev` on Elasticsearch and OpenSearch.
#![allow(clippy::unwrap_used, reason = "tests")]

mod alone;
mod bad;
mod guarded;
mod replicated;
mod searches;
#[path = "../support/mod.rs"]
mod support;

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use polylog_test_bed::{ElasticsearchServer, Product};
use serde_json::Value;

/// A server of each product for the tests that do not stop it; the second one takes small requests only.
static SERVERS: [LazyLock<ElasticsearchServer>; 2] = [
    LazyLock::new(|| ElasticsearchServer::start(Product::Elasticsearch)),
    LazyLock::new(|| ElasticsearchServer::with(Product::OpenSearch, &[("http.max_content_length", "2mb")])),
];

fn server(product: Product) -> &'static ElasticsearchServer {
    match product {
        Product::Elasticsearch => &SERVERS[0],
        Product::OpenSearch => &SERVERS[1],
    }
}

/// A store on one cluster alone: it votes. `name` is what its indices begin with.
fn voter(product: Product, name: &str) -> String {
    format!(
        "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {{name: payments, namespace: shop}}
spec:
  sources:
    - {{name: ledger, role: Voter, connection: {{secretRef: {{name: ledger-db}}}}, elasticsearch: {{flavor: {product:?}, index: {{name: {name}}}}}}}
"
    )
}

/// A line for each event, in the order of the log: those that are written out, and those that stand in the head yet.
fn rows(server: &ElasticsearchServer, name: &str) -> Vec<String> {
    let json = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    let head = json(&server.request("GET", &format!("/{name}-head/_doc/main%2F0"), ""));
    let head = &head["_source"];
    let base = head["base"]["position"].as_u64().unwrap();
    server.request("POST", &format!("/{name}-events/_refresh"), "");
    let question = format!(
        r#"{{"size":10000,"sort":["position"],"query":{{"range":{{"position":{{"lte":{base}}}}}}}}}"#
    );
    let found = json(&server.request("POST", &format!("/{name}-events/_search"), &question));
    let written = found["hits"]["hits"].as_array().unwrap().iter().map(|hit| hit["_source"].clone());
    let in_head = head["batch"].as_array().unwrap().iter().cloned();
    written.chain(in_head).map(|event| row(&event)).collect()
}

fn row(event: &Value) -> String {
    let number = |field: &str| event[field].as_u64().unwrap();
    let text = |field: &str| event[field].as_str().unwrap().to_owned();
    let data = event["rawData"].as_str().map(|data| BASE64_STANDARD.decode(data).unwrap());
    let hexadecimal: String = data.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{} {} {} {} {} {} {hexadecimal}",
        number("position"),
        number("term"),
        text("stream"),
        number("version"),
        text("digest"),
        text("dataDigest"),
    )
}
