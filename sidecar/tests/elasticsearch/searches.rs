//! Searches and counts by the indices' own query language, with a refresh each 30 s: as a look at each event of the log.

use polylog_test_bed::{ElasticsearchServer, PostgresServer, Product};
use serde_json::Value;

use crate::{
    replicated::{STORE, replicated},
    rows, server,
    support::{
        Client,
        process::{Dev, at, folder},
        replicas::until_level,
        searching,
    },
    voter,
};

#[tokio::test]
async fn searches_and_counts_are_those_of_the_log_on_elasticsearch() {
    alone(Product::Elasticsearch).await;
}

#[tokio::test]
async fn searches_and_counts_are_those_of_the_log_on_opensearch() {
    alone(Product::OpenSearch).await;
}

async fn alone(product: Product) {
    let server = server(product);
    let name = server.new_name();
    let folder = folder(&voter(product, &name));
    let running = Dev::start(folder.path(), &at(&server.url()));
    assert_eq!(interval(server, &name), "30s");
    let client = &running.client;
    searching::fill(client).await;
    // more than is looked at one by one: what was filled in is found by the index
    noise(client, 300).await;
    let begun = queries(server, &name);
    searching::counts_are_those_of_the_log(client).await;
    searching::searches_find_what_is_there(client).await;
    assert!(queries(server, &name) >= begun + 100, "the index was not asked");
    searching::what_was_just_appended_is_found(client).await;
    running.stop();
}

/// PostgreSQL votes and Elasticsearch follows: it answers what is asked at once after an append, and PostgreSQL while it is
/// away.
#[tokio::test]
async fn a_learner_answers_searches_and_its_absence_is_not_noticed() {
    let (postgres, search) = (PostgresServer::start(), ElasticsearchServer::start(Product::Elasticsearch));
    let database = postgres.create_database();
    let folder = folder(STORE);
    let running = replicated(&folder, &postgres.url(&database), &search.url());
    let client = &running.client;
    until_level(client).await;
    searching::fill(client).await;
    noise(client, 300).await;
    searching::counts_are_those_of_the_log(client).await;
    searching::what_was_just_appended_is_found(client).await;
    for path in ["search?q=alpha", "statistics?groupBy=metadata.n", "trends"] {
        let answer = client.get(&format!("/v1/{path}")).await.ok();
        assert_eq!(answer.header("polylog-source"), Some("search"), "{path}");
    }
    // what no index has
    let answer = client.get("/v1/search?filter=size(event.type)+%3E+1").await.ok();
    assert_eq!(answer.header("polylog-source"), Some("ledger"));
    // without the words of many events the index answers what asks for none
    running.stop();
    std::fs::write(folder.path().join("store.yaml"), STORE.replace("{index:", "{fullText: false, index:"))
        .unwrap();
    let running = replicated(&folder, &postgres.url(&database), &search.url());
    let client = &running.client;
    noise(client, 300).await;
    // what came in one batch is written out with the next one
    until_level(client).await;
    noise(client, 1).await;
    until_level(client).await;
    for (path, source) in [("search?q=alpha", "ledger"), ("trends", "search")] {
        let answer = client.get(&format!("/v1/{path}")).await.ok();
        assert_eq!(answer.header("polylog-source"), Some(source), "{path}");
    }
    let asked = "metadata.n=1&limit=5";
    let by_index = client.get(&format!("/v1/search?{asked}")).await.ok().json();
    search.crash();
    let page = by_index["next"].as_str().unwrap();
    let answer = client.get(&format!("/v1/search?{asked}")).await.ok().json();
    let ids = |answer: &Value| -> Vec<Value> {
        answer["hits"].as_array().unwrap().iter().map(|hit| hit["event"]["id"].clone()).collect()
    };
    assert_eq!((ids(&answer), &answer["total"]), (ids(&by_index), &by_index["total"]));
    // a page of the one goes on with the other
    let next = client.get(&format!("/v1/search?{asked}&page={page}")).await.ok().json();
    assert!(ids(&next).iter().all(|id| !ids(&by_index).contains(id)) && !ids(&next).is_empty(), "{next}");
    running.stop();
}

