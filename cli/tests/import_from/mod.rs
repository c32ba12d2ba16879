//! What the tests of imports from every engine share.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Dev, PATIENCE, outcome};

/// An event as an application might have written it.
#[derive(Clone)]
pub struct Event {
    pub id: String,
    pub aggregate: usize,
    /// From 1.
    pub version: usize,
    pub data: String,
    pub metadata: String,
    pub time: String,
}

/// So many events of so many aggregates; none of their times is that of another.
pub fn events(count: usize, aggregates: usize) -> Vec<Event> {
    let event = |index: usize| Event {
        id: format!("0198f2c0-0000-7000-8000-{index:012}"),
        aggregate: index % aggregates,
        version: index / aggregates + 1,
        data: format!(r#"{{"n":{index},"amount":"{index}.00","text":"it's \"é\" {}"}}"#, "x".repeat(100)),
        // as PHP writes an empty map
        metadata: if index % 11 == 0 { "[]".into() } else { format!(r#"{{"userId":"u{}"}}"#, index % 7) },
        time: format!(
            "2024-01-{:02}T{:02}:{:02}:00.{:03}Z",
            1 + index / 1440,
            index / 60 % 24,
            index % 60,
            index % 997
        ),
    };
    (0..count).map(event).collect()
}

/// A folder of a store for what was read, and the password that no output may have in it.
pub struct Import<'a> {
    pub dev: &'a Dev,
    /// With what `--from` needs.
    pub arguments: Vec<String>,
    pub url: String,
}

impl Import<'_> {
    pub fn work(&self) -> PathBuf {
        self.dev.folder.path().join("work")
    }

    pub fn command(&self, more: &[&str]) -> Command {
        let work = self.work().display().to_string();
        let mut command = self.dev.command(&["import"]);
        command.args(&self.arguments).args(["--work", &work, "-o", "ndjson"]).args(more);
        command.env("POLYLOG_FROM_URL", &self.url);
        command
    }

    /// Exit code, standard output and standard error.
    pub fn outcome(&self, more: &[&str]) -> (i32, String, String) {
        let (code, stdout, stderr) = outcome(&self.command(more).output().expect("it starts"));
        assert!(!stdout.contains("geheim") && !stderr.contains("geheim"), "a password is shown: {stderr}");
        (code, stdout, stderr)
    }

    /// What is printed, and what is told, by an import that must succeed.
    pub fn succeeds(&self, more: &[&str]) -> (Value, String) {
        let (code, stdout, stderr) = self.outcome(more);
        assert_eq!(code, 0, "{stdout}{stderr}");
        (serde_json::from_str(&stdout).expect("JSON"), stderr)
    }

    /// An import that is refused, with nothing written; its words.
    #[track_caller]
    pub fn refused(&self, more: &[&str], words: &str) -> String {
        let (code, stdout, stderr) = self.outcome(more);
        assert!(code == 2 && stderr.contains(words), "{code} {words}: {stdout}{stderr}");
        assert!(self.dev.events(&[]).is_empty(), "something was written");
        stderr
    }

    /// Takes the work folder away.
    pub fn forget(&self) {
        // it may not be there yet
        let _ = std::fs::remove_dir_all(self.work());
    }

    /// Starts an import, and kills it once a gate holds what comes to it.
    pub fn killed_at(&self, gate: &Gate, after: usize, command: Command) {
        let output = self.signalled_at(gate, after, command, "-KILL");
        assert_eq!(output.status.code(), None, "{output:?}");
    }

    /// Starts an import, and sends it a signal once a gate holds what comes to it; what it said.
    pub fn signalled_at(&self, gate: &Gate, after: usize, mut command: Command, signal: &str) -> Output {
        gate.hold_after(after);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let deadline = Instant::now() + PATIENCE;
        while !gate.holds() {
            if child.try_wait().expect("a process").is_some() {
                panic!("it ended: {:?}", child.wait_with_output().expect("it ended"));
            }
            assert!(Instant::now() < deadline, "nothing came that could be held");
            thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("it starts");
        assert!(sent.success());
        let output = child.wait_with_output().expect("it ends");
        gate.open();
        output
    }
}

/// What a complete import prints that wrote so many events.
pub fn complete(read: usize, written: usize) -> Value {
    json!({
        "read": read, "written": written, "present": read - written, "complete": true,
        "checked": {"same": read, "differing": 0, "missing": 0, "faults": []}
    })
}

/// Checks that the store holds these events and no others, as they are, and no stream's versions fall.
pub fn check_store(dev: &Dev, events: &[Event]) {
    let stored = dev.events(&[]);
    assert_eq!(stored.len(), events.len());
    let by_id: BTreeMap<&str, &Value> =
        stored.iter().map(|event| (event["id"].as_str().expect("an id"), event)).collect();
    for event in events {
        let found = by_id.get(event.id.as_str()).unwrap_or_else(|| panic!("{} is missing", event.id));
        let expected = json!({
            "stream": format!("Payment-p{}", event.aggregate), "category": "Payment",
            "aggregateId": format!("p{}", event.aggregate), "version": event.version, "type": "PaymentProcessed",
            "data": parsed(&event.data), "correlationId": format!("c{}", event.aggregate),
        });
        for (field, value) in expected.as_object().expect("an object") {
            assert_eq!(&found[field], value, "{field} of {found}");
        }
        assert_eq!(time(&found["time"]), time(&event.time.clone().into()), "{found}");
        assert_eq!(found["metadata"]["userId"], parsed(&event.metadata)["userId"], "{found}");
    }
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for event in &stored {
        let version = event["version"].as_u64().expect("a version");
        let before = last.insert(event["stream"].as_str().expect("a stream"), version);
        assert_eq!(before.unwrap_or_default() + 1, version, "{event}");
    }
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect(json)
}

fn time(text: &Value) -> jiff::Timestamp {
    text.as_str().expect("a text").parse().expect("a time")
}

/// Stands between a client and a server on loopback, and can hold what the server says.
pub struct Gate {
    port: u16,
    state: Arc<State>,
}

struct State {
    /// Bytes that still go through; none = all.
    left: Mutex<Option<usize>>,
    changed: Condvar,
    held: AtomicBool,
}

impl Gate {
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state =
            Arc::new(State { left: Mutex::new(None), changed: Condvar::new(), held: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (from, to) =
                    (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                thread::spawn(move || copy(from, to, None));
                let state = Arc::clone(&shared);
                thread::spawn(move || copy(server, client, Some(&state)));
            }
        });
        Self { port, state }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets so many bytes through, then none.
    pub fn hold_after(&self, bytes: usize) {
        self.state.held.store(false, Ordering::SeqCst);
        *self.state.left.lock().expect("a lock") = Some(bytes);
    }

    /// Whether something is held.
    pub fn holds(&self) -> bool {
        self.state.held.load(Ordering::SeqCst)
    }

    /// Lets everything through.
    pub fn open(&self) {
        *self.state.left.lock().expect("a lock") = None;
        self.state.changed.notify_all();
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, state: Option<&State>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        if let Some(state) = state {
            state.pass(count);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // the other side may have gone first
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

impl State {
    /// Waits until so many bytes may go through.
    fn pass(&self, count: usize) {
        let mut left = self.left.lock().expect("a lock");
        while left.is_some_and(|left| left < count) {
            self.held.store(true, Ordering::SeqCst);
            left = self.changed.wait(left).expect("a lock");
        }
        *left = left.map(|left| left - count);
    }
}
