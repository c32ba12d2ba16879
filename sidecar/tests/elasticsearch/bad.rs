//! Clusters that must not be used, or not now.

use polylog_test_bed::Product;

use crate::{
    server,
    support::{
        Client,
        process::{Dev, at, folder, refused},
    },
    voter,
};

const ANY: &str = r#"{"expectedVersion":"any","events":[{"type":"Refused"}]}"#;

async fn version(client: &Client) -> u64 {
    client.get("/v1/streams/Payment-1/head").await.ok().json()["version"].as_u64().unwrap()
}

#[tokio::test]
async fn a_cluster_that_cannot_be_used_is_refused_with_its_code_and_what_to_do() {
    let server = server(Product::Elasticsearch);
    let name = server.new_name();
    let new = || folder(&voter(Product::Elasticsearch, &name));
    let nobody = at("http://root:geheim@127.0.0.1:1");
    refused(new().path(), &nobody, 3, &["source_unavailable", "next: start the database"]);
    refused(new().path(), &at("http://h/?x=geheim"), 2, &["it takes no parameters"]);
    let copies = voter(Product::Elasticsearch, &name).replace("index: {", "index: {replicas: 1, ");
    let words = ["index.replicas", "set 0, or the role to Learner"];
    refused(folder(&copies).path(), &at(&server.url()), 2, &words);
    let explicit =
        voter(Product::Elasticsearch, &name).replace("{flavor", "{fields: {mode: Explicit}, flavor");
    refused(folder(&explicit).path(), &at(&server.url()), 2, &["elasticsearch.fields", "NotSupported"]);
    let other = voter(Product::OpenSearch, &name);
    let words = ["source_refused", "elasticsearch.flavor"];
    refused(folder(&other).path(), &at(&server.url()), 1, &words);
    // somebody else's index under one of our names
    server.request("PUT", &format!("/{name}-lookup"), r#"{"mappings":{"properties":{"a":{"type":"long"}}}}"#);
    let words = ["wrong_store".to_owned(), format!("index {name}-lookup belongs to another application")];
    refused(new().path(), &at(&server.url()), 1, &words.each_ref().map(String::as_str));
    server.request("DELETE", &format!("/{name}-lookup"), "");
    // shards cannot change in place
    let store = new();
    Dev::start(store.path(), &at(&server.url())).stop();
    std::fs::write(
        store.path().join("store.yaml"),
        voter(Product::Elasticsearch, &name).replace("index: {", "index: {shards: 5, "),
    )
    .unwrap();
    refused(store.path(), &at(&server.url()), 1, &["source_refused", "number_of_shards"]);
}

/// What goes wrong while a sidecar runs is told by its code, nothing is written meanwhile, and it goes on by itself.
#[tokio::test]
async fn what_is_put_right_again_is_used_again() {
    for product in [Product::Elasticsearch, Product::OpenSearch] {
        let server = server(product);
        let name = server.new_name();
        let folder = folder(&voter(product, &name));
        let running = Dev::start(folder.path(), &at(&server.url()));
        running.client.append("Payment-1", "Paid", "1").await;
        let blocks =
            [("index.blocks.read_only_allow_delete", "disk_full"), ("index.blocks.write", "read_only")];
        for (index, (block, reason)) in (1..).zip(blocks) {
            let set = |value: &str| {
                let body = format!(r#"{{"{block}":{value}}}"#);
                server.request("PUT", &format!("/{name}-*/_settings"), &body);
            };
            set("true");
            let problem = running.client.post("/v1/streams/Payment-1", ANY).await.problem("source_refused");
            assert_eq!(
                (&problem["facts"]["reason"], &problem["written"]),
                (&reason.into(), &"nothing".into())
            );
            set("null");
            running.client.append("Payment-1", "Paid", "2").await;
            assert_eq!(version(&running.client).await, index + 1, "{product:?} {block}");
        }
        server.request("POST", &format!("/{name}-head/_close"), "");
        let mut answer = running.client.post("/v1/streams/Payment-1", ANY).await;
        // on a busy machine closing takes longer than the call that was under way
        while answer.json()["code"] == "outcome_unknown" {
            answer = running.client.post("/v1/streams/Payment-1", ANY).await;
        }
        answer.problem("source_unavailable");
        server.request("POST", &format!("/{name}-head/_open?wait_for_active_shards=1"), "");
        running.client.append("Payment-1", "Paid", "3").await;
        assert_eq!(version(&running.client).await, 4, "{product:?}");
        // somebody deletes the head
        server.request("DELETE", &format!("/{name}-head-000001"), "");
        running.client.post("/v1/streams/Payment-1", ANY).await.problem("not_provisioned");
        running.client.get("/v1/streams/Payment-1").await.problem("not_provisioned");
        drop(running);
        refused(folder.path(), &at(&server.url()), 1, &["events and no head", "restore it"]);
    }
}

/// A server that takes small requests only: what it could not take is refused before anything is written.
#[tokio::test]
async fn what_is_too_large_for_the_server_is_refused_and_nothing_stands_in_the_way() {
    let server = server(Product::OpenSearch);
    let name = server.new_name();
    let limits = "spec:\n  events: {limits: {eventBytes: 1Mi, commitBytes: 2Mi}}";
    let folder = folder(&voter(Product::OpenSearch, &name).replace("spec:", limits));
    let running = Dev::start(folder.path(), &at(&server.url()));
    let with = |bytes: usize| {
        let data = "x".repeat(bytes);
        format!(r#"{{"expectedVersion":"any","events":[{{"type":"Paid","data":"{data}"}}]}}"#)
    };
    let problem = running.client.post("/v1/streams/Payment-1", with(800_000)).await.problem("limit_exceeded");
    assert_eq!(problem["written"], "nothing");
    for _ in 0..3 {
        running.client.post("/v1/streams/Payment-1", with(650_000)).await.ok();
    }
    running.client.append("Payment-1", "Paid", "1").await;
    assert_eq!(version(&running.client).await, 4);
    let page = running.client.get("/v1/streams/Payment-1?from=3").await.ok().json();
    assert_eq!(page["events"][0]["data"].as_str().unwrap().len(), 650_000);
}
