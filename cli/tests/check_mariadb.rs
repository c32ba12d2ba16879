//! `polylog grants`, `check` and `plan` against real MariaDB servers.

mod preflight;

use polylog_test_bed::MariadbServer;
use preflight::{
    Dev, bad, check, each_right_is_named, folder, grants, is_optional, plan_refuses, polylog, statements,
    stdout,
};
use tempfile::TempDir;

/// Tables are created by one user, rows are written by another.
fn manifests(server: &MariadbServer, database: &str) -> TempDir {
    let port = server.port();
    folder(&format!(
        "apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {{name: payments, namespace: shop}}
spec:
  sources:
    - name: ledger
      connection: {{secretRef: {{name: ledger-db}}}}
      provisioningConnection: {{secretRef: {{name: ledger-db, key: owner}}}}
      mysql: {{database: {database}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: ledger-db, namespace: shop}}
stringData:
  url: mysql://worker:geheim@127.0.0.1:{port}
  owner: mysql://owner:geheim@127.0.0.1:{port}
"
    ))
}

/// A server with two users who may do nothing, and the name of a database that is not there.
fn strict_server() -> (MariadbServer, String) {
    let server = MariadbServer::start();
    server.execute(
        "mysql",
        "CREATE USER owner@'%' IDENTIFIED BY 'geheim'; CREATE USER worker@'%' IDENTIFIED BY 'geheim'",
    );
    let database = server.new_name();
    (server, database)
}

#[test]
fn what_grants_prints_is_enough_and_each_part_of_it_is_needed() {
    let (server, database) = strict_server();
    let folder = manifests(&server, &database);
    let folder = folder.path();
    let execute = |sql: &str| drop(server.execute("mysql", sql));
    let (bad, code) = check(folder, &[]);
    assert!(code == 1 && bad.iter().all(|line| line["check"] == "rights"), "{bad:?}");

    let before = grants(folder, "before");
    assert!(before.contains("connection, role 'worker'@'%': before the first start"), "{before}");
    execute(&before);
    let (bad, code) = check(folder, &[]);
    assert_eq!((bad.len(), code), (1, 0), "{bad:?}");
    assert_eq!((&bad[0]["check"], &bad[0]["outcome"]), (&"tables".into(), &"unknown".into()));
    // no other database is opened: a `_` in a grant is one
    let other = database.replace('_', "X");
    let url = format!("ledger=mysql://owner:geheim@127.0.0.1:{}/{other}", server.port());
    assert_eq!(check(folder, &["--source", &url]).1, 1);

    // each of them is needed for the first start, but one, which only later versions need
    let statement = &statements(folder, "before")[0];
    let (rights, on) =
        statement.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON ")).expect("one");
    let on = on.split(" TO ").next().expect("a database");
    assert!(rights.split(", ").count() == 7 && statement.ends_with("TO 'owner'@'%' WITH GRANT OPTION"));
    for right in rights.split(", ").chain(["GRANT OPTION"]) {
        execute(&format!("REVOKE {right} ON {on} FROM 'owner'@'%'"));
        let (bad, code) = check(folder, &[]);
        let fix = format!("GRANT {right} ON {on} TO 'owner'@'%'");
        let named = bad.iter().find(|line| line["fix"] == fix.as_str());
        let named = named.unwrap_or_else(|| panic!("{right}: {bad:?}"));
        let (outcome, expected) = if right == "ALTER" { ("warning", 0) } else { ("failed", 1) };
        assert_eq!((&named["outcome"], code, bad.len()), (&outcome.into(), expected, 2), "{right}: {bad:?}");
        let dev = ["dev", "--port", "0", "--health-port", "0", "--source", "ledger=declared"];
        if right != "ALTER" {
            let output = polylog(folder, &dev);
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(1) && text.contains("rights"), "{right}: {text}");
            execute(&format!("DROP DATABASE IF EXISTS {database}"));
        }
        execute(&fix);
    }

    let running = Dev::start(folder);
    running.append(folder);
    drop(running);
    assert_eq!(check(folder, &[]), (Vec::new(), 0));
    let granted =
        "SELECT Table_name, Table_priv FROM mysql.tables_priv WHERE User = 'worker' ORDER BY Table_name";
    let provisioned = server.execute("mysql", granted);
    assert_eq!(provisioned.lines().count(), 6);
    // the same as an administrator would grant
    execute("REVOKE ALL PRIVILEGES, GRANT OPTION FROM worker@'%'");
    let (bad, code) = check(folder, &[]);
    assert!(code == 1 && bad.len() == 6, "{bad:?}");
    execute(&grants(folder, "after"));
    assert_eq!(server.execute("mysql", granted), provisioned);

    let after = statements(folder, "after");
    each_right_is_named(execute, folder, &after, |right, on| {
        (if is_optional(right, on) { "warning" } else { "failed" }, "connection")
    });
    // what is there is only looked at
    each_right_is_named(execute, folder, std::slice::from_ref(statement), |right, _| {
        (if right == "SELECT" { "failed" } else { "warning" }, "provisioningConnection")
    });
    execute("REVOKE ALL PRIVILEGES, GRANT OPTION FROM owner@'%'");
    execute(&format!("GRANT SELECT ON {on} TO owner@'%'"));
    let running = Dev::start(folder);
    running.append(folder);
}

