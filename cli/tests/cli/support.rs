//! Runs `polylog`, and stores for it to talk to.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A manifest of a store; further lines of its `spec` can follow.
pub(crate) const STORE: &str = "apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: shop}
spec:
  sources:
    - name: ledger
      connection: {url: 'postgres://ledger:5432/shop'}
      postgres: {schema: shop}
";

/// A running `polylog dev` with one store; killed with this.
pub(crate) struct Dev {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    process: Child,
}

impl Dev {
    /// A store with the defaults.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// A store with more in its `spec`.
    pub(crate) fn with(more: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::write(folder.path().join("store.yaml"), format!("{STORE}{more}")).expect("it is written");
        let (process, port) = spawn(folder.path(), 0);
        Self { folder, port, process }
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Starts it again, with the same data and port.
    pub(crate) fn restart(&mut self) {
        (self.process, _) = spawn(self.folder.path(), self.port);
    }

    /// `polylog` for this store.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = polylog(arguments);
        command.env("POLYLOG_URL", format!("http://127.0.0.1:{}", self.port));
        command
    }

    /// What a command that must succeed prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        succeed(self.command(arguments))
    }

    /// What a command prints that reads standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        // a command that refuses its arguments does not read
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }

    /// All events of a stream, or of the log.
    pub(crate) fn events(&self, stream: &[&str]) -> Vec<Value> {
        let arguments = [&["read", "--all", "-o", "ndjson"], stream].concat();
        self.run(&arguments).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// A file beside the manifests.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("it is written");
        path
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // it may have been killed already
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &Path, port: u16) -> (Child, u16) {
    let data = folder.join("data");
    let (port, data) = (port.to_string(), data.display().to_string());
    let store = folder.join("store.yaml").display().to_string();
    let mut command = polylog(&["dev", &store, "--data", &data, "--port", &port, "--health-port", "0"]);
    let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let stderr = BufReader::new(process.stderr.take().expect("it is piped"));
    let (found, port) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut said = String::new();
        for line in stderr.lines().map_while(Result::ok) {
            if let Some(port) = port_in(&line) {
                // nobody waits for a second one
                let _ = found.try_send(Ok(port));
            }
            said.push_str(&line);
            said.push('\n');
        }
        let _ = found.try_send(Err(said));
    });
    let port = port.recv_timeout(PATIENCE).expect("it says where it listens");
    (process, port.expect("it does not end"))
}

/// The port in `serving http://localhost:7300/v1 …`.
fn port_in(line: &str) -> Option<u16> {
    let url = line.strip_prefix("serving http://localhost:")?;
    url.split('/').next()?.parse().ok()
}

/// The command, without anything of this process's environment that it reads.
pub(crate) fn polylog(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("polylog"));
    command.args(arguments).env_remove("POLYLOG_URL").env_remove("POLYLOG_LOG");
    command
}

/// What a command that must succeed prints.
pub(crate) fn succeed(mut command: Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Exit code, standard output and standard error of a command.
pub(crate) fn outcome(output: &Output) -> (i32, String, String) {
    (output.status.code().expect("it was not killed"), text(&output.stdout), text(&output.stderr))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}
