//! The roles `sidecar` and `gateway` with one log over PostgreSQL, MariaDB and PostgreSQL: sources that are killed, come and
//! go, and a gateway that is away.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "mounted_several/restored.rs"]
mod restored;
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use polylog_log::{DatabaseId, Identity, Incarnation, LogId};
use polylog_test_bed::{MariadbServer, PostgresServer};
use serde_json::Value;
use support::{
    client::Answer,
    mounted::{Serving, Volume, until},
    replicas::{self, append, append_until_acknowledged, numbers, source, until_level},
    server::{LogServer, Place},
};
use uuid::Uuid;

struct Bed {
    ledger: PostgresServer,
    mirror: MariadbServer,
    spare: PostgresServer,
    places: [Place; 3],
    log: LogId,
    identities: [Identity; 3],
}

/// What the operator writes of sources.
#[derive(Clone, Copy)]
enum Told {
    /// Nothing: the first voter holds the log alone.
    Nothing,
    /// All three, of which this many follow.
    Following(usize),
    /// The same, and nothing of the databases of those that follow.
    Unknown(usize),
}

impl Bed {
    async fn new() -> Self {
        let (ledger, mirror, spare) =
            (PostgresServer::start(), MariadbServer::start(), PostgresServer::start());
        let places = [ledger.new_place(), mirror.new_place(), spare.new_place()];
        let log = LogId::new(Uuid::new_v4());
        let identity = || Identity {
            log,
            database: DatabaseId::new(Uuid::new_v4()),
            incarnation: Incarnation::new(Uuid::new_v4()),
        };
        let identities = [identity(), identity(), identity()];
        let bed = Self { ledger, mirror, spare, places, log, identities };
        bed.ledger.provision(&bed.places[0], identities[0]).await;
        bed.mirror.provision(&bed.places[1], identities[1]).await;
        bed.spare.provision(&bed.places[2], identities[2]).await;
        bed
    }

