use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    disk::SmallDisk,
    machine,
    supervisor::{Habits, Supervisor},
};

/// MariaDB refuses to run as root.
const USER: &str = "mysql";

/// The password of `root` over TCP; the socket asks for none.
const PASSWORD: &str = "secret";

/// Large enough for the largest payload of a test, small enough to be copied.
const REDO_LOG: &str = "--innodb-log-file-size=16M";

/// A MariaDB server of its own.
pub struct MariadbServer {
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    supervisor: Supervisor,
}

impl MariadbServer {
    /// A new, empty server.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A new server with settings of its own.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        Self::started(settings, "", None)
    }

    /// A new server that has a disk of so many MiB for its database `cramped`.
    pub fn with_small_disk(megabytes: usize) -> Self {
        // a database is a folder
        let prepare = "mkdir -m 700 small/database && ln -s ../small/database data/cramped";
        Self::started(&[], "", Some(SmallDisk { megabytes, prepare }))
    }

    /// A new server that has a disk of so many MiB for its binary log.
    pub fn with_small_log_disk(megabytes: usize) -> Self {
        let disk = SmallDisk { megabytes, prepare: "mkdir -m 700 small/log" };
        Self::started(&[], "log_bin=../small/log/binlog", Some(disk))
    }

    /// Leaves no room on the small disk, or gives back what was taken.
    pub fn fill_disk(&self, is_full: bool) {
        self.supervisor.fill_disk(is_full);
    }

    fn started(settings: &[(&str, &str)], further: &str, disk: Option<SmallDisk>) -> Self {
        let folder = tempfile::Builder::new().prefix("polylog-my-").tempdir().expect("a folder").keep();
        copy(&template(), &folder.join("data"));
        let begin = format!(
            "ALTER USER root@'127.0.0.1' IDENTIFIED BY '{PASSWORD}', root@'::1' IDENTIFIED BY '{PASSWORD}';\n"
        );
        fs::write(folder.join("begin.sql"), begin).expect("a file");
        fs::write(folder.join("my.cnf"), Self::settings(further)).expect("a file");
        machine::give_to(USER, &folder);
        let port = machine::free_port();
        let (log, ready) = (folder.join("log"), folder.join("pid"));
        let habits = Habits { ready: "^[0-9]", stop: "TERM", end: "KILL" };
        let disk = disk.as_ref().map(|disk| (disk, USER));
        let supervisor =
            Supervisor::on_disk(disk, &folder, &log, &ready, habits, &command(&folder, port, settings));
        let server = Self { folder, port, databases: AtomicU32::new(0), supervisor };
        server.resume_after("start");
        server
    }

    /// The address of a database, as `root` over TCP.
    pub fn url(&self, database: &str) -> String {
        self.url_as("root", PASSWORD, database)
    }

    /// The address of a database for a user, over TCP.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        format!("mysql://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The folder, for certificates and the like; the server's data is in `data`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What stands in `my.cnf`: what durability needs, and `further` lines, which win.
    pub fn settings(further: &str) -> String {
        format!("[mysqld]\nlog_bin=binlog\nsync_binlog=1\n{further}\n")
    }

    /// Writes a file in the folder that only the server can read. `my.cnf` is read at the next start.
    pub fn write_file(&self, name: &str, content: &str) -> PathBuf {
        machine::write_file(USER, &self.folder.join(name), content)
    }

    /// The TCP port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A name for a database that does not exist yet.
    pub fn new_name(&self) -> String {
        format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }

    /// A new, empty database; returns its name.
    pub fn create_database(&self) -> String {
        let name = self.new_name();
        self.execute("mysql", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs SQL as `root` over the socket; returns what it printed.
    pub fn execute(&self, database: &str, sql: &str) -> String {
        let output = self.client(database).args(["-e", sql]).output().expect("mariadb");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}\n{errors}\n{}", self.log());
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Restores a dump of one database into another one, which is empty.
    pub fn restore_dump(&self, from: &str, to: &str) {
        let mut dumping = Command::new(program("mariadb-dump"));
        dumping
            .args(["--no-defaults", "--single-transaction", "-u", "root", "-S"])
            .arg(self.folder.join("sock"));
        let mut dumping = dumping.arg(from).stdout(Stdio::piped()).spawn().expect("it starts");
        let dump = dumping.stdout.take().expect("its output is a pipe");
        let restored = self.client(to).stdin(dump).status().expect("it starts");
        assert!(dumping.wait().expect("it ends").success() && restored.success(), "{}", self.log());
    }

    /// The server's own client program, as `root` over the socket: it prints values without names.
    pub fn client(&self, database: &str) -> Command {
        let mut command = Command::new(program("mariadb"));
        command
            .args(["--no-defaults", "--default-character-set=utf8mb4", "-u", "root", "-N", "-B", "-r", "-S"])
            .arg(self.folder.join("sock"))
            .args(["-D", database]);
        command
    }

    /// Kills the server with SIGKILL, as a failing machine would.
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

    /// Stops the server (SIGSTOP): connections stay, nothing is answered.
    pub fn pause(&self) {
        assert!(self.supervisor.order("pause"), "the server could not be paused");
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.resume_after("resume");
    }

    fn resume_after(&self, order: &str) {
        assert!(self.supervisor.order(order), "MariaDB did not come up ({order})\n{}", self.log());
        if order == "start" {
            // its pid file comes before it is ready, and a server that is told to stop in between never does
            self.execute("mysql", "DO 0");
        }
    }

    fn log(&self) -> String {
        machine::end_of_log(&self.folder)
    }
}

/// A program of Debian's packages; elsewhere `POLYLOG_MARIADB_BIN` says where.
fn program(name: &str) -> PathBuf {
    let folders = match std::env::var("POLYLOG_MARIADB_BIN") {
        Ok(folder) => vec![folder],
        Err(_) => vec!["/usr/sbin".into(), "/usr/bin".into()],
    };
    let programs = folders.iter().map(|folder| Path::new(folder).join(name));
    programs.into_iter().find(|program| program.exists()).unwrap_or_else(|| {
        panic!(
            "these tests need MariaDB 10.11, and {name} is not in {}: install it (apt-get install mariadb-server), \
             or set POLYLOG_MARIADB_BIN to the folder of its programs",
            folders.join(", ")
        )
    })
}

/// An initialised data folder, made once per version: that takes seconds.
fn template() -> PathBuf {
    let output = Command::new(program("mariadbd")).arg("--version").output().expect("mariadbd");
    let version = String::from_utf8_lossy(&output.stdout);
    let version = version.split_whitespace().find(|word| word.contains("MariaDB")).unwrap_or("unknown");
    let folder = cache().join(format!("mariadb-{version}"));
    if folder.exists() {
        return folder;
    }
    let made = tempfile::Builder::new().prefix("polylog-my-").tempdir().expect("a folder");
    machine::give_to(USER, made.path());
    create(made.path());
    let draft = cache().join(format!("mariadb-{version}.{}", std::process::id()));
    copy(&made.path().join("data"), &draft);
    if fs::rename(&draft, &folder).is_err() {
        // another process was faster, and made the same
        fs::remove_dir_all(&draft).expect("our own draft");
    }
    assert!(folder.exists(), "no template in {}", folder.display());
    folder
}

fn cache() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let folder = variable("POLYLOG_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("polylog")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/polylog")))
        .unwrap_or_else(std::env::temp_dir);
    fs::create_dir_all(&folder).expect("a folder for what is kept between runs");
    folder
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").args(["-r", "--sparse=always"]).arg(from).arg(to).status().expect("cp");
    assert!(done.success(), "{} could not be copied", from.display());
}

