//! `polylog grants`, `check` and `plan` against real PostgreSQL servers.

mod preflight;

use polylog_test_bed::{OlderPostgres, PostgresServer};
use preflight::{
    Dev, bad, check, each_right_is_named, folder, grants, is_optional, plan_refuses, polylog, statements,
    stdout,
};
use tempfile::TempDir;

/// Tables are created by one role, rows are written by another.
fn manifests(server: &PostgresServer, database: &str, create_schema: bool) -> TempDir {
    let port = server.port();
    let text = format!(
        "apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {{name: payments, namespace: shop}}
spec:
  sources:
    - name: ledger
      connection: {{secretRef: {{name: ledger-db}}}}
      provisioningConnection: {{secretRef: {{name: ledger-db, key: owner}}}}
      postgres: {{schema: payments, createSchema: {create_schema}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: ledger-db, namespace: shop}}
stringData:
  url: postgres://worker:geheim@127.0.0.1:{port}/{database}
  owner: postgres://owner:geheim@127.0.0.1:{port}/{database}
"
    );
    folder(&text)
}

/// A server whose database grants nothing to everybody, with two roles that may log in and nothing else.
fn strict_server() -> (PostgresServer, String) {
    let server = PostgresServer::with(&[("autovacuum", "off")]);
    let database = server.create_database();
    server.execute(
        &database,
        &format!(
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC;; CREATE ROLE owner LOGIN PASSWORD 'geheim';; \
             CREATE ROLE worker LOGIN PASSWORD 'geheim'"
        ),
    );
    (server, database)
}

#[test]
fn what_grants_prints_is_enough_and_each_part_of_it_is_needed() {
    let (server, database) = strict_server();
    let folder = manifests(&server, &database, true);
    let (bad, code) = check(folder.path(), &[]);
    assert_eq!(code, 1);
    let fixes: Vec<&str> = bad.iter().map(|line| line["fix"].as_str().expect("a statement")).collect();
    let connect = |role: &str| format!("GRANT CONNECT ON DATABASE \"{database}\" TO \"{role}\"");
    assert_eq!(fixes, [connect("worker"), connect("owner")]);

    server.execute(&database, &grants(folder.path(), "before"));
    let (bad, code) = check(folder.path(), &[]);
    assert_eq!((bad.len(), code), (1, 0), "{bad:?}");
    assert_eq!((&bad[0]["check"], &bad[0]["outcome"]), (&"tables".into(), &"unknown".into()));
    // CREATE is for the schema, which is not there yet
    server.execute(&database, &format!("REVOKE CREATE ON DATABASE {database} FROM owner"));
    let (bad, code) = check(folder.path(), &[]);
    let create = format!("GRANT CREATE ON DATABASE \"{database}\" TO \"owner\"");
    assert!(code == 1 && bad.iter().any(|line| line["fix"] == create.as_str()), "{bad:?}");
    server.execute(&database, &create);

    let running = Dev::start(folder.path());
    running.append(folder.path());
    drop(running);
    assert_eq!(check(folder.path(), &[]), (Vec::new(), 0));
    let granted = "SELECT string_agg(c.relname || ' ' || a.privilege_type, ',' ORDER BY c.relname || a.privilege_type) FROM pg_class c, \
         aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee WHERE r.rolname = 'worker'";
    let provisioned = server.execute(&database, granted);
    // the same as an administrator would grant
    let after = statements(folder.path(), "after");
    server.execute(&database, "REVOKE ALL ON ALL TABLES IN SCHEMA payments FROM worker");
    server.execute(&database, &grants(folder.path(), "after"));
    assert_eq!(server.execute(&database, granted), provisioned);

    let execute = |sql: &str| drop(server.execute(&database, sql));
    let outcome =
        |right: &str, on: &str| (if is_optional(right, on) { "warning" } else { "failed" }, "connection");
    each_right_is_named(execute, folder.path(), &after, outcome);
    let connecting = statements(folder.path(), "before");
    let (owner, worker) = (connecting[0].replace("CONNECT, CREATE", "CONNECT"), connecting[1].clone());
    each_right_is_named(execute, folder.path(), &[owner], |_, _| ("failed", "provisioningConnection"));
    each_right_is_named(execute, folder.path(), &[worker], |_, _| ("failed", "connection"));
    // the schema is there: nobody needs the right to create one any more
    server.execute(&database, &format!("REVOKE CREATE ON DATABASE {database} FROM owner"));
    let running = Dev::start(folder.path());
    running.append(folder.path());
}

