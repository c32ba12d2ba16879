//! Two credentials a source: one that makes tables, which only the operator has, and one that reads and writes rows.

use std::fs;

use polylog_log::GrantStage;
use polylog_sidecar::{config::declared_sources, sources::Looked};
use polylog_test_bed::PostgresServer;
use serde_json::{Value, json};

use crate::{
    bed::{MARIADB, Namespace, Operator, condition, store_of},
    running::Running,
};

/// What `polylog grants` prints for a store of one source, at a stage.
fn grants(store: &Value, secrets: &[(&str, &str)], stage: GrantStage) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut objects = vec![store.clone()];
    objects.extend(secrets.iter().map(|(name, url)| {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": { "url": url } })
    }));
    for (number, object) in objects.iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.json")), object.to_string()).expect("a file");
    }
    let sources = declared_sources(folder.path(), &[]).expect("manifests");
    let grants = Looked::of(&sources[0], false).and_then(|looked| looked.grants()).expect("names");
    let grants = grants.expect("a server's").into_iter().filter(|grants| grants.stage == stage);
    grants.flat_map(|grants| grants.statements).collect()
}

/// The store, whose tables are made through the Secret `<store>-owner-db`.
fn apart(store: &str) -> Value {
    let mut object = store_of(store, json!({}));
    object["spec"]["sources"][0]["provisioningConnection"] =
        json!({ "secretRef": { "name": format!("{store}-owner-db") } });
    object
}

#[track_caller]
fn told(namespace: &Namespace, store: &str, type_: &str, reason: &str, words: &[&str]) -> Value {
    let object = namespace.until_told(store, type_, "False", reason);
    let message = condition(&object, type_)["message"].as_str().expect("words").to_owned();
    for words in words {
        assert!(message.contains(words), "{store}: {message}");
    }
    object
}

/// Users and what they had carried out, statement by statement.
fn statements(server: &PostgresServer) -> Vec<(String, String)> {
    let log = fs::read_to_string(server.folder().join("log")).expect("a log");
    let of = |line: &str| {
        let (user, rest) = line.split_once("|LOG:  ")?;
        let (_, statement) = rest.split_once(": ")?;
        Some((user.to_owned(), statement.to_owned()))
    };
    log.lines().filter_map(of).collect()
}

