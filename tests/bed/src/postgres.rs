use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    disk::{SMALL, SmallDisk},
    machine,
    supervisor::{Habits, Supervisor},
};

/// Where Debian and Ubuntu put the programs; elsewhere `POLYLOG_POSTGRES_BIN` says where.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// PostgreSQL refuses to run as root.
const USER: &str = "postgres";

/// The superuser, and its password over TCP; the socket asks for none.
const PASSWORD: &str = "secret";

/// A PostgreSQL server of its own.
pub struct PostgresServer {
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    supervisor: Supervisor,
}

impl PostgresServer {
    /// A new, empty server.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A new server with settings of its own.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        Self::started(&[], settings, None)
    }

    /// A new server that has a disk of so many MiB for databases in its tablespace `small`.
    pub fn with_small_disk(megabytes: usize) -> Self {
        let server = Self::started(&[], &[], Some(SmallDisk { megabytes, prepare: ":" }));
        let location = server.folder.join(SMALL);
        server.execute("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", location.display()));
        server
    }

    /// A new server that has a disk of so many MiB for its write-ahead log, of which it removes nothing.
    pub fn with_small_log_disk(megabytes: usize) -> Self {
        let prepare = "cp -a data/pg_wal small/wal && rm -r data/pg_wal && ln -s ../small/wal data/pg_wal";
        let disk = SmallDisk { megabytes, prepare };
        Self::started(&["--wal-segsize=1"], &[("wal_keep_size", "1GB")], Some(disk))
    }

    /// Leaves no room on the small disk, or gives back what was taken.
    pub fn fill_disk(&self, is_full: bool) {
        self.supervisor.fill_disk(is_full);
    }

    fn started(form: &[&str], settings: &[(&str, &str)], disk: Option<SmallDisk>) -> Self {
        let folder = tempfile::Builder::new().prefix("polylog-pg-").tempdir().expect("a folder").keep();
        machine::give_to(USER, &folder);
        create(&folder, form);
        let port = machine::free_port();
        let (log, ready) = (folder.join("log"), folder.join("data/postmaster.pid"));
        let habits = Habits { ready: "^ready\\|^standby", stop: "INT", end: "QUIT" };
        let disk = disk.as_ref().map(|disk| (disk, USER));
        let supervisor =
            Supervisor::on_disk(disk, &folder, &log, &ready, habits, &command(&folder, port, settings));
        let server = Self { folder, port, databases: AtomicU32::new(0), supervisor };
        server.resume_after("start");
        server
    }

    /// The address of a database, as superuser over TCP.
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", PASSWORD, database)
    }

    /// The address of a database for a role, over TCP.
    pub fn url_as(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The address of a database, as superuser over the socket, which asks for no password.
    pub fn socket_url(&self, database: &str) -> String {
        let (folder, port) = (self.folder.display(), self.port);
        format!("postgres://postgres@localhost/{database}?host={folder}&port={port}")
    }

    /// The folder, for certificates and the like; the server's data is in `data`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file in the folder that only the server can read.
    pub fn write_file(&self, name: &str, content: &str) -> PathBuf {
        machine::write_file(USER, &self.folder.join(name), content)
    }

    /// Speaks TLS with this certificate from now on, and takes certificates of clients that rest on `ca`; all in PEM.
    pub fn serve_tls(&self, certificate: &str, key: &str, ca: &str) {
        for (file, setting, content) in
            [("server.crt", "cert", certificate), ("server.key", "key", key), ("ca.crt", "ca", ca)]
        {
            let path = self.write_file(file, content);
            let set = format!("ALTER SYSTEM SET ssl_{setting}_file = '{}'", path.display());
            self.execute("postgres", &set);
        }
        self.execute("postgres", "ALTER SYSTEM SET ssl = on;; SELECT pg_reload_conf()");
    }

    /// The TCP port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database; returns its name.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs SQL as superuser over the socket; parts between `;;` are transactions of their own. Returns what it printed.
    pub fn execute(&self, database: &str, sql: &str) -> String {
        let mut command = self.client(database);
        for part in sql.split(";;") {
            command.args(["-c", part]);
        }
        let output = command.output().expect("psql");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}\n{errors}\n{}", self.log());
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Restores a dump of one database into another one, which is empty.
    pub fn restore_dump(&self, from: &str, to: &str) {
        let dump = self.folder.join(format!("{from}.dump"));
        let run = |name: &str, arguments: &[&str]| {
            let mut command = Command::new(program(name));
            command.args(["-U", "postgres", "-h"]).arg(&self.folder).args(["-p", &self.port.to_string()]);
            let output = command.args(arguments).output().expect("it starts");
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let path = dump.to_string_lossy();
        run("pg_dump", &["--format=custom", "--file", &path, from]);
        run("pg_restore", &["--exit-on-error", "--dbname", to, &path]);
    }

    /// The server's own client program, as superuser over the socket: it prints values without names.
    pub fn client(&self, database: &str) -> Command {
        let mut command = Command::new(program("psql"));
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"])
            .arg(&self.folder)
            .args(["-p", &self.port.to_string(), "-d", database]);
        command
    }

    /// Kills every process of the server with SIGKILL, as a failing machine would.
    pub fn crash(&self) {
        assert!(self.supervisor.order("crash"), "the server could not be killed\n{}", self.log());
    }

    /// Ends the server; sessions are closed.
    pub fn stop(&self) {
        assert!(self.supervisor.order("stop"), "the server could not be stopped\n{}", self.log());
    }

    /// Starts the server again; returns when it answers.
    pub fn start_again(&self) {
        self.resume_after("start");
    }

    /// Stops every process of the server (SIGSTOP): connections stay, nothing is answered.
    pub fn pause(&self) {
        assert!(self.supervisor.order("pause"), "the server could not be paused");
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.resume_after("resume");
    }

    fn resume_after(&self, order: &str) {
        assert!(self.supervisor.order(order), "PostgreSQL did not come up ({order})\n{}", self.log());
    }

    fn log(&self) -> String {
        machine::end_of_log(&self.folder)
    }
}

fn program(name: &str) -> PathBuf {
    let folder = std::env::var("POLYLOG_POSTGRES_BIN").unwrap_or_else(|_| PROGRAMS.into());
    let program = Path::new(&folder).join(name);
    assert!(
        program.exists(),
        "these tests need PostgreSQL 15, and {} is not there: install it (apt-get install postgresql-15), or set \
         POLYLOG_POSTGRES_BIN to the folder of its programs",
        program.display()
    );
    program
}

fn create(folder: &Path, form: &[&str]) {
    let password = folder.join("password");
    fs::write(&password, PASSWORD).expect("a file");
    machine::give_to(USER, &password);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut initdb = machine::as_user(
        USER,
        vec![
            text(&program("initdb")),
            format!("--pgdata={}", text(&folder.join("data"))),
            "--username=postgres".into(),
            "--encoding=UTF8".into(),
            "--locale=C.UTF-8".into(),
            "--auth-local=trust".into(),
            "--auth-host=scram-sha-256".into(),
            format!("--pwfile={}", text(&password)),
            "--no-sync".into(),
        ],
    );
    initdb.extend(form.iter().map(|option| (*option).to_owned()));
    let output = Command::new(&initdb[0]).args(&initdb[1..]).output().expect("initdb");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

fn command(folder: &Path, port: u16, settings: &[(&str, &str)]) -> Vec<String> {
    let mut command = vec![
        program("postgres").to_string_lossy().into_owned(),
        "-D".into(),
        folder.join("data").to_string_lossy().into_owned(),
    ];
    let own = [
        ("port".to_owned(), port.to_string()),
        ("listen_addresses".into(), "127.0.0.1".into()),
        ("unix_socket_directories".into(), folder.to_string_lossy().into_owned()),
        ("max_connections".into(), "200".into()),
        ("shared_buffers".into(), "64MB".into()),
        // a start after a crash syncs every file by itself otherwise, which takes longer than the recovery
        ("recovery_init_sync_method".into(), "syncfs".into()),
    ];
    let given = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    for (name, value) in own.into_iter().chain(given) {
        command.extend(["-c".into(), format!("{name}={value}")]);
    }
    machine::as_user(USER, command)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn what_is_committed_survives_a_crash_and_a_stop() {
        let server = PostgresServer::start();
        let database = server.create_database();
        server.execute(&database, "CREATE TABLE t (n int);; INSERT INTO t VALUES (1)");
        server.crash();
        server.start_again();
        server.execute(&database, "INSERT INTO t VALUES (2)");
        server.stop();
        server.start_again();
        assert_eq!(server.execute(&database, "SELECT count(*) FROM t"), "2");
        let folder = server.folder().to_owned();
        drop(server);
        assert!(!folder.exists(), "a server that ended leaves nothing behind");
    }

    /// Also when the test process is killed.
    #[test]
    fn a_server_ends_with_the_process_that_started_it() {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "postgres::tests::child_with_a_server", "--nocapture"])
            .env("POLYLOG_TEST_TASK", "start")
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let folder =
            lines.map_while(Result::ok).find_map(|line| line.strip_prefix("folder ").map(PathBuf::from));
        let folder = folder.expect("the server's folder");
        assert!(folder.join("data/postmaster.pid").exists());
        child.kill().expect("a kill");
        child.wait().expect("its end");
        let deadline = Instant::now() + Duration::from_secs(20);
        while folder.exists() {
            assert!(Instant::now() < deadline, "{} is still there", folder.display());
            std::thread::yield_now();
        }
    }

    #[test]
    fn child_with_a_server() {
        if std::env::var_os("POLYLOG_TEST_TASK").is_none() {
            return;
        }
        let server = PostgresServer::start();
        println!("\nfolder {}", server.folder().display());
        loop {
            std::thread::park();
        }
    }
}
