//! Every statement finds its rows by an index, whatever the statistics say of a log that is small or large.

mod support;

use polylog_log::{Approval, Desired, IndexOptions, StepClass};
use polylog_source_postgres::provision;
use support::{Store, desired, place};

#[tokio::test]
async fn every_lookup_goes_by_its_index_without_sorting() {
    let store = Store::new().await;
    let with =
        Desired { indexes: IndexOptions { event_type: true, aggregate_id: true }, ..desired(store.identity) };
    let there = provision::inspect(&store.config(), &place()).await.expect("ours");
    let plan = provision::plan(&with, &place(), &there).expect("a plan");
    let approval = Approval::up_to(StepClass::Additive);
    provision::apply(&store.config(), &place(), &plan, &approval).await.expect("applied");
    store.execute(
        "INSERT INTO shop.polylog_events SELECT n, n, n, 1, n / 50, 0, 0, gen_random_uuid(), gen_random_uuid(), \
         's-' || n % 50, 'c-' || n % 7, 'a-' || n % 50, 't-' || n % 5, NULL, '\\x00', '\\x00', '\\x00', 'json', \
         nullif('r-' || n % 9, 'r-0'), NULL, NULL, NULL FROM generate_series(1, 20000) n;; ANALYZE shop.polylog_events",
    );
    let cases = [
        (
            "WHERE commit_id = '00000000-0000-0000-0000-000000000001' AND position = first",
            "polylog_events_commit_id",
        ),
        (
            "WHERE stream = 's-1' AND version >= 30 ORDER BY version LIMIT 100",
            "polylog_events_stream_version",
        ),
        (
            "WHERE stream = 's-1' AND version <= 300 ORDER BY version DESC LIMIT 100",
            "polylog_events_stream_version",
        ),
        ("WHERE stream = 's-1' ORDER BY version DESC LIMIT 1", "polylog_events_stream_version"),
        ("WHERE id = '00000000-0000-0000-0000-000000000001'", "polylog_events_id"),
        (
            "WHERE category = 'c-1' AND position BETWEEN 5 AND 9000 ORDER BY position DESC LIMIT 100",
            "polylog_events_category",
        ),
        ("WHERE correlation_id = 'r-1' ORDER BY position LIMIT 100", "polylog_events_correlation_id"),
        ("WHERE type = 't-1' AND position > 7 ORDER BY position LIMIT 100", "polylog_events_type"),
        ("WHERE aggregate_id = 'a-1' ORDER BY position LIMIT 100", "polylog_events_aggregate_id"),
        ("WHERE position >= 17 ORDER BY position LIMIT 100", "polylog_events_pkey"),
    ];
    for (condition, index) in cases {
        let plan = store.execute(&format!("EXPLAIN SELECT data FROM shop.polylog_events {condition}"));
        // another index that gives the same order and stops at the limit is as good
        let by_order = condition.contains("ORDER BY position") && plan.contains("polylog_events_pkey");
        assert!(plan.contains(&format!("{index} ")) || by_order, "{condition}\n{plan}");
        assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{condition}\n{plan}");
    }
}
