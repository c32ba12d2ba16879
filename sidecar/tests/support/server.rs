//! A database server of either engine that keeps logs, as tests of the sidecar need it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use polylog_log::{
    Approval, DatabaseId, Desired, Identity, Incarnation, IndexOptions, LogId, SourceName, StepClass,
};
use polylog_source_mariadb::{self as mariadb, DatabaseName, MariadbConfig, TablePrefix, Tables};
use polylog_source_postgres::{self as postgres, PostgresConfig, SchemaName};
use polylog_test_bed::{MariadbServer, PostgresServer, Server};
use uuid::Uuid;

/// Where a log is kept: in MariaDB the schema is the database, and tables may have a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub database: String,
    pub schema: String,
    pub prefix: &'static str,
}

impl Place {
    /// A table of ours, as statements name it.
    pub fn table(&self, table: &str) -> String {
        format!("{}.{}{table}", self.schema, self.prefix)
    }
}

/// A server in which tests keep logs.
pub trait LogServer: Server + Sized + 'static {
    /// A server that nobody else uses.
    fn new() -> Self;

    /// Somewhere that holds nothing yet.
    fn new_place(&self) -> Place;

    /// Another place that holds nothing yet, for the same address and user.
    fn beside(&self, place: &Place) -> Place;

    /// What a manifest says of a source in this engine.
    fn field(place: &Place) -> String;

    /// Its whole address.
    fn url_as(&self, user: &str, password: &str, place: &Place) -> String;

    /// The same for an administrator.
    fn admin_url(&self, place: &Place) -> String;

    /// The address without a password, and perhaps without a user.
    fn address(&self, user: Option<&str>, place: &Place) -> String;

    /// Makes a place hold the log, as the store's operator would.
    fn provision(&self, place: &Place, identity: Identity) -> impl Future<Output = ()> + Send;

    /// Runs SQL as administrator; returns what it printed.
    fn run(&self, place: &Place, sql: &str) -> String;

    /// A user that may log in, and nothing else.
    fn create_user(&self, user: &str, password: &str);

    /// Lets a user do with rows what a source needs.
    fn let_use(&self, place: &Place, user: &str);

    fn set_password(&self, user: &str, password: &str);

    /// The user may not log in any more.
    fn lock_out(&self, user: &str);

    /// The user logs in with a certificate of its name, and with nothing else.
    fn only_with_certificate(&self, place: &Place, user: &str);

    /// Ends the sessions of sidecars in a place, as a failover or a proxy would.
    fn end_sessions(&self, place: &Place);

    /// Who has sessions in a place, without the test.
    fn users(&self, place: &Place) -> String;

    /// Speaks TLS with this certificate from now on, and takes certificates of clients that rest on `ca`.
    fn serve_tls(&self, certificate: &str, key: &str, ca: &str);

    /// The server's own client program for a place, which reads statements and prints each answer at once.
    fn client(&self, place: &Place) -> Command;

    /// Holds what every append to a place waits for.
    fn hold_appends(&self, place: &Place) -> Held {
        let mut session = self.client(place).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let take = format!("BEGIN; SELECT lane FROM {} FOR UPDATE;", place.table("polylog_head"));
        writeln!(session.stdin.as_ref().unwrap(), "{take}").unwrap();
        let mut lane = String::new();
        BufReader::new(session.stdout.as_mut().unwrap()).read_line(&mut lane).unwrap();
        assert_eq!(lane, "0\n");
        Held(session)
    }

    /// How many events a log has for which this is true.
    fn count(&self, place: &Place, condition: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM {} WHERE {condition}", place.table("polylog_events"));
        self.run(place, &sql).parse().unwrap()
    }
}

/// A session that holds something until this is dropped.
pub struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a place hold a new log.
pub async fn provision<S: LogServer>(server: &S, place: &Place) -> LogId {
    let identity = Identity {
        log: LogId::new(Uuid::new_v4()),
        database: DatabaseId::new(Uuid::new_v4()),
        incarnation: Incarnation::new(Uuid::new_v4()),
    };
    server.provision(place, identity).await;
    identity.log
}

fn desired(identity: Identity) -> Desired {
    Desired { identity, source: SourceName::recorded("ledger"), indexes: IndexOptions::default() }
}

impl LogServer for PostgresServer {
    fn new() -> Self {
        Self::start()
    }

    fn new_place(&self) -> Place {
        Place { database: self.create_database(), schema: "payments".into(), prefix: "" }
    }

    fn beside(&self, place: &Place) -> Place {
        Place { schema: "audit".into(), ..place.clone() }
    }

    fn field(place: &Place) -> String {
        format!("postgres: {{schema: {}}}", place.schema)
    }

    fn url_as(&self, user: &str, password: &str, place: &Place) -> String {
        self.url_as(user, password, &place.database)
    }

    fn admin_url(&self, place: &Place) -> String {
        self.url(&place.database)
    }

    fn address(&self, user: Option<&str>, place: &Place) -> String {
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        format!("postgres://{user}127.0.0.1:{}/{}", self.port(), place.database)
    }

    async fn provision(&self, place: &Place, identity: Identity) {
        use postgres::provision;
        let schema = SchemaName::parse(&place.schema).unwrap();
        let address = postgres::Address::parse(&self.admin_url(place)).unwrap();
        let config = PostgresConfig::new(address, schema.clone());
        let there = provision::Place { schema, create_schema: true, role: None };
        let actual = provision::inspect(&config, &there).await.unwrap();
        let plan = provision::plan(&desired(identity), &there, &actual).unwrap();
        provision::apply(&config, &there, &plan, &Approval::up_to(StepClass::Slow)).await.unwrap();
    }

    fn run(&self, place: &Place, sql: &str) -> String {
        self.execute(&place.database, sql)
    }