/// One user for both.
#[test]
fn one_user_that_creates_and_writes() {
    let (server, database) = strict_server();
    let folder = manifests(&server, &database);
    let folder = folder.path();
    let url = format!("ledger=mysql://owner:geheim@127.0.0.1:{}/{database}", server.port());
    let at = ["--source", url.as_str()];
    let output = polylog(folder, &["grants", at[0], at[1]]);
    let sql = stdout(&output);
    assert!(output.status.success() && !sql.contains("GRANT OPTION") && !sql.contains("after"), "{sql}");
    server.execute("mysql", &sql);
    assert_eq!(check(folder, &at).1, 0);
    let sql = stdout(&polylog(folder, &["plan", at[0], at[1]]));
    let client = server
        .client("information_schema")
        .args(["-u", "owner", "-pgeheim", "-e", &sql])
        .output()
        .expect("mariadb");
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    assert_eq!(check(folder, &at), (Vec::new(), 0));
}

#[test]
fn a_check_writes_nothing() {
    let (server, database) = strict_server();
    let folder = manifests(&server, &database);
    let folder = folder.path();
    server.execute("mysql", &grants(folder, "before"));
    let written = || server.execute("mysql", "SHOW MASTER STATUS");
    let first = written();
    assert_eq!(check(folder, &[]).1, 0);
    assert_eq!(written(), first, "the binary log has something new");
    Dev::start(folder).append(folder);
    let first = written();
    assert_eq!(check(folder, &[]).1, 0);
    assert_eq!(written(), first, "the binary log has something new");
}

