//! PostgreSQL votes, and Elasticsearch follows.

use polylog_test_bed::{ElasticsearchServer, PostgresServer, Product};

use crate::{
    rows,
    support::{
        process::{Dev, folder},
        replicas::{append_until_acknowledged, source, until, until_level},
    },
};

pub(crate) const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: db}}, postgres: {schema: payments}}
    - {name: search, connection: {secretRef: {name: db}}, elasticsearch: {index: {name: payments}}}
";

/// A sidecar over both.
pub(crate) fn replicated(folder: &tempfile::TempDir, postgres: &str, search: &str) -> Dev {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"));
    command.current_dir(folder.path()).args(["dev", ".", "--port", "0", "--health-port", "0"]);
    command.args(["--source", &format!("ledger={postgres}"), "--source", &format!("search={search}")]);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::piped()).env("POLYLOG_LOG", "debug");
    Dev::of(command)
}

/// Everything arrives in the learner byte for byte; what was appended while its server was away, and while the sidecar
/// was, as well. It neither acknowledges nor holds anything up.
#[tokio::test]
async fn a_learner_gets_everything_and_holds_up_nothing() {
    let (postgres, search) = (PostgresServer::start(), ElasticsearchServer::start(Product::Elasticsearch));
    let database = postgres.create_database();
    let folder = folder(STORE);
    let dev = || replicated(&folder, &postgres.url(&database), &search.url());
    let same_events = || {
        let of_voter = postgres.execute(
            &database,
            "SELECT position || ' ' || term || ' ' || stream || ' ' || version || ' ' || encode(digest, 'hex') || ' ' || \
             encode(data_digest, 'hex') || ' ' || coalesce(encode(data, 'hex'), '') \
             FROM payments.polylog_events ORDER BY position",
        );
        let of_learner = rows(&search, "payments");
        assert_eq!(of_voter.lines().collect::<Vec<_>>(), of_learner);
        of_learner.len()
    };
    let running = dev();
    let odd = r#"{"b" : 1.50, "a": ["ü\u0000\ud83d\ude00", null], "b":2}"#;
    let body = format!(r#"{{"expectedVersion":"any","events":[{{"type":"Paid","data":{odd}}}]}}"#);
    running.client.post("/v1/streams/Payment-odd", body).await.ok();
    for number in 1..=20 {
        let answer = append_until_acknowledged(&running.client, number).await;
        assert!(answer.as_secs() < 5, "{answer:?}");
    }
    let level = until_level(&running.client).await;
    assert_eq!(source(&level, "search")["role"], "Learner", "{level}");
    assert_eq!(source(&level, "search")["engine"], "elasticsearch", "{level}");
    assert_eq!(level["primary"], "ledger");
    assert!(same_events() > 20);
    // one copy more of each shard: it does not vote
    let settings = search.request("GET", "/payments-events/_settings?flat_settings=true", "");
    assert!(settings.contains(r#""index.number_of_replicas":"1""#), "{settings}");

    search.crash();
    for number in 21..=300 {
        let took = append_until_acknowledged(&running.client, number).await;
        assert!(took.as_secs() < 5, "an append waited for a learner: {took:?}");
    }
    until(&running.client, "it is told", |status| source(status, "search")["state"] == "Unreachable").await;
    drop(running);
    // a start while it is away
    let running = dev();
    append_until_acknowledged(&running.client, 301).await;
    search.start_again();
    until_level(&running.client).await;
    running.stop();
    assert!(same_events() > 301);
}