#[test]
fn only_the_operator_can_make_tables_and_it_does_nothing_else() {
    let namespace = Namespace::new("credentials", true);
    let server = PostgresServer::with(&[("log_statement", "all"), ("log_line_prefix", "%u|")]);
    let database = server.create_database();
    let roles = "CREATE ROLE owner LOGIN PASSWORD 'owner'; CREATE ROLE rows LOGIN PASSWORD 'rows'";
    server.execute(&database, roles);
    let owner = server.url_as("owner", "owner", &database);
    let rows = server.url_as("rows", "rows", &database);
    let mut store = apart("payments");
    store["spec"]["gateway"] = json!({ "pool": 30 });
    let secrets = [("payments-db", rows.as_str()), ("payments-owner-db", owner.as_str())];
    for statement in grants(&store, &secrets, GrantStage::Before) {
        server.execute(&database, &statement);
    }
    namespace.secret("payments", &rows);
    namespace.secret("payments-owner", &owner);
    namespace.apply(&store);
    let operator = Operator::start(&namespace, 1);
    let ready = namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    assert_eq!(condition(&ready, "CredentialsValid")["status"], "True", "{ready:#}");
    // of 200, three are the superuser's
    let budget = condition(&ready, "ConnectionBudget");
    let is_told = budget["message"].to_string().contains("max_connections is 197");
    assert!(budget["status"] == "True" && is_told, "{budget}");

    // what is mounted reads and writes rows, and is the other credential alone
    let gateway = Running::gateway(&namespace, "payments");
    gateway.append("Payment-1");
    let sidecar = Running::sidecar(&namespace, "payments");
    sidecar.append("Payment-2");
    for running in [&gateway, &sidecar] {
        assert_eq!(running.files["sources/ledger/url"], rows);
        assert!(running.files.values().all(|content| !content.contains("owner")), "{:?}", running.files);
    }
    let users = "SELECT string_agg(DISTINCT usename, ',') FROM pg_stat_activity \
         WHERE application_name = 'polylog' AND usename <> 'owner'";
    assert_eq!(server.execute(&database, users), "rows");

    // nothing but what was asked of the administrator, or is said to be done by the first start
    let rights = || {
        let tables = "SELECT table_name, privilege_type FROM information_schema.role_table_grants \
             WHERE grantee = 'rows' ORDER BY 1, 2";
        let schema = "SELECT nspacl FROM pg_namespace WHERE nspname = 'payments'";
        server.execute(&database, &format!("{tables};;{schema}"))
    };
    let granted = rights();
    assert!(granted.contains("polylog_events|INSERT") && granted.contains("rows=U/owner"), "{granted}");
    for statement in grants(&store, &secrets, GrantStage::After) {
        server.execute(&database, &statement);
    }
    assert_eq!(rights(), granted, "as `polylog grants` prints it");
    for forbidden in [
        "CREATE TABLE payments.mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE INDEX mine ON payments.polylog_events (type)",
        "ALTER TABLE payments.polylog_events ADD COLUMN mine int",
        "DROP TABLE payments.polylog_events",
        "TRUNCATE payments.polylog_events",
    ] {
        let tried = server.client(&database).args(["-c", "SET ROLE rows", "-c", forbidden]).output();
        let words = String::from_utf8_lossy(&tried.expect("psql").stderr).into_owned();
        assert!(
            words.contains("permission denied") || words.contains("must be owner"),
            "{forbidden}: {words}"
        );
    }

    // each did its own
    let all = statements(&server);
    let of = |user: &'static str| {
        all.iter().filter(move |(by, _)| by == user).map(|(_, statement)| statement.as_str())
    };
    let makes = |statement: &str| {
        ["CREATE ", "ALTER ", "DROP ", "GRANT "].iter().any(|word| statement.starts_with(word))
    };
    let writes = |statement: &str| statement.contains("INSERT INTO") && statement.contains("polylog_events");
    assert!(of("owner").any(makes) && of("rows").any(writes), "{all:?}");
    assert_eq!(of("rows").find(|statement| makes(statement)), None);
    assert_eq!(of("owner").find(|statement| writes(statement)), None);

    // where the tables are there, the credential of rows is enough; not to make what is missing
    namespace.store("payments", json!({}));
    let looked = operator.sum("polylog_operator_reconciles_total");
    let alone = namespace.until("eventstore", "payments", |store| {
        store["status"]["observedGeneration"] == store["metadata"]["generation"]
            && operator.sum("polylog_operator_reconciles_total") > looked + 2
    });
    assert_eq!(condition(&alone, "Provisioned")["status"], "True", "{alone:#}");
    server.execute(&database, "DROP INDEX payments.polylog_events_category");
    let asked = ["polylog grants prints the statements", "or give a provisioningConnection that may"];
    let lacking = told(&namespace, "payments", "Provisioned", "InsufficientRights", &asked);
    assert_eq!(lacking["status"]["plan"]["phase"], "Failed", "{lacking:#}");
    gateway.append("Payment-3");
    namespace.apply(&store);
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    assert_eq!(
        server.execute(&database, "SELECT to_regclass('payments.polylog_events_category') IS NULL"),
        "f"
    );

    server.execute(&database, "ALTER ROLE rows CONNECTION LIMIT 29");
    let limit =
        ["ledger may get 30 connections", "the role's connection limit is 29", "set delivery: Gateway"];
    let full = told(&namespace, "payments", "ConnectionBudget", "TooMany", &limit);
    assert_eq!(condition(&full, "Provisioned")["status"], "True", "{full:#}");
}

