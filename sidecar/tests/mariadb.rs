//! `polylog-sidecar dev` on real MariaDB servers.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::LazyLock;

use polylog_test_bed::MariadbServer;
use support::{
    answers::{MAY_PASS, append_until_answered, follow, until_answered, writers_outlive_kills},
    process::{Dev, at, command, folder, refused},
};

/// One server for the tests that do not stop it.
static SERVER: LazyLock<MariadbServer> = LazyLock::new(MariadbServer::start);

const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, mysql: {database: payments}}
";

#[tokio::test]
async fn it_appends_reads_follows_and_keeps_the_log() {
    let database = SERVER.new_name();
    let url = SERVER.url(&database);
    let folder = folder(STORE);
    let first = Dev::start(folder.path(), &at(&url));
    assert!(first.banner.contains("ledger: MariaDB, mysql://127.0.0.1:"), "{}", first.banner);
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
    assert_eq!(store["sources"][0]["engine"], "mysql", "{store}");
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
        SERVER.execute(&database, "SELECT count(*) FROM polylog_events WHERE stream = 'Payment-1'"),
        "4"
    );
    assert!(!third.said.lock().unwrap().contains("secret"), "a password in the log");
}

/// The manifest's own connection: address and credentials apart, tables by another user than rows.
#[tokio::test]
async fn a_declared_connection_is_used_when_asked_for() {
    SERVER.execute("mysql", "CREATE USER worker@'%' IDENTIFIED BY 'geheim'");
    let port = SERVER.port();
    let store = STORE.replace("database: payments", "database: declared").replace(
        "connection: {secretRef: {name: ledger-db}},",
        &format!(
            "connection: {{url: 'mysql://127.0.0.1:{port}', auth: {{secretRef: {{name: worker}}}}}}, \
             provisioningConnection: {{secretRef: {{name: owner, key: address}}}},"
        ),
    );
    let secrets = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: worker, namespace: shop}}\n\
         stringData: {{username: worker, password: geheim}}\n\
         ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: owner, namespace: shop}}\n\
         stringData: {{address: '{}'}}\n",
        SERVER.url("")
    );
    let whole = folder(&format!("{store}{secrets}"));
    let running = Dev::start(whole.path(), "ledger=declared");
    running.client.append("Payment-1", "Paid", "1").await;
    let users = "SELECT DISTINCT USER FROM information_schema.PROCESSLIST WHERE DB = 'declared'";
    assert_eq!(SERVER.execute("mysql", users), "worker");
    assert!(!running.said.lock().unwrap().contains("geheim"));
    drop(running);
    refused(folder(&store).path(), "ledger=declared", 2, &["no Secret worker with the key username"]);
    let other = store.replace(&format!(":{port}'"), &format!(":{port}/other'"));
    let other = folder(&format!("{other}{secrets}"));
    refused(other.path(), "ledger=declared", 2, &["database other", "mysql.database is declared"]);
    let prefixed = store.replace("database: declared", "database: declared, tablePrefix: pl_");
    let folder_of_prefix = folder(&format!("{prefixed}{secrets}"));
    let beside = Dev::start(folder_of_prefix.path(), "ledger=declared");
    assert!(beside.banner.contains("database declared, table prefix pl_"), "{}", beside.banner);
    beside.client.append("Payment-1", "Paid", "1").await;
    beside.client.append("Payment-1", "Paid", "2").await;
    drop(beside);
    for (table, stored) in [("polylog_events", "1"), ("pl_polylog_events", "2")] {
        let count = format!("SELECT count(*) FROM {table} WHERE stream = 'Payment-1'");
        assert_eq!(SERVER.execute("declared", &count), stored, "{table}");
    }
    // another prefix is another log: none, or somebody else's
    for (prefix, words) in [("tablePrefix: px_", "holds no log"), ("tablePrefix: ''", "holds log")] {
        let moved = prefixed.replace("tablePrefix: pl_", prefix);
        std::fs::write(folder_of_prefix.path().join("store.yaml"), format!("{moved}{secrets}")).unwrap();
        refused(folder_of_prefix.path(), "ledger=declared", 1, &["wrong_store", words]);
    }
    assert_eq!(SERVER.execute("declared", "SHOW TABLES LIKE 'px%'"), "");
    let upper = folder(&format!("{}{secrets}", prefixed.replace("pl_", "PL_")));
    refused(upper.path(), "ledger=declared", 2, &["tablePrefix"]);
    let encrypted = store.replace("auth:", "tls: {mode: Require}, auth:");
    let encrypted = folder(&format!("{encrypted}{secrets}"));
    refused(encrypted.path(), "ledger=declared", 1, &["source_refused", "TLS"]);
}