/// The index has no word of data that another source keeps: the log is looked at.
#[tokio::test]
async fn words_of_data_that_another_source_keeps_are_found() {
    let (postgres, search) = (PostgresServer::start(), ElasticsearchServer::start(Product::Elasticsearch));
    let database = postgres.create_database();
    let routed = STORE.replace("spec:", "spec:\n  strategyRef: {name: routed}");
    let strategy = "---
apiVersion: polylog.dev/v1alpha1
kind: ReplicationStrategy
metadata: {name: routed, namespace: shop}
spec: {type: EventTypePartitioning, acks: '1', failover: {mode: Manual}, defaultRoute: ledger, routes: [{types: [Other], source: ledger}]}
";
    let folder = folder(&format!("{}\n{strategy}", routed.trim_end()));
    let running = replicated(&folder, &postgres.url(&database), &search.url());
    let client = &running.client;
    for number in 0..3 {
        client.append(&format!("Payment-{number}"), "Paid", r#"{"note":"kept elsewhere"}"#).await;
    }
    until_level(client).await;
    assert!(
        rows(&search, "payments").iter().all(|row| row.ends_with(' ') || row.contains('$')),
        "dropped there"
    );
    let found = client.get("/v1/search?q=elsewhere").await.ok().json();
    assert_eq!((&found["total"], found["hits"].as_array().unwrap().len()), (&3.into(), 3), "{found}");
    let counted = client.get("/v1/statistics?groupBy=category").await.ok().json();
    assert_eq!(counted["total"], 3, "{counted}");
    running.stop();
}

/// What is redacted for the caller is neither found nor counted by an index that holds it; nor is another category.
#[tokio::test]
async fn an_index_tells_nothing_that_the_caller_may_not_see() {
    let server = server(Product::Elasticsearch);
    let name = server.new_name();
    let (source, plain) = (at(&server.url()), voter(Product::Elasticsearch, &name));
    let folder = folder(&plain);
    let all = Dev::start(folder.path(), &source);
    all.client.append("Payment-1", "Paid", r#"{"iban":"DE99","note":"hello"}"#).await;
    all.client.append("Secret-1", "Paid", r#"{"note":"hello de99"}"#).await;
    // more than a page looks at: the total alone would tell of the first
    for _ in 0..2 {
        all.client.append("Payment-2", "Paid", r#"{"note":"de99"}"#).await;
    }
    noise(&all.client, 300).await;
    noise(&all.client, 1).await;
    assert_eq!(all.client.get("/v1/search?q=de99").await.ok().json()["total"], 4);
    all.stop();
    let policy = "  access:
    - {serviceAccounts: [{name: checkout}], verbs: [search], categories: ['Pay*']}
  events: {redact: [/iban]}
";
    std::fs::write(folder.path().join("store.yaml"), format!("{}\n{policy}", plain.trim_end())).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"));
    command.current_dir(folder.path()).args(["dev", ".", "--port", "0", "--health-port", "0"]);
    command.args(["--source", &source, "--as", "shop/checkout"]);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::piped()).env("POLYLOG_LOG", "debug");
    let some = Dev::of(command);
    for (query, total) in
        [("q=de99&limit=1", 2), ("q=hello", 1), ("types=Paid&limit=1", 3), ("categories=Secret", 0)]
    {
        let found = some.client.get(&format!("/v1/search?{query}")).await.ok().json();
        assert_eq!(found["total"], total, "{query}: {found}");
    }
    let counts = some.client.get("/v1/statistics?groupBy=category").await.ok().json();
    let only = serde_json::json!([{"key": "Payment", "count": 3}]);
    assert_eq!((&counts["total"], &counts["groups"]["category"]), (&3.into(), &only), "{counts}");
    some.stop();
}

/// Events that no search of these tests asks for.
async fn noise(client: &Client, count: usize) {
    let event = r#"{"type":"Noise","time":"2026-04-01T00:00:00Z","data":"noise"}"#;
    let events = vec![event; count].join(",");
    let body = format!(r#"{{"expectedVersion":"any","events":[{events}]}}"#);
    client.post("/v1/streams/Noise-0", body).await.ok();
}

fn interval(server: &ElasticsearchServer, name: &str) -> String {
    let settings = server.request("GET", &format!("/{name}-events/_settings?flat_settings=true"), "");
    let settings: Value = serde_json::from_str(&settings).unwrap();
    let index = settings.as_object().unwrap().values().next().unwrap();
    index["settings"]["index.refresh_interval"].as_str().unwrap().to_owned()
}

/// How many queries the index has answered.
fn queries(server: &ElasticsearchServer, name: &str) -> u64 {
    let stats = server.request("GET", &format!("/{name}-events/_stats/search"), "");
    let stats: Value = serde_json::from_str(&stats).unwrap();
    stats["_all"]["total"]["search"]["query_total"].as_u64().unwrap()
}
