//! Manifests that change.

use std::sync::LazyLock;

use http_body_util::BodyExt;
use polylog_api::proto::polylog::admin::v1::{GetStatusRequest, PlanRequest};

use super::with_id;
use crate::support::{
    Client,
    mounted::{Serving, Volume, append, store, until},
    remote::failed,
    server::{LogServer, Place, provision},
    writers::Writers,
};

pub async fn configurations_change_under_load_without_one_failed_request<S: LogServer>(shared: &LazyLock<S>) {
    let server: &S = shared;
    let place = server.new_place();
    let manifest = with_id(&store(server, &place), provision(server, &place).await);
    let mut volume = Volume::of(&manifest, &server.admin_url(&place));
    let sidecar = Serving::start("sidecar", &volume).await;
    // the log has no primary, and it is not a sidecar's to open it
    until("it waits for the gateway", || async {
        (append(&sidecar.client, "Payment-1").await.json()["code"] == "no_primary").then_some(())
    })
    .await;
    let gateway = Serving::start("gateway", &volume).await;
    sidecar.until_it_appends("Payment-1").await;
    gateway.until_configuration("InForce").await;
    let writers = Writers::start(&sidecar);
    writers.go_on(3).await;

    // what is said in the mount alone
    let reads = |consistency: &str| {
        format!(
            "apiVersion: polylog.dev/v1alpha1\nkind: ReplicationStrategy\nmetadata: {{name: fast, namespace: shop}}\n\
             spec: {{type: Priority, ackTimeout: 4s, reads: {{consistency: {consistency}}}}}"
        )
    };
    let by_strategy = manifest.replace("spec:", "spec:\n  strategyRef: {name: fast}");
    for consistency in ["Strong", "Eventual", "Session"] {
        volume.set(&[("store/eventstore.yaml", &by_strategy), ("store/strategy.yaml", &reads(consistency))]);
        let before = taken(&sidecar).await;
        until("it is taken", || async { (taken(&sidecar).await > before).then_some(()) }).await;
        writers.go_on(2).await;
    }

    // what goes through the log: the gateway writes it, the sidecar follows
    let closed = by_strategy.replace(
        "spec:",
        "spec:\n  access:\n  - {serviceAccounts: [{name: checkout}], verbs: [append, read, subscribe], categories: [Writer]}\n  \
         - {serviceAccounts: [{name: checkout}], verbs: [admin]}",
    );
    volume.set(&[("store/eventstore.yaml", &closed)]);
    until("the new access list is in force", || async {
        (append(&sidecar.client, "Payment-1").await.json()["code"] == "access_denied").then_some(())
    })
    .await;
    writers.go_on(2).await;
    let told = sidecar.remote.admin().get_status(GetStatusRequest::default()).await.unwrap().into_inner();
    let told = told.store.unwrap().configuration.unwrap();
    assert_eq!((told.state.as_str(), told.code.as_str()), ("InForce", ""), "{told:?}");

    // only the operator has a credential that provisions
    for process in [&sidecar, &gateway] {
        let refused = process.remote.admin().plan(PlanRequest::default()).await;
        let told = failed(refused, tonic::Code::Unimplemented, "not_supported");
        assert!(told.message.contains("the operator plans"), "{told:?}");
    }

    // a bad one
    volume.set(&[("store/strategy.yaml", &reads("Sometimes"))]);
    for process in [&sidecar, &gateway] {
        let refused = process.until_configuration("Refused").await;
        assert_eq!(refused["code"], "invalid_configuration");
        assert!(refused["message"].as_str().unwrap().contains("consistency"), "{refused}");
        process.health.get("/readyz").await.ok();
    }
    writers.go_on(2).await;
    append(&sidecar.client, "Payment-1").await.problem("access_denied");
    volume.set(&[("store/eventstore.yaml", &by_strategy), ("store/strategy.yaml", &reads("Session"))]);
    sidecar.until_configuration("InForce").await;
    gateway.until_configuration("InForce").await;
    sidecar.until_it_appends("Payment-1").await;
    writers.go_on(2).await;
    writers.end().await;
    assert_eq!(server.count(&place, "stream = '$policy'"), 3, "one for each meaning");
}

async fn taken(serving: &Serving) -> u64 {
    let metrics = serving.metrics().await;
    let line = metrics.lines().find(|line| {
        line.starts_with("polylog_configuration_changes_total") && line.contains(r#"outcome="taken""#)
    });
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

pub async fn a_store_is_added_and_removed_while_another_works<S: LogServer>(shared: &LazyLock<S>) {
    let server: &S = shared;
    let place = server.new_place();
    let url = server.admin_url(&place);
    provision(server, &place).await;
    // each connection derives its key from the password, which takes a program without optimisation long
    let few = store(server, &place).replace("spec:", "spec:\n  gateway: {pool: 2}");
    let mut volume = Volume::of(&few, &url);
    let gateway = Serving::start("gateway", &volume).await;
    gateway.until_it_appends("Payment-1").await;
    let writers = Writers::start(&gateway);
    let beside = server.beside(&place);
    let audit = |place: &Place| store(server, place).replace("name: payments, n", "name: audit, n");
    let files = |manifest: &str| {
        [
            ("stores/shop.audit/store/eventstore.yaml".to_owned(), manifest.to_owned()),
            ("stores/shop.audit/sources/ledger/url".to_owned(), url.clone()),
        ]
    };
    let set = |volume: &mut Volume, manifest: &str| {
        let files = files(manifest);
        volume.set(&files.each_ref().map(|(path, content)| (path.as_str(), content.as_str())));
    };
    // the log of another store of this process, then none at all
    set(&mut volume, &audit(&place));
    let code = async || {
        let body = r#"{"expectedVersion":"any","events":[{"type":"Paid","data":1}]}"#;
        let answer = gateway.client.post("/v1/stores/audit/streams/Audit-1", body).await;
        if answer.status.is_success() { "ok".into() } else { answer.json()["code"].clone() }
    };
    until("it is refused", || async { (code().await == "wrong_store").then_some(()) }).await;
    set(&mut volume, &audit(&beside));
    until("it is not there", || async { (code().await == "not_provisioned").then_some(()) }).await;
    provision(server, &beside).await;
    until("it appends", || async { (code().await == "ok").then_some(()) }).await;
    writers.go_on(2).await;

    let (end, seen) = tokio::sync::oneshot::channel();
    let client = gateway.client.clone();
    tokio::spawn(async move { end.send(subscription(&client).await).unwrap() });
    volume.remove("stores/");
    until("it is gone", || async { (code().await == "store_not_found").then_some(()) }).await;
    let text = seen.await.unwrap();
    assert!(text.contains("Paid") && text.contains(r#""code":"draining""#), "{text}");
    writers.go_on(2).await;
    writers.end().await;
    assert!(!gateway.metrics().await.contains(r#"polylog_store_open{store="audit"}"#));
}

/// Everything that a subscription says until it ends.
async fn subscription(client: &Client) -> String {
    let request = client.request(
        http::Method::GET,
        "/v1/stores/audit/subscribe?from=beginning",
        &[("accept", "text/event-stream")],
        "",
    );
    let body = client.open(request).await.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}
