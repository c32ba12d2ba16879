//! A log in one database.

use mongodb::bson::doc;

use crate::{
    SERVER, STORE, count, on_disk,
    support::{
        answers::{MAY_PASS, append_until_answered, follow, until_answered, writers_outlive_kills},
        process::{Dev, at, folder, refused},
    },
    url,
};

#[tokio::test]
async fn it_appends_reads_follows_and_keeps_the_log() {
    let name = SERVER.new_name();
    let source = at(&url(&SERVER, &name));
    let folder = folder(STORE);
    let first = Dev::start(folder.path(), &source);
    let place = format!("ledger: MongoDB, mongodb://127.0.0.1:{}", SERVER.port());
    assert!(first.banner.contains(&place) && first.banner.contains(&name), "{}", first.banner);
    let id = first.client.get("/v1/stores/payments").await.ok().json()["storeId"].clone();
    first.client.append("Payment-1", "Paid", r#"{"amount": "1.00"}"#).await;
    first.client.append("Payment-1", "Paid", "2").await;
    let conflict = r#"{"expectedVersion":1,"events":[{"type":"Paid"}]}"#;
    first.client.post("/v1/streams/Payment-1", conflict).await.problem("version_conflict");
    // an id that comes again is the same event
    let id_of_event = uuid::Uuid::now_v7();
    let body = format!(r#"{{"expectedVersion":2,"events":[{{"id":"{id_of_event}","type":"Paid"}}]}}"#);
    let answers = [
        first.client.post("/v1/streams/Payment-1", body.clone()).await.ok().json(),
        first.client.post("/v1/streams/Payment-1", body.clone()).await.ok().json(),
    ];
    assert_eq!(answers[0]["events"], answers[1]["events"]);
    let read = first.client.get("/v1/streams/Payment-1").await.ok().json();
    assert_eq!(read["events"][0]["data"]["amount"], "1.00");
    assert_eq!(read["events"].as_array().unwrap().len(), 3);
    assert_eq!(first.client.get("/v1/events").await.ok().json()["served"]["source"], "ledger");
    follow(&first.client).await;
    let store = first.client.get("/v1/stores/payments").await.ok().json();
    assert_eq!(store["sources"][0]["engine"], "mongodb", "{store}");
    first.stop();

    let second = Dev::start(folder.path(), &source);
    assert_eq!(second.client.get("/v1/stores/payments").await.ok().json()["storeId"], id);
    let again = second.client.post("/v1/streams/Payment-1", body).await.ok().json();
    assert_eq!(again["events"], answers[0]["events"], "known after a restart");
    assert_eq!(second.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 4);
    // killed: what was answered is there
    second.client.append("Payment-1", "Paid", "5").await;
    drop(second);
    let third = Dev::start(folder.path(), &source);
    assert_eq!(third.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 5);
    third.stop();
}

/// The manifest's own connection, with a prefix: two stores share a database.
#[tokio::test]
async fn a_declared_connection_is_used_when_asked_for() {
    let name = SERVER.new_name();
    let declared = |prefix: &str| {
        let here = format!("mongodb: {{database: {name}, collectionPrefix: '{prefix}'}}");
        let store = STORE.replace("mongodb: {database: payments}", &here);
        store.replace("{secretRef: {name: ledger-db}}", &format!("{{url: '{}'}}", SERVER.url()))
    };
    let (plain, prefixed) = (folder(&declared("")), folder(&declared("pl_")));
    let one = Dev::start(plain.path(), "ledger=declared");
    let other = Dev::start(prefixed.path(), "ledger=declared");
    assert!(other.banner.contains(&format!("database {name}, collection prefix pl_")), "{}", other.banner);
    for data in ["1", "2"] {
        one.client.append("Payment-1", "Paid", data).await;
    }
    other.client.append("Payment-1", "Paid", "1").await;
    for (running, version) in [(&one, 2), (&other, 1)] {
        let head = running.client.get("/v1/streams/Payment-1/head").await.ok().json();
        assert_eq!(head["version"], version);
    }
    other.stop();
    // another prefix is another log: none, or somebody else's
    for (prefix, words) in [("px_", "holds no log"), ("", "holds log")] {
        std::fs::write(prefixed.path().join("store.yaml"), declared(prefix)).unwrap();
        refused(prefixed.path(), "ledger=declared", 1, &["wrong_store", words]);
    }
    let preferred = declared("").replace("{url:", "{tls: {mode: Prefer}, url:");
    refused(folder(&preferred).path(), "ledger=declared", 2, &["Require or Disable"]);
    let named = declared("").replace("{url:", "{tls: {serverName: ledger.example}, url:");
    refused(folder(&named).path(), "ledger=declared", 2, &["tls.serverName", "for the host of the address"]);
}

/// Writers go on while the server is killed five times: nothing that was answered is lost, nothing is twice, and
/// nobody restarts the sidecar.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_and_is_taken_up_again() {
    let server = on_disk();
    let name = server.new_name();
    let folder = folder(STORE);
    let running = Dev::start(folder.path(), &at(&url(&server, &name)));
    let counted = || {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(count(&server, &name, doc! {}))
        })
    };
    let restart = || {
        server.crash();
        server.start_again();
    };
    writers_outlive_kills(&running, 5, counted, restart).await;
    let log = crate::rows(&server, &name).await;
    let positions = log.iter().map(|row| row.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert!(positions.eq(1..=log.len()), "each position is there once");
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_without_a_restart() {
    let server = on_disk();
    let name = server.new_name();
    let folder = folder(STORE);
    let running = Dev::start(folder.path(), &at(&url(&server, &name)));
    running.client.append("Payment-1", "Paid", "1").await;
    server.stop();
    let id = uuid::Uuid::now_v7();
    let body = format!(r#"{{"expectedVersion":1,"events":[{{"id":"{id}","type":"Paid"}}]}}"#);
    let answer = running.client.post("/v1/streams/Payment-1", body.clone()).await;
    // it may have been sent before the end of the server was noticed
    assert!(MAY_PASS.contains(&answer.json()["code"].as_str().unwrap()), "{}", answer.text());
    running.client.get("/v1/streams/Payment-1").await.problem("source_unavailable");
    server.start_again();
    until_answered(&running.client, "Payment-1", &body).await;
    append_until_answered(&running.client, 2, 0).await;
    assert_eq!(running.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 2);
}

/// A server that keeps nothing: its end is noticed by whoever is there, and at the next start.
#[tokio::test]
async fn a_server_that_forgets_everything_is_noticed() {
    let server = polylog_test_bed::MongodbServer::with(polylog_test_bed::Keeps::Memory, &["strict"]);
    let name = server.new_name();
    let (source, folder) = (at(&url(&server, &name)), folder(STORE));
    let running = Dev::start(folder.path(), &source);
    running.client.append("Payment-1", "Paid", "1").await;
    server.crash();
    server.start_again();
    let body = r#"{"expectedVersion":"any","events":[{"type":"Paid"}]}"#;
    let codes = ["outcome_unknown", "source_unavailable", "not_provisioned"];
    loop {
        let answer = running.client.post("/v1/streams/Payment-1", body).await;
        let code = answer.json()["code"].as_str().map(str::to_owned);
        assert!(code.as_deref().is_some_and(|code| codes.contains(&code)), "{}", answer.text());
        if code.as_deref() == Some("not_provisioned") {
            break;
        }
    }
    drop(running);
    refused(folder.path(), &source, 1, &["wrong_store", "holds no log", "--data"]);
}
