//! `polylog-sidecar dev` on real PostgreSQL servers.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::LazyLock;

use polylog_test_bed::PostgresServer;
use support::{
    answers::{MAY_PASS, append_until_answered, follow, until_answered, writers_outlive_kills},
    process::{Dev, at, command, folder, refused},
};

/// One server for the tests that do not stop it.
static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}
";

#[tokio::test]
async fn it_appends_reads_follows_and_keeps_the_log() {
    let database = SERVER.create_database();
    let url = SERVER.url(&database);
    let folder = folder(STORE);
    let first = Dev::start(folder.path(), &at(&url));
    assert!(first.banner.contains("ledger: PostgreSQL, postgres://127.0.0.1:"), "{}", first.banner);
    let id = first.client.get("/v1/stores/payments").await.ok().json()["storeId"].clone();
    first.client.append("Payment-1", "Paid", r#"{"amount": "1.00"}"#).await;
    first.client.append("Payment-1", "Paid", "2").await;
    let conflict = r#"{"expectedVersion":1,"events":[{"type":"Paid"}]}"#;
    first.client.post("/v1/streams/Payment-1", conflict).await.problem("version_conflict");
    let read = first.client.get("/v1/streams/Payment-1").await.ok().json();
    assert_eq!(read["events"][0]["data"]["amount"], "1.00");
    assert_eq!(read["events"].as_array().unwrap().len(), 2);
    let log = first.client.get("/v1/events").await.ok().json();
    assert_eq!(log["served"]["source"], "ledger");
    follow(&first.client).await;
    let store = first.client.get("/v1/stores/payments").await.ok().json();
    assert_eq!(store["sources"][0]["engine"], "postgres", "{store}");
    first.stop();

    let second = Dev::start(folder.path(), &at(&url));
    let store = second.client.get("/v1/stores/payments").await.ok().json();
    assert_eq!(store["storeId"], id);
    let head = second.client.get("/v1/streams/Payment-1/head").await.ok().json();
    assert_eq!(head["version"], 3, "{head}");
    // killed: what was answered is there
    second.client.append("Payment-1", "Paid", "4").await;
    drop(second);
    let third = Dev::start(folder.path(), &at(&url));
    assert_eq!(third.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 4);
    assert_eq!(
        SERVER.execute(&database, "SELECT count(*) FROM payments.polylog_events WHERE stream = 'Payment-1'"),
        "4"
    );
    assert!(!third.said.lock().unwrap().contains("secret"), "a password in the log");
}

/// The manifest's own connection: address and credentials apart, tables by another role than rows.
#[tokio::test]
async fn a_declared_connection_is_used_when_asked_for() {
    let database = SERVER.create_database();
    SERVER.execute(&database, "CREATE ROLE worker LOGIN PASSWORD 'geheim'");
    let port = SERVER.port();
    let store = STORE.replace(
        "connection: {secretRef: {name: ledger-db}},",
        &format!(
            "connection: {{url: 'postgres://127.0.0.1:{port}/{database}', auth: {{secretRef: {{name: worker}}}}}}, \
             provisioningConnection: {{secretRef: {{name: owner, key: address}}}},"
        ),
    );
    let secrets = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: worker, namespace: shop}}\n\
         stringData: {{username: worker, password: geheim}}\n\
         ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: owner, namespace: shop}}\n\
         stringData: {{address: '{}'}}\n",
        SERVER.url(&database)
    );
    let whole = folder(&format!("{store}{secrets}"));
    let running = Dev::start(whole.path(), "ledger=declared");
    running.client.append("Payment-1", "Paid", "1").await;
    let users =
        "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'polylog' AND datname = ";
    assert_eq!(SERVER.execute(&database, &format!("{users}'{database}'")), "worker");
    assert!(!running.said.lock().unwrap().contains("geheim"));
    drop(running);
    refused(folder(&store).path(), "ledger=declared", 2, &["no Secret worker with the key username"]);
    let encrypted = store.replace("auth:", "tls: {mode: Require}, auth:");
    let named = encrypted.replace("Require", "Prefer, serverName: ledger.example");
    let named = folder(&format!("{named}{secrets}"));
    refused(named.path(), "ledger=declared", 2, &["tls.serverName", "tls.mode is Require"]);
    let encrypted = folder(&format!("{encrypted}{secrets}"));
    let data = encrypted.path();
    refused(data, "ledger=declared", 1, &["source_refused", "tls"]);
}

