//! Making a schema hold a log, and what is refused.

mod support;

use polylog_log::{
    Approval, DatabaseId, Desired, Expected, FailPoints, Failure, Fault, Identity, IndexOptions,
    RefusedReason, Source, StepClass,
};
use polylog_source_postgres::{
    POINTS, PostgresConfig, PostgresSource,
    provision::{self, Actual, Place, RoleName},
};
use support::{SERVER, Store, desired, identity, place, refusal};

async fn look(store: &Store) -> Actual {
    provision::inspect(&store.config(), &place()).await.expect("an answer")
}

#[tokio::test]
async fn a_fresh_schema_is_provisioned_once() {
    let store = Store::unprovisioned(&SERVER, identity(1));
    let config = store.config();
    assert_eq!(look(&store).await, Actual::Absent);
    let plan = provision::plan(&desired(identity(1)), &place(), &Actual::Absent).expect("a plan");
    let nothing = provision::apply(&config, &place(), &plan, &Approval::none()).await.expect("nothing to do");
    assert!(nothing.done.is_empty());
    assert_eq!(look(&store).await, Actual::Absent);

    let all = Approval::up_to(StepClass::Additive);
    let applied = provision::apply(&config, &place(), &plan, &all).await.expect("applied");
    assert_eq!((applied.done.len(), applied.waiting.len()), (plan.steps.len(), 0));
    let rest = provision::plan(&desired(identity(1)), &place(), &look(&store).await).expect("a plan");
    assert!(rest.is_empty(), "{rest}");

    // a second process that planned at the same time changes nothing and is told to plan again
    let late = provision::apply(&config, &place(), &plan, &all).await;
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
    let plan = provision::plan(&desired(identity(1)), &place(), &Actual::Absent).expect("a plan");
    by_hand.execute(&plan.to_string());
    assert_eq!(look(&by_hand).await, look(&store).await);
    by_hand.open().await;
}

