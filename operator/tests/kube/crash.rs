use std::{io::Write as _, process::Stdio};

use serde_json::json;

use crate::bed::{Namespace, Operator, PATIENCE, POSTGRES};

#[test]
fn an_operator_that_is_killed_while_it_provisions_is_followed_by_one_that_ends_it() {
    let namespace = Namespace::new("killed", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    // somebody is about to make a schema of this name: the first step has to wait for the end of that
    let mut other =
        POSTGRES.client(&database).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("psql");
    let mut say = other.stdin.take().expect("a pipe");
    say.write_all(b"BEGIN; CREATE SCHEMA payments;\n").expect("it reads");
    namespace.store("payments", json!({}));
    let operator = Operator::start(&namespace, 600);
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE SCHEMA%' \
                 AND datname = current_database()";
    let begin = std::time::Instant::now();
    while POSTGRES.execute(&database, waits) != "1" {
        assert!(begin.elapsed() < PATIENCE, "it does not provision\n{}", operator.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    operator.kill();
    say.write_all(b"ROLLBACK;\n").expect("it reads");
    drop(say);
    other.wait().expect("psql");
    let _operator = Operator::start(&namespace, 600);
    let store = namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    let log = POSTGRES.execute(&database, "SELECT log FROM payments.polylog_head");
    assert_eq!(store["status"]["storeId"], json!(log));
    assert_eq!(store["status"]["plan"]["phase"], "Applied");
}
