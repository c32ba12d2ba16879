//! `polylog plan` on a real MariaDB server.

use std::process::{Command, Output};

use polylog_test_bed::MariadbServer;
use tempfile::TempDir;

const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, mysql: {database: payments}}
";

fn plan(folder: &TempDir, url: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polylog"));
    command.current_dir(folder.path()).args(["plan", "--source", &format!("ledger={url}")]).args(more);
    command.output().expect("it starts")
}

#[test]
fn a_plan_is_sql_that_an_administrator_can_run() {
    let server = MariadbServer::start();
    let database = server.new_name();
    let url = server.url(&database);
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("store.yaml"), STORE).expect("it is written");
    let output = plan(&folder, &url, &[]);
    let sql = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && sql.contains("-- Additive: create database `test_"), "{sql}");
    assert!(sql.contains(&format!("127.0.0.1:{}, database {database}", server.port())), "{sql}");
    assert!(!sql.contains("secret"), "a password in the plan: {sql}");
    let there = format!("SELECT count(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{database}'");
    assert_eq!(server.execute("mysql", &there), "0", "a plan changes nothing");
    assert!(!folder.path().join(".polylog").exists());

    server.execute("mysql", &sql);
    let output = plan(&folder, &url, &[]);
    let sql = String::from_utf8(output.stdout).expect("text");
    assert!(sql.ends_with("-- nothing to do\n"), "{sql}");
    let output = plan(&folder, &url, &["-o", "json"]);
    let plans: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(plans[0]["database"].as_str().is_some_and(|text| text.contains(&database)), "{plans}");

    server.stop();
    let output = plan(&folder, &url, &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && text.contains("source_unavailable"), "{text}");
    let output = plan(&folder, "mysql://me:geheim@localhost:x", &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && !text.contains("geheim"), "{text}");
}
