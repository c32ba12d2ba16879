use std::collections::BTreeMap;

use polylog_api::Code;
use polylog_log::{Position, Term};

use super::*;
use crate::catalogue::{METRICS, Metric};

/// Everything counted at least once.
fn full() -> Metrics {
    let metrics = Metrics::new();
    let took = Duration::from_millis(3);
    let point = polylog_log::Point {
        position: Position::new(7),
        term: Term::new(1),
        chain: polylog_log::Chain::from_bytes([0; 16]),
    };
    let done = Acknowledged {
        receipt: None,
        point,
        acked_by: vec![SourceName::recorded("ledger")],
        repeated: false,
    };
    metrics.appended("payments", took, &Ok(done));
    metrics.appended("payments", took, &Err(AppendError::OutcomeUnknown));
    metrics.answered("append", StatusCode::CREATED, took);
    metrics.called("append", Code::VersionConflict.text(), took);
    metrics.schema_warning("payments");
    drop(metrics.subscriber("payments"));
    metrics.configuration("payments", "refused");
    metrics.configured(&[("payments".into(), false, true)]);
    for spans in [Spans::Exported, Spans::Dropped, Spans::Failed] {
        metrics.spans(spans, 2);
    }
    let source = metrics.inner.source.of("payments", "ledger");
    source.batch(3);
    source.answered("append", "ok", took);
    metrics
}

/// What the store's status gives, which the test above cannot.
const OF_STATUS: &[&str] = &[
    "polylog_append_queue_commits",
    "polylog_append_queue_bytes",
    "polylog_append_batches",
    "polylog_append_batch_events",
    "polylog_position",
    "polylog_term",
    "polylog_source_up",
    "polylog_source_primary",
    "polylog_source_votes",
    "polylog_source_maintenance",
    "polylog_replication_lag_events",
    "polylog_replication_lag_seconds",
    "polylog_alert_lag_events",
    "polylog_alert_lag_seconds",
    "polylog_source_stalled_position",
    "polylog_consistency_ratio",
    "polylog_verified_ratio",
    "polylog_verified_age_seconds",
    "polylog_inconsistent_events",
    "polylog_repaired_rows",
    "polylog_truncations",
    "polylog_quarantined_events",
    "polylog_subscriber_lag_events",
];

/// What a text says of each metric: type, unit, help, and the labels of its samples.
fn told(text: &str) -> BTreeMap<String, (String, String, String, Vec<String>)> {
    let mut told: BTreeMap<String, (String, String, String, Vec<String>)> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        if let (Some("#"), Some(keyword), Some(name), Some(rest)) =
            (words.next(), words.next(), words.next(), words.next())
        {
            let entry = told.entry(name.into()).or_default();
            match keyword {
                "TYPE" => entry.0 = rest.into(),
                "UNIT" => entry.1 = rest.into(),
                "HELP" => entry.2 = rest.into(),
                other => panic!("{other}"),
            }
            last = name.into();
            continue;
        }
        let labels =
            line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let names = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name);
        let names = names.filter(|name| *name != "le").map(str::to_owned).collect();
        assert!(line.starts_with(&last), "{line}");
        told.get_mut(&last).expect("a sample comes after its type").3 = names;
    }
    told
}

#[test]
fn what_is_given_is_what_the_catalogue_says() {
    let told = told(&full().text(TextFormat::OpenMetrics));
    for Metric { name, kind, unit, labels, help, .. } in METRICS {
        let Some((told_kind, told_unit, told_help, told_labels)) = told.get(*name) else {
            assert!(OF_STATUS.contains(name), "{name} is not given");
            continue;
        };
        assert_eq!(told_kind, kind.text(), "{name}");
        assert_eq!(told_unit, unit.map_or("", crate::catalogue::Unit::text), "{name}");
        assert_eq!(*told_help, format!("{help}."), "{name}");
        assert_eq!(told_labels, labels, "{name}");
    }
    let unknown: Vec<_> =
        told.keys().filter(|name| METRICS.iter().all(|metric| metric.name != **name)).collect();
    assert!(unknown.is_empty(), "not in the catalogue: {unknown:?}");
}

#[test]
fn names_are_well_formed() {
    for metric in METRICS {
        let Metric { name, unit, labels, help, .. } = metric;
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(name.starts_with("polylog_") || name.starts_with("process_"), "{name}");
        assert!(!name.ends_with("_total") && !name.ends_with("_info"), "{name}: the encoder adds it");
        let ends_with = |unit: &str| name.ends_with(&format!("_{unit}"));
        assert_eq!(ends_with("seconds"), *unit == Some(crate::catalogue::Unit::Seconds), "{name}");
        assert_eq!(ends_with("bytes"), *unit == Some(crate::catalogue::Unit::Bytes), "{name}");
        assert!(!help.ends_with('.') && !help.contains(['"', '\\', '\n', '|']), "{name}: {help}");
        let unbounded = ["stream", "type", "category", "id", "subject"];
        assert!(labels.iter().all(|label| !unbounded.contains(label)), "{name}");
        assert_eq!(METRICS.iter().filter(|other| other.name == *name).count(), 1, "{name}");
    }
}
