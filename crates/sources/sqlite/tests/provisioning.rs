//! Making a file hold a log, and what is refused.

mod support;

use std::fs;

use polylog_log::{Expected, Failure, Identity, OperationError, Refusal, RefusedReason, Source, StepClass};
use polylog_source_sqlite::{
    SqliteConfig, SqliteSource,
    provision::{self, Actual, Approval, Desired, IndexOptions},
};
use rusqlite::Connection;
use support::{Store, append, commit, desired, identity, write};

async fn refusal(path: &std::path::Path) -> Failure {
    match SqliteSource::open(SqliteConfig::new(path)).await {
        Ok(_) => panic!("it was opened"),
        Err(failure) => failure,
    }
}

#[tokio::test]
async fn a_fresh_file_is_provisioned_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.db");
    assert_eq!(provision::inspect(&path), Ok(Actual::Absent));
    assert!(!path.exists(), "looking makes no file");

    let plan = provision::plan(&desired(identity(1)), &Actual::Absent).expect("a plan");
    let nothing = provision::apply(&path, &plan, &Approval::none()).expect("nothing to do");
    assert!(nothing.done.is_empty() && !path.exists());

    let applied = provision::apply(&path, &plan, &Approval::up_to(StepClass::Additive)).expect("applied");
    assert_eq!((applied.done.len(), applied.waiting.len()), (plan.steps.len(), 0));
    let again = provision::inspect(&path).expect("a file of ours");
    assert!(provision::plan(&desired(identity(1)), &again).expect("a plan").is_empty());

    // a second process that planned at the same time changes nothing and is told to plan again
    let late = provision::apply(&path, &plan, &Approval::up_to(StepClass::Additive));
    assert!(matches!(&late, Err(Failure::Unreachable(why)) if why.contains("plan again")), "{late:?}");

    let source = SqliteSource::open(SqliteConfig::new(&path)).await.expect("an open source");
    let head = source.head().await.expect("a head");
    assert_eq!(head.identity, identity(1));
    assert_eq!((head.revision, head.cuts()), (0, 0));
    assert_eq!(head.config.config.voters[0].name.as_str(), "main");
}

#[tokio::test]
async fn the_plan_printed_is_the_plan_carried_out() {
    let store = Store::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("by-hand.db");
    let plan = provision::plan(&desired(identity(1)), &Actual::Absent).expect("a plan");
    let by_hand = Connection::open(&path).expect("a file");
    by_hand.execute_batch(&plan.to_string()).expect("an administrator's session");
    drop(by_hand);
    assert_eq!(provision::inspect(&path), provision::inspect(&store.path()));
}

#[tokio::test]
async fn optional_indexes_come_and_go_by_approval() {
    let store = Store::new();
    let with =
        Desired { indexes: IndexOptions { event_type: true, aggregate_id: true }, ..desired(store.identity) };
    let look = || provision::inspect(&store.path()).expect("a file of ours");
    let plan = provision::plan(&with, &look()).expect("a plan");
    assert_eq!(plan.steps.len(), 2);
    provision::apply(&store.path(), &plan, &Approval::up_to(StepClass::Additive)).expect("applied");
    assert!(provision::plan(&with, &look()).expect("a plan").is_empty());

    let plan = provision::plan(&desired(store.identity), &look()).expect("a plan");
    assert_eq!(plan.class(), Some(StepClass::Destructive));
    for approval in [Approval::up_to(StepClass::Destructive), Approval::none().and_plan("0000000000000000")] {
        let applied = provision::apply(&store.path(), &plan, &approval).expect("nothing to do");
        assert_eq!((applied.done.len(), applied.waiting.len()), (0, 2));
    }
    assert!(provision::plan(&with, &look()).expect("a plan").is_empty(), "nothing was dropped");
    let approval = Approval::none().and_plan(plan.hash());
    let applied = provision::apply(&store.path(), &plan, &approval).expect("applied");
    assert_eq!((applied.done.len(), applied.waiting.len()), (2, 0));
    assert!(provision::plan(&desired(store.identity), &look()).expect("a plan").is_empty());
}

#[tokio::test]
async fn another_application_and_another_store_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign)
        .and_then(|file| file.execute_batch("CREATE TABLE polylog_head (x); CREATE TABLE users (y)"))
        .expect("another application's file");
    let before = fs::read(&foreign).expect("its bytes");
    let refused = provision::inspect(&foreign);
    assert!(matches!(&refused, Err(Failure::WrongStore(why)) if why.contains("polylog_head")), "{refused:?}");
    assert!(matches!(refusal(&foreign).await, Failure::WrongStore(_)));
    let plan = provision::plan(&desired(identity(1)), &Actual::Absent).expect("a plan");
    let applied = provision::apply(&foreign, &plan, &Approval::up_to(StepClass::Slow));
    assert!(matches!(applied, Err(Failure::WrongStore(_))), "{applied:?}");
    assert_eq!(fs::read(&foreign).expect("its bytes"), before);

    let store = Store::new();
    let actual = provision::inspect(&store.path()).expect("a file of ours");
    let other = provision::plan(&desired(identity(9)), &actual);
    assert!(matches!(other, Err(Failure::WrongStore(_))), "{other:?}");
}

