//! `polylog-sidecar dev` as a process of its own.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{Client, Remote};

pub fn folder(manifests: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("store.yaml"), manifests).unwrap();
    folder
}

pub fn at(url: &str) -> String {
    format!("ledger={url}")
}

/// A process that serves; killed with this.
pub struct Dev {
    child: Child,
    pub client: Client,
    pub health: Client,
    pub remote: Remote,
    pub banner: String,
    pub said: Arc<Mutex<String>>,
}

pub fn command(folder: &Path, source: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"));
    command.current_dir(folder).args(["dev", ".", "--port", "0", "--health-port", "0", "--source", source]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).env("POLYLOG_LOG", "debug");
    command
}

impl Dev {
    pub fn start(folder: &Path, source: &str) -> Self {
        Self::of(command(folder, source))
    }

    pub fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("read: ") {
            assert!(lines.read_line(&mut banner).unwrap() > 0, "it ended: {banner}");
        }
        let said = Arc::new(Mutex::new(banner.clone()));
        let kept = said.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&line);
            }
        });
        let number = |before: &str, after: char| -> u16 {
            banner.split(before).nth(1).unwrap().split(after).next().unwrap().parse().unwrap()
        };
        let port = number("localhost:", '/');
        let (client, health) = (Client::new(port), Client::new(number("metrics on port ", ')')));
        Self { child, client, health, remote: Remote::new(port), banner, said }
    }

    /// Ends it with SIGTERM.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(ended(&mut self.child), Some(0));
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ended(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::yield_now();
    }
}

/// Its exit code and what it said, which never has the password `geheim`.
#[track_caller]
pub fn refused(folder: &Path, source: &str, code: i32, words: &[&str]) {
    let mut child = command(folder, source).spawn().unwrap();
    let mut text = String::new();
    let mut said = child.stderr.take().unwrap();
    let found = ended(&mut child);
    said.read_to_string(&mut text).unwrap();
    assert_eq!(found, Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("geheim"), "{text}");
}
