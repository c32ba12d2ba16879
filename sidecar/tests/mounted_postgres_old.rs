//! The roles `sidecar` and `gateway` on real PostgreSQL servers: changes of the configuration under load.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::LazyLock;

use http_body_util::BodyExt;
use polylog_log::{
    Approval, DatabaseId, Desired, Identity, Incarnation, IndexOptions, LogId, SourceName, StepClass,
};
use polylog_source_postgres::{
    Address, PostgresConfig, SchemaName,
    provision::{self, Place},
};
use polylog_test_bed::PostgresServer;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use support::{
    Client,
    mounted::{Process, STORE, Serving, Volume, Writers, append, until},
};
use uuid::Uuid;

/// One server for the tests that neither stop nor reconfigure it.
static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// Makes the schema of a store, as its operator would.
async fn provision(url: &str, schema: &str) -> LogId {
    let schema = SchemaName::parse(schema).unwrap();
    let config = PostgresConfig::new(Address::parse(url).unwrap(), schema.clone());
    let place = Place { schema, create_schema: true, role: None };
    let identity = Identity {
        log: LogId::new(Uuid::new_v4()),
        database: DatabaseId::new(Uuid::new_v4()),
        incarnation: Incarnation::new(Uuid::new_v4()),
    };
    let actual = provision::inspect(&config, &place).await.unwrap();
    let desired =
        Desired { identity, source: SourceName::recorded("ledger"), indexes: IndexOptions::default() };
    let plan = provision::plan(&desired, &place, &actual).unwrap();
    provision::apply(&config, &place, &plan, &Approval::up_to(StepClass::Slow)).await.unwrap();
    identity.log
}

/// A role that may do what a source needs.
fn create_role(server: &PostgresServer, database: &str, role: &str, password: &str) {
    server.execute(
        database,
        &format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{password}'; GRANT USAGE ON SCHEMA payments TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA payments TO {role}"
        ),
    );
}

/// Who has sessions in the database.
fn users(server: &PostgresServer, database: &str) -> String {
    let users = "SELECT string_agg(DISTINCT usename, ',') FROM pg_stat_activity WHERE application_name = 'polylog' \
         AND datname = current_database()";
    server.execute(database, users)
}

fn terminate(server: &PostgresServer, database: &str, which: &str) {
    let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'polylog' \
         AND datname = current_database() AND ";
    server.execute(database, &format!("{all}{which}"));
}

