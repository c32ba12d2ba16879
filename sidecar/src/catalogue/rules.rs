//! The alerts as Prometheus' rules and as the book's table.

use super::{ALERTS, Alert};

/// The rules, as a file that Prometheus reads; also what stands under `spec` in a PrometheusRule.
pub fn alert_rules() -> String {
    let mut text = String::from(
        "# Generated from sidecar/src/catalogue/alerts.rs; do not edit.\ngroups:\n  - name: polylog\n    rules:\n",
    );
    for Alert { name, severity, wait, expression, summary, action, .. } in ALERTS {
        text.push_str(&format!("      - alert: {name}\n        expr: {}\n", quoted(expression)));
        text.push_str(&format!(
            "        for: {wait}\n        labels:\n          severity: {}\n",
            severity.text()
        ));
        text.push_str(&format!("        annotations:\n          summary: {}\n", quoted(summary)));
        text.push_str(&format!("          action: {}\n", quoted(action)));
    }
    text
}

/// The alerts, as a table in Markdown.
pub fn alerts_table() -> String {
    let mut rows = vec![
        "| alert | severity | after | when | what to do |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    rows.extend(ALERTS.iter().map(|Alert { name, severity, wait, expression, action, .. }| {
        let expression = expression.replace('|', "\\|");
        format!("| `{name}` | {} | {wait} | `{expression}` | {action} |", severity.text())
    }));
    rows.join("\n")
}

/// A text that every YAML reader takes for a text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
