//! Connections that prove who is at the other end.

mod support;

use polylog_log::{Failure, RefusedReason, Source};
use polylog_source_postgres::{PostgresConfig, PostgresSource, Secret, TlsUse};
use polylog_test_bed::{Authority, PostgresServer};
use support::{Store, identity, refusal};

fn serve(server: &PostgresServer, authority: &Authority, names: &[&str]) {
    let (certificate, key) = authority.sign(names, "server");
    server.serve_tls(&certificate, &key, &authority.pem);
    server.write_file(
        "data/pg_hba.conf",
        "local all all trust\nhostssl all carrier 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 scram-sha-256\n",
    );
    server.stop();
    server.start_again();
}

fn is_tls(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { reason: RefusedReason::Tls, .. })
}

#[tokio::test]
async fn a_server_must_prove_its_name_and_a_client_may_have_a_certificate() {
    let server = PostgresServer::start();
    let store = Store::on(&server, identity(1)).await;
    let authority = Authority::new();
    let with = |url: &str, ca: &Authority| {
        let mut config = support::config(url);
        config.address.ca = Some(ca.pem.clone().into_bytes());
        config
    };

    // a server that speaks no TLS
    let refused = refusal(with(&store.url, &authority)).await;
    assert!(is_tls(&refused), "{refused:?}");

    serve(&server, &authority, &["127.0.0.1", "ledger.example"]);
    let source = PostgresSource::open(with(&store.url, &authority)).await.expect("an open source");
    support::lead(&source, &store.identity, 1).await;
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'polylog'";
    assert_eq!(server.execute(&store.database, encrypted), "t");

    // another authority, and another name
    let refused = refusal(with(&store.url, &Authority::new())).await;
    assert!(is_tls(&refused), "{refused:?}");
    let by_other_name = store.url.replace("127.0.0.1", "localhost");
    let refused = refusal(with(&by_other_name, &authority)).await;
    assert!(is_tls(&refused), "{refused:?}");

    // a name of its own for the certificate
    let named = |url: &str, name: &str| {
        let mut config = with(url, &authority);
        config.address.tls = Some(TlsUse::Require);
        config.address.server_name = Some(name.into());
        config
    };
    let refused = refusal(named(&store.url, "other.example")).await;
    assert!(is_tls(&refused), "{refused:?}");
    let source = PostgresSource::open(named(&by_other_name, "ledger.example")).await.expect("an open source");
    support::carry(&source, &store.identity, 300_000).await;
    server.stop();
    let elsewhere = named(&store.url, "ledger.example");
    let down = refusal(elsewhere.clone()).await;
    assert!(matches!(&down, Failure::Unreachable(words) if words.contains("refused")), "{down:?}");
    server.start_again();
    assert_eq!(source.head().await.expect("a head").identity, store.identity);
    PostgresSource::open(elsewhere).await.expect("an open source");

    // a certificate instead of a password
    server.execute(&store.database, "CREATE ROLE carrier LOGIN SUPERUSER");
    let url = server.url_as("carrier", "none", &store.database);
    let refused = refusal(with(&url, &authority)).await;
    assert!(matches!(refused, Failure::Refused { reason: RefusedReason::Auth, .. }), "{refused:?}");
    let (certificate, key) = authority.sign(&[], "carrier");
    let mut config: PostgresConfig = with(&url, &authority);
    config.address.client_certificate = Some((certificate.into_bytes(), Secret::new(key)));
    let source = PostgresSource::open(config).await.expect("an open source");
    assert_eq!(source.head().await.expect("a head").identity, store.identity);
}
