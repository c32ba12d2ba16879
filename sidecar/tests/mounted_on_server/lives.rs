//! Beginning and end of a process.

use std::sync::LazyLock;

use polylog_log::LogId;
use uuid::Uuid;

use super::with_id;
use crate::support::{
    mounted::{Process, Serving, Volume, append, store, until},
    server::{LogServer, provision},
};

pub async fn a_database_that_is_down_at_the_start_is_waited_for<S: LogServer>(_: &LazyLock<S>) {
    let server = S::new();
    let place = server.new_place();
    server.stop();
    let volume = Volume::of(&store(&server, &place), &server.admin_url(&place));
    let gateway = Serving::start("gateway", &volume).await;
    gateway.health.get("/readyz").await.ok();
    append(&gateway.client, "Payment-1").await.problem("source_unavailable");
    server.start_again();
    until("it is seen", || async {
        (append(&gateway.client, "Payment-1").await.json()["code"] == "not_provisioned").then_some(())
    })
    .await;
    assert_eq!(gateway.status("payments").await["sources"][0]["state"], "Unprovisioned");
    let log = provision(&server, &place).await;
    gateway.until_it_appends("Payment-1").await;
    let status = gateway.status("payments").await;
    assert_eq!(
        (&status["storeId"], &status["primary"]),
        (&log.to_string().into(), &"ledger".into()),
        "{status}"
    );
    assert_eq!(status["configuration"]["state"], "InForce");
}

pub async fn the_database_of_another_store_is_refused<S: LogServer>(shared: &LazyLock<S>) {
    let server: &S = shared;
    let place = server.new_place();
    provision(server, &place).await;
    let manifest = with_id(&store(server, &place), LogId::new(Uuid::new_v4()));
    let volume = Volume::of(&manifest, &server.admin_url(&place));
    let gateway = Serving::start("gateway", &volume).await;
    until("it is refused", || async {
        (append(&gateway.client, "Payment-1").await.json()["code"] == "wrong_store").then_some(())
    })
    .await;
    assert_eq!(server.count(&place, "true"), 0);
}

/// What was taken before SIGTERM is answered, however slow the database is.
pub async fn a_stop_finishes_what_was_taken<S: LogServer>(_: &LazyLock<S>) {
    let server = S::new();
    let place = server.new_place();
    provision(&server, &place).await;
    let volume = Volume::of(&store(&server, &place), &server.admin_url(&place));
    let gateway = Serving::start("gateway", &volume).await;
    gateway.until_it_appends("Payment-1").await;
    server.pause();
    let taken: Vec<_> = (0..3)
        .map(|_| {
            let client = gateway.client.clone();
            tokio::spawn(async move { append(&client, "Payment-2").await })
        })
        .collect();
    // one is on its way to the database, others wait behind it
    until("they are taken", || async {
        let metrics = gateway.metrics().await;
        metrics.contains(r#"polylog_append_queue_commits{store="payments"} 2"#).then_some(())
    })
    .await;
    gateway.process.terminate();
    until("it stops", || async { gateway.process.line("stopping: new work is refused") }).await;
    server.resume();
    for taken in taken {
        taken.await.unwrap().ok();
    }
    let Serving { process, .. } = gateway;
    assert_eq!(process.ended().await, Some(0));
    assert_eq!(server.count(&place, "stream = 'Payment-2'"), 3);
    // and a process that waits for its database ends at once
    server.stop();
    let waiting = Process::spawn("gateway", &volume, &["--port", "0", "--health-port", "0"]).serving().await;
    waiting.process.terminate();
    assert_eq!(waiting.process.ended().await, Some(0));
}