#[test]
fn each_bad_database_has_its_line() {
    let server = MariadbServer::start();
    let database = server.new_name();
    let folder = manifests(&server, &database);
    let folder = folder.path();
    let url = server.url(&database);
    let both = |url: &str, code: i32, topic: &str, stable: &str, words: &str| {
        bad(folder, url, code, topic, stable, words);
        plan_refuses(folder, url, code, &[stable, words]);
    };
    both("mysql://x:y@127.0.0.1:1/shop", 3, "reachable", "source_unavailable", "unreachable");
    both(&server.url_as("root", "geheim", &database), 1, "credentials", "source_refused", "auth");
    bad(folder, &format!("{url}?ssl-mode=required"), 1, "tls", "source_refused", "tls");
    let set = |setting: &str, value: &str| {
        server.execute("mysql", &format!("SET GLOBAL {setting} = {value}"));
    };
    set("read_only", "1");
    both(&url, 1, "writable", "source_refused", "read_only");
    set("read_only", "0");
    set("binlog_format", "STATEMENT");
    both(&url, 1, "durability", "source_refused", "binlog_format");
    set("binlog_format", "MIXED");
    for (setting, bad_value) in [("innodb_flush_log_at_trx_commit", "2"), ("sync_binlog", "0")] {
        set(setting, bad_value);
        both(&url, 1, "durability", "source_refused", &format!("{setting} is {bad_value}"));
        let source = format!("ledger={url}");
        let (warned, code) = check(folder, &["--source", &source, "--unsafe-durability"]);
        assert!(code == 0 && warned.iter().any(|line| line["check"] == "durability"), "{warned:?}");
        let plan = polylog(folder, &["plan", "--source", &source, "--unsafe-durability"]);
        assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
        set(setting, "1");
    }
    let here = |user: &str| format!("ledger={}", server.url_as(user, "geheim", &database));
    server.execute("mysql", "CREATE USER few@'%' IDENTIFIED BY 'geheim' WITH MAX_USER_CONNECTIONS 3");
    server.execute("mysql", &format!("GRANT ALL ON {database}.* TO few@'%'"));
    let (warned, code) = check(folder, &["--source", &here("few")]);
    let connections = warned.iter().find(|line| line["check"] == "connections").expect("a line");
    let left = connections["seen"].as_str().expect("text");
    assert!(code == 0 && left.contains("3 left by the account's max_user_connections"), "{warned:?}");
    server.execute("mysql", "CREATE USER none@'%' IDENTIFIED BY 'geheim' WITH MAX_CONNECTIONS_PER_HOUR 1");
    check(folder, &["--source", &here("none")]);
    bad(folder, &server.url_as("none", "geheim", &database), 3, "connections", "source_unavailable", "none");
    server.execute(
        "mysql",
        &format!(
            "CREATE DATABASE {database} CHARACTER SET latin1; CREATE TABLE {database}.polylog_head (a int)"
        ),
    );
    both(&url, 1, "tables", "wrong_store", "belongs to another application");
    server.execute(&database, "DROP TABLE polylog_head");

    let source = format!("ledger={url}");
    let at = ["--source", source.as_str()];
    let plan = || server.execute("mysql", &stdout(&polylog(folder, &["plan", at[0], at[1]])));
    plan();
    assert_eq!(check(folder, &at), (Vec::new(), 0), "the database's own character set does not count");
    for index in ["polylog_events_id", "polylog_events_stream_version", "polylog_events_commit_id"] {
        server.execute(&database, &format!("DROP INDEX {index} ON polylog_events"));
        let line = bad(folder, &url, 1, "unique_indexes", "not_provisioned", index);
        server.execute("mysql", line["fix"].as_str().expect("statements"));
    }
    server.execute(&database, "ALTER TABLE polylog_cuts ENGINE=MyISAM");
    bad(folder, &url, 1, "tables", "source_refused", "MyISAM");
    plan();
    server.execute(&database, "DROP TABLE polylog_leases");
    bad(folder, &url, 1, "tables", "not_provisioned", "polylog_leases");
    plan();
    assert_eq!(check(folder, &at), (Vec::new(), 0));

    let known = folder.join(".polylog/shop.payments");
    std::fs::create_dir_all(&known).expect("a folder");
    std::fs::write(known.join("store-id"), "0198f2c0-0000-7000-8000-000000000001\n").expect("it is written");
    both(&url, 1, "identity", "wrong_store", "0198f2c0-0000-7000-8000-000000000001");
    both(&server.url("test_nowhere"), 1, "identity", "wrong_store", "holds no log");
    std::fs::remove_file(known.join("store-id")).expect("it is gone");
    server.execute(&database, "UPDATE polylog_head SET format = 2");
    both(&url, 1, "format", "sidecar_too_old", "2");
}

/// What the server says of itself is all that is known of it: this one only says so.
#[test]
fn a_server_of_another_version_or_kind() {
    for (version, words) in [("10.6.18-MariaDB", "10.11 or newer"), ("8.0.40", "MySQL 8 is not tested")] {
        let server = MariadbServer::with(&[("version", version)]);
        let database = server.new_name();
        let folder = manifests(&server, &database);
        let url = server.url(&database);
        bad(folder.path(), &url, 1, "version", "source_refused", words);
        plan_refuses(folder.path(), &url, 1, &["source_refused", words, version]);
    }
}

#[test]
fn without_a_server_the_grants_are_printed() {
    let folder = folder(
        "apiVersion: polylog.dev/v1alpha1\nkind: EventStore\nmetadata: {name: payments, namespace: shop}\n\
         spec: {sources: [{name: ledger, connection: {secretRef: {name: ledger-db}}, mysql: {database: pay_s}}]}\n",
    );
    let output = polylog(folder.path(), &["grants", "--source", "ledger=mysql://clerk@db.example"]);
    let text = stdout(&output);
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON `pay\\_s`.* TO 'clerk'@'%';";
    assert!(output.status.success() && text.contains(grant), "{text}");
}
