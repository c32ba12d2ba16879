//! Making a database hold a log, and what is refused.

mod support;

use polylog_log::{
    Approval, DatabaseId, Desired, Expected, FailPoints, Failure, Fault, Identity, IndexOptions,
    RefusedReason, Source, StepClass,
};
use polylog_source_mariadb::{
    MariadbConfig, MariadbSource, POINTS,
    provision::{self, Actual, Place, Worker},
};
use support::{SERVER, Store, desired, identity, refusal};

async fn look(store: &Store) -> Actual {
    provision::inspect(&store.config(), &store.place()).await.expect("an answer")
}

#[tokio::test]
async fn a_fresh_database_is_provisioned_once() {
    let store = Store::unprovisioned(&SERVER, identity(1));
    let config = store.config();
    assert_eq!(look(&store).await, Actual::Absent);
    let plan = provision::plan(&desired(identity(1)), &store.place(), &Actual::Absent).expect("a plan");
    let nothing =
        provision::apply(&config, &store.place(), &plan, &Approval::none()).await.expect("nothing to do");
    assert!(nothing.done.is_empty());
    assert_eq!(look(&store).await, Actual::Absent);

    let all = Approval::up_to(StepClass::Additive);
    let applied = provision::apply(&config, &store.place(), &plan, &all).await.expect("applied");
    assert_eq!((applied.done.len(), applied.waiting.len()), (plan.steps.len(), 0));
    let rest = provision::plan(&desired(identity(1)), &store.place(), &look(&store).await).expect("a plan");
    assert!(rest.is_empty(), "{rest}");

    // a second process that planned at the same time changes nothing and is told to plan again
    let late = provision::apply(&config, &store.place(), &plan, &all).await;
    assert!(matches!(&late, Err(Failure::Unreachable(why)) if why.contains("plan again")), "{late:?}");

    let source = store.open().await;
    let head = source.head().await.expect("a head");
    assert_eq!(head.identity, identity(1));
    assert_eq!((head.revision, head.cuts()), (0, 0));
    assert_eq!(head.config.config.voters[0].name.as_str(), "main");
}

#[tokio::test]
async fn the_plan_printed_is_the_plan_carried_out() {
    let (store, by_hand) = (Store::new().await, Store::unprovisioned(&SERVER, identity(1)));
    let plan = provision::plan(&desired(identity(1)), &by_hand.place(), &Actual::Absent).expect("a plan");
    SERVER.execute("mysql", &plan.to_string());
    assert_eq!(look(&by_hand).await, look(&store).await);
    by_hand.open().await;
}

/// Every step is committed by itself: whatever a crash leaves, the next plan has only the rest.
#[tokio::test]
async fn a_provisioning_that_ends_anywhere_is_completed_by_the_next() {
    let all = Approval::up_to(StepClass::Slow);
    let mut passed = 0;
    for point in POINTS {
        for skip in [0, 1, 6, 12, 13] {
            let store = Store::unprovisioned(&SERVER, identity(1));
            let fail_points = FailPoints::new(POINTS);
            fail_points.arm(point, skip, Fault::Crash);
            let first =
                provision::plan(&desired(identity(1)), &store.place(), &Actual::Absent).expect("a plan");
            let config = MariadbConfig { fail_points: fail_points.clone(), ..store.config() };
            let outcome = provision::apply(&config, &store.place(), &first, &all).await;
            if !fail_points.disarm() {
                assert!(outcome.is_ok(), "{outcome:?}");
                break;
            }
            passed += 1;
            assert!(outcome.is_err(), "{point}, {skip}");
            let left = look(&store).await;
            let rest = provision::plan(&desired(identity(1)), &store.place(), &left).expect("a plan");
            let done = if *point == "rows written" { skip as usize + 1 } else { 0 };
            match &left {
                Actual::Absent => assert_eq!((&rest, done), (&first, 0)),
                // the last step but one is done once more
                _ if done == 13 => assert_eq!(rest.steps, first.steps[12..], "{point}, {skip}"),
                _ if done > 0 => assert_eq!(rest.steps, first.steps[done..], "{point}, {skip}"),
                _ => assert!(rest.is_empty(), "{point}, {skip}"),
            }
            provision::apply(&store.config(), &store.place(), &rest, &all).await.expect("the rest");
            store.open().await;
        }
    }
    assert!(passed >= 8, "only {passed} places");
}

