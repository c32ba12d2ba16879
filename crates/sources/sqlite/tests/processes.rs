//! Several processes use one file at the same time.

mod support;

use std::sync::Arc;

use polylog_source_sqlite::{SqliteConfig, SqliteSource};
use polylog_test_bed::processes;
use support::Store;

#[tokio::test]
async fn two_processes_append_to_one_file() {
    processes::two_processes_append_to_one_database(&Store::new()).await;
}

#[tokio::test]
async fn child_that_appends_and_ends() {
    let open = async |path: &str| {
        Arc::new(SqliteSource::open(SqliteConfig::new(path)).await.expect("an open source")) as Arc<_>
    };
    processes::child(open).await;
}

#[tokio::test]
async fn a_wait_ends_when_another_process_commits_and_when_its_time_is_over() {
    let store = Store::new();
    processes::a_wait_ends_when_another_process_commits_and_when_its_time_is_over(&store).await;
}
