//! A log in one cluster.

use polylog_test_bed::{ElasticsearchServer, Product};

use crate::{
    rows, server,
    support::{
        answers::{follow, until_answered, writers_outlive_kills},
        process::{Dev, at, folder, refused},
    },
    voter,
};

#[tokio::test]
async fn it_appends_reads_follows_and_keeps_the_log_on_elasticsearch() {
    keeps_the_log(Product::Elasticsearch).await;
}

#[tokio::test]
async fn it_appends_reads_follows_and_keeps_the_log_on_opensearch() {
    keeps_the_log(Product::OpenSearch).await;
}

async fn keeps_the_log(product: Product) {
    let server = server(product);
    let name = server.new_name();
    let (source, folder) = (at(&server.url()), folder(&voter(product, &name)));
    let first = Dev::start(folder.path(), &source);
    let place = format!("ledger: Elasticsearch, {}, indices {name}-*", server.url());
    assert!(first.banner.contains(&place), "{}", first.banner);
    let id = first.client.get("/v1/stores/payments").await.ok().json()["storeId"].clone();
    first.client.append("Payment-1", "Paid", r#"{"amount": "1.00"}"#).await;
    first.client.append("Payment-1", "Paid", "2").await;
    let conflict = r#"{"expectedVersion":1,"events":[{"type":"Paid"}]}"#;
    first.client.post("/v1/streams/Payment-1", conflict).await.problem("version_conflict");
    let id_of_event = uuid::Uuid::now_v7();
    let body = format!(r#"{{"expectedVersion":2,"events":[{{"id":"{id_of_event}","type":"Paid"}}]}}"#);
    let answers = [
        first.client.post("/v1/streams/Payment-1", body.clone()).await.ok().json(),
        first.client.post("/v1/streams/Payment-1", body.clone()).await.ok().json(),
    ];
    assert_eq!(answers[0]["lastPosition"], answers[1]["lastPosition"]);
    let read = first.client.get("/v1/streams/Payment-1").await.ok().json();
    assert_eq!(read["events"][0]["data"]["amount"], "1.00");
    assert_eq!(read["events"].as_array().unwrap().len(), 3);
    assert_eq!(first.client.get("/v1/events").await.ok().json()["served"]["source"], "ledger");
    follow(&first.client).await;
    let store = first.client.get("/v1/stores/payments").await.ok().json();
    assert_eq!(store["sources"][0]["engine"], "elasticsearch", "{store}");
    first.stop();

    let second = Dev::start(folder.path(), &source);
    assert_eq!(second.client.get("/v1/stores/payments").await.ok().json()["storeId"], id);
    let again = second.client.post("/v1/streams/Payment-1", body).await.ok().json();
    assert_eq!(again["repeated"], true, "known after a restart: {again}");
    // killed with appends on their way: what was answered is there, and the others may come again
    let last = format!(
        r#"{{"expectedVersion":"any","events":[{{"id":"{}","type":"Paid"}}]}}"#,
        uuid::Uuid::now_v7()
    );
    let pending = tokio::spawn({
        let (client, last) = (second.client.clone(), last.clone());
        async move { client.post("/v1/streams/Payment-1", last).await }
    });
    second.client.append("Payment-2", "Paid", "1").await;
    drop(second);
    drop(pending.await);
    let third = Dev::start(folder.path(), &source);
    assert_eq!(third.client.get("/v1/streams/Payment-2/head").await.ok().json()["version"], 1);
    until_answered(&third.client, "Payment-1", &last).await;
    assert_eq!(third.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 5);
    third.stop();
    let rows = rows(server, &name);
    let positions = rows.iter().map(|row| row.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert!(positions.eq(1..=rows.len()), "each position is there once: {rows:#?}");

    // another name is another log
    std::fs::write(folder.path().join("store.yaml"), voter(product, &format!("{name}-x"))).unwrap();
    refused(folder.path(), &source, 1, &["wrong_store", "holds no log"]);
}

/// Writers go on while the server is killed: nothing that was answered is lost, nothing is twice, and nobody restarts the
/// sidecar.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_and_is_taken_up_again() {
    let server = ElasticsearchServer::start(Product::Elasticsearch);
    let name = server.new_name();
    let folder = folder(&voter(Product::Elasticsearch, &name));
    let running = Dev::start(folder.path(), &at(&server.url()));
    let count = || rows(&server, &name).len() as u64;
    let restart = || {
        server.crash();
        server.start_again();
    };
    writers_outlive_kills(&running, 2, count, restart).await;
    let rows = rows(&server, &name);
    let positions = rows.iter().map(|row| row.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert!(positions.eq(1..=rows.len()), "each position is there once");
}
