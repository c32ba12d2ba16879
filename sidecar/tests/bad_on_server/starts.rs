//! What a sidecar that starts says, and that it leaves nothing behind.

use std::sync::LazyLock;

use super::servers::BadServer;
use crate::support::{
    mounted::store,
    process::{Dev, at, command, folder, refused},
    server::provision,
};

pub async fn a_server_that_forgets_is_used_only_when_told_and_says_so<S: BadServer>(_: &LazyLock<S>) {
    let forgetful = S::with(&[S::FORGETFUL]);
    let place = forgetful.new_place();
    let (source, manifests) = (at(&forgetful.admin_url(&place)), store(&forgetful, &place));
    refused(folder(&manifests).path(), &source, 1, &["source_refused", S::IS_FORGETFUL]);
    let folder = folder(&manifests);
    let mut told = command(folder.path(), &source);
    told.arg("--unsafe-durability");
    let running = Dev::of(told);
    let words = format!("unsafe durability: {}", S::IS_FORGETFUL);
    assert!(running.banner.contains(&words), "{}", running.banner);
    assert!(running.banner.contains("WARN") && running.banner.contains("what is acknowledged may be lost"));
    running.client.append("Payment-1", "Paid", "1").await;
    let store = running.client.get("/v1/stores/payments").await.ok().json();
    let source = &store["sources"][0];
    assert_eq!(source["state"], "InSync");
    assert!(source["message"].as_str().is_some_and(|message| message.contains(&words)), "{store}");
    running.health.get("/readyz").await.ok();
    running.stop();
}

pub async fn a_start_where_a_foreign_table_is_writes_nothing<S: BadServer>(shared: &LazyLock<S>) {
    let server: &S = shared;
    let place = server.new_place();
    provision(server, &place).await;
    server.foreign_head(&place, true);
    let (source, manifests) = (at(&server.admin_url(&place)), store(server, &place));
    let words = ["wrong_store", "belongs to another application"];
    refused(folder(&manifests).path(), &source, 1, &words);
    let head = format!("SELECT count(*) FROM {}", place.table("polylog_head"));
    assert_eq!(server.run(&place, &head), "0");
}
