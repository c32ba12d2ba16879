//! Certificates that change.

use std::sync::LazyLock;

use polylog_test_bed::Authority;

use crate::support::{
    mounted::{Serving, Volume, store, until},
    server::{LogServer, provision},
    writers::Writers,
};

pub async fn authority_and_client_certificate_are_rotated_under_load<S: LogServer>(_: &LazyLock<S>) {
    let server = S::new();
    let place = server.new_place();
    provision(&server, &place).await;
    server.create_user("carrier", "none");
    server.let_use(&place, "carrier");
    let (old, new) = (Authority::new(), Authority::new());
    let serve = |certificate: &Authority, trusted: &str| {
        let (public, key) = certificate.sign(&["ledger.example"], "server");
        server.serve_tls(&public, &key, trusted);
    };
    serve(&old, &old.pem);
    server.only_with_certificate(&place, "carrier");

    let manifest = store(&server, &place).replace(
        "secretRef: {name: ledger-db}",
        "secretRef: {name: ledger-db}, tls: {mode: Require, caRef: {name: db-ca}, clientCertRef: {name: db-client}, \
         serverName: ledger.example}",
    );
    let url = server.address(Some("carrier"), &place);
    let (certificate, key) = old.sign(&[], "carrier");
    let mut volume = Volume::new(&[
        ("store/eventstore.yaml", &manifest),
        ("sources/ledger/url", &url),
        ("sources/ledger/ca.crt", &old.pem),
        ("sources/ledger/tls.crt", &certificate),
        ("sources/ledger/tls.key", &key),
    ]);
    let gateway = Serving::start("gateway", &volume).await;
    let sidecar = Serving::start("sidecar", &volume).await;
    sidecar.until_it_appends("Payment-1").await;
    let writers = Writers::start(&sidecar);
    writers.go_on(3).await;

    // both authorities count for a while; then only the new one, for the server and for its clients
    let both = format!("{}{}", old.pem, new.pem);
    serve(&old, &both);
    let (certificate, key) = new.sign(&[], "carrier");
    volume.set(&[
        ("sources/ledger/ca.crt", &both),
        ("sources/ledger/tls.crt", &certificate),
        ("sources/ledger/tls.key", &key),
    ]);
    let issuer = |serving: &Serving| serving.process.said().matches("new database sessions").count() == 1;
    until("both use the new one", || async { (issuer(&sidecar) && issuer(&gateway)).then_some(()) }).await;
    serve(&new, &new.pem);
    server.end_sessions(&place);
    writers.go_on(3).await;
    writers.end().await;
    // the old certificate is worth nothing any more
    let (certificate, key) = old.sign(&[], "carrier");
    volume.set(&[("sources/ledger/tls.crt", &certificate), ("sources/ledger/tls.key", &key)]);
    assert_eq!(sidecar.until_configuration("Refused").await["state"], "Refused");
    sidecar.until_it_appends("Payment-1").await;
    assert!(!sidecar.process.said().contains("PRIVATE KEY"), "a key in the log");
}