#[test]
fn a_schema_that_an_administrator_makes() {
    let (server, database) = strict_server();
    let folder = manifests(&server, &database, false);
    let before = grants(folder.path(), "before");
    assert!(before.contains("CREATE SCHEMA IF NOT EXISTS \"payments\" AUTHORIZATION \"owner\";"), "{before}");
    server.execute(&database, &before);
    server.execute(&database, "DROP SCHEMA payments");
    let (bad, code) = check(folder.path(), &[]);
    let fix = "CREATE SCHEMA \"payments\" AUTHORIZATION \"owner\"";
    assert!(
        code == 1 && bad.iter().any(|line| line["code"] == "not_provisioned" && line["fix"] == fix),
        "{bad:?}"
    );
    server.execute(&database, fix);
    let running = Dev::start(folder.path());
    running.append(folder.path());
    assert_eq!(check(folder.path(), &[]), (Vec::new(), 0));
    server.execute(&database, "ALTER ROLE worker CONNECTION LIMIT 0");
    drop(running);
    let (bad, code) = check(folder.path(), &[]);
    assert!(code == 3 && bad.len() == 1, "{bad:?}");
    assert_eq!((&bad[0]["check"], &bad[0]["code"]), (&"connections".into(), &"source_unavailable".into()));
    server.execute(&database, "ALTER ROLE worker CONNECTION LIMIT -1");
    // somebody else's tables
    server.execute(&database, "ALTER TABLE payments.polylog_cuts OWNER TO postgres");
    let (bad, code) = check(folder.path(), &[]);
    let fix = "ALTER TABLE \"payments\".polylog_cuts OWNER TO \"owner\"";
    assert!(code == 1 && bad.iter().any(|line| line["fix"] == fix), "{bad:?}");
}

#[test]
fn a_check_writes_nothing() {
    let (server, database) = strict_server();
    let folder = manifests(&server, &database, true);
    let ids = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
    server.execute(&database, &grants(folder.path(), "before"));
    let first = server.execute(&database, ids);
    assert_eq!(check(folder.path(), &[]).1, 0);
    assert_eq!(server.execute(&database, ids), first, "a transaction wrote something");
    Dev::start(folder.path()).append(folder.path());
    let first = server.execute(&database, ids);
    assert_eq!(check(folder.path(), &[]).1, 0);
    assert_eq!(server.execute(&database, ids), first, "a transaction wrote something");
}

