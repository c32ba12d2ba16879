use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    machine,
    supervisor::{Habits, Supervisor},
};

/// A server of MongoDB's protocol of its own: mongo-java-server, which `tests/mongodb/install` gets by Maven.
pub struct MongodbServer {
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    supervisor: Supervisor,
}

/// Where a server keeps what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// In memory: its end is the end of everything.
    Memory,
    /// In a file, before it answers.
    Disk,
}

impl MongodbServer {
    /// A new, empty server.
    pub fn start(keeps: Keeps) -> Self {
        Self::with(keeps, &[])
    }

    /// A new server with habits of its own; `tests/mongodb/Node.java` knows them.
    pub fn with(keeps: Keeps, habits: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("polylog-mo-").tempdir().expect("a folder").keep();
        let port = machine::free_port();
        let supervisor = Supervisor::new(
            &folder,
            &folder.join("log"),
            &folder.join("ready"),
            Habits { ready: "^[0-9]", stop: "KILL", end: "KILL" },
            &command(&folder, port, keeps, habits),
        );
        let server = Self { folder, port, databases: AtomicU32::new(0), supervisor };
        server.resume_after("start");
        server
    }

    /// Gives the server these habits beside those that it was started with, and takes those from it that it was given
    /// before.
    pub fn behave(&self, habits: &[&str]) {
        let draft = self.folder.join("habits.draft");
        fs::write(&draft, habits.join(",")).expect("a file in the server's folder");
        fs::rename(draft, self.folder.join("ready.habits")).expect("a file in the server's folder");
    }

    /// The server's address.
    pub fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A name for a database that does not exist yet.
    pub fn new_name(&self) -> String {
        format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }

    /// Kills the server with SIGKILL, as a failing machine would.
    pub fn crash(&self) {
        assert!(self.supervisor.order("crash"), "the server could not be killed\n{}", self.log());
    }

    /// Ends the server: at once, too, since it begins with the supervisor's signals ignored, and Java leaves those so.
    pub fn stop(&self) {
        self.crash();
    }

    /// Starts the server again; returns when it listens.
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
        assert!(self.supervisor.order(order), "the MongoDB server did not come up ({order})\n{}", self.log());
    }

    fn log(&self) -> String {
        machine::end_of_log(&self.folder)
    }
}

fn command(folder: &Path, port: u16, keeps: Keeps, habits: &[&str]) -> Vec<String> {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut command: Vec<String> =
        ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp"]
            .map(String::from)
            .into();
    command.extend([class_path(), "Node".into(), port.to_string(), path("ready")]);
    command.push(match keeps {
        Keeps::Memory => "memory".into(),
        Keeps::Disk => path("data"),
    });
    if !habits.is_empty() {
        command.push(habits.join(","));
    }
    command
}

/// Of the server and its launcher, which are made when they are not there yet.
fn class_path() -> String {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/../mongodb/install");
    let output = Command::new(install).output().expect(install);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "these tests need a JDK and Maven (apt-get install openjdk-17-jdk-headless maven): {errors}"
    );
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
