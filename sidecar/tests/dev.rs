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

/// The same, with a strategy of this spec.
fn with_strategy(spec: &str) -> TempDir {
    let store = STORE.replace("spec:", "spec:\n  strategyRef: {name: s}");
    folder(&format!(
        "{store}\n---\napiVersion: polylog.dev/v1alpha1\nkind: ReplicationStrategy\nmetadata: {{name: s, namespace: shop}}\nspec: {spec}\n"
    ))
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
    let deadline = Instant::now() + Duration::from_secs(60);
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
    let searching = folder(&format!(
        "{}\n---\napiVersion: polylog.dev/v1alpha1\nkind: ReplicationStrategy\nmetadata: {{name: s, namespace: shop}}\nspec: {{type: FullReplication}}\n",
        STORE.replace(
            "spec:",
            "spec:\n  strategyRef: {name: s}\n  delivery: Gateway\n  search: {source: ledger}"
        )
    ));
    let automatic = with_strategy("{type: Priority, failover: {mode: Automatic}}");
    let of_three =
        with_strategy("{type: EventTypePartitioning, routes: [{types: [A], source: a}], defaultRoute: c}");
    let sources = ["a", "b"].map(|name| {
        format!(
            "    - {{name: {name}, connection: {{url: 'postgres://{name}/x'}}, postgres: {{schema: x}}}}\n"
        )
    });
    let manifest = std::fs::read_to_string(of_three.path().join("store.yaml")).unwrap();
    let manifest = manifest.replace("  sources:\n", &format!("  sources:\n{}", sources.concat()));
    std::fs::write(of_three.path().join("store.yaml"), manifest).unwrap();
    let best_effort = with_strategy("{type: BestEffort}");
    let empty = folder("");
    for (folder, arguments, code, words) in [
        (&typo, &[][..], 2, "sorces"),
        (&searching, &[], 2, "search"),
        (&automatic, &[], 2, "spec.failover.mode: Automatic needs 3 voters"),
        (&of_three, &[], 2, "spec.defaultRoute: EventStore shop/payments has no source c"),
        (&best_effort, &[], 2, "store.yaml:19: ReplicationStrategy shop/s: spec.type"),
        (&empty, &[], 2, "no EventStore"),
        (&good, &["--default-store", "none"], 2, "none"),
        (&good, &["--source", "ledger=cassandra://localhost/x"], 2, "no address of an engine"),
        (&good, &["--source", "ledger=postgres://localhost"], 2, "it names no database"),
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

#[tokio::test]
async fn reads_that_ask_for_no_consistency_have_that_of_the_strategy() {
    let folder = with_strategy("{type: Priority, reads: {consistency: Bounded, maxLagEvents: 3}}");
    let bounded = Dev::start(folder.path(), &["--ephemeral"]);
    // a lag belongs to bounded reads alone
    bounded.client.get("/v1/events?maxLag=5").await.ok();
    bounded.client.get("/v1/events").await.ok();
    bounded.client.get("/v1/events?consistency=session").await.ok();
    bounded.client.get("/v1/events?consistency=bounded").await.problem("invalid_request");
    bounded.client.get("/v1/events?consistency=session&maxLag=5").await.problem("invalid_request");
}

#[tokio::test]
async fn a_file_that_goes_away_must_be_restored() {
    let folder = folder(STORE);
    let db = folder.path().join(".polylog/shop.payments/ledger.db");
    let running = Dev::start(folder.path(), &[]);
    running.client.append("Payment-1", "Paid", "1").await;
    let other = Dev::start(folder.path(), &["--data", "elsewhere"]);
    other.signal("TERM");
    assert_eq!(other.ended(), Some(0));
    let aside = folder.path().join("aside.db");
    std::fs::rename(&db, &aside).unwrap();
    let body = r#"{"expectedVersion":"any","events":[{"type":"T"}]}"#;
    for is_replaced in [false, true] {
        if is_replaced {
            std::fs::copy(folder.path().join("elsewhere/shop.payments/ledger.db"), &db).unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        let answer = loop {
            let answer = running.client.post("/v1/streams/Payment-1", body).await;
            if answer.status != 201 {
                break answer;
            }
            assert!(Instant::now() < deadline, "it goes on appending to a file that is gone");
        };
        let text = answer.text();
        assert!(text.contains("stop polylog") && text.contains("restore"), "{is_replaced} {text}");
        assert!(
            !text.contains("provision the source") && !text.contains("try again"),
            "{is_replaced} {text}"
        );
    }
}