fn create(folder: &Path) {
    let mut command = Command::new(program("mariadb-install-db"));
    command.arg("--no-defaults").arg(format!("--datadir={}", folder.join("data").display())).args([
        &own_temporaries(folder),
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
        "--innodb-flush-method=nosync",
        REDO_LOG,
    ]);
    if rustix::process::geteuid().is_root() {
        command.arg(format!("--user={USER}"));
    }
    let output = command.output().expect("mariadb-install-db");
    assert!(output.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server that begins removes the temporary tables that it finds where it keeps its own: another one's, in a common folder.
fn own_temporaries(folder: &Path) -> String {
    format!("--tmpdir={}", folder.display())
}

fn command(folder: &Path, port: u16, settings: &[(&str, &str)]) -> Vec<String> {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut command = vec![
        program("mariadbd").to_string_lossy().into_owned(),
        format!("--defaults-file={}", path("my.cnf")),
        format!("--datadir={}", path("data")),
        own_temporaries(folder),
        format!("--socket={}", path("sock")),
        format!("--pid-file={}", path("pid")),
        format!("--init-file={}", path("begin.sql")),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".into(),
        "--skip-name-resolve".into(),
        "--max-connections=200".into(),
        "--innodb-buffer-pool-size=64M".into(),
        REDO_LOG.into(),
    ];
    command.extend(settings.iter().map(|(name, value)| format!("--{name}={value}")));
    machine::as_user(USER, command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_survives_a_crash_and_a_stop() {
        let server = MariadbServer::start();
        let database = server.create_database();
        server.execute(&database, "CREATE TABLE t (n int) ENGINE=InnoDB; INSERT INTO t VALUES (1)");
        server.crash();
        server.start_again();
        server.execute(&database, "INSERT INTO t VALUES (2)");
        server.pause();
        server.resume();
        server.stop();
        server.start_again();
        assert_eq!(server.execute(&database, "SELECT count(*) FROM t"), "2");
        let folder = server.folder().to_owned();
        drop(server);
        assert!(!folder.exists(), "a server that ended leaves nothing behind");
    }
}
