//! A Grafana dashboard with a panel for every metric.

use serde_json::{Value, json};

use super::{Kind, METRICS, Metric, OPERATOR_METRICS, Unit};

/// Rows of the dashboard: a title, and how the names of its metrics begin. The first that fits has it.
const ROWS: [(&str, &[&str]); 7] = [
    ("Appends", &["polylog_append", "polylog_outcome", "polylog_schema", "polylog_position"]),
    ("Sources", &["polylog_source", "polylog_replication", "polylog_term"]),
    ("Requests", &["polylog_http", "polylog_grpc"]),
    ("Following", &["polylog_subscriber"]),
    ("Configuration", &["polylog_configuration", "polylog_store"]),
    ("Operator", &["polylog_operator", "polylog_webhook"]),
    ("Processes", &["polylog_", "process_"]),
];
/// Grafana's grid has 24 columns.
const WIDTH: usize = 12;
const HEIGHT: usize = 8;

/// The dashboard, as Grafana imports it.
pub fn dashboard() -> String {
    let mut panels = Vec::new();
    let mut top = 0;
    for (row, (title, _)) in ROWS.iter().enumerate() {
        let metrics: Vec<&Metric> =
            METRICS.iter().chain(OPERATOR_METRICS).filter(|metric| row_of(metric) == Some(row)).collect();
        panels.push(json!({
            "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": top, "w": 2 * WIDTH, "h": 1 },
        }));
        top += 1;
        for (index, metric) in metrics.iter().enumerate() {
            let place = json!({
                "x": (index % 2) * WIDTH, "y": top + index / 2 * HEIGHT, "w": WIDTH, "h": HEIGHT,
            });
            panels.push(panel(metric, place));
        }
        top += metrics.len().div_ceil(2) * HEIGHT;
    }
    for (id, panel) in panels.iter_mut().enumerate() {
        panel["id"] = (id + 1).into();
    }
    let variable = |name: &str, query: &str| {
        json!({
            "name": name, "type": "query", "query": query, "datasource": data_source(), "refresh": 2,
            "multi": true, "includeAll": true, "allValue": ".*", "current": { "text": "All", "value": "$__all" },
        })
    };
    let dashboard = json!({
        "title": "Polylog", "uid": "polylog", "tags": ["polylog"], "schemaVersion": 39, "editable": true,
        "time": { "from": "now-1h", "to": "now" }, "refresh": "30s", "timezone": "",
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus" },
            variable("namespace", "label_values(polylog_build_info, namespace)"),
            variable("store", r#"label_values(polylog_store_open{namespace=~"$namespace"}, store)"#),
        ] },
        "panels": panels,
    });
    let mut text = serde_json::to_string_pretty(&dashboard).expect("texts and numbers are JSON");
    text.push('\n');
    text
}

fn data_source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn row_of(metric: &Metric) -> Option<usize> {
    ROWS.iter().position(|(_, begins)| begins.iter().any(|begin| metric.name.starts_with(begin)))
}

fn panel(metric: &Metric, place: Value) -> Value {
    let targets: Vec<Value> = queries(metric)
        .into_iter()
        .zip('A'..)
        .map(|((expression, legend), id)| {
            json!({ "refId": id.to_string(), "expr": expression, "legendFormat": legend, "datasource": data_source() })
        })
        .collect();
    json!({
        "type": "timeseries", "title": metric.sample_name(), "description": metric.help, "gridPos": place,
        "datasource": data_source(), "targets": targets,
        "fieldConfig": { "defaults": { "unit": unit(metric), "min": 0 }, "overrides": [] },
    })
}

/// What is asked, and how each line is called.
fn queries(metric: &Metric) -> Vec<(String, String)> {
    let name = metric.sample_name();
    let ours = metric.name.starts_with("polylog_");
    let has_store = metric.labels.contains(&"store");
    let chosen =
        if has_store { r#"namespace=~"$namespace",store=~"$store""# } else { r#"namespace=~"$namespace""# };
    let labels = metric.labels.join(", ");
    let shown = metric.labels.iter().map(|label| format!("{{{{{label}}}}}")).collect::<Vec<_>>().join(" ");
    // those of other programs have the same names
    let only_ours = if ours { "" } else { " and on (instance) polylog_build_info" };
    match metric.kind {
        Kind::Histogram => [("0.5", "p50"), ("0.99", "p99")]
            .map(|(share, called)| {
                let by = ["le"].iter().chain(metric.labels).copied().collect::<Vec<_>>().join(", ");
                let rate = format!("rate({name}_bucket{{{chosen}}}[$__rate_interval])");
                (format!("histogram_quantile({share}, sum by ({by}) ({rate}))"), format!("{called} {shown}"))
            })
            .into(),
        Kind::Counter if labels.is_empty() => {
            vec![(format!("rate({name}{{{chosen}}}[$__rate_interval]){only_ours}"), "{{pod}}".to_owned())]
        }
        Kind::Counter => {
            vec![(format!("sum by ({labels}) (rate({name}{{{chosen}}}[$__rate_interval]))"), shown)]
        }
        Kind::Gauge => {
            vec![(format!("{name}{{{chosen}}}{only_ours}"), format!("{{{{pod}}}} {shown}").trim().to_owned())]
        }
        Kind::Info => vec![(format!("count by ({labels}) ({name}{{{chosen}}})"), shown)],
    }
}

/// In Grafana's words.
fn unit(metric: &Metric) -> &'static str {
    match (metric.kind, metric.unit) {
        (Kind::Counter, Some(Unit::Seconds)) => "percentunit",
        (Kind::Counter, _) => "ops",
        (_, Some(Unit::Seconds)) => "s",
        (_, Some(Unit::Bytes)) => "bytes",
        (_, None) => "short",
    }
}