#[test]
fn a_database_that_cannot_be_used_is_refused_with_its_code_and_what_to_do() {
    let database = SERVER.create_database();
    let here = |role: &str, password: &str| at(&SERVER.url_as(role, password, &database));
    let new = || folder(STORE);
    let nobody = at("postgres://postgres:geheim@127.0.0.1:1/x");
    refused(new().path(), &nobody, 3, &["source_unavailable", "start the database", "127.0.0.1:1/x"]);
    refused(
        new().path(),
        &here("postgres", "geheim"),
        1,
        &["source_refused", "correct the user or the password"],
    );
    let missing = at(&SERVER.url("no_such_database"));
    refused(new().path(), &missing, 1, &["not_provisioned", "no_such_database"]);
    SERVER.execute(&database, "CREATE ROLE guest LOGIN PASSWORD 'geheim'");
    refused(
        new().path(),
        &here("guest", "geheim"),
        1,
        &["source_refused", "permission denied", "polylog grants"],
    );
    SERVER.execute(&database, "ALTER ROLE guest SET default_transaction_read_only = on");
    refused(new().path(), &here("guest", "geheim"), 1, &["source_refused", "default_transaction_read_only"]);
    SERVER.execute(&database, "CREATE SCHEMA payments CREATE TABLE polylog_head (a int)");
    refused(
        new().path(),
        &here("postgres", "secret"),
        1,
        &["wrong_store", "polylog_head belongs to another application"],
    );
    assert_eq!(SERVER.execute(&database, "SELECT count(*) FROM payments.polylog_head"), "0");
    let forgetful = PostgresServer::with(&[("fsync", "off")]);
    refused(new().path(), &at(&forgetful.url("postgres")), 1, &["source_refused", "fsync is off"]);
}

#[tokio::test]
async fn another_stores_database_is_refused() {
    let (mine, other) = (SERVER.create_database(), SERVER.create_database());
    let folder_of_mine = folder(STORE);
    Dev::start(folder_of_mine.path(), &at(&SERVER.url(&mine))).stop();
    Dev::start(folder(STORE).path(), &at(&SERVER.url(&other))).stop();
    refused(folder_of_mine.path(), &at(&SERVER.url(&other)), 1, &["wrong_store", "holds log", "--data"]);
    let empty = SERVER.create_database();
    refused(folder_of_mine.path(), &at(&SERVER.url(&empty)), 1, &["wrong_store", "holds no log"]);
    assert_eq!(SERVER.execute(&empty, "SELECT count(*) FROM pg_namespace WHERE nspname = 'payments'"), "0");
    // two stores of one process in one schema: the second has written nothing
    let configs = || SERVER.execute(&mine, "SELECT count(*) FROM payments.polylog_configs");
    let before = configs();
    let second =
        STORE.replace("payments, namespace", "refunds, namespace").replace("name: ledger,", "name: book,");
    let both = folder(&format!("{STORE}---{second}"));
    let mut two = command(both.path(), &at(&SERVER.url(&mine)));
    let output = two.args(["--source", &format!("book={}", SERVER.url(&mine))]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains("the same log"), "{text}");
    assert_eq!(configs(), before);
}

#[tokio::test]
async fn destructive_steps_wait_for_their_hash() {
    let database = SERVER.create_database();
    let source = at(&SERVER.url(&database));
    let folder = folder(&STORE.replace("spec:", "spec:\n  events: {indexes: [Type]}"));
    Dev::start(folder.path(), &source).stop();
    std::fs::write(folder.path().join("store.yaml"), STORE).unwrap();
    let index = "SELECT count(*) FROM pg_indexes WHERE indexname = 'polylog_events_type'";
    assert_eq!(SERVER.execute(&database, index), "1");
    let waiting = Dev::start(folder.path(), &source);
    assert!(waiting.banner.contains("Destructive: drop index polylog_events_type"), "{}", waiting.banner);
    let hash = waiting.banner.split("--approve ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    waiting.stop();
    assert_eq!(SERVER.execute(&database, index), "1");
    let mut approved = command(folder.path(), &source);
    approved.args(["--approve", &hash]);
    Dev::of(approved).stop();
    assert_eq!(SERVER.execute(&database, index), "0");
}

/// Writers go on while the server is killed five times: nothing that was answered is lost, nothing is twice, and
/// nobody restarts the sidecar.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_and_is_taken_up_again() {
    let server = PostgresServer::start();
    let database = server.create_database();
    let folder = folder(STORE);
    let running = Dev::start(folder.path(), &at(&server.url(&database)));
    let count = || server.execute(&database, "SELECT count(*) FROM payments.polylog_events").parse().unwrap();
    let restart = || {
        server.crash();
        server.start_again();
    };
    writers_outlive_kills(&running, 5, count, restart).await;
    let log = server.execute(&database, "SELECT max(position) = count(*) FROM payments.polylog_events");
    assert_eq!(log, "t");
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_without_a_restart() {
    let server = PostgresServer::start();
    let database = server.create_database();
    let folder = folder(STORE);
    let running = Dev::start(folder.path(), &at(&server.url(&database)));
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
