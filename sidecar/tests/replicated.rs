//! `polylog-sidecar dev` with a log over three SQLite files, as a user sees it while files come and go.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use polylog_api::{
    grpc::detail_of,
    proto::polylog::admin::v1::{PlanRequest, PlanResponse},
};
use support::{
    process::{Dev, folder},
    replicas::{
        append, append_until_acknowledged, manifests, numbers, rows_of_file, source, status, until,
        until_level,
    },
    routing, searching,
};

const MAJORITY: &str = "{type: Priority, acks: Majority, failover: {mode: Automatic, after: 500ms}}";

fn dev(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"));
    command.current_dir(folder).args(["dev", ".", "--port", "0", "--health-port", "0"]);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::piped()).env("POLYLOG_LOG", "debug");
    command
}

fn file(folder: &Path, source: &str) -> PathBuf {
    folder.join(format!(".polylog/shop.payments/{source}.db"))
}

/// A search sees what was just acknowledged, though only a majority of the files need hold it.
#[tokio::test]
async fn searches_see_what_a_majority_holds() {
    let folder = folder(&manifests(MAJORITY));
    let dev = Dev::of(dev(folder.path()));
    searching::what_was_just_appended_is_found(&dev.client).await;
    let counts = dev.client.get("/v1/statistics?groupBy=category&consistency=strong").await.ok().json();
    assert_eq!(counts["total"], 4, "{counts}");
}

/// Checks that all three files hold the same events; says how many.
fn same_events(folder: &Path) -> usize {
    let ledger = rows_of_file(&file(folder, "ledger"));
    for other in ["mirror", "spare"] {
        assert_eq!(rows_of_file(&file(folder, other)), ledger, "{other}");
    }
    ledger.len()
}

/// What a start would put right in the files is told while they are in use. A second thread ends the client's connections while
/// a stop is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_start_would_provision_is_told() {
    let folder = folder(
        &manifests(MAJORITY)
            .replace("spec:\n  strategyRef", "spec:\n  events: {indexes: [Type]}\n  strategyRef"),
    );
    let process = Dev::of(dev(folder.path()));
    append_until_acknowledged(&process.client, 1).await;
    let plan = async |process: &Dev, source: &str| {
        let request = PlanRequest { source: source.into(), ..Default::default() };
        process.remote.admin().plan(request).await.map(tonic::Response::into_inner)
    };
    let nothing = PlanResponse::default();
    assert_eq!(plan(&process, "").await.unwrap(), nothing);
    let drop_index = |source: &str| {
        let file = rusqlite::Connection::open(file(folder.path(), source)).unwrap();
        file.busy_timeout(Duration::from_secs(20)).unwrap();
        file.execute_batch("DROP INDEX polylog_events_type").unwrap();
    };
    drop_index("mirror");
    let one = plan(&process, "").await.unwrap();
    let [step] = &one.steps[..] else { panic!("{one:?}") };
    assert_eq!((&*step.source, &*step.class, &step.plan), ("mirror", "Additive", &one.hash));
    assert!(step.statement.contains("polylog_events_type"), "{step:?}");
    drop_index("spare");
    let two = plan(&process, "").await.unwrap();
    let sources: Vec<_> = two.steps.iter().map(|step| &*step.source).collect();
    assert_eq!(sources, ["mirror", "spare"]);
    assert!(two.steps.iter().all(|step| step.plan == one.hash && step.plan != two.hash), "{two:?}");
    assert_eq!(plan(&process, "mirror").await.unwrap(), one);
    process.stop();
    let process = Dev::of(dev(folder.path()));
    append_until_acknowledged(&process.client, 2).await;
    assert_eq!(plan(&process, "").await.unwrap(), nothing, "the start put it right");
    process.stop();

    // one that cannot be looked at: of the others it is told when they are asked for
    std::fs::write(file(folder.path(), "spare"), "no database").unwrap();
    let process = Dev::of(dev(folder.path()));
    append_until_acknowledged(&process.client, 3).await;
    let refused = plan(&process, "").await.unwrap_err();
    let told = detail_of(refused.details()).unwrap();
    assert_eq!((&*told.code, &*told.facts["source"]), ("internal", "spare"), "{told:?}");
    assert_eq!(plan(&process, "mirror").await.unwrap(), nothing);
}