#[tokio::test]
async fn a_provisioning_that_ends_anywhere_is_completed_by_the_next() {
    let all = Approval::up_to(StepClass::Slow);
    let mut passed = 0;
    for point in POINTS {
        for skip in [0, 1, 6, 13, 14] {
            let store = Store::unprovisioned(&SERVER, identity(1));
            let fail_points = FailPoints::new(POINTS);
            fail_points.arm(point, skip, Fault::Crash);
            let first = provision::plan(&desired(identity(1)), &place(), &Actual::Absent).expect("a plan");
            let config = PostgresConfig { fail_points: fail_points.clone(), ..store.config() };
            let outcome = provision::apply(&config, &place(), &first, &all).await;
            if !fail_points.disarm() {
                assert!(outcome.is_ok(), "{outcome:?}");
                break;
            }
            passed += 1;
            assert!(outcome.is_err(), "{point}, {skip}");
            let left = look(&store).await;
            let rest = provision::plan(&desired(identity(1)), &place(), &left).expect("a plan");
            match &left {
                Actual::Absent => assert_eq!(rest, first),
                other => assert!(rest.is_empty() && *point == "committed", "{point}, {skip}: {other:?}"),
            }
            provision::apply(&store.config(), &place(), &rest, &all).await.expect("the rest");
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
    let plan = provision::plan(&with, &place(), &look(&store).await).expect("a plan");
    assert_eq!(plan.steps.len(), 2);
    let apply = async |plan: &polylog_log::Plan, approval: Approval| {
        let applied = provision::apply(&store.config(), &place(), plan, &approval).await.expect("applied");
        (applied.done.len(), applied.waiting.len())
    };
    assert_eq!(apply(&plan, Approval::up_to(StepClass::Additive)).await, (2, 0));
    assert!(provision::plan(&with, &place(), &look(&store).await).expect("a plan").is_empty());

    let plan = provision::plan(&desired(store.identity), &place(), &look(&store).await).expect("a plan");
    assert_eq!(plan.class(), Some(StepClass::Destructive));
    assert_eq!(apply(&plan, Approval::up_to(StepClass::Destructive)).await, (0, 2));
    assert_eq!(apply(&plan, Approval::none().and_plan("0000000000000000")).await, (0, 2));
    assert!(provision::plan(&with, &place(), &look(&store).await).expect("a plan").is_empty());
    assert_eq!(apply(&plan, Approval::none().and_plan(plan.hash())).await, (2, 0));
    let rest = provision::plan(&desired(store.identity), &place(), &look(&store).await).expect("a plan");
    assert!(rest.is_empty(), "{rest}");
}

#[tokio::test]
async fn drift_is_found_and_mended_step_by_step() {
    let store = Store::new().await;
    let all = Approval::up_to(StepClass::Slow);
    store.execute(
        "ALTER TABLE shop.polylog_events DROP COLUMN causation_id;; DROP INDEX shop.polylog_events_category;; \
         DROP INDEX shop.polylog_events_id;; \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.polylog_events_commit_id'::regclass;; \
         ALTER TABLE shop.polylog_cuts ADD COLUMN remark text",
    );
    let unopened = refusal(store.config()).await;
    assert!(
        matches!(&unopened, Failure::NotProvisioned(why) if why.contains("polylog_events_id")),
        "{unopened:?}"
    );
    let plan = provision::plan(&desired(store.identity), &place(), &look(&store).await).expect("a plan");
    assert_eq!(plan.steps.len(), 1 + 1 + 1 + 2 + 1, "{plan}");
    let applied = provision::apply(&store.config(), &place(), &plan, &all).await.expect("applied");
    assert_eq!((applied.done.len(), applied.waiting.len()), (5, 1), "{plan}");
    assert_eq!(applied.waiting[0].summary, "drop column remark of polylog_cuts");
    let rest = provision::plan(&desired(store.identity), &place(), &look(&store).await).expect("a plan");
    assert_eq!(rest.steps, applied.waiting, "{rest}");
    let source = store.primary().await;
    support::write(&source, &store.identity, support::commit(store.identity.log, "s", Expected::Any)).await;
}

/// An index on a log that is large is built while writers go on.
#[tokio::test]
async fn a_slow_step_runs_outside_a_transaction() {
    let store = Store::new().await;
    let with = Desired {
        indexes: IndexOptions { event_type: true, aggregate_id: false },
        ..desired(store.identity)
    };
    let Actual::Ours(mut there) = look(&store).await else { panic!("not ours") };
    there.events = 1_000_000;
    let plan = provision::plan(&with, &place(), &Actual::Ours(there)).expect("a plan");
    assert_eq!(plan.class(), Some(StepClass::Slow));
    let approval = Approval::up_to(StepClass::Slow);
    provision::apply(&store.config(), &place(), &plan, &approval).await.expect("applied");
    assert!(provision::plan(&with, &place(), &look(&store).await).expect("a plan").is_empty());
}

#[tokio::test]
async fn a_role_without_rights_of_its_own_works_with_those_of_the_plan() {
    let store = Store::unprovisioned(&SERVER, identity(1));
    store.execute("CREATE ROLE worker LOGIN PASSWORD 'w'");
    let worker = support::config(&SERVER.url_as("worker", "w", &store.database));
    // the role that works may not provision
    let plan = provision::plan(&desired(identity(1)), &place(), &Actual::Absent).expect("a plan");
    let all = Approval::up_to(StepClass::Slow);
    let applied = provision::apply(&worker, &place(), &plan, &all).await;
    let is_rights = matches!(&applied, Err(Failure::Refused { reason: RefusedReason::Rights, .. }));
    assert!(is_rights, "{applied:?}");

    let with_role = Place { role: Some(RoleName::parse("worker").expect("good")), ..place() };
    let plan = provision::plan(&desired(identity(1)), &with_role, &Actual::Absent).expect("a plan");
    provision::apply(&store.config(), &with_role, &plan, &all).await.expect("applied");
    let there = provision::inspect(&store.config(), &with_role).await.expect("ours");
    assert!(provision::plan(&desired(identity(1)), &with_role, &there).expect("a plan").is_empty());

    let source = PostgresSource::open(worker).await.expect("an open source");
    let head = support::lead(&source, &identity(1), 1).await;
    support::write(&source, &identity(1), support::commit(identity(1).log, "s", Expected::Any)).await;
    // truncation too
    let tail = source.head().await.expect("a head").tail;
    let truncate = polylog_log::Truncate { term: polylog_log::Term::new(2), keep: head.tail, tail };
    // a sole voter holds its own majority: the rule stands against it, not the database
    let refused = source.truncate(&identity(1), truncate).await;
    assert!(matches!(refused, Err(polylog_log::OperationError::Refused { .. })), "{refused:?}");
    let unknown = Place { role: Some(RoleName::parse("nobody").expect("good")), ..place() };
    let missing = provision::inspect(&store.config(), &unknown).await;
    assert!(matches!(&missing, Err(Failure::NotProvisioned(why)) if why.contains("nobody")), "{missing:?}");
    source.close().await;
    store.execute("DROP OWNED BY worker;; DROP ROLE worker");
}

#[tokio::test]
async fn tables_of_others_are_refused_and_left_alone() {
    let foreign = [
        "CREATE TABLE shop.polylog_head (x int)",
        "CREATE TABLE shop.polylog_events (LIKE pg_class)",
        "CREATE VIEW shop.polylog_leases AS SELECT 1 AS x",
    ];
    for sql in foreign {
        let store = Store::unprovisioned(&SERVER, identity(1));
        store.execute(&format!("CREATE SCHEMA shop;; {sql}"));
        let name = sql.split(['.', ' ']).nth(3).expect("a name");
        let refused = provision::inspect(&store.config(), &place()).await;
        assert!(matches!(&refused, Err(Failure::WrongStore(why)) if why.contains(name)), "{refused:?}");
        assert!(matches!(refusal(store.config()).await, Failure::WrongStore(_)));
        let plan = provision::plan(&desired(identity(1)), &place(), &Actual::Empty).expect("a plan");
        let applied =
            provision::apply(&store.config(), &place(), &plan, &Approval::up_to(StepClass::Slow)).await;
        assert!(matches!(applied, Err(Failure::WrongStore(_))), "{applied:?}");
        assert_eq!(store.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'polylog%'"), "1");
    }
    // tables beside ours are none of our business
    let store = Store::unprovisioned(&SERVER, identity(1));
    store.execute("CREATE SCHEMA shop;; CREATE TABLE shop.users (x int)");
    assert_eq!(look(&store).await, Actual::Empty);
    support::provision(&store.config(), identity(1)).await.expect("a provisioned schema");
    store.open().await;
}

#[tokio::test]
async fn another_log_and_a_newer_format_are_not_provisioned() {
    let store = Store::new().await;
    let other = provision::plan(&desired(identity(9)), &place(), &look(&store).await);
    assert!(matches!(other, Err(Failure::WrongStore(_))), "{other:?}");
    let same_log = Identity { database: DatabaseId::new(uuid::Uuid::from_u128(77)), ..store.identity };
    let plan = provision::plan(&desired(same_log), &place(), &look(&store).await).expect("a plan");
    assert!(plan.is_empty(), "database and incarnation stay");

    store.execute("UPDATE shop.polylog_head SET format = 2");
    let newer = Failure::FormatTooNew { found: 2, known: 1 };
    store.open().await;
    assert_eq!(provision::inspect(&store.config(), &place()).await, Err(newer));
}

#[tokio::test]
async fn a_wipe_takes_the_tables_of_its_log_all_or_none_and_nothing_else() {
    let store = Store::new().await;
    let (config, log) = (store.config(), store.identity.log);
    store.execute("CREATE TABLE shop.invoices (id int)");
    let wipe = async |log| provision::wipe(&config, &place(), log).await;
    let tables = || store.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'shop'");

    let other = wipe(identity(2).log).await;
    assert!(
        matches!(&other, Err(Failure::WrongStore(why)) if why.contains("nothing was dropped")),
        "{other:?}"
    );
    store.execute("CREATE VIEW shop.mine AS SELECT position FROM shop.polylog_quarantine");
    assert!(wipe(log).await.is_err(), "somebody's view would go too");
    assert_eq!(tables(), "7", "one that cannot be dropped keeps all");
    store.execute("DROP VIEW shop.mine;; COMMENT ON TABLE shop.polylog_cuts IS NULL");
    assert!(matches!(wipe(log).await, Err(Failure::WrongStore(_))), "one of them is somebody else's");
    store.execute("COMMENT ON TABLE shop.polylog_cuts IS 'polylog: format 1'");
    assert_eq!(tables(), "7");

    assert_eq!(wipe(log).await.expect("wiped").len(), 6);
    assert_eq!(store.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'shop'"), "invoices");
    assert_eq!(look(&store).await, Actual::Empty);
    assert!(wipe(log).await.expect("done before").is_empty());
    store.execute("DROP SCHEMA shop CASCADE");
    assert!(wipe(log).await.expect("done before").is_empty());
}

#[tokio::test]
async fn events_that_no_head_claims_are_not_wiped() {
    let store = Store::new().await;
    let source = store.primary().await;
    let commit = support::commit(store.identity.log, "Payment-1", Expected::Any);
    support::write(&source, &store.identity, commit).await;
    store.execute("DELETE FROM shop.polylog_head");
    let wiped = provision::wipe(&store.config(), &place(), store.identity.log).await;
    assert!(matches!(&wiped, Err(Failure::Damaged(why)) if why.contains("no head")), "{wiped:?}");
}