#[tokio::test]
async fn what_is_missing_or_empty_is_not_provisioned() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.db");
    assert!(matches!(refusal(&path).await, Failure::NotProvisioned(_)));
    assert!(!path.exists(), "opening makes no file");
    fs::write(&path, b"").expect("an empty file");
    assert!(matches!(refusal(&path).await, Failure::NotProvisioned(_)));
    assert_eq!(provision::inspect(&path), Ok(Actual::Empty));
    let nowhere = folder.path().join("no/such/folder/log.db");
    assert!(matches!(refusal(&nowhere).await, Failure::NotProvisioned(_)));
    assert!(matches!(provision::inspect(&nowhere), Err(Failure::NotProvisioned(_))));
}

#[tokio::test]
async fn a_folder_is_no_store() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(refusal(folder.path()).await, Failure::WrongStore(_)));
    assert!(matches!(provision::inspect(folder.path()), Err(Failure::WrongStore(_))));
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_read_and_not_written_into() {
    let store = Store::new();
    let source = store.primary().await;
    let commit = || commit(store.identity.log, "s", Expected::Any);
    write(&source, &store.identity, commit()).await;
    source.close().await;
    let file = Connection::open(store.path()).expect("the file");
    let refused = async || {
        let source = SqliteSource::open(SqliteConfig::new(store.path())).await.expect("an open file");
        let head = source.head().await.expect("a head");
        match append(&source, &store.identity, vec![commit()]).await {
            Err(OperationError::Refused { reason, .. }) => (head, reason),
            other => panic!("{other:?}"),
        }
    };
    // a field in the configuration
    let with = r#"'{"voice":{"loud":true},' || substr(content, 2)"#;
    file.execute_batch(&format!("UPDATE polylog_configs SET content = {with}")).expect("an update");
    let (head, reason) = refused().await;
    assert_eq!((head.format, reason), (1, Refusal::NewerConfig(head.config.config.version)));
    // and a newer format
    file.execute_batch("UPDATE polylog_head SET format = 2").expect("an update");
    let (head, reason) = refused().await;
    assert_eq!((head.format, reason), (2, Refusal::NewerFormat { found: 2, known: 1 }));
    let newer = Failure::FormatTooNew { found: 2, known: 1 };
    assert_eq!(provision::inspect(&store.path()), Err(newer.clone()));
    // that cannot be read is not damaged
    file.execute_batch("UPDATE polylog_configs SET content = '{}'").expect("an update");
    assert_eq!(refusal(&store.path()).await, newer);
    file.execute_batch("UPDATE polylog_head SET format = 1").expect("an update");
    assert!(matches!(refusal(&store.path()).await, Failure::Damaged(_)));
}

#[tokio::test]
async fn damaged_files_are_told_from_missing_ones() {
    let store = Store::new();
    let source = store.primary().await;
    for _ in 0..50 {
        let commit = support::commit(store.identity.log, "s", polylog_log::Expected::Any);
        support::write(&source, &store.identity, commit).await;
    }
    source.close().await;
    let whole = fs::read(store.path()).expect("its bytes");

    fs::write(store.path(), &whole[..whole.len() / 2]).expect("half of the file");
    assert!(matches!(refusal(&store.path()).await, Failure::Damaged(_)));

    fs::write(store.path(), b"this is no database, but it is long enough to be looked at twice")
        .expect("text");
    assert!(matches!(refusal(&store.path()).await, Failure::Damaged(_)));
    assert!(matches!(provision::inspect(&store.path()), Err(Failure::Damaged(_))));

    let mut torn = whole.clone();
    torn[4096..].fill(0xa5);
    fs::write(store.path(), &torn).expect("a file with one good page");
    let torn = refusal(&store.path()).await;
    assert!(matches!(torn, Failure::Damaged(_)), "{torn:?}");

    // the log ends before its head
    fs::write(store.path(), &whole).expect("the whole file");
    let file = Connection::open(store.path()).expect("the file");
    file.execute_batch("DELETE FROM polylog_events WHERE position = 51").expect("a lost row");
    drop(file);
    assert!(matches!(refusal(&store.path()).await, Failure::Damaged(_)));

    // the file is gone, its write-ahead log is not
    fs::rename(store.path(), store.folder.path().join("log.db-wal")).expect("a rename");
    assert!(matches!(provision::inspect(&store.path()), Err(Failure::Damaged(_))));
}

/// Mounts of its own; works for root and for others.
fn mounted(test: &str, mounts: &str) {
    let output = support::child(test, mounts);
    let program = output.get_program().to_owned();
    let arguments: Vec<_> = output.get_args().map(ToOwned::to_owned).collect();
    let done = std::process::Command::new("unshare")
        .args(["-rm", "sh", "-ec", &format!("{mounts}\nexec \"$0\" \"$@\"")])
        .arg(program)
        .args(arguments)
        .env("POLYLOG_TEST_TASK", mounts)
        .status()
        .expect("unshare of util-linux");
    assert!(done.success());
}