    fn client(&self, place: &Place) -> Command {
        self.client(&place.database)
    }

    fn create_user(&self, user: &str, password: &str) {
        self.execute("postgres", &format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'"));
    }

    fn let_use(&self, place: &Place, user: &str) {
        let schema = &place.schema;
        let sql = format!(
            "GRANT USAGE ON SCHEMA {schema} TO {user}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}"
        );
        self.execute(&place.database, &sql);
    }

    fn set_password(&self, user: &str, password: &str) {
        self.execute("postgres", &format!("ALTER ROLE {user} PASSWORD '{password}'"));
    }

    fn lock_out(&self, user: &str) {
        self.execute("postgres", &format!("ALTER ROLE {user} NOLOGIN"));
    }

    fn only_with_certificate(&self, _: &Place, user: &str) {
        let lines = format!("local all all trust\nhostssl all {user} 127.0.0.1/32 cert\n");
        self.write_file("data/pg_hba.conf", &lines);
        self.execute("postgres", "SELECT pg_reload_conf()");
    }

    fn end_sessions(&self, place: &Place) {
        let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE application_name = 'polylog' AND datname = current_database()";
        self.execute(&place.database, all);
    }

    fn users(&self, place: &Place) -> String {
        let users = "SELECT string_agg(DISTINCT usename, ',') FROM pg_stat_activity \
             WHERE application_name = 'polylog' AND datname = current_database()";
        self.execute(&place.database, users)
    }

    fn serve_tls(&self, certificate: &str, key: &str, ca: &str) {
        self.serve_tls(certificate, key, ca);
    }
}

impl LogServer for MariadbServer {
    fn new() -> Self {
        Self::start()
    }

    fn new_place(&self) -> Place {
        let database = self.new_name();
        Place { schema: database.clone(), database, prefix: "" }
    }

    fn beside(&self, place: &Place) -> Place {
        Place { prefix: "beside_", ..place.clone() }
    }

    fn field(place: &Place) -> String {
        format!("mysql: {{database: {}, tablePrefix: '{}'}}", place.database, place.prefix)
    }

    fn url_as(&self, user: &str, password: &str, _: &Place) -> String {
        self.url_as(user, password, "")
    }

    fn admin_url(&self, _: &Place) -> String {
        self.url("")
    }

    fn address(&self, user: Option<&str>, _: &Place) -> String {
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        format!("mysql://{user}127.0.0.1:{}", self.port())
    }

    async fn provision(&self, place: &Place, identity: Identity) {
        use mariadb::provision;
        let database = DatabaseName::parse(&place.database).unwrap();
        let address = mariadb::Address::parse(&self.admin_url(place)).unwrap();
        let tables = Tables { database, prefix: TablePrefix::parse(place.prefix).unwrap() };
        let config = MariadbConfig::new(address, tables.clone());
        let there = provision::Place { tables, create_database: true, worker: None };
        let actual = provision::inspect(&config, &there).await.unwrap();
        let plan = provision::plan(&desired(identity), &there, &actual).unwrap();
        provision::apply(&config, &there, &plan, &Approval::up_to(StepClass::Slow)).await.unwrap();
    }

    fn run(&self, _: &Place, sql: &str) -> String {
        self.execute("mysql", sql)
    }

    fn client(&self, _: &Place) -> Command {
        let mut client = self.client("mysql");
        client.arg("--unbuffered");
        client
    }

    fn create_user(&self, user: &str, password: &str) {
        self.execute("mysql", &format!("CREATE USER {user}@'%' IDENTIFIED BY '{password}'"));
    }

    fn let_use(&self, place: &Place, user: &str) {
        let grant = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {}.* TO {user}@'%'", place.database);
        self.execute("mysql", &grant);
    }

    fn set_password(&self, user: &str, password: &str) {
        self.execute("mysql", &format!("ALTER USER {user}@'%' IDENTIFIED BY '{password}'"));
    }

    fn lock_out(&self, user: &str) {
        self.execute("mysql", &format!("ALTER USER {user}@'%' ACCOUNT LOCK"));
    }

    fn only_with_certificate(&self, _: &Place, user: &str) {
        let sql = format!("ALTER USER {user}@'%' IDENTIFIED BY '' REQUIRE SUBJECT '/CN={user}'");
        self.execute("mysql", &sql);
    }

    fn end_sessions(&self, place: &Place) {
        let all = "SELECT coalesce(GROUP_CONCAT('KILL ', ID SEPARATOR ';'), 'DO 0') FROM information_schema.PROCESSLIST";
        let kills = self.execute("mysql", &format!("{all} WHERE DB = '{}'", place.database));
        // one that is gone by now is an error
        let output = self.client("mysql").args(["--force", "-e", &kills]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            errors.lines().all(|line| !line.contains("ERROR") || line.contains("ERROR 1094")),
            "{errors}"
        );
    }

    fn users(&self, place: &Place) -> String {
        let users = "SELECT coalesce(GROUP_CONCAT(DISTINCT USER), '') FROM information_schema.PROCESSLIST";
        self.execute("mysql", &format!("{users} WHERE DB = '{}'", place.database))
    }

    fn serve_tls(&self, certificate: &str, key: &str, ca: &str) {
        let mut settings = Self::settings("");
        for (setting, content) in [("ssl-cert", certificate), ("ssl-key", key), ("ssl-ca", ca)] {
            let path = self.write_file(&format!("{setting}.pem"), content);
            settings.push_str(&format!("{setting}={}\n", path.display()));
        }
        if self.execute("mysql", "SELECT @@have_ssl") == "YES" {
            self.execute("mysql", "FLUSH SSL");
            return;
        }
        self.write_file("my.cnf", &settings);
        self.stop();
        self.start_again();
    }
}
