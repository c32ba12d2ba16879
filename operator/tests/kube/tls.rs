//! A database that proves who it is, by an authority whose certificate stands in a Secret.

use polylog_test_bed::{Authority, PostgresServer};
use serde_json::{Value, json};

use crate::{
    bed::{Namespace, Operator, condition, store_of},
    running::Running,
};

fn store(name: &str, ca: Value) -> Value {
    let mut object = store_of(name, json!({}));
    object["spec"]["sources"][0]["connection"]["tls"] = json!({ "mode": "Require", "caRef": ca });
    object
}

fn authority(namespace: &Namespace, kind: &str, name: &str, pem: &str) {
    let field = if kind == "Secret" { "stringData" } else { "data" };
    namespace.apply(&json!({
        "apiVersion": "v1", "kind": kind, "metadata": { "name": name }, (field): { "ca.crt": pem },
    }));
}

#[track_caller]
fn refused(namespace: &Namespace, store: &str, words: &[&str]) {
    let object = namespace.until_told(store, "Provisioned", "False", "TlsRefused");
    let message = condition(&object, "Provisioned")["message"].as_str().expect("words").to_owned();
    for words in words.iter().chain(&["check tls.mode, tls.caRef and the host's name"]) {
        assert!(message.contains(words), "{store}: {message}");
    }
    assert_eq!(condition(&object, "CredentialsValid")["reason"], "TlsRefused", "{store}");
    assert_eq!(condition(&object, "Ready")["status"], "False", "{store}");
}

#[test]
fn only_a_server_that_proves_its_name_is_used_and_another_is_told_with_what_to_do() {
    let namespace = Namespace::new("tls", true);
    let server = PostgresServer::start();
    let database = server.create_database();
    let (right, wrong) = (Authority::new(), Authority::new());
    let (certificate, key) = right.sign(&["127.0.0.1"], "server");
    // nobody comes in who does not speak TLS
    server
        .write_file("data/pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
    server.serve_tls(&certificate, &key, &right.pem);
    let url = server.url(&database);
    for store in ["payments", "mapped", "mistaken", "garbled"] {
        namespace.secret(store, &url);
    }
    namespace.secret("renamed", &url.replace("127.0.0.1", "localhost"));
    namespace.secret("plain", &url);
    authority(&namespace, "Secret", "db-ca", &right.pem);
    authority(&namespace, "ConfigMap", "db-ca", &right.pem);
    authority(&namespace, "Secret", "mistaken-ca", &wrong.pem);
    authority(&namespace, "Secret", "garbled-ca", "no certificate");
    let secret = |name: &str| json!({ "kind": "Secret", "name": name });
    namespace.apply(&store("payments", secret("db-ca")));
    namespace.apply(&store("mapped", json!({ "name": "db-ca" })));
    namespace.apply(&store("mistaken", secret("mistaken-ca")));
    namespace.apply(&store("garbled", secret("garbled-ca")));
    namespace.apply(&store("renamed", secret("db-ca")));
    namespace.secret("missing", &url);
    namespace.apply(&store("missing", json!({ "name": "nowhere" })));
    let mut plain = store("plain", Value::Null);
    plain["spec"]["sources"][0]["connection"]["tls"] = json!({ "mode": "Disable" });
    namespace.apply(&plain);
    let _operator = Operator::start(&namespace, 600);

    for store in ["payments", "mapped"] {
        let told = namespace.until_told(store, "Provisioned", "True", "UpToDate");
        assert_eq!(condition(&told, "CredentialsValid")["status"], "True", "{told:#}");
    }
    refused(&namespace, "mistaken", &["certificate"]);
    refused(&namespace, "renamed", &["certificate"]);
    refused(&namespace, "garbled", &[]);
    let missing =
        namespace.until("eventstore", "missing", |store| condition(store, "Valid")["status"] == "False");
    let message = condition(&missing, "Valid")["message"].as_str().expect("words").to_owned();
    assert!(
        message.contains("ConfigMap") && message.contains("nowhere") && !message.contains("folder"),
        "{message}"
    );
    let plain =
        namespace.until("eventstore", "plain", |store| condition(store, "Provisioned")["status"] == "False");
    assert_eq!(condition(&plain, "CredentialsValid")["status"], "False", "{plain:#}");
    for store in ["mistaken", "renamed", "garbled", "plain"] {
        let schemas = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{store}'");
        assert_eq!(server.execute(&database, &schemas), "0", "{store}");
    }

    // the gateway trusts the same authority, from the same Secret
    let gateway = Running::gateway(&namespace, "payments");
    assert_eq!(gateway.files["sources/ledger/ca.crt"], right.pem);
    gateway.append("Payment-1");
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'polylog'";
    assert_eq!(server.execute(&database, encrypted), "t");

    // what is mended is noticed without a change of the EventStore
    authority(&namespace, "Secret", "mistaken-ca", &right.pem);
    let mended = namespace.until_told("mistaken", "Provisioned", "True", "UpToDate");
    assert_eq!(condition(&mended, "CredentialsValid")["status"], "True", "{mended:#}");
}
