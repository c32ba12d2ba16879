//! `polylog grants`, `check` and `plan` against real servers: what the tests of every engine share.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// With these manifests in it.
pub fn folder(manifests: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("store.yaml"), manifests).expect("it is written");
    folder
}

pub fn polylog(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polylog"));
    let output = command.current_dir(folder).args(arguments).output().expect("it starts");
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(!String::from_utf8_lossy(&text).contains("geheim"), "a password is shown");
    output
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The checks that did not pass, and the exit code.
pub fn check(folder: &Path, more: &[&str]) -> (Vec<Value>, i32) {
    let output = polylog(folder, &[&["check", "-o", "json"], more].concat());
    let sources: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = sources[0]["checks"].as_array().expect("a list");
    assert!(!checks.is_empty(), "{sources}");
    let (code, bad) =
        (output.status.code().expect("an exit code"), |line: &&Value| line["outcome"] != "passed");
    assert_eq!(sources[0]["usable"], code == 0, "{sources}");
    (checks.iter().filter(bad).filter(|line| line["check"] != "space").cloned().collect(), code)
}

pub fn grants(folder: &Path, stage: &str) -> String {
    let output = polylog(folder, &["grants", "--stage", stage]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stdout(&output)
}

/// `polylog dev` over the declared database; ended with this.
pub struct Dev(Child, String);

impl Dev {
    pub fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_polylog"));
        command.current_dir(folder).args([
            "dev",
            "--port",
            "0",
            "--health-port",
            "0",
            "--source",
            "ledger=declared",
        ]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its words"));
        let mut said = String::new();
        while !said.contains("read: ") {
            assert!(lines.read_line(&mut said).expect("a line") > 0, "it ended: {said}");
        }
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
        let port = said.split("localhost:").nth(1).and_then(|rest| rest.split('/').next()).expect("a port");
        Self(child, format!("http://127.0.0.1:{port}"))
    }

    pub fn append(&self, folder: &Path) {
        let arguments = ["--url", &self.1, "append", "Payment-1", "-e", "any", "-t", "Paid", "-d", "1"];
        let output = polylog(folder, &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes one right after the other away: `check` names each with the statement that gives it back. `outcome` says how,
/// and through which connection.
pub fn each_right_is_named(
    execute: impl Fn(&str),
    folder: &Path,
    statements: &[String],
    outcome: impl Fn(&str, &str) -> (&'static str, &'static str),
) {
    for statement in statements {
        let parts = statement.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON "));
        let Some((rights, on)) = parts else { continue };
        let (on, role) = on.split_once(" TO ").expect("a role");
        let (role, is_passed_on) = match role.strip_suffix(" WITH GRANT OPTION") {
            Some(role) => (role, true),
            None => (role, false),
        };
        for right in rights.split(", ").chain(is_passed_on.then_some("GRANT OPTION")) {
            let revoked = format!("REVOKE {right} ON {on} FROM {role}");
            execute(&revoked);
            let (bad, code) = check(folder, &[]);
            let fix = format!("GRANT {right} ON {on} TO {role}");
            let named = bad.iter().find(|line| line["check"] == "rights" && line["fix"] == fix.as_str());
            let named = named.unwrap_or_else(|| panic!("{revoked}: {bad:?}"));
            assert_eq!(bad.len(), 1, "{revoked}: {bad:?}");
            let (expected, credential) = outcome(right, on);
            assert_eq!(
                (&named["outcome"], code),
                (&expected.into(), i32::from(expected == "failed")),
                "{revoked}: {named}"
            );
            assert_eq!(named["credential"], credential, "{named}");
            execute(named["fix"].as_str().expect("a statement"));
        }
    }
    assert_eq!(check(folder, &[]), (Vec::new(), 0));
}

/// What an open source can do without, on a table.
pub fn is_optional(right: &str, on: &str) -> bool {
    on.ends_with("polylog_events") && ["UPDATE", "DELETE"].contains(&right)
        || on.ends_with("polylog_configs") && right == "DELETE"
        || (on.ends_with("polylog_cuts") || on.ends_with("polylog_quarantine")) && right == "INSERT"
}

pub fn statements(folder: &Path, stage: &str) -> Vec<String> {
    let output = polylog(folder, &["grants", "--stage", stage, "-o", "json"]);
    let sources: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let roles = sources[0]["roles"].as_array().expect("a list").iter();
    let statements = roles.flat_map(|role| role["statements"].as_array().expect("a list"));
    statements.map(|statement| statement.as_str().expect("text").to_owned()).collect()
}

/// What `check` and `plan` say of a database.
#[track_caller]
pub fn bad(folder: &Path, url: &str, code: i32, topic: &str, stable: &str, words: &str) -> Value {
    let source = format!("ledger={url}");
    let (bad, found) = check(folder, &["--source", &source]);
    let line = bad.iter().find(|line| line["outcome"] == "failed").unwrap_or_else(|| panic!("{bad:?}"));
    assert_eq!((found, &line["check"], &line["code"]), (code, &topic.into(), &stable.into()), "{line}");
    assert!(line["seen"].as_str().is_some_and(|seen| seen.contains(words)), "{line}");
    assert!(line["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{line}");
    let output = polylog(folder, &["check", "--source", &source]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(code));
    assert!(text.contains("FAILED") && text.contains(stable) && text.contains("fix: "), "{text}");
    line.clone()
}

#[track_caller]
pub fn plan_refuses(folder: &Path, url: &str, code: i32, words: &[&str]) {
    let output = polylog(folder, &["plan", "--source", &format!("ledger={url}")]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(words.iter().all(|word| text.contains(word)) && text.contains("next: "), "{text}");
}
