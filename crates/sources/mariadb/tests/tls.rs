//! Connections that prove who is at the other end.

mod support;

use polylog_log::{Failure, RefusedReason, Source};
use polylog_source_mariadb::{MariadbConfig, MariadbSource, Secret, TlsUse};
use polylog_test_bed::{Authority, MariadbServer};
use support::{Store, identity, refusal};

fn serve(server: &MariadbServer, authority: &Authority, names: &[&str]) {
    let (certificate, key) = authority.sign(names, "server");
    let mut settings = MariadbServer::settings("");
    for (setting, content) in [("ssl-cert", &certificate), ("ssl-key", &key), ("ssl-ca", &authority.pem)] {
        let path = server.write_file(&format!("{setting}.pem"), content);
        settings.push_str(&format!("{setting}={}\n", path.display()));
    }
    server.write_file("my.cnf", &settings);
    server.stop();
    server.start_again();
}

fn is_tls(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { reason: RefusedReason::Tls, .. })
}

#[tokio::test]
async fn a_server_must_prove_its_name_and_a_client_may_have_a_certificate() {
    let server = MariadbServer::start();
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
    let source = MariadbSource::open(with(&store.url, &authority)).await.expect("an open source");
    support::lead(&source, &store.identity, 1).await;
    // a server that takes nothing else
    server.execute("mysql", "SET GLOBAL require_secure_transport = ON");
    let plain = support::config(&format!("{}?ssl-mode=DISABLED", store.url));
    refusal(plain).await;
    assert_eq!(source.head().await.expect("a head").identity, store.identity);
    MariadbSource::open(with(&store.url, &authority)).await.expect("an open source");

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
    let source = MariadbSource::open(named(&by_other_name, "ledger.example")).await.expect("an open source");
    support::carry(&source, &store.identity, 300_000).await;
    server.stop();
    let elsewhere = named(&store.url, "ledger.example");
    let down = refusal(elsewhere.clone()).await;
    assert!(matches!(&down, Failure::Unreachable(words) if words.contains("refused")), "{down:?}");
    server.start_again();
    assert_eq!(source.head().await.expect("a head").identity, store.identity);
    MariadbSource::open(elsewhere).await.expect("an open source");

    // a certificate instead of a password
    server.execute("mysql", "CREATE USER carrier@'%' REQUIRE SUBJECT '/CN=carrier'");
    server.execute("mysql", &format!("GRANT ALL ON {}.* TO carrier@'%'", store.database));
    let url = format!("mysql://carrier@127.0.0.1:{}/{}", server.port(), store.database);
    let refused = refusal(with(&url, &authority)).await;
    assert!(matches!(refused, Failure::Refused { reason: RefusedReason::Auth, .. }), "{refused:?}");
    let (certificate, key) = authority.sign(&[], "carrier");
    let mut config: MariadbConfig = with(&url, &authority);
    config.address.client_certificate = Some((certificate.into_bytes(), Secret::new(key)));
    let source = MariadbSource::open(config).await.expect("an open source");
    assert_eq!(source.head().await.expect("a head").identity, store.identity);
}
