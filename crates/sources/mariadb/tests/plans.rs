//! Every statement finds its rows by an index, whatever the statistics say of a log that is small or large.

mod support;

use polylog_log::{Approval, Desired, IndexOptions, StepClass};
use polylog_source_mariadb::provision;
use support::{Store, desired};

#[tokio::test]
async fn every_lookup_goes_by_its_index_without_sorting() {
    let store = Store::new().await;
    let with =
        Desired { indexes: IndexOptions { event_type: true, aggregate_id: true }, ..desired(store.identity) };
    let there = provision::inspect(&store.config(), &store.place()).await.expect("ours");
    let plan = provision::plan(&with, &store.place(), &there).expect("a plan");
    let approval = Approval::up_to(StepClass::Additive);
    provision::apply(&store.config(), &store.place(), &plan, &approval).await.expect("applied");
    store.execute(
        "INSERT INTO polylog_events SELECT seq, seq, seq, 1, seq div 50, 0, 0, unhex(md5(seq)), unhex(md5(-seq)), \
         concat('s-', seq % 50), concat('c-', seq % 7), concat('a-', seq % 50), concat('t-', seq % 5), NULL, '', '', \
         '', 'json', nullif(concat('r-', seq % 9), 'r-0'), NULL, NULL, NULL, unhex(md5(-seq)) FROM seq_1_to_20000; \
         ANALYZE TABLE polylog_events",
    );
    let cases = [
        ("WHERE commit_key = x'00000000000000000000000000000001'", "polylog_events_commit_id"),
        (
            "WHERE stream = 's-1' AND version >= 30 ORDER BY version LIMIT 100",
            "polylog_events_stream_version",
        ),
        (
            "WHERE stream = 's-1' AND version <= 300 ORDER BY version DESC LIMIT 100",
            "polylog_events_stream_version",
        ),
        ("WHERE stream = 's-1' ORDER BY version DESC LIMIT 1", "polylog_events_stream_version"),
        ("WHERE id = x'00000000000000000000000000000001'", "polylog_events_id"),
        (
            "WHERE category = 'c-1' AND position BETWEEN 5 AND 9000 ORDER BY position DESC LIMIT 100",
            "polylog_events_category",
        ),
        ("WHERE correlation_id = 'r-1' ORDER BY position LIMIT 100", "polylog_events_correlation_id"),
        ("WHERE type = 't-1' AND position > 7 ORDER BY position LIMIT 100", "polylog_events_type"),
        ("WHERE aggregate_id = 'a-1' ORDER BY position LIMIT 100", "polylog_events_aggregate_id"),
        ("WHERE position >= 17 ORDER BY position LIMIT 100", "PRIMARY"),
        (
            "WHERE position >= (SELECT first FROM polylog_events WHERE position = 17) ORDER BY position LIMIT 9",
            "PRIMARY",
        ),
    ];
    for (condition, index) in cases {
        let plan = store.execute(&format!("EXPLAIN SELECT data FROM polylog_events {condition}"));
        let main = plan.lines().next().expect("a plan");
        // a row whose absence is proven while planning needs no plan; another index that gives the same order and stops
        // at the limit is as good
        let is_absent = main.contains("Impossible WHERE noticed after reading const tables");
        let by_order = condition.contains("ORDER BY position") && main.contains("PRIMARY");
        let columns: Vec<&str> = main.split('\t').collect();
        let goes_by_it = columns.get(5) == Some(&index) || by_order || is_absent;
        assert!(goes_by_it, "{condition}\n{plan}");
        assert!(!plan.contains("filesort") && columns[3] != "ALL", "{condition}\n{plan}");
    }
}
