//! Statements stay prepared: to close one is a packet without an answer, for whose acknowledgement the next one would wait
//! 40 ms.

mod support;

use std::time::Duration;

use polylog_log::Expected;
use polylog_source_mariadb::{MariadbConfig, MariadbSource};
use support::{SERVER, Store, append, check_log, commit, lead};

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_is_closed_while_a_connection_is_used() {
    let store = Store::new().await;
    let config = MariadbConfig { check_interval: Duration::ZERO, ..store.config() };
    let source = MariadbSource::open(config).await.expect("an open source");
    lead(&source, &store.identity, 1).await;
    for _ in 0..3 {
        // each begins with the check of server, tables and rights
        append(&source, &store.identity, vec![commit(store.identity.log, "s", Expected::Any)])
            .await
            .expect("an append");
    }
    assert_eq!(check_log(&source).await.len(), 4);
    let count = |name: &str| {
        let sql = format!(
            "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = '{name}'"
        );
        SERVER.execute("mysql", &sql).parse::<u64>().expect("a number")
    };
    assert!(count("COM_STMT_PREPARE") > 0, "nothing was prepared: this shows nothing");
    assert_eq!(count("COM_STMT_CLOSE"), 0);
}
