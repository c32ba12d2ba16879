//! The catalogue of metrics and log events is what the code gives and what the book says. To write the book's tables anew:
//! `POLYLOG_GENERATE=1 cargo test -p polylog-sidecar --test catalogue`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use polylog_sidecar::catalogue::{
    ALERTS, LOG_EVENTS, METRICS, OPERATOR_METRICS, alert_rules, alerts_table, dashboard, logs_table,
    metrics_table,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

/// The page with this table between its two marks.
fn with_table(page: &str, table: &str) -> String {
    const BEGIN: &str = "<!-- generated: begin -->\n";
    const END: &str = "\n<!-- generated: end -->";
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    format!("{before}{BEGIN}\n{table}\n{END}{after}")
}

#[test]
fn the_book_has_the_catalogue() {
    let tables = [("metrics.md", metrics_table()), ("logs.md", logs_table()), ("alerts.md", alerts_table())];
    for (name, table) in tables {
        let path = root().join("docs").join(name);
        let page = fs::read_to_string(&path).unwrap();
        let wanted = with_table(&page, &table);
        if std::env::var_os("POLYLOG_GENERATE").is_some() {
            fs::write(&path, wanted).unwrap();
        } else {
            assert!(page == wanted, "{} is old: see the top of this file", path.display());
        }
    }
}

#[test]
fn the_chart_has_rules_and_dashboard() {
    for (name, wanted) in [("alerts.yaml", alert_rules()), ("dashboard.json", dashboard())] {
        let path = root().join("charts/polylog/files").join(name);
        if std::env::var_os("POLYLOG_GENERATE").is_some() {
            fs::write(&path, wanted).unwrap();
        } else {
            let found = fs::read_to_string(&path).unwrap_or_default();
            assert!(found == wanted, "{} is old: see the top of this file", path.display());
        }
    }
}

/// The names of metrics in a query.
fn metrics_in(expression: &str) -> Vec<&str> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = expression.split(|character| !is_name(character));
    words.filter(|word| word.starts_with("polylog_") || word.starts_with("process_")).collect()
}

#[test]
fn every_alert_is_of_metrics_that_there_are_and_the_dashboard_has_them_all() {
    let board = dashboard();
    let known: Vec<String> =
        METRICS.iter().chain(OPERATOR_METRICS).map(|metric| metric.sample_name()).collect();
    for name in &known {
        assert!(board.contains(&format!("\"{name}\"")), "no panel for {name}");
    }
    let mut names = BTreeSet::new();
    for alert in ALERTS {
        assert!(names.insert(alert.name), "{} is there twice", alert.name);
        let metrics = metrics_in(alert.expression);
        assert!(!metrics.is_empty(), "{}", alert.name);
        for metric in metrics {
            let metric = metric.strip_suffix("_bucket").unwrap_or(metric);
            assert!(known.iter().any(|name| name == metric), "{}: {metric}", alert.name);
        }
    }
}

/// Every Rust file that becomes part of a program.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["tests", "target", "examples", "benches", "simulated"].contains(&name) {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The log lines of a file: level, what is between the brackets, and the line's number.
fn log_lines(text: &str) -> Vec<(&'static str, &str, usize)> {
    let mut found = Vec::new();
    for level in ["error", "warn", "info"] {
        for (at, call) in text.match_indices(&format!("tracing::{level}!(")) {
            let arguments = &text[at + call.len()..];
            let mut depth = 1;
            let end = arguments.find(|character| {
                depth += match character {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                depth == 0
            });
            found.push((level, &arguments[..end.unwrap()], text[..at].lines().count() + 1));
        }
    }
    found
}

#[test]
fn every_log_line_is_in_the_catalogue_and_the_other_way_round() {
    let mut files = Vec::new();
    for folder in ["crates", "sidecar", "cli", "crds", "operator"] {
        sources(&root().join(folder), &mut files);
    }
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for call in ["warn!(", "info!(", "error!("] {
            let is_bare = text.match_indices(call).any(|(at, _)| !text[..at].ends_with(['_', ':']));
            assert!(!is_bare, "{}: write tracing::{call}…) with its path", file.display());
        }
        for (level, arguments, line) in log_lines(&text) {
            let place = format!("{}:{line}", file.strip_prefix(root()).unwrap().display());
            let name =
                arguments.trim_start().strip_prefix("event = \"").and_then(|rest| rest.split('"').next());
            let Some(name) = name else {
                wrong.push(format!("{place} does not begin with `event = \"…\"`"));
                continue;
            };
            match LOG_EVENTS.iter().find(|event| event.name == name) {
                None => wrong.push(format!("{place}: {name} is not in sidecar/src/catalogue/logs.rs")),
                Some(event) if event.level.text() != level => {
                    wrong.push(format!("{place}: {name} is {} in the catalogue", event.level.text()));
                }
                Some(event) => {
                    for field in event.fields {
                        if !arguments.contains(field) {
                            wrong.push(format!("{place}: {name} has no field {field}"));
                        }
                    }
                }
            }
            used.insert(name.to_owned());
        }
    }
    let unused = LOG_EVENTS.iter().filter(|event| !used.contains(event.name));
    wrong.extend(unused.map(|event| format!("nothing logs {}", event.name)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let names: Vec<_> = LOG_EVENTS.iter().map(|event| event.name).collect();
    assert!(names.is_sorted(), "by name, so that they are found");
}
