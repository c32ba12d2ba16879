//! The catalogue as the book's tables.

use super::{LOG_EVENTS, METRICS, OPERATOR_METRICS};

/// The metrics, as a table in Markdown.
pub fn metrics_table() -> String {
    let mut rows =
        vec!["| metric | type | labels | unit | meaning |".to_owned(), "|---|---|---|---|---|".to_owned()];
    rows.extend(METRICS.iter().chain(OPERATOR_METRICS).map(|metric| {
        let unit = metric.unit.map_or("–", super::Unit::text);
        let (name, kind, labels) = (metric.sample_name(), metric.kind.text(), quoted(metric.labels));
        format!("| `{name}` | {kind} | {labels} | {unit} | {} |", metric.help)
    }));
    rows.join("\n")
}

/// The log events, as a table in Markdown.
pub fn logs_table() -> String {
    let mut rows = vec![
        "| `event` | level | fields | what happened | what to do |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    rows.extend(LOG_EVENTS.iter().map(|event| {
        let fields = quoted(event.fields);
        format!(
            "| `{}` | {} | {fields} | {} | {} |",
            event.name,
            event.level.text(),
            event.meaning,
            event.action
        )
    }));
    rows.join("\n")
}

fn quoted(words: &[&str]) -> String {
    match words {
        [] => "–".to_owned(),
        words => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
    }
}