    fn fields(&self) -> [(&'static str, String); 3] {
        [
            ("ledger", PostgresServer::field(&self.places[0])),
            ("mirror", MariadbServer::field(&self.places[1])),
            ("spare", PostgresServer::field(&self.places[2])),
        ]
    }

    /// The manifest with its first so many sources, and what the operator adds.
    fn manifest(&self, sources: usize, told: Told, more: &str) -> String {
        let fields = self.fields();
        let declared = fields.iter().take(sources).map(|(name, field)| {
            format!("    - {{name: {name}, connection: {{secretRef: {{name: {name}-db}}}}, {field}}}\n")
        });
        let declared: String = declared.collect();
        let status = match told {
            Told::Nothing => String::new(),
            Told::Following(following) | Told::Unknown(following) => {
                let is_unknown = matches!(told, Told::Unknown(_));
                let members = fields.iter().zip(&self.identities).take(sources).enumerate();
                let members = members.map(|(index, ((name, _), of))| {
                    let follows = index + following >= sources;
                    let role = if follows { ", role: Learner" } else { "" };
                    let Identity { database, incarnation, .. } = of;
                    let known = format!(", databaseId: {database}, incarnation: {incarnation}");
                    let known = if is_unknown && follows { String::new() } else { known };
                    format!("    - {{name: {name}{known}{role}}}\n")
                });
                format!("  sources:\n{}", members.collect::<String>())
            }
        };
        format!(
            "apiVersion: polylog.dev/v1alpha1\nkind: EventStore\nmetadata: {{name: payments, namespace: shop}}\n\
             status:\n  storeId: {}\n{status}spec:\n  strategyRef: {{name: s}}\n{more}  sources:\n{declared}",
            self.log
        )
    }

    fn urls(&self) -> [(&'static str, String); 3] {
        [
            ("sources/ledger/url", self.ledger.admin_url(&self.places[0])),
            ("sources/mirror/url", self.mirror.admin_url(&self.places[1])),
            ("sources/spare/url", self.spare.admin_url(&self.places[2])),
        ]
    }

    fn volume(&self, manifest: &str, strategy: &str) -> Volume {
        let mut volume =
            Volume::new(&[("store/eventstore.yaml", manifest), ("store/strategy.yaml", strategy)]);
        for (path, url) in self.urls() {
            volume.set(&[(path, &url)]);
        }
        volume
    }

    /// Checks that the three databases hold the same events; says how many.
    fn same_events(&self) -> usize {
        let of_postgres = |server: &PostgresServer, place: &Place| {
            let sql = format!(
                "SELECT position || ' ' || term || ' ' || stream || ' ' || version || ' ' || encode(digest, 'hex') \
                 FROM {} ORDER BY position",
                place.table("polylog_events")
            );
            server.run(place, &sql)
        };
        let ledger = of_postgres(&self.ledger, &self.places[0]);
        assert_eq!(ledger, of_postgres(&self.spare, &self.places[2]));
        let sql = format!(
            "SELECT concat(position, ' ', term, ' ', CAST(stream AS CHAR), ' ', version, ' ', lower(hex(digest))) \
             FROM {} ORDER BY position",
            self.places[1].table("polylog_events")
        );
        let mirror = self.mirror.run(&self.places[1], &sql);
        assert_eq!(ledger.lines().collect::<Vec<_>>(), mirror.lines().collect::<Vec<_>>());
        ledger.lines().count()
    }
}

fn strategy(spec: &str) -> String {
    format!(
        "apiVersion: polylog.dev/v1alpha1\nkind: ReplicationStrategy\nmetadata: {{name: s, namespace: shop}}\n\
         spec: {spec}\n"
    )
}

const MAJORITY: &str = "{type: Priority, acks: Majority, failover: {mode: Automatic}}";

async fn until_status(serving: &Serving, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    replicas::until(&serving.client, what, is).await
}

/// Waits until a process's metrics are so: another one may have learned of it first.
async fn until_metrics(serving: &Serving, are: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let metrics = serving.metrics().await;
        if are(&metrics) {
            return;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The same for longer than a gateway may be away.
async fn until_line(serving: &Serving, word: &str) {
    let deadline = Instant::now() + Duration::from_secs(75);
    while serving.process.line(word).is_none() {
        assert!(Instant::now() < deadline, "in vain: {word}: {}", serving.process.said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_and_its_sidecars_keep_one_log_and_sidecars_go_on_without_it() {
    let bed = Bed::new().await;
    let manifest = |more: &str| bed.manifest(3, Told::Following(0), more);
    let mut volume = bed.volume(&manifest(""), &strategy(MAJORITY));
    // a log is begun by the gateway alone
    let one = Serving::start("sidecar", &volume).await;
    until("it waits for the gateway", || async {
        (append(&one.client, 1).await.json()["code"] == "no_primary").then_some(())
    })
    .await;
    let gateway = Serving::start("gateway", &volume).await;
    let other = Serving::start("sidecar", &volume).await;
    append_until_acknowledged(&one.client, 1).await;
    append_until_acknowledged(&other.client, 2).await;
    append_until_acknowledged(&gateway.client, 3).await;
    assert_eq!(until_level(&one.client).await["primary"], "ledger");
    let configured = gateway.until_configuration("InForce").await;
    assert_eq!(configured["code"], Value::Null);

    // another primary is asked for, while it runs
    volume.set(&[("store/eventstore.yaml", &manifest("  primary: mirror\n"))]);
    for serving in [&gateway, &one, &other] {
        until_status(serving, "the other is primary", |status| status["primary"] == "mirror").await;
    }
    append_until_acknowledged(&one.client, 4).await;

    // and another ack level
    let before = one.status("payments").await["configPosition"].clone();
    let all = "{type: Priority, acks: All, failover: {mode: Automatic}}";
    volume.set(&[("store/strategy.yaml", &strategy(all))]);
    until_status(&one, "it is in the log", |status| status["configPosition"] != before).await;
    let acked = append(&other.client, 5).await.ok().json();
    assert_eq!(acked["acks"].as_array().map(Vec::len), Some(3), "{acked}");
    volume.set(&[("store/strategy.yaml", &strategy(MAJORITY))]);

    // the primary is lost: the gateway elects, and sidecars follow
    bed.mirror.crash();
    for (number, serving) in [(6, &one), (7, &other)] {
        append_until_acknowledged(&serving.client, number).await;
    }
    bed.mirror.start_again();
    until_level(&one.client).await;

    // without a gateway nobody elects, until a sidecar does
    drop(gateway);
    let taken = async { until_line(&one, "duties_taken").await };
    let taken_by_other = async { until_line(&other, "duties_taken").await };
    let is_first = tokio::select! {
        () = taken => true,
        () = taken_by_other => false,
    };
    // who takes the duties may switch to the one that the manifest names
    let led = until_status(&one, "a source leads", |status| !status["primary"].is_null()).await;
    let primary = led["primary"].clone();
    match primary.as_str().unwrap() {
        "mirror" => bed.mirror.crash(),
        "ledger" => bed.ledger.crash(),
        _ => bed.spare.crash(),
    }
    append_until_acknowledged(&one.client, 8).await;
    match primary.as_str().unwrap() {
        "mirror" => bed.mirror.start_again(),
        "ledger" => bed.ledger.start_again(),
        _ => bed.spare.start_again(),
    }
    until_level(&other.client).await;
    let gateway = Serving::start("gateway", &volume).await;
    until_line(if is_first { &one } else { &other }, "duties_given_up").await;
    append_until_acknowledged(&other.client, 9).await;
    until_level(&gateway.client).await;
    until("the gateway shows all of them", || async {
        let mut read = numbers(&gateway.client).await;
        read.sort_unstable();
        (read == (1..=9).collect::<Vec<_>>()).then_some(())
    })
    .await;
    assert!(bed.same_events() >= 9);
}

async fn failover(serving: &Serving) -> Answer {
    let headers = [("content-type", "application/json")];
    let body = r#"{"stopped":["ledger"]}"#.to_owned();
    serving.client.send(http::Method::POST, "/v1/admin/failover", &headers, body).await
}

/// Every process is gone, and the database that was the primary is lost, before any of them begins again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_primary_is_left_out_by_a_gateway_that_begins_without_it() {
    let bed = Bed::new().await;
    let lossy = "{type: Priority, acks: '1', ackTimeout: 1s, failover: {mode: Manual}}";
    let access = "  access:\n    - {serviceAccounts: [{name: checkout}], verbs: [append, read, admin]}\n";
    let volume = bed.volume(&bed.manifest(3, Told::Following(0), access), &strategy(lossy));
    let (gateway, one) = (Serving::start("gateway", &volume).await, Serving::start("sidecar", &volume).await);
    append_until_acknowledged(&one.client, 1).await;
    append_until_acknowledged(&gateway.client, 2).await;
    let before = until_level(&gateway.client).await;
    assert_eq!(before["primary"], "ledger");
    drop((gateway, one));
    bed.ledger.crash();

    let (gateway, one) = (Serving::start("gateway", &volume).await, Serving::start("sidecar", &volume).await);
    for serving in [&gateway, &one] {
        let waits = until_status(serving, "it knows of the log", |status| {
            let is = |name: &str, state: &str| source(status, name)["state"] == state;
            is("ledger", "Unreachable") && is("mirror", "Syncing") && is("spare", "Syncing")
        })
        .await;
        assert_eq!(waits["primary"], Value::Null, "{waits}");
        assert_eq!(source(&waits, "mirror")["position"], source(&before, "mirror")["position"], "{waits}");
        until("appends are refused", || async {
            (append(&serving.client, 3).await.json()["code"] == "no_primary").then_some(())
        })
        .await;
        let metrics = serving.metrics().await;
        for line in [
            r#"polylog_store_open{store="payments"} 0"#,
            r#"polylog_source_up{store="payments",source="ledger"} 0"#,
            r#"polylog_source_up{store="payments",source="mirror"} 1"#,
            r#"polylog_source_primary{store="payments",source="mirror"} 0"#,
        ] {
            assert!(metrics.lines().any(|shown| shown == line), "{line}: {metrics}");
        }
    }
    let elsewhere = failover(&one).await.json();
    assert_eq!(elsewhere["code"], "not_supported", "{elsewhere}");
    let opened = failover(&gateway).await.ok().json();
    assert_ne!(opened["primary"], "ledger", "{opened}");
    append_until_acknowledged(&one.client, 3).await;
    append_until_acknowledged(&gateway.client, 4).await;
    until("it shows all of them", || async { (numbers(&one.client).await == [1, 2, 3, 4]).then_some(()) })
        .await;

    bed.ledger.start_again();
    until_level(&gateway.client).await;
    assert!(bed.same_events() >= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_join_while_it_runs_and_vote_once_every_pod_can_reach_them() {
    let bed = Bed::new().await;
    // as a version before wrote it: the log is in the first voter
    let by_default = "{type: Priority}";
    let mut volume = bed.volume(&bed.manifest(3, Told::Nothing, ""), &strategy(by_default));
    // in this pod the others are not mounted
    let mut old_volume =
        Volume::of(&bed.manifest(3, Told::Nothing, ""), &bed.ledger.admin_url(&bed.places[0]));
    old_volume.set(&[("store/strategy.yaml", &strategy(by_default))]);
    let gateway = Serving::start("gateway", &volume).await;
    let old = Serving::start("sidecar", &old_volume).await;
    let new = Serving::start("sidecar", &volume).await;
    append_until_acknowledged(&old.client, 1).await;
    let alone = new.status("payments").await;
    assert_eq!(source(&alone, "mirror")["state"], "Unprovisioned", "{alone}");

    // one that was added and never answered keeps no pod from beginning
    bed.mirror.crash();
    let unknown = bed.volume(&bed.manifest(2, Told::Unknown(1), ""), &strategy(by_default));
    let begins = Serving::start("sidecar", &unknown).await;
    append_until_acknowledged(&begins.client, 0).await;
    bed.mirror.start_again();
    until_status(&begins, "it is reached", |status| source(status, "mirror")["state"] != "Unprovisioned")
        .await;
    drop(begins);

    // they come, and follow: the pod that cannot reach them goes on
    let following = bed.manifest(3, Told::Following(2), "");
    for volume in [&mut volume, &mut old_volume] {
        volume.set(&[("store/eventstore.yaml", &following), ("store/strategy.yaml", &strategy(MAJORITY))]);
    }
    let level = until_level(&gateway.client).await;
    for name in ["mirror", "spare"] {
        assert_eq!(source(&level, name)["role"], "Learner", "{level}");
    }
    append_until_acknowledged(&old.client, 2).await;
    until_status(&old, "it says which it cannot reach", |status| {
        source(status, "mirror")["state"] == "Unreachable"
    })
    .await;

    // the old pod is gone: they vote
    drop(old);
    let voting = bed.manifest(3, Told::Following(0), "");
    volume.set(&[("store/eventstore.yaml", &voting)]);
    until_status(&new, "all vote", |status| {
        status["sources"]
            .as_array()
            .unwrap()
            .iter()
            .all(|source| source["role"] == "Voter" && source["state"] == "InSync")
    })
    .await;
    append_until_acknowledged(&new.client, 3).await;
    bed.ledger.crash();
    append_until_acknowledged(&new.client, 4).await;

    // a process that begins while one of them is away
    let late = Serving::start("sidecar", &volume).await;
    append_until_acknowledged(&late.client, 5).await;
    bed.ledger.start_again();
    until_level(&late.client).await;
    until_level(&gateway.client).await;

    // one that votes is not simply taken away
    // two voters elect nobody
    let manual = strategy("{type: Priority, acks: Majority}");
    let fewer = bed.manifest(2, Told::Following(0), "");
    volume.set(&[("store/eventstore.yaml", &fewer), ("store/strategy.yaml", &manual)]);
    let refused = late.until_configuration("Refused").await;
    assert!(refused["message"].as_str().unwrap().contains("spare votes"), "{refused}");
    append_until_acknowledged(&late.client, 6).await;
    volume.set(&[("store/eventstore.yaml", &voting), ("store/strategy.yaml", &strategy(MAJORITY))]);
    late.until_configuration("InForce").await;
    until_level(&gateway.client).await;
    let mut read = numbers(&late.client).await;
    read.sort_unstable();
    assert_eq!(read, (0..=6).collect::<Vec<_>>());
    assert!(bed.same_events() >= 7);
}

/// Appends without a pause until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<u64>,
}

impl Load {
    /// From this number on.
    fn of(serving: &Serving, first: u64) -> Self {
        let (stop, client) = (Arc::new(AtomicBool::new(false)), serving.client.clone());
        let is_over = stop.clone();
        let task = tokio::spawn(async move {
            let mut number = first;
            while !is_over.load(Ordering::Relaxed) {
                append_until_acknowledged(&client, number).await;
                number += 1;
            }
            number
        });
        Self { stop, task }
    }

    /// The first number that was not appended.
    async fn ended(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_drain_leave_and_are_replaced_and_strategies_change_under_load() {
    let mut bed = Bed::new().await;
    let all = |bed: &Bed| bed.manifest(3, Told::Following(0), "");
    let mut volume = bed.volume(&all(&bed), &strategy(MAJORITY));
    let gateway = Serving::start("gateway", &volume).await;
    let sidecar = Serving::start("sidecar", &volume).await;
    append_until_acknowledged(&sidecar.client, 0).await;
    until_level(&sidecar.client).await;
    let load = Load::of(&sidecar, 1);

    // whoever works on the primary takes it out of the way, and it votes on
    let with_mirror = bed.manifest(3, Told::Following(0), "  primary: mirror\n");
    let in_maintenance =
        with_mirror.replace("{name: ledger, connection", "{name: ledger, state: Maintenance, connection");
    volume.set(&[("store/eventstore.yaml", &in_maintenance)]);
    let status = until_status(&sidecar, "another leads", |status| status["primary"] == "mirror").await;
    assert_eq!(source(&status, "ledger")["role"], "Voter", "{status}");
    until_status(&sidecar, "it says so", |status| source(status, "ledger")["state"] == "Maintenance").await;
    until_metrics(&gateway, |metrics| {
        metrics.contains("polylog_source_maintenance{store=\"payments\",source=\"ledger\"} 1")
    })
    .await;
    volume.set(&[("store/eventstore.yaml", &all(&bed))]);

    // a primary that drains hands over, and votes no more
    let manual =
        |acks: &str| strategy(&format!("{{type: Priority, acks: {acks}, order: [ledger, mirror, spare]}}"));
    let draining =
        all(&bed).replace("{name: mirror, connection", "{name: mirror, state: Draining, connection");
    volume.set(&[("store/eventstore.yaml", &draining), ("store/strategy.yaml", &manual("Majority"))]);
    until_status(&sidecar, "it leads and votes no more", |status| {
        status["primary"] != "mirror" && source(status, "mirror")["role"] == "Learner"
    })
    .await;
    until_metrics(&gateway, |metrics| {
        metrics.contains("polylog_source_votes{store=\"payments\",source=\"mirror\"} 0")
    })
    .await;
    let lines = |text: &str| -> String {
        text.lines().filter(|line| !line.contains("name: mirror,")).map(|line| format!("{line}\n")).collect()
    };
    let without = lines(&all(&bed));
    volume.set(&[
        ("store/eventstore.yaml", &without),
        ("store/strategy.yaml", &strategy("{type: Priority, acks: All}")),
    ]);
    for serving in [&gateway, &sidecar] {
        until_status(serving, "it is gone", |status| status["sources"].as_array().unwrap().len() == 2).await;
        serving.until_configuration("InForce").await;
    }
    until_metrics(&gateway, |metrics| {
        !metrics.contains("polylog_source_up{store=\"payments\",source=\"mirror\"}")
    })
    .await;
    bed.mirror.crash();
    let in_both = append(&sidecar.client, 1_000_000).await.ok().json();
    assert_eq!(in_both["acks"].as_array().map(Vec::len), Some(2), "{in_both}");
    bed.mirror.start_again();

    // it comes back as what it was, since it has forgotten nothing; the ack level falls, and rises again
    volume.set(&[
        ("store/eventstore.yaml", &all(&bed)),
        ("store/strategy.yaml", &strategy("{type: Priority, acks: \"1\"}")),
    ]);
    let votes = |status: &Value| {
        let all = status["sources"].as_array().unwrap();
        all.len() == 3 && all.iter().all(|source| source["role"] == "Voter")
    };
    until_status(&sidecar, "it votes again", votes).await;
    let before = sidecar.status("payments").await["configPosition"].clone();
    volume.set(&[("store/strategy.yaml", &strategy(MAJORITY))]);
    until_status(&sidecar, "it is in the log", |status| status["configPosition"] != before).await;
    until_level(&gateway.client).await;

    // a database is lost, and provisioned as another: it is filled, and votes once it has everything
    let before = source(&sidecar.status("payments").await, "spare")["databaseId"].clone();
    let anew = Identity {
        database: DatabaseId::new(Uuid::new_v4()),
        incarnation: Incarnation::new(Uuid::new_v4()),
        ..bed.identities[2]
    };
    bed.spare.run(&bed.places[2], "ALTER SCHEMA payments RENAME TO lost");
    bed.spare.provision(&bed.places[2], anew).await;
    until_status(&sidecar, "it is not that source any more", |status| {
        source(status, "spare")["state"] == "Divergent"
    })
    .await;
    bed.identities[2] = anew;
    volume.set(&[("store/eventstore.yaml", &all(&bed))]);
    let status = until_status(&sidecar, "another votes in its place", |status| {
        votes(status)
            && source(status, "spare")["databaseId"] != before
            && source(status, "spare")["state"] == "InSync"
    })
    .await;
    assert_eq!(source(&status, "spare")["databaseId"], serde_json::json!(anew.database.to_string()));

    let end = load.ended().await;
    // whoever appended knows of the last one
    until_level(&sidecar.client).await;
    let mut read = numbers(&sidecar.client).await;
    read.sort_unstable();
    assert_eq!(read, (0..end).chain([1_000_000]).collect::<Vec<_>>());
    assert!(end > 50 && bed.same_events() > 50, "{end}");
}