#[test]
fn a_credential_that_is_not_good_enough_is_named_with_what_to_do() {
    let namespace = Namespace::new("credentials-bad", true);
    let server = PostgresServer::start();
    let database = server.create_database();
    let roles = "CREATE ROLE owner LOGIN PASSWORD 'owner'; CREATE ROLE rows LOGIN PASSWORD 'rows'";
    server.execute(&database, &format!("{roles}; GRANT CREATE ON DATABASE {database} TO owner"));
    let owner = server.url_as("owner", "owner", &database);
    let rows = server.url_as("rows", "rows", &database);
    let wrong = |role: &str| server.url_as(role, "wrong", &database);
    for (store, connection, provisioning) in [
        ("bare", rows.clone(), owner.clone()),
        ("weak", rows.clone(), rows.clone()),
        ("stranger", rows.clone(), wrong("owner")),
        ("rejected", wrong("rows"), owner.clone()),
        ("nobody", server.url_as("nobody", "none", &database), owner.clone()),
    ] {
        namespace.secret(store, &connection);
        namespace.secret(&format!("{store}-owner"), &provisioning);
    }
    namespace.store("bare", json!({}));
    for store in ["weak", "stranger", "rejected", "nobody"] {
        namespace.apply(&apart(store));
    }
    let maria = MARIADB.new_name();
    MARIADB.execute("mysql", "CREATE USER maria_rows@'%' IDENTIFIED BY 'rows'");
    let in_mariadb = |store: &str| {
        let mut object = apart(store);
        let source = object["spec"]["sources"][0].as_object_mut().expect("a source");
        source.remove("postgres");
        source.insert("mysql".into(), json!({ "database": maria, "tablePrefix": format!("{store}_") }));
        object
    };
    for (store, password) in [("maria", "rows"), ("mistaken", "wrong")] {
        namespace.secret(store, &MARIADB.url_as("maria_rows", password, ""));
        namespace.secret(&format!("{store}-owner"), &MARIADB.url(""));
        namespace.apply(&in_mariadb(store));
    }
    let operator = Operator::start(&namespace, 600);

    let grant = ["polylog grants prints the statements", "or give a provisioningConnection that may"];
    for store in ["bare", "weak"] {
        let bare = told(&namespace, store, "Provisioned", "InsufficientRights", &grant);
        assert_eq!(condition(&bare, "CredentialsValid")["status"], "False", "{bare:#}");
    }
    let stranger = ["by provisioningConnection", "correct the user or the password"];
    told(&namespace, "stranger", "Provisioned", "Unauthorized", &stranger);
    // its tables are there, and nobody can write to them
    let connection = [", by connection", "correct the user or the password"];
    let rejected = told(&namespace, "rejected", "CredentialsValid", "Unauthorized", &connection);
    assert_eq!(condition(&rejected, "Provisioned")["status"], "True", "{rejected:#}");
    assert_eq!(condition(&rejected, "Ready")["reason"], "Unauthorized", "{rejected:#}");
    told(
        &namespace,
        "nobody",
        "Provisioned",
        "NotProvisioned",
        &["there is no role \"nobody\"; create it first"],
    );
    told(&namespace, "mistaken", "Provisioned", "Unauthorized", &connection);
    let made = namespace.until_told("maria", "Provisioned", "True", "UpToDate");
    assert_eq!(condition(&made, "CredentialsValid")["status"], "True", "{made:#}");
    let budget = condition(&made, "ConnectionBudget");
    let is_told = budget["message"].to_string().contains("max_connections is ");
    assert!(budget["status"] == "True" && is_told, "{budget}");
    let granted = MARIADB.execute("mysql", "SHOW GRANTS FOR maria_rows@'%'");
    let rights = |word: &str| granted.contains(word);
    assert!(rights("INSERT") && !rights("CREATE") && !rights("ALTER") && !rights("INDEX"), "{granted}");

    // what is mended is noticed without a change of the EventStore, but for a field that was not there
    namespace.apply(&apart("bare"));
    namespace.secret("weak-owner", &owner);
    namespace.secret("stranger-owner", &owner);
    namespace.secret("mistaken", &MARIADB.url_as("maria_rows", "rows", ""));
    server.execute(&database, "CREATE ROLE nobody LOGIN PASSWORD 'none'");
    for store in ["bare", "weak", "stranger", "nobody", "mistaken"] {
        namespace.until_told(store, "Provisioned", "True", "UpToDate");
    }
    namespace.secret("rejected", &rows);
    namespace.until_told("rejected", "CredentialsValid", "True", "Accepted");
    assert!(
        !operator.log().contains("owner:owner") && !operator.log().contains("rows:"),
        "no credential is logged"
    );
}