fn with_id(log: LogId) -> String {
    STORE.replace("spec:", &format!("status: {{storeId: {log}}}\nspec:"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configurations_change_under_load_without_one_failed_request() {
    let database = SERVER.create_database();
    let url = SERVER.url(&database);
    let manifest = with_id(provision(&url, "payments").await);
    let mut volume = Volume::of(&manifest, &url);
    let sidecar = Serving::start("sidecar", &volume).await;
    // the log has no primary, and it is not a sidecar's to open it
    until("it waits for the gateway", || async {
        (append(&sidecar.client, "Payment-1").await.json()["code"] == "no_primary").then_some(())
    })
    .await;
    let gateway = Serving::start("gateway", &volume).await;
    sidecar.until_it_appends("Payment-1").await;
    gateway.until_configuration("InForce").await;
    let writers = Writers::start(&sidecar.client);
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
        "spec:\n  access: [{serviceAccounts: [{name: checkout}], verbs: [append, read], categories: [Writer]}]",
    );
    volume.set(&[("store/eventstore.yaml", &closed)]);
    until("the new access list is in force", || async {
        (append(&sidecar.client, "Payment-1").await.json()["code"] == "access_denied").then_some(())
    })
    .await;
    writers.go_on(2).await;

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
    let configs = "SELECT count(*) FROM payments.polylog_events WHERE stream = '$policy'";
    assert_eq!(SERVER.execute(&database, configs), "3", "one for each meaning");
}

async fn taken(serving: &Serving) -> u64 {
    let metrics = serving.metrics().await;
    let line = metrics.lines().find(|line| {
        line.starts_with("polylog_configuration_changes_total") && line.contains(r#"outcome="taken""#)
    });
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// A gateway and a sidecar on a schema of their own, reached as the role `worker` with the password `one`.
async fn as_worker(server: &PostgresServer) -> (String, Volume, Serving, Serving) {
    let database = server.create_database();
    provision(&server.url(&database), "payments").await;
    let role = format!("worker_{database}");
    create_role(server, &database, &role, "one");
    let manifest = STORE.replace(
        "secretRef: {name: ledger-db}",
        &format!(
            "url: 'postgres://127.0.0.1:{}/{database}', auth: {{secretRef: {{name: ledger-user}}}}",
            server.port()
        ),
    );
    let volume = Volume::new(&[
        ("store/eventstore.yaml", &manifest),
        ("sources/ledger/username", &role),
        ("sources/ledger/password", "one"),
    ]);
    let gateway = Serving::start("gateway", &volume).await;
    let sidecar = Serving::start("sidecar", &volume).await;
    sidecar.until_it_appends("Payment-1").await;
    (database, volume, gateway, sidecar)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_and_a_user_are_rotated_under_load() {
    let (database, mut volume, gateway, sidecar) = as_worker(&SERVER).await;
    let (first, second) = (format!("worker_{database}"), format!("second_{database}"));
    let writers = Writers::start(&sidecar.client);
    writers.go_on(3).await;

    // the password changes, the new one is mounted, the old sessions end: all at once, so that the processes meet the
    // refusal before they have read the new one
    SERVER.execute(&database, &format!("ALTER ROLE {first} PASSWORD 'two'"));
    volume.set(&[("sources/ledger/password", "two")]);
    terminate(&SERVER, &database, "true");
    writers.go_on(3).await;
    until("both use the new one", || async {
        let replaced = |serving: &Serving| serving.process.said().matches("new database sessions").count();
        (replaced(&sidecar) == 1 && replaced(&gateway) == 1).then_some(())
    })
    .await;

    // another user, also while the manifests are wrong, and the old one may not log in any more
    create_role(&SERVER, &database, &second, "three");
    let manifest = std::fs::read_to_string(volume.path().join("store/eventstore.yaml")).unwrap();
    volume.set(&[
        ("store/eventstore.yaml", "kind: ["),
        ("sources/ledger/username", &second),
        ("sources/ledger/password", "three"),
    ]);
    until("the new user is in use", || async { (users(&SERVER, &database) == second).then_some(()) }).await;
    sidecar.until_configuration("Refused").await;
    volume.set(&[("store/eventstore.yaml", &manifest)]);
    SERVER.execute(&database, &format!("ALTER ROLE {first} NOLOGIN"));
    terminate(&SERVER, &database, "true");
    writers.go_on(3).await;
    writers.end().await;
    for process in [&sidecar, &gateway] {
        let said = process.process.said();
        assert!(!said.contains("two") && !said.contains("three"), "a secret in the log");
        process.until_configuration("InForce").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_credentials_that_do_not_work_leave_the_old_ones_in_use_until_they_do() {
    let (database, mut volume, _gateway, sidecar) = as_worker(&SERVER).await;
    let writers = Writers::start(&sidecar.client);
    volume.set(&[("sources/ledger/password", "later")]);
    let refused = sidecar.until_configuration("Refused").await;
    assert_eq!(refused["code"], "source_refused", "{refused}");
    writers.go_on(3).await;
    assert!(sidecar.metrics().await.contains(r#"polylog_configuration_in_force{store="payments"} 0"#));
    // another store's database is none for this one
    let other = SERVER.create_database();
    provision(&SERVER.url(&other), "payments").await;
    let role = format!("worker_{database}");
    SERVER.execute(
        &other,
        &format!(
            "GRANT USAGE ON SCHEMA payments TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA payments TO {role}"
        ),
    );
    let manifest = std::fs::read_to_string(volume.path().join("store/eventstore.yaml")).unwrap();
    let moved = manifest.replace(&database, &other).replace(&format!("worker_{other}"), &role);
    volume.set(&[("store/eventstore.yaml", &moved), ("sources/ledger/password", "one")]);
    until("it is refused", || async {
        (sidecar.configuration().await["code"] == "wrong_store").then_some(())
    })
    .await;
    writers.go_on(3).await;
    // the database follows what is mounted: nobody touches the mount
    volume.set(&[("store/eventstore.yaml", &manifest), ("sources/ledger/password", "later")]);
    until("it is refused", || async {
        (sidecar.configuration().await["code"] == "source_refused").then_some(())
    })
    .await;
    SERVER.execute(&database, &format!("ALTER ROLE {role} PASSWORD 'later'"));
    sidecar.until_configuration("InForce").await;
    terminate(&SERVER, &database, "true");
    writers.go_on(3).await;
    writers.end().await;
    assert_eq!(SERVER.execute(&other, "SELECT count(*) FROM payments.polylog_events"), "0");
}

/// An authority of its own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, Uuid::new_v4().to_string());
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, names: &[&str], common_name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authority_and_client_certificate_are_rotated_under_load() {
    let server = PostgresServer::start();
    let database = server.create_database();
    provision(&server.url(&database), "payments").await;
    create_role(&server, &database, "carrier", "none");
    let (old, new) = (Authority::new(), Authority::new());
    let serve = |certificate: &Authority, trusted: &str| {
        let (public, key) = certificate.sign(&["127.0.0.1"], "server");
        for (file, setting, content) in
            [("server.crt", "cert", public.as_str()), ("server.key", "key", &key), ("ca.crt", "ca", trusted)]
        {
            let path = server.write_file(file, content);
            server
                .execute("postgres", &format!("ALTER SYSTEM SET ssl_{setting}_file = '{}'", path.display()));
        }
        server.execute("postgres", "ALTER SYSTEM SET ssl = on;; SELECT pg_reload_conf()");
    };
    serve(&old, &old.pem);
    server.write_file("data/pg_hba.conf", "local all all trust\nhostssl all carrier 127.0.0.1/32 cert\n");
    server.execute("postgres", "SELECT pg_reload_conf()");

    let manifest = STORE.replace(
        "secretRef: {name: ledger-db}",
        "secretRef: {name: ledger-db}, tls: {mode: Require, caRef: {name: db-ca}, clientCertRef: {name: db-client}}",
    );
    let url = format!("postgres://carrier@127.0.0.1:{}/{database}", server.port());
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
    let writers = Writers::start(&sidecar.client);
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
    terminate(&server, &database, "true");
    writers.go_on(3).await;
    writers.end().await;
    // the old certificate is worth nothing any more
    let (certificate, key) = old.sign(&[], "carrier");
    volume.set(&[("sources/ledger/tls.crt", &certificate), ("sources/ledger/tls.key", &key)]);
    assert_eq!(sidecar.until_configuration("Refused").await["state"], "Refused");
    sidecar.until_it_appends("Payment-1").await;
    assert!(!sidecar.process.said().contains("PRIVATE KEY"), "a key in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_added_and_removed_while_another_works() {
    let database = SERVER.create_database();
    let url = SERVER.url(&database);
    provision(&url, "payments").await;
    // each connection derives its key from the password, which takes a program without optimisation long
    let few = STORE.replace("spec:", "spec:\n  gateway: {pool: 2}");
    let mut volume = Volume::of(&few, &url);
    let gateway = Serving::start("gateway", &volume).await;
    gateway.until_it_appends("Payment-1").await;
    let writers = Writers::start(&gateway.client);
    let audit =
        STORE.replace("name: payments, n", "name: audit, n").replace("schema: payments", "schema: audit");
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
    set(&mut volume, &audit.replace("schema: audit", "schema: payments"));
    let code = async || {
        let body = r#"{"expectedVersion":"any","events":[{"type":"Paid","data":1}]}"#;
        let answer = gateway.client.post("/v1/stores/audit/streams/Audit-1", body).await;
        if answer.status.is_success() { "ok".into() } else { answer.json()["code"].clone() }
    };
    until("it is refused", || async { (code().await == "wrong_store").then_some(()) }).await;
    set(&mut volume, &audit);
    until("it is not there", || async { (code().await == "not_provisioned").then_some(()) }).await;
    provision(&url, "audit").await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_down_at_the_start_is_waited_for() {
    let server = PostgresServer::start();
    let database = server.create_database();
    let url = server.url(&database);
    server.stop();
    let volume = Volume::of(STORE, &url);
    let gateway = Serving::start("gateway", &volume).await;
    gateway.health.get("/readyz").await.ok();
    append(&gateway.client, "Payment-1").await.problem("source_unavailable");
    server.start_again();
    until("it is seen", || async {
        (append(&gateway.client, "Payment-1").await.json()["code"] == "not_provisioned").then_some(())
    })
    .await;
    assert_eq!(gateway.status("payments").await["sources"][0]["state"], "Unprovisioned");
    let log = provision(&url, "payments").await;
    gateway.until_it_appends("Payment-1").await;
    let status = gateway.status("payments").await;
    assert_eq!(
        (&status["storeId"], &status["primary"]),
        (&log.to_string().into(), &"ledger".into()),
        "{status}"
    );
    assert_eq!(status["configuration"]["state"], "InForce");
}

#[tokio::test]
async fn the_database_of_another_store_is_refused() {
    let database = SERVER.create_database();
    let url = SERVER.url(&database);
    provision(&url, "payments").await;
    let volume = Volume::of(&with_id(LogId::new(Uuid::new_v4())), &url);
    let gateway = Serving::start("gateway", &volume).await;
    until("it is refused", || async {
        (append(&gateway.client, "Payment-1").await.json()["code"] == "wrong_store").then_some(())
    })
    .await;
    assert_eq!(SERVER.execute(&database, "SELECT count(*) FROM payments.polylog_events"), "0");
}

/// What was taken before SIGTERM is answered, however slow the database is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_was_taken() {
    let server = PostgresServer::start();
    let database = server.create_database();
    let url = server.url(&database);
    provision(&url, "payments").await;
    let volume = Volume::of(STORE, &url);
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
    let count = "SELECT count(*) FROM payments.polylog_events WHERE stream = 'Payment-2'";
    assert_eq!(server.execute(&database, count), "3");
    // and a process that waits for its database ends at once
    server.stop();
    let waiting = Process::spawn("gateway", &volume, &["--port", "0", "--health-port", "0"]).serving().await;
    waiting.process.terminate();
    assert_eq!(waiting.process.ended().await, Some(0));
}