#[test]
fn a_read_only_file_system_is_refused_as_read_only() {
    let store = Store::new();
    let folder = store.folder.path().display();
    mounted(
        "child_on_a_read_only_file_system",
        &format!("folder={folder}; mount --bind $folder $folder; mount -o remount,bind,ro $folder"),
    );
}

#[tokio::test]
async fn child_on_a_read_only_file_system() {
    let Some(task) = support::task() else { return };
    let folder = task.split(['=', ';']).nth(1).expect("the folder");
    let path = std::path::Path::new(folder).join("log.db");
    let refused = |failure: Failure| match failure {
        Failure::Refused { reason: RefusedReason::ReadOnly, message } => message,
        other => panic!("expected read_only, got {other:?}"),
    };
    assert!(refused(refusal(&path).await).contains("log.db"));
    refused(provision::inspect(&path).expect_err("a refusal"));
    refused(provision::inspect(&path.with_file_name("new.db")).expect_err("a refusal"));
}

#[tokio::test]
async fn the_database_and_incarnation_of_a_file_stay() {
    let store = Store::new();
    let other =
        Identity { database: polylog_log::DatabaseId::new(uuid::Uuid::from_u128(77)), ..store.identity };
    assert!(support::provision(&store.path(), other).expect("a plan").done.is_empty());
    assert_eq!(store.open().await.head().await.expect("a head").identity, store.identity);
}

/// Two processes meet at an empty file: the other one's transaction ends between our look at the file and our own.
#[test]
fn a_file_that_another_application_took_meanwhile_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.db");
    let other = Connection::open(&path).expect("a file");
    let empty = "PRAGMA journal_mode = WAL; CREATE TABLE t (x); DROP TABLE t;";
    other.execute_batch(empty).expect("an empty database, so that looking at it waits for nobody");
    let actual = provision::inspect(&path).expect("nothing in it");
    assert_eq!(actual, Actual::Empty);
    let plan = provision::plan(&desired(identity(1)), &actual).expect("a plan");
    let taken = "BEGIN IMMEDIATE; PRAGMA application_id = 77; CREATE TABLE users (y);";
    other.execute_batch(taken).expect("a transaction under way");

    let applied = std::thread::scope(|scope| {
        let (told, thread) = std::sync::mpsc::sync_channel(1);
        let (path, plan) = (&path, &plan);
        let applying = scope.spawn(move || {
            let own = fs::read_link("/proc/thread-self").expect("this thread");
            told.send(own).expect("it is waited for");
            provision::apply(path, plan, &Approval::up_to(StepClass::Slow))
        });
        let thread = std::path::Path::new("/proc").join(thread.recv().expect("it began"));
        until_asleep(&thread);
        other.execute_batch("COMMIT").expect("the other application's transaction");
        applying.join().expect("no panic")
    });
    assert!(matches!(&applied, Err(Failure::WrongStore(_))), "{applied:?}");
    let tables: String = other
        .query_row("SELECT group_concat(name) FROM sqlite_schema", [], |row| row.get(0))
        .expect("the tables");
    assert_eq!(tables, "users");
}

/// Waits until a thread sleeps, many looks in a row: here, for the other's lock.
fn until_asleep(thread: &std::path::Path) {
    let begin = std::time::Instant::now();
    let mut asleep = 0;
    while asleep < 100 {
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "it does not wait");
        let state = fs::read_to_string(thread.join("stat")).expect("its state");
        let is_asleep = state.rsplit(')').next().is_some_and(|rest| rest.starts_with(" S"));
        asleep = if is_asleep { asleep + 1 } else { 0 };
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_source_without_its_unique_indexes_takes_nothing() {
    let change = |store: &Store, statements: &str| {
        Connection::open(store.path()).expect("a file").execute_batch(statements).expect("done");
    };
    let named = |failure: &Failure| matches!(failure, Failure::NotProvisioned(why) if why.contains("polylog_events_id"));
    let store = Store::new();
    let source = store.primary().await;
    write(&source, &store.identity, commit(store.identity.log, "A-1", Expected::Any)).await;

    change(&store, "DROP INDEX polylog_events_id; CREATE INDEX polylog_events_id ON polylog_events (id)");
    let late = append(&source, &store.identity, vec![commit(store.identity.log, "A-1", Expected::Any)]).await;
    assert!(matches!(&late, Err(OperationError::Failed(why)) if named(why)), "{late:?}");
    assert!(named(&refusal(&store.path()).await));
    assert_eq!(source.head().await.expect("a head").tail.position.get(), 2, "nothing was written");

    change(&store, "DROP INDEX polylog_events_id");
    assert!(named(&refusal(&store.path()).await));
    store.provision();
    write(&source, &store.identity, commit(store.identity.log, "A-1", Expected::Any)).await;
}
