//! The roles `sidecar` and `gateway` without a database: what is mounted, changed, refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;

use polylog_api::proto::polylog::v1::GetStoreRequest;
use support::{
    Client,
    mounted::{Process, STORE, Serving, Volume, append, free_port, until},
};

/// Nobody answers here.
const NOWHERE: &str = "postgres://worker:geheim@127.0.0.1:1/shop";

#[tokio::test]
async fn it_waits_for_a_configuration_that_can_be_served() {
    let mut volume = Volume::new(&[("store/eventstore.yaml", "kind: [")]);
    let health = free_port().to_string();
    let process = Process::spawn("sidecar", &volume, &["--port", "0", "--health-port", &health]);
    let probes = Client::new(health.parse().unwrap());
    until("it says why it waits", || async { process.line("waiting for a configuration") }).await;
    probes.get("/livez").await.ok();
    let answer = probes.get("/readyz").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().contains("invalid_configuration")),
        (503, true),
        "{}",
        answer.text()
    );
    volume.set(&[("store/eventstore.yaml", STORE), ("sources/ledger/url", NOWHERE)]);
    let serving = process.serving().await;
    serving.health.get("/readyz").await.ok();
    // the database is not there: this is no reason to take the application out of service
    let problem = append(&serving.client, "Payment-1").await.problem("source_unavailable");
    assert_eq!((&problem["retry"], &problem["written"]), (&true.into(), &"nothing".into()), "{problem}");
    let status = serving.status("payments").await;
    assert_eq!(status["sources"][0]["state"], "Unreachable", "{status}");
    assert_eq!(status["configuration"]["code"], "source_unavailable", "{status}");
    let told = serving.remote.stores().get_store(GetStoreRequest::default()).await.unwrap().into_inner();
    let told = told.configuration.unwrap();
    assert_eq!((told.state.as_str(), told.code.as_str()), ("Refused", "source_unavailable"));
    assert_eq!(status["configuration"]["message"], told.message, "the same as over HTTP");
    assert!(serving.metrics().await.contains(r#"polylog_store_open{store="payments"} 0"#));
    assert!(!serving.process.said().contains("geheim"), "a secret in the log");
    serving.process.terminate();
    assert_eq!(serving.process.ended().await, Some(0));
}

#[tokio::test]
async fn it_waits_for_the_token_that_says_as_whom_it_runs() {
    let volume = Volume::of(STORE, NOWHERE);
    let process = Process::spawn(
        "sidecar",
        &volume,
        &["--port", "0", "--health-port", "0", "--token", "/nowhere/token"],
    );
    let line = until("it says why it waits", || async { process.line("waiting for a configuration") }).await;
    assert_eq!(line["code"], "unauthenticated", "{line}");
    process.terminate();
    assert_eq!(process.ended().await, Some(0));
}

#[tokio::test]
async fn a_bad_configuration_is_refused_and_the_old_one_stays() {
    let mut volume = Volume::of(STORE, NOWHERE);
    let serving = Serving::start("gateway", &volume).await;
    let before = serving.until_configuration("Refused").await;
    assert_eq!(before["code"], "source_unavailable");
    for (bad, words) in [
        (STORE.replace("spec:", "spec:\n  lanes: {count: 3}"), "spec.lanes.count"),
        (STORE.replace("payments, namespace", "refunds, namespace"), "serves payments"),
        (STORE.replace("postgres:", "psotgres:"), "psotgres"),
        ("kind: [".to_owned(), "eventstore.yaml"),
    ] {
        volume.set(&[("store/eventstore.yaml", &bad)]);
        let configuration = until("it is refused", || async {
            let found = serving.configuration().await;
            found["message"].as_str().is_some_and(|message| message.contains(words)).then_some(found)
        })
        .await;
        assert_eq!(configuration["code"], "invalid_configuration", "{configuration}");
        serving.health.get("/readyz").await.ok();
    }
    assert!(serving.process.line("a new configuration is refused").is_some());
    let metrics = serving.metrics().await;
    assert!(metrics.contains(r#"polylog_configuration_in_force{store="payments"} 0"#), "{metrics}");
    assert!(metrics.contains(r#"outcome="invalid_configuration""#), "{metrics}");
    // nothing of the store is mounted any more
    volume.remove("store");
    until("it is refused", || async {
        let found = serving.configuration().await;
        found["message"].as_str().is_some_and(|message| message.contains("is missing")).then_some(())
    })
    .await;
    volume.set(&[("store/eventstore.yaml", STORE)]);
    until("the good one is taken", || async {
        (serving.configuration().await["code"] == "source_unavailable").then_some(())
    })
    .await;
}

#[tokio::test]
async fn stores_come_and_go_and_a_bad_one_disturbs_no_other() {
    let mut volume = Volume::of(STORE, NOWHERE);
    let serving = Serving::start("sidecar", &volume).await;
    serving.client.get("/v1/stores/audit").await.problem("store_not_found");
    let audit = STORE.replace("name: payments, n", "name: audit, n");
    let code = async |store: &str| {
        serving.client.get(&format!("/v1/stores/{store}/events")).await.json()["code"].clone()
    };
    volume.set(&[
        ("stores/shop.audit/store/eventstore.yaml", "kind: ["),
        ("stores/shop.audit/sources/ledger/url", NOWHERE),
    ]);
    until("its mistake is told", || async { (code("audit").await == "invalid_configuration").then_some(()) })
        .await;
    volume.set(&[("stores/shop.audit/store/eventstore.yaml", &audit)]);
    until("it is served", || async { (code("audit").await == "source_unavailable").then_some(()) }).await;
    assert_eq!(serving.client.get("/v1/stores").await.ok().json()["stores"].as_array().unwrap().len(), 2);
    // the same name twice
    let other = audit.replace("namespace: shop", "namespace: billing");
    volume.set(&[("stores/billing.audit/store/eventstore.yaml", &other)]);
    until("it is refused", || async { serving.process.line("a store is not served") }).await;
    volume.remove("stores/");
    until("it is gone", || async { (code("audit").await == "store_not_found").then_some(()) }).await;
    assert_eq!(code("payments").await, "source_unavailable");
}

#[tokio::test]
async fn what_needs_a_restart_says_so_and_plain_files_are_watched_too() {
    let volume = tempfile::TempDir::new().unwrap();
    let write = |path: &str, content: &str| {
        let path = volume.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let (api, health) = (free_port(), free_port());
    let ports = format!("spec:\n  sidecar: {{apiPort: {api}, healthPort: {health}}}");
    let manifest = STORE.replace("spec:", &ports);
    write("store/eventstore.yaml", &manifest);
    write("sources/ledger/url", NOWHERE);
    let process = Process::of_folder("sidecar", volume.path(), &[]);
    let serving = process.serving().await;
    serving.health.get("/readyz").await.ok();
    assert_eq!(serving.process.line(r#""message":"serving""#).unwrap()["port"], api);
    write("sources/ledger/url", "");
    until("the credentials are missing", || async {
        let found = serving.configuration().await;
        found["message"]
            .as_str()
            .is_some_and(|message| message.contains("the file url is not mounted"))
            .then_some(())
    })
    .await;
    write("sources/ledger/url", NOWHERE);
    write("store/eventstore.yaml", &manifest.replace(&format!("apiPort: {api}"), "apiPort: 9999"));
    let line = until("it says so", || async { serving.process.line("needs a new process") }).await;
    assert_eq!(line["code"], "restart_needed");
    assert!(line["reason"].as_str().unwrap().contains("spec.sidecar.apiPort"), "{line}");
    serving.client.get("/v1/stores").await.ok();
}

#[tokio::test]
async fn an_address_of_mariadb_names_the_declared_database_or_none() {
    let store = |database: &str| {
        STORE.replace("postgres: {schema: payments}", &format!("mysql: {{database: {database}}}"))
    };
    let mut volume = Volume::of(&store("payments"), "mysql://worker:geheim@127.0.0.1:1/payments");
    let serving = Serving::start("gateway", &volume).await;
    assert_eq!(serving.until_configuration("Refused").await["code"], "source_unavailable");
    for (manifest, url, words) in [
        (store("payments"), "mysql://127.0.0.1:1/other", "the address names the database other"),
        (store("payments, tablePrefix: X_"), "mysql://127.0.0.1:1", "tablePrefix"),
        (store("mysql"), "mysql://127.0.0.1:1", "none of the server's own"),
        (store("payments"), "postgres://127.0.0.1:1/payments", "it must begin with mysql://"),
    ] {
        volume.set(&[("store/eventstore.yaml", &manifest), ("sources/ledger/url", url)]);
        let refused = until("it is refused", || async {
            let found = serving.configuration().await;
            found["message"].as_str().is_some_and(|message| message.contains(words)).then_some(found)
        })
        .await;
        assert_eq!(refused["code"], "invalid_configuration", "{refused}");
    }
    volume.set(&[
        ("store/eventstore.yaml", &store("payments")),
        ("sources/ledger/url", "mariadb://127.0.0.1:1"),
    ]);
    until("it is taken", || async {
        (serving.configuration().await["code"] == "source_unavailable").then_some(())
    })
    .await;
}
