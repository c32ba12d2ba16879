//! Connections that prove who is at the other end.

mod support;

use polylog_log::{Failure, RefusedReason, Source};
use polylog_source_postgres::{PostgresConfig, PostgresSource, Secret};
use polylog_test_bed::PostgresServer;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use support::{Store, identity, refusal};

/// An authority of its own, in PEM.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key.
    fn sign(&self, names: &[&str], common_name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, common_name);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

fn serve(server: &PostgresServer, authority: &Authority, names: &[&str]) {
    let (certificate, key) = authority.sign(names, "server");
    for (name, content) in [("server.crt", &certificate), ("server.key", &key), ("ca.crt", &authority.pem)] {
        let path = server.write_file(name, content);
        let setting = name.replace("server.crt", "cert").replace("server.key", "key").replace("ca.crt", "ca");
        server.execute("postgres", &format!("ALTER SYSTEM SET ssl_{setting}_file = '{}'", path.display()));
    }
    server.execute("postgres", "ALTER SYSTEM SET ssl = on");
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

    serve(&server, &authority, &["127.0.0.1"]);
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