#[tokio::test]
async fn optional_indexes_come_and_go_by_approval() {
    let store = Store::new().await;
    let with =
        Desired { indexes: IndexOptions { event_type: true, aggregate_id: true }, ..desired(store.identity) };
    let plan = provision::plan(&with, &store.place(), &look(&store).await).expect("a plan");
    assert_eq!(plan.steps.len(), 2);
    let apply = async |plan: &polylog_log::Plan, approval: Approval| {
        let applied =
            provision::apply(&store.config(), &store.place(), plan, &approval).await.expect("applied");
        (applied.done.len(), applied.waiting.len())
    };
    assert_eq!(apply(&plan, Approval::up_to(StepClass::Additive)).await, (2, 0));
    assert!(provision::plan(&with, &store.place(), &look(&store).await).expect("a plan").is_empty());

    let plan =
        provision::plan(&desired(store.identity), &store.place(), &look(&store).await).expect("a plan");
    assert_eq!(plan.class(), Some(StepClass::Destructive));
    assert_eq!(apply(&plan, Approval::up_to(StepClass::Destructive)).await, (0, 2));
    assert_eq!(apply(&plan, Approval::none().and_plan("0000000000000000")).await, (0, 2));
    assert!(provision::plan(&with, &store.place(), &look(&store).await).expect("a plan").is_empty());
    assert_eq!(apply(&plan, Approval::none().and_plan(plan.hash())).await, (2, 0));
    let rest =
        provision::plan(&desired(store.identity), &store.place(), &look(&store).await).expect("a plan");
    assert!(rest.is_empty(), "{rest}");
}

#[tokio::test]
async fn drift_is_found_and_mended_step_by_step() {
    let store = Store::new().await;
    let all = Approval::up_to(StepClass::Slow);
    store.execute(
        "ALTER TABLE polylog_events DROP COLUMN causation_id, DROP INDEX polylog_events_category, \
         DROP INDEX polylog_events_id; \
         ALTER TABLE polylog_cuts ADD COLUMN remark text; ALTER TABLE polylog_leases ENGINE=Aria",
    );
    let unopened = refusal(store.config()).await;
    assert!(
        matches!(&unopened, Failure::Refused { message, .. } if message.contains("Aria")),
        "{unopened:?}"
    );
    let plan =
        provision::plan(&desired(store.identity), &store.place(), &look(&store).await).expect("a plan");
    assert_eq!(plan.steps.len(), 1 + 2 + 1 + 1, "{plan}");
    let applied = provision::apply(&store.config(), &store.place(), &plan, &all).await.expect("applied");
    assert_eq!((applied.done.len(), applied.waiting.len()), (4, 1), "{plan}");
    assert_eq!(applied.waiting[0].summary, "drop column remark of polylog_cuts");
    let rest =
        provision::plan(&desired(store.identity), &store.place(), &look(&store).await).expect("a plan");
    assert_eq!(rest.steps, applied.waiting, "{rest}");
    let source = store.primary().await;
    support::write(&source, &store.identity, support::commit(store.identity.log, "s", Expected::Any)).await;
}

/// An index on a log that is large is built while writers go on.
#[tokio::test]
async fn a_slow_step_lets_writers_go_on() {
    let store = Store::new().await;
    let with = Desired {
        indexes: IndexOptions { event_type: true, aggregate_id: false },
        ..desired(store.identity)
    };
    let Actual::Ours(mut there) = look(&store).await else { panic!("not ours") };
    there.events = 1_000_000;
    let plan = provision::plan(&with, &store.place(), &Actual::Ours(there)).expect("a plan");
    assert_eq!(plan.class(), Some(StepClass::Slow));
    let approval = Approval::up_to(StepClass::Slow);
    provision::apply(&store.config(), &store.place(), &plan, &approval).await.expect("applied");
    assert!(provision::plan(&with, &store.place(), &look(&store).await).expect("a plan").is_empty());
}

#[tokio::test]
async fn a_user_without_rights_of_its_own_works_with_those_of_the_plan() {
    let store = Store::unprovisioned(&SERVER, identity(1));
    SERVER.execute("mysql", "CREATE USER worker@'127.0.%' IDENTIFIED BY 'w'");
    let worker = support::config(&SERVER.url_as("worker", "w", &store.database));
    // the user that works may not provision
    let plan = provision::plan(&desired(identity(1)), &store.place(), &Actual::Absent).expect("a plan");
    let all = Approval::up_to(StepClass::Slow);
    let applied = provision::apply(&worker, &store.place(), &plan, &all).await;
    let is_rights = matches!(&applied, Err(Failure::Refused { reason: RefusedReason::Rights, .. }));
    assert!(is_rights, "{applied:?}");

    let as_worker = Worker::of(worker.clone()).await.expect("who it is");
    assert_eq!(as_worker.account.to_string(), "'worker'@'127.0.%'");
    let with_user = Place { worker: Some(as_worker), ..store.place() };
    let plan = provision::plan(&desired(identity(1)), &with_user, &Actual::Absent).expect("a plan");
    provision::apply(&store.config(), &with_user, &plan, &all).await.expect("applied");
    let there = provision::inspect(&store.config(), &with_user).await.expect("ours");
    let rest = provision::plan(&desired(identity(1)), &with_user, &there).expect("a plan");
    assert!(rest.is_empty(), "{rest}");

    let source = MariadbSource::open(worker.clone()).await.expect("an open source");
    let head = support::lead(&source, &identity(1), 1).await;
    support::write(&source, &identity(1), support::commit(identity(1).log, "s", Expected::Any)).await;
    // truncation too
    let tail = source.head().await.expect("a head").tail;
    let truncate = polylog_log::Truncate { term: polylog_log::Term::new(2), keep: head.tail, tail };
    // a sole voter holds its own majority: the rule stands against it, not the database
    let refused = source.truncate(&identity(1), truncate).await;
    assert!(matches!(refused, Err(polylog_log::OperationError::Refused { .. })), "{refused:?}");

    SERVER.execute(
        "mysql",
        &format!("REVOKE DELETE ON {}.polylog_events FROM worker@'127.0.%'", store.database),
    );
    let there = provision::inspect(&store.config(), &with_user).await.expect("ours");
    let rest = provision::plan(&desired(identity(1)), &with_user, &there).expect("a plan");
    assert_eq!(rest.steps.len(), 1, "{rest}");
    source.close().await;
    SERVER.execute("mysql", "DROP USER worker@'127.0.%'");
    let missing = Worker::of(worker).await.map(|worker| worker.account);
    assert!(matches!(&missing, Err(Failure::Refused { reason: RefusedReason::Auth, .. })), "{missing:?}");
}

