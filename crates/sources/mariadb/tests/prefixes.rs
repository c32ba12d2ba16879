//! Logs that share a database by the prefix of their tables.

mod support;

use polylog_log::{CheckOutcome, Expected, Failure, Source};
use polylog_source_mariadb::{
    MariadbSource, preflight,
    provision::{self, Account, Actual, Worker},
};
use support::{SERVER, Store, check_log, commit, desired, identity, lead, refusal, write};

/// Three logs of one database: without a prefix, and with two.
async fn three() -> [Store; 3] {
    let first = Store::new().await;
    let stores = [first.beside("pay_", identity(2)), first.beside("polylog_", identity(3))];
    for store in &stores {
        support::provision(&store.config(), store.identity).await.expect("provisioned");
    }
    let [second, third] = stores;
    [first, second, third]
}

#[tokio::test]
async fn logs_of_one_database_do_not_see_each_other() {
    let stores = three().await;
    for (number, store) in stores.iter().enumerate() {
        let source = store.primary().await;
        for _ in 0..=number {
            write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
        }
    }
    for (number, store) in stores.iter().enumerate() {
        let source = store.open().await;
        assert_eq!(source.head().await.expect("a head").identity, store.identity);
        assert_eq!(check_log(&source).await.len(), 1 + number + 1, "{}", store.prefix);
        let actual = provision::inspect(&store.config(), &store.place()).await.expect("ours");
        let plan = provision::plan(&desired(store.identity), &store.place(), &actual).expect("a plan");
        assert!(plan.is_empty(), "{plan}");
    }
    // drift of one is nobody else's
    stores[1].execute("ALTER TABLE pay_polylog_events DROP INDEX pay_polylog_events_id");
    let refused = refusal(stores[1].config()).await;
    assert!(
        matches!(&refused, Failure::NotProvisioned(why) if why.contains("index pay_polylog_events_id")),
        "{refused:?}"
    );
    stores[0].open().await;
    stores[2].open().await;
    let actual = provision::inspect(&stores[1].config(), &stores[1].place()).await.expect("ours");
    let plan = provision::plan(&desired(stores[1].identity), &stores[1].place(), &actual).expect("a plan");
    let statements: Vec<&str> = plan.steps.iter().map(|step| step.statement.as_str()).collect();
    let database = &stores[1].database;
    let mended =
        format!("CREATE UNIQUE INDEX pay_polylog_events_id ON `{database}`.pay_polylog_events (`id`)");
    assert_eq!(statements, [mended.as_str()]);
}

#[tokio::test]
async fn a_wipe_takes_the_tables_of_its_prefix_alone() {
    let stores = three().await;
    let wipe = async |at: usize, of: usize| {
        provision::wipe(&stores[at].config(), &stores[at].place(), stores[of].identity.log).await
    };
    assert!(matches!(wipe(1, 0).await, Err(Failure::WrongStore(_))), "another prefix's log");
    assert_eq!(wipe(1, 1).await.expect("wiped").len(), 6);
    assert!(wipe(1, 1).await.expect("done before").is_empty());
    assert_eq!(stores[0].execute("SHOW TABLES LIKE 'pay\\_%'"), "");
    for store in [&stores[0], &stores[2]] {
        assert_eq!(store.open().await.head().await.expect("a head").identity, store.identity);
    }
}

#[tokio::test]
async fn another_prefix_is_another_log_and_is_not_written() {
    let store = Store::new().await;
    let source = store.primary().await;
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    let tables = store.execute("SHOW TABLES");
    let moved = store.beside("moved_", store.identity);
    let refused = refusal(moved.config()).await;
    assert!(
        matches!(&refused, Failure::NotProvisioned(why) if why.contains("the table prefix moved_")),
        "{refused:?}"
    );
    let actual = provision::inspect(&moved.config(), &moved.place()).await.expect("an answer");
    assert_eq!(actual, Actual::Empty, "what is there is another prefix's");
    assert_eq!(store.execute("SHOW TABLES"), tables);
    // and the prefix of another log
    let other = store.beside("other_", identity(2));
    support::provision(&other.config(), other.identity).await.expect("provisioned");
    let actual = provision::inspect(&other.config(), &other.place()).await.expect("ours");
    let plan = provision::plan(&desired(store.identity), &other.place(), &actual);
    assert!(matches!(plan, Err(Failure::WrongStore(_))), "{plan:?}");
}

