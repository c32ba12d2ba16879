//! Stores in MariaDB: what differs from PostgreSQL, and that the rest does not.

use serde_json::{Value, json};

use crate::bed::{CLUSTER, MARIADB, Namespace, Operator, condition, store_of};

/// An EventStore with one source in a database of MariaDB.
fn store(name: &str, mysql: Value) -> Value {
    let mut object = store_of(name, json!({}));
    let source = object["spec"]["sources"][0].as_object_mut().expect("a source");
    source.remove("postgres");
    source.insert("mysql".into(), mysql);
    object
}

#[track_caller]
fn told(namespace: &Namespace, store: &str, type_: &str, reason: &str, words: &str) -> Value {
    let object = namespace.until_told(store, type_, "False", reason);
    let message = condition(&object, type_)["message"].as_str().expect("words").to_owned();
    assert!(message.contains(words), "{store}: {message}");
    object
}

#[test]
fn logs_of_one_database_get_their_tables_and_each_its_own_drift() {
    let namespace = Namespace::new("mariadb", true);
    let database = MARIADB.new_name();
    for name in ["payments", "refunds"] {
        namespace.secret(name, &MARIADB.url(&database));
    }
    let prefixed = json!({ "database": database, "tablePrefix": "pay_" });
    namespace.apply(&store("payments", prefixed.clone()));
    namespace.apply(&store("refunds", json!({ "database": database })));
    let _operator = Operator::start(&namespace, 1);
    for (name, head) in [("payments", "pay_polylog_head"), ("refunds", "polylog_head")] {
        let provisioned = namespace.until_told(name, "Provisioned", "True", "UpToDate");
        let log = MARIADB.execute(&database, &format!("SELECT LOWER(HEX(log)) FROM {head}"));
        assert_eq!(provisioned["status"]["storeId"].as_str().expect("a log").replace('-', ""), log);
        assert_eq!(provisioned["status"]["sources"][0]["state"], "InSync");
        assert_eq!(condition(&provisioned, "CredentialsValid")["status"], "True", "{provisioned:#}");
        namespace.until("deployment", &format!("polylog-{name}"), |object| !object.is_null());
    }
    let map = namespace.get("configmap", "polylog-payments");
    assert!(map["data"]["eventstore.yaml"].as_str().expect("a manifest").contains("pay_"), "{map:#}");

    // drift: what is missing is made again, what nobody asked for waits
    let index = |name: &str| {
        let sql = format!(
            "SELECT count(DISTINCT INDEX_NAME) FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = '{database}' AND INDEX_NAME = '{name}'"
        );
        MARIADB.execute(&database, &sql)
    };
    MARIADB.execute(&database, "DROP INDEX pay_polylog_events_category ON pay_polylog_events");
    namespace.until("eventstore", "payments", |_| index("pay_polylog_events_category") == "1");
    MARIADB.execute(&database, "CREATE INDEX pay_polylog_mine ON pay_polylog_events (type, id)");
    let waiting = namespace.until_told("payments", "ApprovalRequired", "True", "PlanWaits");
    let plan = namespace.until("configmap", "polylog-payments-plan", |map| !map.is_null());
    assert!(plan["data"]["plan.sql"].as_str().expect("SQL").contains("DROP INDEX `pay_polylog_mine`"));
    let other = namespace.get("eventstore", "refunds");
    assert_eq!(condition(&other, "ApprovalRequired")["status"], "False", "{other:#}");
    let hash = waiting["status"]["plan"]["hash"].as_str().expect("a hash");
    let approval = format!("polylog.dev/approve-plan={hash}");
    namespace.kubectl(&["annotate", "eventstore", "payments", &approval], "");
    namespace.until_told("payments", "ApprovalRequired", "False", "NothingWaits");
    assert_eq!(index("pay_polylog_mine"), "0");

    // the prefix stays as it is, and a log that is lost is not taken for a new one
    let moved = store("payments", json!({ "database": database, "tablePrefix": "moved_" })).to_string();
    let arguments = ["--namespace", "mariadb", "apply", "--server-side", "--force-conflicts", "-f", "-"];
    let refused = CLUSTER.run_kubectl(&arguments, &moved);
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && words.contains("the table prefix cannot change"), "{words}");
    let tables = ["head", "events", "configs", "cuts", "quarantine", "leases"];
    let lost = tables.map(|table| format!("pay_polylog_{table}")).join(", ");
    MARIADB.execute(&database, &format!("DROP TABLE {lost}"));
    told(&namespace, "payments", "Valid", "IdentityConflict", "restore it");
    assert_eq!(MARIADB.execute(&database, "SHOW TABLES LIKE 'pay%'"), "");
    let other = namespace.get("eventstore", "refunds");
    assert_eq!(condition(&other, "Provisioned")["status"], "True", "{other:#}");
}

#[test]
fn each_bad_database_of_mariadb_says_what_to_do() {
    let namespace = Namespace::new("mariadb-refused", true);
    let database = MARIADB.create_database();
    for name in ["good", "foreign", "shared"] {
        namespace.secret(name, &MARIADB.url(&database));
    }
    MARIADB.execute(
        &database,
        "CREATE USER weak@'%' IDENTIFIED BY 'weak'; CREATE TABLE foreign_polylog_events (mine int)",
    );
    namespace.secret("password", &MARIADB.url_as("weak", "wrong", ""));
    namespace.secret("rights", &MARIADB.url_as("weak", "weak", ""));
    namespace.secret("closed", "mysql://root:secret@127.0.0.1:9/");
    namespace.secret("elsewhere", &MARIADB.url("another"));
    let with = |prefix: &str| json!({ "database": database, "tablePrefix": prefix });
    namespace.apply(&store("good", with("")));
    for name in ["password", "rights", "closed", "elsewhere", "foreign"] {
        namespace.apply(&store(name, with(&format!("{name}_"))));
    }
    let operator = Operator::start(&namespace, 600);
    namespace.until_told("good", "Provisioned", "True", "UpToDate");
    let password =
        told(&namespace, "password", "Provisioned", "Unauthorized", "correct the user or the password");
    assert_eq!(condition(&password, "CredentialsValid")["status"], "False");
    assert!(!password.to_string().contains("wrong"), "no credential is told: {password:#}");
    told(&namespace, "rights", "Provisioned", "InsufficientRights", "rights_polylog_");
    told(&namespace, "closed", "Provisioned", "Unreachable", "correct the address");
    told(&namespace, "elsewhere", "Valid", "InvalidConnection", "the address names the database another");
    told(&namespace, "foreign", "Valid", "ForeignTable", ".foreign_polylog_events belongs");
    namespace.apply(&store("shared", with("")));
    told(&namespace, "shared", "Valid", "IdentityConflict", "EventStore mariadb-refused/good");
    assert_eq!(MARIADB.execute(&database, "SELECT count(*) FROM polylog_head"), "1", "nothing was touched");
    assert_eq!(MARIADB.execute(&database, "SHOW TABLES LIKE 'foreign%'"), "foreign_polylog_events");

    // what is mended is noticed without a change of the EventStore
    MARIADB.execute(&database, &format!("GRANT ALL ON {database}.* TO weak@'%'"));
    namespace.until_told("rights", "Provisioned", "True", "UpToDate");
    namespace.secret("password", &MARIADB.url_as("weak", "weak", ""));
    let password = namespace.until_told("password", "Provisioned", "True", "UpToDate");
    assert_eq!(condition(&password, "CredentialsValid")["status"], "True");
    assert!(!operator.log().contains("weak:w"));
}