#[tokio::test]
async fn tables_of_others_are_refused_and_left_alone() {
    let foreign = [
        ("polylog_head", "CREATE TABLE polylog_head (x int)"),
        ("polylog_events", "CREATE TABLE polylog_events LIKE mysql.db"),
        ("polylog_leases", "CREATE VIEW polylog_leases AS SELECT 1 AS x"),
    ];
    for (name, sql) in foreign {
        let store = Store::unprovisioned(&SERVER, identity(1));
        SERVER.execute("mysql", &format!("CREATE DATABASE {0}; USE {0}; {sql}", store.database));
        let refused = provision::inspect(&store.config(), &store.place()).await;
        assert!(matches!(&refused, Err(Failure::WrongStore(why)) if why.contains(name)), "{refused:?}");
        assert!(matches!(refusal(store.config()).await, Failure::WrongStore(_)));
        let plan = provision::plan(&desired(identity(1)), &store.place(), &Actual::Empty).expect("a plan");
        let applied =
            provision::apply(&store.config(), &store.place(), &plan, &Approval::up_to(StepClass::Slow)).await;
        assert!(matches!(applied, Err(Failure::WrongStore(_))), "{applied:?}");
        assert_eq!(store.execute("SHOW TABLES"), name);
    }
    // tables beside ours are none of our business
    let store = Store::unprovisioned(&SERVER, identity(1));
    SERVER.execute("mysql", &format!("CREATE DATABASE {0}; CREATE TABLE {0}.users (x int)", store.database));
    assert_eq!(look(&store).await, Actual::Empty);
    support::provision(&store.config(), identity(1)).await.expect("a provisioned database");
    store.open().await;
}

#[tokio::test]
async fn another_log_and_a_newer_format_are_not_provisioned() {
    let store = Store::new().await;
    let other = provision::plan(&desired(identity(9)), &store.place(), &look(&store).await);
    assert!(matches!(other, Err(Failure::WrongStore(_))), "{other:?}");
    let same_log = Identity { database: DatabaseId::new(uuid::Uuid::from_u128(77)), ..store.identity };
    let plan = provision::plan(&desired(same_log), &store.place(), &look(&store).await).expect("a plan");
    assert!(plan.is_empty(), "database and incarnation stay");

    store.execute("UPDATE polylog_head SET format = 2");
    let newer = Failure::FormatTooNew { found: 2, known: 1 };
    store.open().await;
    assert_eq!(provision::inspect(&store.config(), &store.place()).await, Err(newer));
}

#[tokio::test]
async fn a_wipe_takes_the_tables_of_its_log_and_nothing_else_and_is_completed_by_the_next() {
    let store = Store::new().await;
    let (config, place, log) = (store.config(), store.place(), store.identity.log);
    store.execute("CREATE TABLE invoices (id int)");
    let wipe = async |log| provision::wipe(&config, &place, log).await;
    let tables =
        || store.execute("SELECT count(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = database()");

    let other = wipe(identity(2).log).await;
    assert!(
        matches!(&other, Err(Failure::WrongStore(why)) if why.contains("nothing was dropped")),
        "{other:?}"
    );
    store.execute("ALTER TABLE polylog_cuts COMMENT = ''");
    assert!(matches!(wipe(log).await, Err(Failure::WrongStore(_))), "one of them is somebody else's");
    store.execute("ALTER TABLE polylog_cuts COMMENT = 'polylog: format 1'");
    assert_eq!(tables(), "7");

    // as an earlier wipe left it that was killed
    store.execute("DROP TABLE polylog_events");
    assert_eq!(
        wipe(log).await.expect("wiped"),
        ["polylog_configs", "polylog_cuts", "polylog_quarantine", "polylog_leases", "polylog_head"]
    );
    assert_eq!(tables(), "1");
    assert!(wipe(log).await.expect("done before").is_empty());
    store.execute("DROP TABLE invoices");
    assert_eq!(look(&store).await, Actual::Empty);
}