#[test]
fn each_bad_database_has_its_line() {
    let server = PostgresServer::start();
    let database = server.create_database();
    let folder = manifests(&server, &database, true);
    let folder = folder.path();
    let url = server.url(&database);
    let both = |url: &str, code: i32, topic: &str, stable: &str, words: &str| {
        bad(folder, url, code, topic, stable, words);
        plan_refuses(folder, url, code, &[stable, words]);
    };
    both("postgres://x:y@127.0.0.1:1/shop", 3, "reachable", "source_unavailable", "unreachable");
    both(&server.url("nowhere"), 1, "reachable", "not_provisioned", "nowhere");
    both(&server.url_as("postgres", "geheim", &database), 1, "credentials", "source_refused", "auth");
    bad(folder, &format!("{url}?sslmode=require"), 1, "tls", "source_refused", "tls");
    let older = OlderPostgres::way_to(&server);
    both(&older.url(&url), 1, "version", "source_refused", "PostgreSQL 15 or newer is needed, this is 14.");
    server.execute(
        "postgres",
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    );
    both(&server.url("latin"), 1, "encoding", "source_refused", "LATIN1");
    let read_only = |to: &str| format!("ALTER DATABASE {database} SET default_transaction_read_only = {to}");
    server.execute("postgres", &read_only("on"));
    both(&url, 1, "writable", "source_refused", "default_transaction_read_only");
    server.execute("postgres", &read_only("off"));
    for setting in ["fsync", "synchronous_commit"] {
        server.execute("postgres", &format!("ALTER SYSTEM SET {setting} = off;; SELECT pg_reload_conf()"));
        wait_for(&server, setting, "off");
        both(&url, 1, "durability", "source_refused", &format!("{setting} is off"));
        let (warned, code) = check(folder, &["--source", &format!("ledger={url}"), "--unsafe-durability"]);
        assert!(code == 0 && warned.iter().any(|line| line["check"] == "durability"), "{warned:?}");
        server.execute("postgres", &format!("ALTER SYSTEM RESET {setting};; SELECT pg_reload_conf()"));
        wait_for(&server, setting, "on");
    }
    server.execute("postgres", "ALTER SYSTEM SET full_page_writes = off;; SELECT pg_reload_conf()");
    wait_for(&server, "full_page_writes", "off");
    let (warned, code) = check(folder, &["--source", &format!("ledger={url}")]);
    assert!(code == 0 && warned.iter().any(|line| line["outcome"] == "warning"), "{warned:?}");
    server.execute("postgres", "ALTER SYSTEM RESET full_page_writes;; SELECT pg_reload_conf()");
    server.execute(&database, "ALTER ROLE postgres CONNECTION LIMIT 3");
    let (warned, code) = check(folder, &["--source", &format!("ledger={url}")]);
    let connections = warned.iter().find(|line| line["check"] == "connections").expect("a line");
    assert!(
        code == 0 && connections["seen"].as_str().is_some_and(|seen| seen.contains("left by the role")),
        "{warned:?}"
    );
    server.execute(&database, "ALTER ROLE postgres CONNECTION LIMIT -1");
    server.execute(&database, "CREATE SCHEMA payments CREATE TABLE polylog_head (a int)");
    both(&url, 1, "tables", "wrong_store", "belongs to another application");
    server.execute(&database, "DROP SCHEMA payments CASCADE");

    let plan = polylog(folder, &["plan", "--source", &format!("ledger={url}")]);
    server.execute(&database, &stdout(&plan));
    for index in ["polylog_events_id", "polylog_events_stream_version", "polylog_events_commit_id"] {
        server.execute(&database, &format!("DROP INDEX payments.{index}"));
        let line = bad(folder, &url, 1, "unique_indexes", "not_provisioned", index);
        server.execute(&database, line["fix"].as_str().expect("statements"));
    }
    server.execute(&database, "DROP TABLE payments.polylog_leases");
    bad(folder, &url, 1, "tables", "not_provisioned", "polylog_leases");
    let plan = polylog(folder, &["plan", "--source", &format!("ledger={url}")]);
    server.execute(&database, &stdout(&plan));
    assert_eq!(check(folder, &["--source", &format!("ledger={url}")]), (Vec::new(), 0));

    let known = folder.join(".polylog/shop.payments");
    std::fs::create_dir_all(&known).expect("a folder");
    std::fs::write(known.join("store-id"), "0198f2c0-0000-7000-8000-000000000001\n").expect("it is written");
    both(&url, 1, "identity", "wrong_store", "0198f2c0-0000-7000-8000-000000000001");
    let empty = server.create_database();
    both(&server.url(&empty), 1, "identity", "wrong_store", "holds no log");
    std::fs::remove_file(known.join("store-id")).expect("it is gone");
    server.execute(&database, "UPDATE payments.polylog_head SET format = 2");
    both(&url, 1, "format", "sidecar_too_old", "2");
}

fn wait_for(server: &PostgresServer, setting: &str, value: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.execute("postgres", &format!("SHOW {setting}")) != value {
        assert!(std::time::Instant::now() < deadline, "{setting} does not become {value}");
    }
}

#[test]
fn what_is_no_database_has_nothing_to_grant_or_check() {
    let store = "apiVersion: polylog.dev/v1alpha1\nkind: EventStore\nmetadata: {name: payments, namespace: shop}\n\
         spec: {sources: [{name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}]}\n";
    let folder = folder(store);
    let output = polylog(folder.path(), &["grants"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains("no Secret ledger-db"), "{text}");
    for (command, word) in [("grants", "nothing to grant"), ("check", "nothing to check")] {
        let output = polylog(folder.path(), &[command, "--source", "ledger=sqlite:./x.db"]);
        assert!(output.status.success() && stdout(&output).contains(word), "{output:?}");
    }
    let output = polylog(folder.path(), &["grants", "--source", "ledger=postgres://clerk@db.example/shop"]);
    let text = stdout(&output);
    assert!(text.contains("GRANT CONNECT, CREATE ON DATABASE \"shop\" TO \"clerk\";"), "{text}");
}
