//! What goes wrong while a sidecar runs, and is put right again.

use std::{sync::LazyLock, time::Instant};

use polylog_api::proto::polylog::v1::expected::Kind;
use tonic::Code as Status;

use super::{ENOUGH, Served, servers::BadServer};
use crate::support::{
    mounted::store,
    process::{Dev, at, folder},
    remote::{commit, failed},
};

pub async fn nobody_there_and_a_password_that_is_wrong<S: BadServer>(_: &LazyLock<S>) {
    let server = S::new();
    let served = Served::new(&server).await;
    server.stop();
    // what was under way when the server ended may have been written
    served.refuses("unreachable", "source_unavailable", 503, Status::Unavailable, "unreachable").await;
    server.start_again();
    served.recovers("unreachable").await;

    server.set_password(&served.user, "another");
    server.end_sessions(&served.place);
    served.refuses("password", "source_refused", 503, Status::FailedPrecondition, "auth").await;
    server.set_password(&served.user, "geheim");
    served.recovers("password").await;
}

pub async fn rights_that_are_taken_away<S: BadServer>(shared: &LazyLock<S>) {
    let served = Served::new(&**shared).await;
    shared.let_insert(&served.place, &served.user, false);
    served.refuses("rights", "source_refused", 503, Status::FailedPrecondition, "rights").await;
    let body = r#"{"expectedVersion":"any","events":[{"type":"Refused"}]}"#;
    let answer = served.running.client.post("/v1/streams/Payment-1", body).await;
    let problem = answer.json();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("GRANT INSERT ON ") && detail.contains(".polylog_events"), "{detail}");
    assert_eq!(problem["facts"]["reason"], "rights");
    shared.let_insert(&served.place, &served.user, true);
    served.recovers("rights").await;
}

pub async fn a_database_that_takes_no_writes<S: BadServer>(_: &LazyLock<S>) {
    let server = S::new();
    let served = Served::new(&server).await;
    server.let_write(&served.place, false);
    let (code, words) = ("source_refused", S::TAKES_NO_WRITES);
    served.refuses("read-only", code, 503, Status::FailedPrecondition, words).await;
    let body = r#"{"expectedVersion":"any","events":[{"type":"Refused"}]}"#;
    let answer = served.running.client.post("/v1/streams/Payment-1", body).await;
    assert_eq!(answer.json()["facts"]["reason"], "read_only");
    server.let_write(&served.place, true);
    served.recovers("read-only").await;
}

pub async fn a_server_that_begins_to_forget_and_an_index_that_is_gone<S: BadServer>(_: &LazyLock<S>) {
    let server = S::new();
    let served = Served::new(&server).await;
    server.forget(true);
    // the sessions that are open notice it too
    served.refuses("forgets", "source_refused", 503, Status::FailedPrecondition, S::FORGETS).await;
    server.forget(false);
    served.recovers("forgets").await;

    server.id_index(&served.place, false);
    let index = "polylog_events_id";
    served.refuses("index", "not_provisioned", 503, Status::Unavailable, index).await;
    server.id_index(&served.place, true);
    served.recovers("index").await;
}

pub async fn a_foreign_table_in_the_place_of_ours<S: BadServer>(shared: &LazyLock<S>) {
    let served = Served::new(&**shared).await;
    shared.foreign_head(&served.place, true);
    let belongs = "belongs to another application";
    served.refuses("foreign table", "wrong_store", 409, Status::FailedPrecondition, belongs).await;
    let head = format!("SELECT count(*) FROM {}", served.place.table("polylog_head"));
    assert_eq!(shared.run(&served.place, &head), "0");
    shared.foreign_head(&served.place, false);
    served.recovers("foreign table").await;
}

pub async fn a_disk_that_is_full<S: BadServer>(_: &LazyLock<S>) {
    let (server, place) = S::with_small_disk();
    let folder = folder(&store(&server, &place));
    let running = Dev::start(folder.path(), &at(&server.admin_url(&place)));
    running.client.append("Payment-1", "Paid", "1").await;
    let ballast = place.table("ballast");
    server.run(&place, &format!("CREATE TABLE {ballast} (x text)"));
    // what does not compress, and has room in a page: where it has none, MariaDB tries for longer than a request takes
    let noise: String = (0..400_u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    let some = format!("INSERT INTO {ballast} VALUES {}", vec![format!("('{noise}')"); 30].join(", "));
    let most = (0..1_000).take_while(|_| server.succeeds(&place, &some)).count();
    assert!(most < 1_000, "the disk never fills");

    let mut written = 1;
    let body = format!(r#"{{"expectedVersion":"any","events":[{{"type":"Paid","data":"{noise}"}}]}}"#);
    let problem = loop {
        let answer = running.client.post("/v1/streams/Payment-1", body.clone()).await;
        if !answer.status.is_success() {
            break answer.problem("source_refused");
        }
        written += 1;
        assert!(written < 1_000, "the disk never fills");
    };
    assert_eq!((&problem["facts"]["reason"], &problem["written"]), (&"disk_full".into(), &"nothing".into()));
    let data = format!("\"{noise}\"");
    let again = running.remote.append(commit("Payment-1", Kind::Any(true), &[("Paid", &data)])).await;
    let status = failed(again, Status::FailedPrecondition, "source_refused");
    assert_eq!(status.facts["reason"], "disk_full");
    // reads go on
    let head = running.client.get("/v1/streams/Payment-1/head").await.ok().json();
    assert_eq!(head["version"], written);
    server.run(&place, &format!("DROP TABLE {ballast}"));
    let deadline = Instant::now() + ENOUGH;
    while !running.client.post("/v1/streams/Payment-1", body.clone()).await.status.is_success() {
        assert!(Instant::now() < deadline, "it goes on");
    }
    let head = running.client.get("/v1/streams/Payment-1/head").await.ok().json();
    assert_eq!(head["version"], written + 1);
}
