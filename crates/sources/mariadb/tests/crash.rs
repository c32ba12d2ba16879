//! A server that is killed loses nothing that it acknowledged, and its clients go on without a restart.

mod support;

use std::{sync::Arc, time::Duration};

use polylog_source_mariadb::MariadbSource;
use polylog_test_bed::{MariadbServer, crashes};
use support::{Store, identity};

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_of_the_server_lose_nothing_that_was_acknowledged() {
    let server = Arc::new(MariadbServer::start());
    let store = Store::on(&server, identity(1)).await;
    crashes::ten_kills_lose_nothing_that_was_acknowledged(server, &store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_is_unreachable_and_used_again_when_it_is_back() {
    let server = MariadbServer::start();
    let store = Store::on(&server, identity(1)).await;
    crashes::a_stopped_server_is_unreachable_and_used_again(&server, &store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_not_waited_for_and_what_it_got_is_unknown() {
    let server = MariadbServer::start();
    let store = Store::on(&server, identity(1)).await;
    let patience = Duration::from_secs(1);
    let mut config = store.config();
    (config.request_timeout, config.connect_timeout) = (patience, patience);
    let source = MariadbSource::open(config).await.expect("an open source");
    crashes::a_hanging_server_is_not_waited_for(&server, &store, &source).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_after_the_write_was_sent_leaves_the_outcome_unknown() {
    let server = MariadbServer::start();
    let store = Store::on(&server, identity(1)).await;
    let lock = async || {
        let mut session = support::session(&store.url).await;
        support::run(&mut session, "BEGIN; SELECT lane FROM polylog_head FOR UPDATE").await;
        session
    };
    // who asks INNODB_TRX again and again is given the same old answer
    let waiting = "SELECT count(*) FROM information_schema.PROCESSLIST \
         WHERE DB LIKE 'test%' AND COMMAND = 'Query' AND TIME_MS > 200";
    let is_awaited = || server.execute("mysql", waiting) == "1";
    crashes::a_connection_lost_after_the_write_was_sent_leaves_the_outcome_unknown(
        &server, &store, lock, is_awaited,
    )
    .await;
}