#[tokio::test]
async fn appends_reach_three_files_and_go_on_while_one_of_them_is_locked() {
    let alerts = "  alerts: {lag: {events: 500, time: 5s}}\n  strategyRef:";
    let folder = folder(&manifests(MAJORITY).replace("  strategyRef:", alerts));
    let dev = Dev::of(dev(folder.path()));
    for name in ["ledger", "mirror", "spare"] {
        assert!(dev.banner.contains(&format!("{name}: SQLite")), "{}", dev.banner);
    }
    let first = append(&dev.client, 1).await.ok().json();
    assert!(first["ackedBy"].as_array().is_none_or(|by| by.len() >= 2), "{first}");
    let all = dev
        .client
        .send(
            http::Method::POST,
            "/v1/streams/Payment-1?acks=all",
            &[("content-type", "application/json")],
            r#"{"expectedVersion":1,"events":[{"id":"00000000-0000-7000-8000-000000000002","type":"Paid","data":{"number":2}}]}"#,
        )
        .await;
    assert!(all.status.is_success(), "{}", all.text());
    let level = until_level(&dev.client).await;
    assert_eq!(level["primary"], "ledger");

    // another program holds the file's lock: nothing can be written to it
    let lock = rusqlite::Connection::open(file(folder.path(), "spare")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 3..=40 {
        append(&dev.client, number).await.ok();
    }
    let behind = until(&dev.client, "it is told", |status| {
        source(status, "spare")["lagEvents"].as_u64().unwrap() >= 38
    })
    .await;
    assert_ne!(source(&behind, "spare")["state"], "InSync", "{behind}");
    let metrics = dev.health.get("/metrics").await.ok().text();
    let lag = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name) && line.contains("source=\"spare\""));
        line.unwrap_or_else(|| panic!("{name}: {metrics}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    assert!(lag("polylog_replication_lag_events{") >= 38.0);
    assert!(lag("polylog_replication_lag_seconds{") > 0.0);
    for allowed in [
        r#"polylog_alert_lag_events{store="payments"} 500"#,
        r#"polylog_alert_lag_seconds{store="payments"} 5.0"#,
    ] {
        assert!(metrics.lines().any(|line| line == allowed), "{allowed}: {metrics}");
    }

    lock.execute_batch("ROLLBACK").unwrap();
    until_level(&dev.client).await;
    assert_eq!(numbers(&dev.client).await, (1..=40).collect::<Vec<_>>());
    dev.stop();
    assert!(same_events(folder.path()) >= 42);
}

/// A database file that is not there any more, and what belongs to it.
struct Lost {
    files: Vec<(PathBuf, PathBuf)>,
    _away: tempfile::TempDir,
}

impl Lost {
    fn of(file: &Path) -> Self {
        let away = tempfile::TempDir::new_in(file.parent().unwrap()).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let files = ["", "-wal", "-shm"].map(|ending| format!("{name}{ending}"));
        let files = files.map(|name| (file.with_file_name(&name), away.path().join(&name)));
        let files: Vec<_> = files.into_iter().filter(|(here, _)| here.exists()).collect();
        files.iter().for_each(|(here, there)| std::fs::rename(here, there).unwrap());
        Self { files, _away: away }
    }

    fn put_back(self) {
        self.files.iter().for_each(|(here, there)| std::fs::rename(there, here).unwrap());
    }
}

/// Every process is killed, the disk of the primary is lost, and only then a process begins: it knows of the log, says what
/// is missing, and opens it without the primary when it is told to.
#[tokio::test]
async fn a_lost_primary_is_left_out_by_a_process_that_begins_without_it() {
    let manual = "{type: Priority, acks: '1', ackTimeout: 1s, failover: {mode: Manual, after: 500ms}}";
    let folder = folder(&manifests(manual));
    let first = Dev::of(dev(folder.path()));
    for number in 1..=10 {
        append(&first.client, number).await.ok();
    }
    let before = until_level(&first.client).await;
    // what the primary alone holds
    let locks = ["mirror", "spare"].map(|name| {
        let lock = rusqlite::Connection::open(file(folder.path(), name)).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        lock
    });
    for number in 11..=13 {
        append(&first.client, number).await.ok();
    }
    let last_seen = folder.path().join(".polylog/shop.payments/last-seen.json");
    let end = status(&first.client).await["positions"][0].clone();
    routing::until_true("it is remembered", || async {
        let seen = std::fs::read(&last_seen).ok().and_then(|seen| serde_json::from_slice(&seen).ok());
        seen.is_some_and(|seen: serde_json::Value| seen["position"] == end)
    })
    .await;
    // with SIGKILL
    drop((first, locks));
    let ledger = Lost::of(&file(folder.path(), "ledger"));

    refused(folder.path(), 1, &["the log went back", "last-seen.json"]);
    std::fs::remove_file(last_seen).unwrap();
    let second = Dev::of(dev(folder.path()));
    for words in ["not open yet: no primary was found", "polylog failover --stopped"] {
        assert!(second.banner.contains(words), "{}", second.banner);
    }
    let unready = second.health.get("/readyz").await;
    assert_eq!((unready.status.as_u16(), &*unready.text()), (503, "payments is not open: no_primary\n"));
    for answer in [append(&second.client, 14).await, second.client.get("/v1/streams/Payment-1").await] {
        assert_eq!(answer.status, 503);
        let problem = answer.json();
        assert_eq!(problem["code"], "no_primary", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("ledger: "), "{problem}");
    }
    let waits = status(&second.client).await;
    assert_eq!(waits["storeId"], before["storeId"], "{waits}");
    assert_eq!(waits["primary"], serde_json::Value::Null, "{waits}");
    assert_eq!(source(&waits, "ledger")["state"], "Unreachable", "{waits}");
    for name in ["mirror", "spare"] {
        assert_eq!(source(&waits, name)["state"], "Syncing", "{waits}");
        assert_eq!(source(&waits, name)["position"], source(&before, name)["position"], "{waits}");
    }
    let metrics = second.health.get("/metrics").await.ok().text();
    let shown = |line: &str| metrics.lines().any(|shown| shown == line);
    assert!(shown(r#"polylog_source_up{store="payments",source="ledger"} 0"#), "{metrics}");
    assert!(shown(r#"polylog_source_up{store="payments",source="mirror"} 1"#), "{metrics}");
    assert!(
        !metrics.contains(r#"polylog_position{store="payments""#),
        "nobody says where it ends: {metrics}"
    );
    assert!(!metrics.lines().any(|line| line.starts_with("polylog_source_primary{") && line.ends_with(" 1")));

    let failover = |stopped: &str| {
        let body = format!(r#"{{"stopped":["{stopped}"]}}"#);
        let headers = [("content-type", "application/json")];
        let path = "/v1/stores/payments/admin/failover";
        let client = &second.client;
        async move { client.send(http::Method::POST, path, &headers, body).await }
    };
    let wrong = failover("mirror").await.json();
    assert_eq!(wrong["code"], "invalid_request", "{wrong}");
    assert!(wrong["detail"].as_str().unwrap().contains("ledger does not answer either"), "{wrong}");
    let opened = failover("ledger").await.ok().json();
    assert_eq!(opened["primary"], "mirror", "{opened}");
    assert!(opened["term"].as_u64() > before["term"].as_u64(), "{opened}");
    append_until_acknowledged(&second.client, 14).await;
    second.health.get("/readyz").await.ok();
    let kept = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14];
    assert_eq!(numbers(&second.client).await, kept);
    assert_eq!(status(&second.client).await["primary"], "mirror");

    ledger.put_back();
    until_level(&second.client).await;
    let removed = second.client.get("/v1/admin/quarantine").await.ok().json();
    let removed = removed["entries"].as_array().unwrap().iter();
    let removed: Vec<_> = removed.map(|entry| entry["events"][0]["data"]["number"].clone()).collect();
    assert_eq!(removed, [11, 12, 13], "put aside when it came back");
    routing::until_true("it is counted, and nothing elsewhere", || async {
        let metrics = second.health.get("/metrics").await.ok().text();
        [("ledger", 3), ("mirror", 0), ("spare", 0)].iter().all(|(name, events)| {
            metrics.contains(&format!(
                "polylog_quarantined_events{{store=\"payments\",source=\"{name}\"}} {events}\n"
            ))
        })
    })
    .await;
    append(&second.client, 15).await.ok();
    until_level(&second.client).await;
    second.stop();
    assert!(same_events(folder.path()) >= 15);
    // what was seen of the log at the end is what the next start finds
    let third = Dev::of(dev(folder.path()));
    assert_eq!(numbers(&third.client).await, [&kept[..], &[15]].concat());
}

#[tokio::test]
async fn a_lost_primary_is_replaced_and_catches_up_when_its_file_is_back() {
    let folder = folder(&manifests(MAJORITY));
    let first = Dev::of(dev(folder.path()));
    for number in 1..=10 {
        append(&first.client, number).await.ok();
    }
    let before = until_level(&first.client).await;
    first.stop();
    let ledger = Lost::of(&file(folder.path(), "ledger"));

    let second = Dev::of(dev(folder.path()));
    let took = append_until_acknowledged(&second.client, 11).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    let without = status(&second.client).await;
    assert_eq!(without["primary"], "mirror", "{without}");
    assert!(without["term"].as_u64() > before["term"].as_u64(), "{without}");
    assert_ne!(source(&without, "ledger")["state"], "InSync", "{without}");
    assert_eq!(numbers(&second.client).await, (1..=11).collect::<Vec<_>>());
    assert!(!file(folder.path(), "ledger").exists(), "a lost file is not made anew");

    ledger.put_back();
    until_level(&second.client).await;
    append(&second.client, 12).await.ok();
    until_level(&second.client).await;
    second.stop();
    assert!(same_events(folder.path()) >= 15);
}

#[tokio::test]
async fn what_this_version_cannot_keep_is_refused() {
    // a condition that could take long
    let routes =
        "routes: [{when: 'metadata.a.exists(x, metadata.b == x)', source: mirror}], defaultRoute: ledger";
    let partitioned = folder(&manifests(&format!("{{type: EventTypePartitioning, {routes}}}")));
    refused(partitioned.path(), 1, &["routes[0].when", "only the loop's variable"]);
    // of three sources two cannot simply be missing
    let three = folder(&manifests(MAJORITY));
    let served = Dev::of(dev(three.path()));
    append(&served.client, 1).await.ok();
    served.stop();
    std::fs::write(three.path().join("store.yaml"), without(MAJORITY, &["mirror", "spare"], "acks: \"1\""))
        .unwrap();
    refused(three.path(), 1, &["ledger, mirror, spare", "Draining"]);
    let nobody = manifests(MAJORITY).replace("- {name:", "- {state: Draining, name:");
    std::fs::write(three.path().join("store.yaml"), nobody).unwrap();
    refused(three.path(), 2, &["every voter is Draining"]);
}

const ROUTED: &str = "{type: EventTypePartitioning, acks: Majority, failover: {mode: Automatic, after: 500ms}, \
    routes: [{types: [Paid], source: mirror}, {when: 'metadata.region == \"eu\"', source: spare}], defaultRoute: ledger}";

#[tokio::test]
async fn each_file_keeps_the_data_of_what_is_routed_to_it_alone() {
    let folder = folder(&manifests(ROUTED));
    let dev = Dev::of(dev(folder.path()));
    routing::append_some(&dev.client).await;
    let kept = |name: &str| routing::kept_in_file(&file(folder.path(), name));
    routing::until_true("each keeps its own", || async {
        kept("ledger") == ["Booked"] && kept("mirror") == ["Paid", "Paid"] && kept("spare") == ["Shipped"]
    })
    .await;
    routing::check_all_is_read(&dev.client).await;
    assert_eq!(same_events(folder.path()), rows_of_file(&file(folder.path(), "spare")).len());

    // another program holds the lock of the file that keeps what is paid
    let lock = rusqlite::Connection::open(file(folder.path(), "mirror")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    routing::check_only_paid_is_refused(&dev.client, 100).await;
    lock.execute_batch("ROLLBACK").unwrap();
    routing::until_true("it is taken again", || async {
        routing::append(&dev.client, 90, "Paid", "{}").await.status.is_success()
    })
    .await;

    // routes change while everything runs, for what comes then
    dev.stop();
    let changed = manifests(&ROUTED.replace("source: mirror", "source: spare"));
    std::fs::write(folder.path().join("store.yaml"), changed).unwrap();
    let dev = Dev::of(self::dev(folder.path()));
    routing::append(&dev.client, 91, "Paid", "{}").await.ok();
    let before = kept("mirror");
    routing::until_true("the new one goes elsewhere", || async {
        kept("spare").iter().filter(|name| *name == "Paid").count() == 1 && kept("mirror") == before
    })
    .await;
    routing::check_all_is_read(&dev.client).await;
    dev.stop();
    // who kept data does not leave
    let without = manifests(&ROUTED.replace("source: mirror", "source: spare"))
        .replace("failover: {mode: Automatic, after: 500ms}", "failover: {mode: Manual}")
        .replace("- {name: mirror,", "- {state: Draining, name: mirror,");
    std::fs::write(folder.path().join("store.yaml"), without).unwrap();
    let dev = Dev::of(self::dev(folder.path()));
    routing::append(&dev.client, 92, "Booked", "{}").await.ok();
    let status = until_level(&dev.client).await;
    assert_eq!(source(&status, "mirror")["role"], "Voter", "{status}");
    routing::check_all_is_read(&dev.client).await;
}

/// The manifests without some of their sources.
fn without(strategy: &str, sources: &[&str], acks: &str) -> String {
    let all = manifests(strategy);
    let kept =
        all.lines().filter(|line| sources.iter().all(|name| !line.contains(&format!("name: {name},"))));
    let kept = kept.collect::<Vec<_>>().join("\n");
    kept.replace("acks: Majority, failover: {mode: Automatic, after: 500ms}", acks)
}

#[tokio::test]
async fn sources_leave_and_are_replaced_with_a_start() {
    let folder = folder(&manifests(MAJORITY));
    let write = |manifest: String| std::fs::write(folder.path().join("store.yaml"), manifest).unwrap();
    let first = Dev::of(dev(folder.path()));
    append(&first.client, 1).await.ok();
    until_level(&first.client).await;
    first.stop();

    // under maintenance it follows and votes, and is not the primary
    write(manifests(MAJORITY).replace("- {name: ledger", "- {state: Maintenance, name: ledger"));
    let second = Dev::of(dev(folder.path()));
    let away = until(&second.client, "another leads", |status| {
        status["primary"] != "ledger" && !status["primary"].is_null()
    })
    .await;
    assert_eq!(source(&away, "ledger")["state"], "Maintenance", "{away}");
    assert_eq!(source(&away, "ledger")["role"], "Voter", "{away}");
    append(&second.client, 2).await.ok();
    second.stop();

    // a file that is lost makes room for another source
    write(manifests(MAJORITY).replace("name: ledger,", "name: anew,"));
    let third = Dev::of(dev(folder.path()));
    append_until_acknowledged(&third.client, 3).await;
    until(&third.client, "the new one votes", |status| source(status, "anew")["role"] == "Voter").await;
    until_level(&third.client).await;
    third.stop();

    // two of three leave, one after the other is a step of its own
    let draining = manifests(MAJORITY)
        .replace("name: ledger,", "name: anew,")
        .replace("- {name: mirror", "- {state: Draining, name: mirror")
        .replace("- {name: spare", "- {state: Draining, name: spare")
        .replace("acks: Majority, failover: {mode: Automatic, after: 500ms}", "acks: \"1\"");
    write(draining);
    let fourth = Dev::of(dev(folder.path()));
    until(&fourth.client, "they vote no more", |status| {
        status["primary"] == "anew"
            && ["mirror", "spare"].iter().all(|name| source(status, name)["role"] == "Learner")
    })
    .await;
    append(&fourth.client, 4).await.ok();
    fourth.stop();
    write(without(MAJORITY, &["mirror", "spare"], "acks: \"1\"").replace("name: ledger,", "name: anew,"));
    let alone = Dev::of(dev(folder.path()));
    append(&alone.client, 5).await.ok();
    assert_eq!(numbers(&alone.client).await, [1, 2, 3, 4, 5]);
    alone.stop();
}

#[tokio::test]
async fn a_log_that_was_begun_in_one_file_grows_into_three() {
    let three = manifests(MAJORITY);
    let alone = three.lines().filter(|line| !line.contains("name: spare") && !line.contains("name: mirror"));
    let alone = alone.collect::<Vec<_>>().join("\n");
    let alone = alone.replace("acks: Majority, failover: {mode: Automatic, after: 500ms}", "acks: \"1\"");
    let folder = folder(&alone);
    let first = Dev::of(dev(folder.path()));
    for number in 1..=20 {
        append(&first.client, number).await.ok();
    }
    let id = status(&first.client).await["storeId"].clone();
    first.stop();
    let switched = three.replace("  strategyRef:", "  primary: spare\n  strategyRef:");
    std::fs::write(folder.path().join("store.yaml"), switched).unwrap();
    // a copy of the database is no second one, and would be counted as such
    std::fs::copy(file(folder.path(), "ledger"), file(folder.path(), "mirror")).unwrap();
    refused(folder.path(), 1, &["mirror", "give each source its own"]);
    std::fs::remove_file(file(folder.path(), "mirror")).unwrap();
    let second = Dev::of(dev(folder.path()));
    append(&second.client, 21).await.ok();
    let grown = until(&second.client, "all vote", |status| {
        ["ledger", "mirror", "spare"].iter().all(|name| source(status, name)["role"] == "Voter")
    })
    .await;
    assert_eq!(grown["storeId"], id);
    until(&second.client, "the wanted primary leads", |status| status["primary"] == "spare").await;
    until_level(&second.client).await;
    let all = second
        .client
        .send(
            http::Method::POST,
            "/v1/streams/Payment-1?acks=all",
            &[("content-type", "application/json")],
            r#"{"expectedVersion":21,"events":[{"type":"Paid","data":{"number":22}}]}"#,
        )
        .await;
    assert!(all.status.is_success(), "{}", all.text());
    assert_eq!(numbers(&second.client).await, (1..=22).collect::<Vec<_>>());
    second.stop();
    assert!(same_events(folder.path()) >= 24);
}

#[track_caller]
fn refused(folder: &Path, code: i32, words: &[&str]) {
    let ended = dev(folder).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}
