use serde_json::{Value, json};

use crate::bed::{Namespace, Operator, POSTGRES, condition, store_of};

#[track_caller]
fn told(namespace: &Namespace, store: &str, type_: &str, reason: &str, words: &str) -> Value {
    let object = namespace.until_told(store, type_, "False", reason);
    let message = condition(&object, type_)["message"].as_str().expect("words").to_owned();
    assert!(message.contains(words), "{store}: {message}");
    assert_eq!(condition(&object, "Ready")["status"], "False", "{store}");
    object
}

#[test]
fn each_bad_manifest_says_what_to_do_and_no_other_store_notices() {
    let namespace = Namespace::new("refused", true);
    let database = POSTGRES.create_database();
    let url = POSTGRES.url(&database);
    let stores =
        ["good", "lanes", "nokey", "closed", "password", "rights", "foreign", "shared", "never", "garbled"];
    for store in stores {
        namespace.secret(store, &url);
    }
    POSTGRES.execute(
        &database,
        "CREATE ROLE weak LOGIN PASSWORD 'weak'; CREATE SCHEMA \"foreign\"; \
         CREATE TABLE \"foreign\".polylog_events (mine int)",
    );
    namespace.secret("closed", "postgres://postgres:secret@127.0.0.1:9/shop");
    namespace.secret("password", &POSTGRES.url_as("weak", "wrong", &database));
    namespace.secret("rights", &POSTGRES.url_as("weak", "weak", &database));
    namespace.secret("garbled", "mysql://somewhere/else");
    namespace.store("good", json!({}));
    namespace.store("lanes", json!({ "lanes": { "count": 2 } }));
    namespace.store("nosecret", json!({}));
    let mut nokey = store_of("nokey", json!({}));
    nokey["spec"]["sources"][0]["connection"]["secretRef"]["key"] = json!("address");
    namespace.apply(&nokey);
    for store in ["closed", "password", "rights", "foreign", "garbled"] {
        namespace.store(store, json!({}));
    }
    let operator = Operator::start(&namespace, 600);
    namespace.until_told("good", "Provisioned", "True", "UpToDate");

    told(&namespace, "lanes", "Valid", "NotSupported", "spec.lanes.count");
    told(&namespace, "nosecret", "Valid", "SecretNotFound", "create it with the keys url");
    told(&namespace, "nokey", "Valid", "SecretKeyMissing", "lacks address");
    told(&namespace, "closed", "Provisioned", "Unreachable", "correct the address");
    let password =
        told(&namespace, "password", "Provisioned", "Unauthorized", "correct the user or the password");
    assert_eq!(condition(&password, "CredentialsValid")["status"], "False");
    assert!(!password.to_string().contains("wrong"), "no credential is told: {password:#}");
    told(&namespace, "rights", "Provisioned", "InsufficientRights", "polylog grants");
    told(&namespace, "foreign", "Valid", "ForeignTable", "a schema of its own");
    told(&namespace, "garbled", "Valid", "InvalidConnection", "");

    // the schema of another store, and one that may not be adopted
    for (store, adopt) in [("shared", "IfIdentical"), ("never", "Never")] {
        let mut object = store_of(store, json!({ "adopt": adopt }));
        object["spec"]["sources"][0]["postgres"]["schema"] = json!("good");
        namespace.apply(&object);
    }
    told(&namespace, "shared", "Valid", "IdentityConflict", "EventStore refused/good");
    told(&namespace, "never", "Valid", "IdentityConflict", "schema of its own");
    assert_eq!(
        POSTGRES.execute(&database, "SELECT count(*) FROM good.polylog_head"),
        "1",
        "nothing was touched"
    );
    let foreign = "SELECT count(*) FROM pg_tables WHERE schemaname = 'foreign'";
    assert_eq!(POSTGRES.execute(&database, foreign), "1");

    // what is mended is noticed without a change of the EventStore
    namespace.secret("nosecret", &url);
    namespace.until_told("nosecret", "Provisioned", "True", "UpToDate");
    POSTGRES.execute(&database, &format!("GRANT CREATE ON DATABASE {database} TO weak"));
    namespace.until_told("rights", "Provisioned", "True", "UpToDate");
    let good = namespace.get("eventstore", "good");
    assert_eq!(condition(&good, "Provisioned")["status"], "True");
    assert!(!operator.log().contains("weak:wrong"));
}

#[test]
fn a_log_is_adopted_by_another_cluster_and_its_loss_is_not_taken_for_a_new_one() {
    let namespace = Namespace::new("adopted", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.store("payments", json!({}));
    let operator = Operator::start(&namespace, 1);
    let first = namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    // as after a move to another cluster: the same manifest, another object
    namespace.kubectl(&["delete", "eventstore", "payments"], "");
    namespace.store("payments", json!({}));
    let second = namespace.until("eventstore", "payments", |store| {
        store["metadata"]["uid"] != first["metadata"]["uid"]
            && condition(store, "Provisioned")["status"] == "True"
    });
    assert_eq!(second["status"]["storeId"], first["status"]["storeId"]);
    // a newer version raised its format: nothing is done, and the status says in which it is
    assert_eq!(second["status"]["sources"][0]["formatVersion"], 1);
    POSTGRES.execute(&database, "UPDATE payments.polylog_head SET format = 9");
    let raised = namespace.until_told("payments", "Provisioned", "False", "FormatTooNew");
    assert_eq!(raised["status"]["sources"][0]["formatVersion"], 9);
    POSTGRES.execute(&database, "UPDATE payments.polylog_head SET format = 1");
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    POSTGRES.execute(&database, "DROP SCHEMA payments CASCADE");
    let lost = namespace.until_told("payments", "Valid", "False", "IdentityConflict");
    assert!(condition(&lost, "Valid")["message"].as_str().expect("words").contains("restore it"), "{lost:#}");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'payments'";
    assert_eq!(POSTGRES.execute(&database, schemas), "0");
    drop(operator);
}

#[test]
fn a_schema_of_a_store_in_another_namespace_is_not_taken() {
    let (one, other) = (Namespace::new("tenant-a", true), Namespace::new("tenant-b", false));
    let account = format!("{}:polylog-operator", one.name);
    for role in ["polylog-operator", "polylog-secret-reader"] {
        let name = format!("{role}-of-a");
        other.kubectl(
            &["create", "rolebinding", &name, "--clusterrole", role, "--serviceaccount", &account],
            "",
        );
    }
    let database = POSTGRES.create_database();
    one.secret("payments", &POSTGRES.url(&database));
    one.store("payments", json!({}));
    let _operator = Operator::watching(&one, &[&other], 600);
    one.until_told("payments", "Provisioned", "True", "UpToDate");
    other.secret("payments", &POSTGRES.url(&database));
    other.store("payments", json!({}));
    told(&other, "payments", "Valid", "IdentityConflict", "EventStore tenant-a/payments");
}
