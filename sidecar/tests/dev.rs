//! `polylog-sidecar dev` as a user starts it: a folder of manifests, a port, a signal.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use support::Client;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_polylog-sidecar");

const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}
---
apiVersion: v1
kind: Secret
metadata: {name: ledger-db, namespace: shop}
stringData: {url: 'postgres://localhost/x'}
";

/// A folder with manifests, which is also the current folder of what runs there.
fn folder(manifests: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("store.yaml"), manifests).unwrap();
    folder
}

fn dev(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(folder).args(["dev", ".", "--port", "0", "--health-port", "0"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("POLYLOG_LOG");
    command
}

/// A process that serves; killed with this.
struct Dev {
    child: Child,
    client: Client,
    banner: String,
}

impl Dev {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = dev(folder, arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("read: ") {
            let read = lines.read_line(&mut banner).unwrap();
            assert!(read > 0, "it ended: {banner}");
        }
        // what is logged later must not fill the pipe
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let port = banner.split("localhost:").nth(1).unwrap().split('/').next().unwrap();
        let client = Client::new(port.parse().unwrap());
        Self { child, client, banner }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    fn ended(mut self) -> Option<i32> {
        ended(&mut self.child)
    }
}

/// Waits for the end of a process; kills what does not end.
fn ended(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(15);
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

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn refused(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut child = dev(folder, arguments).spawn().unwrap();
    let code = ended(&mut child).unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (code, text)
}

#[tokio::test]
async fn it_serves_stops_and_has_everything_afterwards() {
    let folder = folder(STORE);
    let first = Dev::start(folder.path(), &[]);
    assert!(
        first.banner.contains("shop/payments") && first.banner.contains("shop.payments/ledger.db"),
        "{}",
        first.banner
    );
    let id = first.client.get("/v1/stores/payments").await.ok().json()["storeId"].clone();
    first.client.append("Payment-1", "Paid", "1").await;
    first.signal("TERM");
    assert_eq!(first.ended(), Some(0));
    let second = Dev::start(folder.path(), &[]);
    let store = second.client.get("/v1/stores/payments").await.ok().json();
    assert_eq!(store["storeId"], id);
    assert_eq!(second.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 1);
    second.client.append("Payment-1", "Paid", "2").await;
    second.signal("KILL");
    assert_eq!(second.ended(), None);
    let third = Dev::start(folder.path(), &[]);
    assert_eq!(third.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 2);
    third.signal("INT");
    assert_eq!(third.ended(), Some(0));
}

#[tokio::test]
async fn nobody_else_gets_its_folder_or_port() {
    let folder = folder(STORE);
    let first = Dev::start(folder.path(), &[]);
    let (code, text) = refused(folder.path(), &[]);
    assert_eq!(code, 1);
    assert!(
        text.contains("in use by another polylog dev") && text.contains(&first.child.id().to_string()),
        "{text}"
    );
    let port = first.banner.split("localhost:").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let output: Output = Command::new(BINARY)
        .current_dir(folder.path())
        .args(["dev", ".", "--ephemeral", "--health-port", "0", "--port", &port])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("is taken") && text.contains("--port 0"), "{text}");
}

#[tokio::test]
async fn access_applies_to_whom_it_acts_as() {
    let folder = folder(STORE);
    let other = Dev::start(folder.path(), &["--as", "other/app", "--ephemeral"]);
    other.client.get("/v1/events").await.problem("access_denied");
    drop(other);
    let own = Dev::start(folder.path(), &["--as", "shop/app", "--ephemeral"]);
    own.client.append("Payment-1", "Paid", "1").await;
    let event = own.client.get("/v1/events").await.ok().json()["events"][0].clone();
    assert_eq!(event["metadata"]["$by"], "shop/app");
    own.client.get("/v1/streams/$config").await.problem("access_denied");
    assert!(!folder.path().join(".polylog").exists(), "--ephemeral leaves nothing here");
}

#[test]
fn what_it_cannot_do_is_refused_before_anything_is_made() {
    let good = folder(STORE);
    let typo = folder(&STORE.replace("spec:", "spec:\n  sorces: []"));
    let automatic = folder(&format!(
        "{}\n---\napiVersion: polylog.dev/v1alpha1\nkind: ReplicationStrategy\nmetadata: {{name: s, namespace: shop}}\nspec: {{type: FullReplication}}\n",
        STORE.replace(
            "spec:",
            "spec:\n  strategyRef: {name: s}\n  delivery: Gateway\n  search: {source: ledger}"
        )
    ));
    let empty = folder("");
    for (folder, arguments, code, words) in [
        (&typo, &[][..], 2, "sorces"),
        (&automatic, &[], 2, "search"),
        (&empty, &[], 2, "no EventStore"),
        (&good, &["--default-store", "none"], 2, "none"),
        (&good, &["--source", "ledger=postgres://localhost/x"], 2, "EngineNotSupported"),
        (&good, &["--source", "none=sqlite:x.db"], 2, "none"),
        (&good, &["--source", "ledger"], 2, "<name>=<url>"),
        (&good, &["--as", "nobody"], 2, "<namespace>/<name>"),
        (&good, &["--data", "/proc/none"], 1, "/proc/none"),
    ] {
        let (found, text) = refused(folder.path(), arguments);
        assert_eq!(found, code, "{arguments:?} {text}");
        assert!(text.contains(words), "{arguments:?} {text}");
        assert!(!folder.path().join(".polylog").exists(), "{arguments:?}");
    }
    for role in ["sidecar", "gateway"] {
        let output = Command::new(BINARY).arg(role).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("not in this version"));
    }
}

#[tokio::test]
async fn files_that_are_not_this_stores_are_refused() {
    let folder = folder(STORE);
    let db = folder.path().join(".polylog/shop.payments/ledger.db");
    let first = Dev::start(folder.path(), &[]);
    first.client.append("Payment-1", "Paid", "1").await;
    first.signal("TERM");
    assert_eq!(first.ended(), Some(0));
    let other = Dev::start(folder.path(), &["--data", "elsewhere"]);
    other.signal("TERM");
    assert_eq!(other.ended(), Some(0));
    let kept = std::fs::read(&db).unwrap();
    std::fs::copy(folder.path().join("elsewhere/shop.payments/ledger.db"), &db).unwrap();
    let (code, text) = refused(folder.path(), &[]);
    assert!(code == 1 && text.contains("holds log"), "{code} {text}");
    std::fs::write(&db, "this is no database, but a text of some length that somebody put here").unwrap();
    let (code, text) = refused(folder.path(), &[]);
    assert!(code == 1 && text.contains("ledger.db"), "{code} {text}");
    std::fs::remove_file(&db).unwrap();
    let (code, text) = refused(folder.path(), &[]);
    assert!(code == 1 && text.contains("restore it"), "{code} {text}");
    std::fs::write(&db, kept).unwrap();
    let again = Dev::start(folder.path(), &[]);
    assert_eq!(again.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 1);
}
