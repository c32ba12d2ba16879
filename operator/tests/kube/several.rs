//! A log over PostgreSQL, MariaDB and a second PostgreSQL: what the operator says of each of them, and what it does when one
//! of them is away, or empty.

use polylog_test_bed::PostgresServer;
use serde_json::{Value, json};

use crate::bed::{MARIADB, Namespace, Operator, POSTGRES, condition};

struct Databases {
    ledger: String,
    mirror: String,
    spare: String,
    server: PostgresServer,
}

impl Databases {
    fn new() -> Self {
        let server = PostgresServer::start();
        let spare = server.create_database();
        Self { ledger: POSTGRES.create_database(), mirror: MARIADB.new_name(), spare, server }
    }

    fn secrets(&self, namespace: &Namespace) {
        namespace.secret("ledger", &POSTGRES.url(&self.ledger));
        namespace.secret("mirror", &MARIADB.url(&self.mirror));
        namespace.secret("spare", &self.server.url(&self.spare));
    }

    fn sources(&self) -> Value {
        let source = |name: &str, (field, place): (&str, Value)| {
            json!({
                "name": name, "connection": { "secretRef": { "name": format!("{name}-db") } }, (field): place,
            })
        };
        json!([
            source("ledger", ("postgres", json!({ "schema": "payments" }))),
            source("mirror", ("mysql", json!({ "database": self.mirror }))),
            source("spare", ("postgres", json!({ "schema": "payments" }))),
        ])
    }

    /// What the third one is now: log, database and incarnation.
    fn spare(&self) -> [String; 3] {
        let of = |column: &str| {
            self.server.execute(&self.spare, &format!("SELECT {column} FROM payments.polylog_head"))
        };
        ["log", "database", "incarnation"].map(of)
    }

    fn empty_spare(&self) {
        self.server.execute(&self.spare, "DROP SCHEMA payments CASCADE");
    }
}

fn source(store: &Value, name: &str) -> Value {
    let all = store["status"]["sources"].as_array().expect("sources");
    all.iter().find(|source| source["name"] == name).expect("it is there").clone()
}

fn until_said(namespace: &Namespace, words: &str) -> Value {
    namespace.until("eventstore", "payments", |store| {
        store["status"]["sources"].is_array() && source(store, "spare")["message"].to_string().contains(words)
    })
}

#[test]
fn a_source_that_is_away_or_was_emptied_holds_up_no_other_and_never_comes_back_as_the_voter_that_it_was() {
    let namespace = Namespace::new("several", true);
    let databases = Databases::new();
    databases.secrets(&namespace);
    namespace.store("payments", json!({ "sources": databases.sources() }));
    let operator = Operator::start(&namespace, 1);
    let store = namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    let begun = databases.spare();
    let log = begun[0].clone();
    assert_eq!(store["status"]["storeId"], json!(log));
    assert_eq!(POSTGRES.execute(&databases.ledger, "SELECT log FROM payments.polylog_head"), log);
    let mirror = MARIADB.execute(&databases.mirror, "SELECT LOWER(HEX(log)) FROM polylog_head");
    assert_eq!(mirror, log.replace('-', ""));
    assert_eq!(store["status"]["sources"].as_array().map(Vec::len), Some(3), "{store:#}");
    for name in ["ledger", "mirror", "spare"] {
        assert_eq!(source(&store, name)["role"], "Voter", "a log begins with all of them: {store:#}");
    }
    assert_eq!(source(&store, "spare")["databaseId"], json!(begun[1]));
    // which database each is, is told to sidecars and gateway
    let told = |of: &[String; 3]| {
        namespace.until("configmap", "polylog-payments", |map| {
            let text = map["data"]["eventstore.yaml"].as_str().unwrap_or_default();
            text.contains(&of[1]) && text.contains(&of[2])
        });
    };
    told(&begun);

    // one that is away is said to be, and comes back
    databases.server.crash();
    let away = until_said(&namespace, "it is tried again by itself");
    assert_eq!(condition(&away, "Provisioned")["status"], "True", "{away:#}");
    assert_eq!(source(&away, "spare")["databaseId"], json!(begun[1]), "what was seen stays true");
    databases.server.start_again();

    // one that is empty is said to be: the store stays what it is, and somebody decides
    databases.empty_spare();
    let waiting = namespace.until_told("payments", "Provisioned", "False", "ApprovalRequired");
    assert_eq!(condition(&waiting, "Valid")["status"], "True", "{waiting:#}");
    let waiting = until_said(&namespace, "holds no log");
    assert!(source(&waiting, "mirror")["message"].is_null(), "{waiting:#}");
    let hash = waiting["status"]["plan"]["hash"].as_str().expect("a hash").to_owned();
    assert_eq!(databases.server.execute(&databases.spare, "SELECT to_regnamespace('payments') IS NULL"), "t");
    let approval = format!("polylog.dev/approve-plan={hash}");
    namespace.kubectl(&["annotate", "eventstore", "payments", &approval], "");
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    let anew = databases.spare();
    assert_eq!(anew[0], log);
    assert!(anew[1] != begun[1] && anew[2] != begun[2], "{anew:?} was a voter before: {begun:?}");
    told(&anew);

    // what was written down of the store is lost too, as when a backup of its manifest is put back
    operator.kill();
    databases.empty_spare();
    let forget = r#"[{"op": "remove", "path": "/status"}]"#;
    namespace.kubectl(
        &["patch", "eventstore", "payments", "--subresource=status", "--type=json", "-p", forget],
        "",
    );
    let _operator = Operator::start(&namespace, 600);
    let store = namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    assert_eq!(store["status"]["storeId"], json!(log), "{store:#}");
    let again = databases.spare();
    assert_eq!(again[0], log);
    for before in [&begun, &anew] {
        assert!(again[1] != before[1] && again[2] != before[2], "{again:?} was a voter before: {before:?}");
    }
    told(&again);
}
