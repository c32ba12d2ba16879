//! PostgreSQL databases that must not be used, or not now: what a sidecar that runs says of each, that nothing is
//! written meanwhile, and that it goes on by itself once the cause is gone.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use polylog_api::proto::polylog::v1::{self, expected::Kind};
use polylog_test_bed::PostgresServer;
use support::{
    process::{Dev, at, command, folder, refused},
    remote::{commit, failed},
};
use tempfile::TempDir;
use tonic::Code as Status;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}
";

const COUNT: &str = "SELECT count(*) FROM payments.polylog_events";
const ENOUGH: Duration = Duration::from_secs(40);

/// A database of its own, the sidecar that serves it, and the role that it works as.
struct Served<'a> {
    server: &'a PostgresServer,
    database: String,
    role: String,
    running: Dev,
    _folder: TempDir,
}

impl<'a> Served<'a> {
    async fn new(server: &'a PostgresServer) -> Self {
        let database = server.create_database();
        let role = format!("role_of_{database}");
        let ours = format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'geheim';; GRANT CREATE, CONNECT ON DATABASE {database} TO {role}"
        );
        server.execute(&database, &ours);
        let folder = folder(STORE);
        let running = Dev::start(folder.path(), &at(&server.url_as(&role, "geheim", &database)));
        let served = Self { server, database, role, running, _folder: folder };
        served.running.client.append("Payment-1", "Paid", "1").await;
        served.running.client.append("Payment-1", "Paid", "2").await;
        served
    }

    fn execute(&self, sql: &str) -> String {
        self.server.execute(&self.database, sql)
    }

    /// Ends the sidecar's sessions, as a failover or a proxy would.
    fn end_sessions(&self) {
        let sessions =
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'", self.role);
        self.server.execute("postgres", &sessions);
    }

    /// Puts another database in the place of this one, which is kept under the name that is given back.
    fn replace_by(&self, other: &str) -> String {
        let (database, kept) = (&self.database, format!("{}_kept", self.database));
        for name in [database, other] {
            self.server.execute("postgres", &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ";
            self.server.execute("postgres", &format!("{end}'{name}'"));
        }
        let rename = |from: &str, to: &str| {
            let deadline = Instant::now() + ENOUGH;
            let busy = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{from}'");
            while self.server.execute("postgres", &busy) != "0" {
                assert!(Instant::now() < deadline, "sessions of {from} do not end");
            }
            self.server.execute("postgres", &format!("ALTER DATABASE {from} RENAME TO {to}"));
        };
        rename(database, &kept);
        rename(other, database);
        for name in [database, &kept] {
            self.server.execute("postgres", &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
        }
        kept
    }

    /// Puts the database back that was kept; what stood in its place is dropped.
    fn put_back(&self, kept: &str) {
        self.server.execute("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.database));
        self.server.execute("postgres", &format!("ALTER DATABASE {kept} RENAME TO {}", self.database));
    }

    /// A copy of the database as it is now.
    fn copy(&self) -> String {
        let (database, copy) = (&self.database, format!("{}_copy", self.database));
        self.server.execute("postgres", &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false"));
        self.end_sessions();
        let deadline = Instant::now() + ENOUGH;
        let busy = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
        while self.server.execute("postgres", &busy) != "0" {
            assert!(Instant::now() < deadline, "sessions do not end");
        }
        let role = &self.role;
        let sql = format!(
            "CREATE DATABASE {copy} TEMPLATE {database};; GRANT CREATE, CONNECT ON DATABASE {copy} TO {role};; \
             ALTER DATABASE {database} ALLOW_CONNECTIONS true"
        );
        self.server.execute("postgres", &sql);
        copy
    }

    /// Waits until every answer is this code: appends and reads over HTTP and gRPC, the probe, the status; and nothing
    /// was written since.
    async fn refuses(&self, what: &str, code: &str, http: u16, grpc: Status, words: &str) {
        let running = &self.running;
        let body = r#"{"expectedVersion":"any","events":[{"type":"Refused"}]}"#;
        let deadline = Instant::now() + ENOUGH;
        loop {
            let append = running.client.post("/v1/streams/Payment-1", body).await;
            let read = running.client.get("/v1/streams/Payment-1").await;
            if append.json()["code"] == code && read.json()["code"] == code {
                break;
            }
            assert!(Instant::now() < deadline, "{what}: {} {}", append.text(), read.text());
        }
        let append = running.client.post("/v1/streams/Payment-1", body).await;
        let problem = append.problem(code);
        assert_eq!((append.status.as_u16(), &problem["written"]), (http, &"nothing".into()), "{what}");
        assert!(append.text().contains(words), "{what}: {problem}");
        assert!(problem["nextStep"].as_str().is_some_and(|next| !next.is_empty()), "{what}: {problem}");
        assert_eq!(problem["retry"], matches!(code, "source_unavailable" | "not_provisioned"), "{what}");
        let read = running.client.get("/v1/events").await;
        assert!(read.problem(code)["detail"].as_str().unwrap().contains(words), "{what}");
        failed(
            running.remote.append(commit("Payment-1", Kind::Any(true), &[("Refused", "1")])).await,
            grpc,
            code,
        );
        failed(running.remote.read_log(v1::ReadLogRequest::default()).await, grpc, code);

        let probe = running.health.get("/readyz").await;
        let said = format!("payments has no primary: {code}");
        assert!(probe.status == 503 && probe.text().contains(&said), "{what}: {}", probe.text());
        running.health.get("/livez").await.ok();
        let store = running.client.get("/v1/stores/payments").await.ok().json();
        let source = &store["sources"][0];
        let state = if code == "wrong_store" { "Divergent" } else { "Unreachable" };
        assert_eq!(source["state"], state, "{what}: {store}");
        assert!(source["message"].as_str().is_some_and(|message| message.contains(words)), "{what}: {store}");
        assert!(!running.said.lock().unwrap().contains("geheim"), "{what}: a password in the log");
    }

    /// Waits until it works again, without a restart; nothing of what was refused was written.
    async fn recovers(&self, what: &str) {
        let deadline = Instant::now() + ENOUGH;
        let before: u64 = self.execute(COUNT).parse().unwrap();
        loop {
            let body = r#"{"expectedVersion":"any","events":[{"type":"Paid"}]}"#;
            let answer = self.running.client.post("/v1/streams/Payment-2", body).await;
            if answer.status.is_success() {
                break;
            }
            assert!(Instant::now() < deadline, "{what}: {}", answer.text());
        }
        self.running.health.get("/readyz").await.ok();
        let store = self.running.client.get("/v1/stores/payments").await.ok().json();
        assert_eq!(store["sources"][0]["state"], "InSync", "{what}: {store}");
        let after: u64 = self.execute(COUNT).parse().unwrap();
        assert_eq!(after, before + 1, "{what}");
        let refused = "SELECT count(*) FROM payments.polylog_events WHERE type = 'Refused'";
        assert_eq!(self.execute(refused), "0", "{what}");
    }
}

#[tokio::test]
async fn nobody_there_and_a_password_that_is_wrong() {
    let server = PostgresServer::start();
    let served = Served::new(&server).await;
    server.stop();
    // what was under way when the server ended may have been written
    served.refuses("unreachable", "source_unavailable", 503, Status::Unavailable, "unreachable").await;
    server.start_again();
    served.recovers("unreachable").await;

    let role = &served.role;
    served.execute(&format!("ALTER ROLE {role} PASSWORD 'another'"));
    served.end_sessions();
    served.refuses("password", "source_refused", 503, Status::FailedPrecondition, "auth").await;
    served.execute(&format!("ALTER ROLE {role} PASSWORD 'geheim'"));
    served.recovers("password").await;
}

#[tokio::test]
async fn rights_that_are_taken_away_and_a_database_that_takes_no_writes() {
    let served = Served::new(&SERVER).await;
    let role = &served.role;
    // the owner's own rights can be taken away like any other's
    served.execute(&format!("REVOKE INSERT ON payments.polylog_events FROM {role}"));
    let grant = r#"GRANT INSERT ON \"payments\".polylog_events"#;
    let code = "source_refused";
    served.refuses("rights", code, 503, Status::FailedPrecondition, "rights").await;
    let body = r#"{"expectedVersion":"any","events":[{"type":"Refused"}]}"#;
    let answer = served.running.client.post("/v1/streams/Payment-1", body).await;
    assert!(answer.text().contains(grant), "{}", answer.text());
    assert_eq!(answer.json()["facts"]["reason"], "rights");
    served.execute(&format!("GRANT INSERT ON payments.polylog_events TO {role}"));
    served.recovers("rights").await;

    let database = &served.database;
    let read_only = |to: &str| {
        let sql = format!("ALTER DATABASE {database} SET default_transaction_read_only = {to}");
        SERVER.execute("postgres", &sql);
    };
    read_only("on");
    served.end_sessions();
    served.refuses("read-only", code, 503, Status::FailedPrecondition, "read_only").await;
    read_only("off");
    served.end_sessions();
    served.recovers("read-only").await;
}

#[tokio::test]
async fn a_server_that_begins_to_forget_and_an_index_that_is_gone() {
    let server = PostgresServer::start();
    let served = Served::new(&server).await;
    server.execute("postgres", "ALTER SYSTEM SET fsync = off;; SELECT pg_reload_conf()");
    // the sessions that are open notice it too
    served.refuses("fsync", "source_refused", 503, Status::FailedPrecondition, "fsync is off").await;
    server.execute("postgres", "ALTER SYSTEM RESET fsync;; SELECT pg_reload_conf()");
    served.recovers("fsync").await;

    served.execute("DROP INDEX payments.polylog_events_id");
    let index = "polylog_events_id";
    served.refuses("index", "not_provisioned", 503, Status::Unavailable, index).await;
    served.execute("CREATE UNIQUE INDEX polylog_events_id ON payments.polylog_events USING btree (id)");
    served.recovers("index").await;
}

#[tokio::test]
async fn another_encoding_and_a_foreign_table_in_the_place_of_ours() {
    let served = Served::new(&SERVER).await;
    let latin = format!("{}_latin", served.database);
    SERVER.execute(
        "postgres",
        &format!("CREATE DATABASE {latin} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"),
    );
    let kept = served.replace_by(&latin);
    served.refuses("encoding", "source_refused", 503, Status::FailedPrecondition, "LATIN1").await;
    served.put_back(&kept);
    served.recovers("encoding").await;

    served.execute(
        "ALTER SCHEMA payments RENAME TO kept;; CREATE SCHEMA payments CREATE TABLE polylog_head (a int)",
    );
    let belongs = "belongs to another application";
    served.refuses("foreign table", "wrong_store", 409, Status::FailedPrecondition, belongs).await;
    assert_eq!(served.execute("SELECT count(*) FROM payments.polylog_head"), "0");
    served.execute("DROP SCHEMA payments CASCADE;; ALTER SCHEMA kept RENAME TO payments");
    served.recovers("foreign table").await;
}

#[tokio::test]
async fn another_stores_database() {
    let (served, other) = (Served::new(&SERVER).await, Served::new(&SERVER).await);
    let other_database = other.database.clone();
    other.running.stop();
    SERVER.execute(&other_database, &format!("GRANT {} TO {}", other.role, served.role));
    let kept = served.replace_by(&other_database);
    served.refuses("another store", "wrong_store", 409, Status::FailedPrecondition, "store").await;
    assert_eq!(served.execute("SELECT count(*) FROM payments.polylog_events WHERE type = 'Refused'"), "0");
    served.put_back(&kept);
    served.recovers("another store").await;
}

/// The log goes back under a sidecar that runs: it writes nothing over what it has shown.
#[tokio::test]
async fn an_older_copy_in_the_place_of_the_database() {
    let served = Served::new(&SERVER).await;
    let copy = served.copy();
    served.recovers("copy").await;
    let later = served.running.client.append("Payment-1", "Paid", "3").await;
    let token = later["token"].as_str().unwrap();
    let kept = served.replace_by(&copy);
    let events = served.execute(COUNT);
    served.refuses("older copy", "wrong_store", 409, Status::FailedPrecondition, "the log went back").await;
    assert_eq!(served.execute(COUNT), events, "nothing was written");

    // a process that starts now cannot know, and goes on from there; the copy comes further than the database was
    let source = at(&SERVER.url_as(&served.role, "geheim", &served.database));
    let folder_of_second = folder(STORE);
    let second = Dev::start(folder_of_second.path(), &source);
    let stale = second.client.get(&format!("/v1/events?token={token}")).await;
    stale.problem("history_forked");
    for _ in 0..5 {
        second.client.append("Payment-9", "Paid", "1").await;
    }
    second.client.get(&format!("/v1/events?token={token}")).await.problem("history_forked");
    second.stop();
    // however far others came: what this one has shown is not there
    served.refuses("forked", "wrong_store", 409, Status::FailedPrecondition, "the log went back").await;

    served.put_back(&kept);
    served.recovers("older copy").await;
    let read = served.running.client.get(&format!("/v1/events?token={token}")).await.ok().json();
    assert!(read["events"].as_array().is_some_and(|events| events.len() >= 4), "{read}");
}

#[tokio::test]
async fn a_disk_that_is_full() {
    let server = PostgresServer::with_small_disk(24);
    server.execute("postgres", "CREATE DATABASE cramped TABLESPACE small");
    server.execute(
        "cramped",
        "CREATE TABLE ballast AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 4000) n",
    );
    let folder = folder(STORE);
    let running = Dev::start(folder.path(), &at(&server.url("cramped")));
    let mut written = 0;
    let noise: String = (0..30_000_u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
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
    let status = failed(
        running
            .remote
            .append(commit("Payment-1", Kind::Any(true), &[("Paid", &format!("\"{noise}\""))]))
            .await,
        Status::FailedPrecondition,
        "source_refused",
    );
    assert_eq!(status.facts["reason"], "disk_full");
    // reads go on
    let head = running.client.get("/v1/streams/Payment-1/head").await.ok().json();
    assert_eq!(head["version"], written);
    server.execute("cramped", "DROP TABLE ballast");
    let deadline = Instant::now() + ENOUGH;
    while !running.client.post("/v1/streams/Payment-1", body.clone()).await.status.is_success() {
        assert!(Instant::now() < deadline, "it goes on");
    }
    let head = running.client.get("/v1/streams/Payment-1/head").await.ok().json();
    assert_eq!(head["version"], written + 1);
}

/// What a sidecar that starts says, and that it leaves nothing behind.
#[test]
fn a_start_on_a_bad_database_writes_nothing() {
    SERVER.execute(
        "postgres",
        "CREATE DATABASE start_latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    );
    refused(
        folder(STORE).path(),
        &at(&SERVER.url("start_latin")),
        1,
        &["source_refused", "LATIN1", "ENCODING 'UTF8'"],
    );
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'payments'";
    assert_eq!(SERVER.execute("start_latin", schemas), "0");
}

#[tokio::test]
async fn a_server_that_forgets_is_used_only_when_told_and_says_so() {
    let forgetful = PostgresServer::with(&[("fsync", "off")]);
    let database = forgetful.create_database();
    let source = at(&forgetful.url(&database));
    refused(folder(STORE).path(), &source, 1, &["source_refused", "fsync is off"]);
    let folder = folder(STORE);
    let mut told = command(folder.path(), &source);
    told.arg("--unsafe-durability");
    let running = Dev::of(told);
    let words = "unsafe durability: fsync is off";
    assert!(running.banner.contains(words), "{}", running.banner);
    assert!(running.banner.contains("WARN") && running.banner.contains("what is acknowledged may be lost"));
    running.client.append("Payment-1", "Paid", "1").await;
    let store = running.client.get("/v1/stores/payments").await.ok().json();
    let source = &store["sources"][0];
    assert_eq!(source["state"], "InSync");
    assert!(source["message"].as_str().is_some_and(|message| message.contains(words)), "{store}");
    running.health.get("/readyz").await.ok();
    running.stop();
}