#[tokio::test]
async fn anothers_table_under_a_prefixed_name_is_refused_and_left_alone() {
    let store = Store::new().await;
    store.execute("CREATE TABLE pay_polylog_leases (x int)");
    let pay = store.beside("pay_", identity(2));
    let refused = provision::inspect(&pay.config(), &pay.place()).await;
    assert!(
        matches!(&refused, Err(Failure::WrongStore(why)) if why.contains(".pay_polylog_leases belongs")),
        "{refused:?}"
    );
    assert!(matches!(refusal(pay.config()).await, Failure::WrongStore(_)));
    let plan = provision::plan(&desired(pay.identity), &pay.place(), &Actual::Empty).expect("a plan");
    let all = polylog_log::Approval::up_to(polylog_log::StepClass::Slow);
    let applied = provision::apply(&pay.config(), &pay.place(), &plan, &all).await;
    assert!(matches!(applied, Err(Failure::WrongStore(_))), "{applied:?}");
    assert_eq!(store.execute("SHOW TABLES LIKE 'pay%'"), "pay_polylog_leases");
    store.open().await;
}

/// The user that writes rows is granted its own tables, and no other log's.
#[tokio::test]
async fn grants_and_checks_name_the_prefixed_tables() {
    let [plain, pay, _] = three().await;
    SERVER.execute("mysql", "CREATE USER payer@'%' IDENTIFIED BY 'p'");
    let mut worker = support::config(&SERVER.url_as("payer", "p", &pay.database));
    worker.tables = pay.config().tables;
    let account = Account { user: "payer".into(), host: "%".into() };
    let roles = provision::role_grants(&worker.tables, &account, Some(&account));
    let rows = &roles.last().expect("the rows").statements;
    assert_eq!(rows.len(), 6);
    let begins = |statement: &String| statement.contains(&format!("ON `{}`.pay_polylog_", pay.database));
    assert!(rows.iter().all(begins), "{rows:?}");

    let checks = preflight(&worker, None, Some(pay.identity.log)).await;
    let fixes: Vec<String> = checks.iter().map(|check| format!("{:?}", check.outcome)).collect();
    assert!(fixes.iter().any(|fix| fix.contains(".pay_polylog_head TO 'payer'@'%'")), "{fixes:?}");

    let place = provision::Place {
        worker: Some(Worker::of(worker.clone()).await.expect("who it is")),
        ..pay.place()
    };
    let actual = provision::inspect(&pay.config(), &place).await.expect("ours");
    let plan = provision::plan(&desired(pay.identity), &place, &actual).expect("a plan");
    assert_eq!(plan.steps.len(), 6, "{plan}");
    let all = polylog_log::Approval::up_to(polylog_log::StepClass::Slow);
    provision::apply(&pay.config(), &place, &plan, &all).await.expect("applied");
    let source = MariadbSource::open(worker.clone()).await.expect("an open source");
    lead(&source, &pay.identity, 1).await;
    let failed = preflight(&worker, Some(&pay.config()), Some(pay.identity.log)).await;
    let failed: Vec<_> =
        failed.iter().filter(|check| matches!(check.outcome, CheckOutcome::Failed { .. })).collect();
    assert!(failed.is_empty(), "{failed:?}");
    worker.tables = plain.config().tables;
    let refused = refusal(worker).await;
    assert!(matches!(refused, Failure::Refused { .. } | Failure::NotProvisioned(_)), "{refused:?}");
}