#[test]
fn a_database_that_cannot_be_used_is_refused_with_its_code_and_what_to_do() {
    let database = SERVER.new_name();
    let here = |user: &str, password: &str| at(&SERVER.url_as(user, password, &database));
    let new = || folder(STORE);
    let nobody = at("mysql://root:geheim@127.0.0.1:1/x");
    refused(
        new().path(),
        &nobody,
        3,
        &["source_unavailable", "start the database", "127.0.0.1:1, database x"],
    );
    let wrong = here("root", "geheim");
    refused(new().path(), &wrong, 1, &["source_refused", "correct the user or the password"]);
    SERVER.execute("mysql", "CREATE USER guest@'%' IDENTIFIED BY 'geheim'");
    refused(new().path(), &here("guest", "geheim"), 1, &["source_refused", "run: GRANT"]);
    SERVER.execute(
        "mysql",
        &format!("CREATE DATABASE {database}; CREATE TABLE {database}.polylog_head (a int)"),
    );
    refused(
        new().path(),
        &here("root", "secret"),
        1,
        &["wrong_store", "polylog_head belongs to another application"],
    );
    assert_eq!(SERVER.execute(&database, "SELECT count(*) FROM polylog_head"), "0");
    let forgetful = MariadbServer::with(&[("innodb-flush-log-at-trx-commit", "0")]);
    let forgets = ["source_refused", "innodb_flush_log_at_trx_commit is 0"];
    refused(new().path(), &at(&forgetful.url("x")), 1, &forgets);
}

#[tokio::test]
async fn another_stores_database_is_refused() {
    let (mine, other) = (SERVER.new_name(), SERVER.new_name());
    let folder_of_mine = folder(STORE);
    Dev::start(folder_of_mine.path(), &at(&SERVER.url(&mine))).stop();
    Dev::start(folder(STORE).path(), &at(&SERVER.url(&other))).stop();
    refused(folder_of_mine.path(), &at(&SERVER.url(&other)), 1, &["wrong_store", "holds log", "--data"]);
    let empty = SERVER.new_name();
    refused(folder_of_mine.path(), &at(&SERVER.url(&empty)), 1, &["wrong_store", "holds no log"]);
    let there = format!("SELECT count(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{empty}'");
    assert_eq!(SERVER.execute("mysql", &there), "0");
    // two stores of one process in one database
    let second =
        STORE.replace("payments, namespace", "refunds, namespace").replace("name: ledger,", "name: book,");
    let both = folder(&format!("{STORE}---{second}"));
    let mut two = command(both.path(), &at(&SERVER.url(&mine)));
    let output = two.args(["--source", &format!("book={}", SERVER.url(&mine))]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains("the same log"), "{text}");
}

#[tokio::test]
async fn destructive_steps_wait_for_their_hash() {
    let database = SERVER.new_name();
    let source = at(&SERVER.url(&database));
    let folder = folder(&STORE.replace("spec:", "spec:\n  events: {indexes: [Type]}"));
    Dev::start(folder.path(), &source).stop();
    std::fs::write(folder.path().join("store.yaml"), STORE).unwrap();
    let index = "SELECT count(DISTINCT INDEX_NAME) FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = database() AND INDEX_NAME = 'polylog_events_type'";
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
    let server = MariadbServer::start();
    let database = server.new_name();
    let folder = folder(STORE);
    let running = Dev::start(folder.path(), &at(&server.url(&database)));
    let count = || server.execute(&database, "SELECT count(*) FROM polylog_events").parse().unwrap();
    let restart = || {
        server.crash();
        server.start_again();
    };
    writers_outlive_kills(&running, 5, count, restart).await;
    let log = server.execute(&database, "SELECT max(position) = count(*) FROM polylog_events");
    assert_eq!(log, "1");
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_without_a_restart() {
    let server = MariadbServer::start();
    let database = server.new_name();
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
