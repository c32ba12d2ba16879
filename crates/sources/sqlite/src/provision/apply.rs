use std::{fs::File, path::Path};

use polylog_log::{FailPoints, Failure, Plan, Step, StepClass};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{Applied, Approval, inspect::PATIENCE};
use crate::{
    connection::{connect, foreign, owner},
    error::EngineError,
    faults::{self, Faults},
    file, schema,
};

/// Carries out the approved steps of a plan.
///
/// Additive steps are one transaction, every other step is one of its own: a crash leaves what a new plan completes.
/// Fails without a trace of the failed step; when somebody else changed the file since the plan was made, plan again.
pub fn apply(path: &Path, plan: &Plan, approval: &Approval) -> Result<Applied, Failure> {
    apply_with(path, plan, approval, &FailPoints::default())
}

fn apply_with(
    path: &Path,
    plan: &Plan,
    approval: &Approval,
    fail_points: &FailPoints,
) -> Result<Applied, Failure> {
    let hash = plan.hash();
    let (approved, waiting): (Vec<Step>, Vec<Step>) =
        plan.steps.iter().cloned().partition(|step| approval.allows(step, &hash));
    if !approved.is_empty() {
        file::look(path)?;
        let mut faults = Faults::new(fail_points.clone());
        carry_out(path, &approved, &mut faults).map_err(|error| changed(error).failure(PATIENCE))?;
    }
    Ok(Applied { done: approved, waiting })
}

fn carry_out(path: &Path, steps: &[Step], faults: &mut Faults) -> Result<(), EngineError> {
    faults.pass(faults::BEFORE_BEGIN)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE, PATIENCE)?;
    check_owner(&connection)?;
    let (modes, steps): (Vec<&Step>, Vec<&Step>) =
        steps.iter().partition(|step| step.statement == schema::WAL);
    if !modes.is_empty() {
        // SQLite changes it only outside a transaction
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        faults.pass(faults::LOOKED_UP)?;
    }
    let (additive, others): (Vec<&Step>, Vec<&Step>) =
        steps.into_iter().partition(|step| step.class == StepClass::Additive);
    run(faults, &mut connection, &additive)?;
    for step in others {
        run(faults, &mut connection, &[step])?;
    }
    sync_folder(path);
    faults.pass(faults::COMMITTED)
}

fn run(faults: &mut Faults, connection: &mut Connection, steps: &[&Step]) -> Result<(), EngineError> {
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // again, now that nobody else can change it
    check_owner(&transaction)?;
    for step in steps {
        transaction.execute_batch(&step.statement)?;
        faults.pass(faults::ROWS_WRITTEN)?;
    }
    faults.pass(faults::HEAD_WRITTEN)?;
    Ok(transaction.commit()?)
}

fn check_owner(connection: &Connection) -> Result<(), EngineError> {
    match owner(connection)? {
        (schema::APPLICATION_ID, _) | (0, 0) => Ok(()),
        _ => Err(foreign(connection)?.into()),
    }
}

/// The file's name too must outlive a power failure.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    // SQLite syncs the folder when it makes the write-ahead log; this is for file systems where it could not
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::warn!(event = "folder_not_synced", %error, folder = %folder.display(), "the folder could not be synced");
    }
}

/// A statement that met what it should have made, or missed what it should have removed.
fn changed(error: EngineError) -> EngineError {
    match &error {
        EngineError::Sqlite(rusqlite::Error::SqlInputError { error, msg, .. })
            if error.code == ErrorCode::Unknown =>
        {
            let words = format!("the file changed since the plan was made, plan again: {msg}");
            Failure::Unreachable(words).into()
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use polylog_log::{DatabaseId, Fault, Identity, Incarnation, LogId, SourceName};
    use uuid::Uuid;

    use super::*;
    use crate::{
        POINTS,
        provision::{Actual, Desired, IndexOptions, inspect, plan},
    };

    fn desired() -> Desired {
        let id = Uuid::from_u128;
        Desired {
            identity: Identity {
                log: LogId::new(id(1)),
                database: DatabaseId::new(id(2)),
                incarnation: Incarnation::new(id(3)),
            },
            source: SourceName::parse("main").expect("a good name"),
            indexes: IndexOptions::default(),
        }
    }

    /// Every step of provisioning is where it may end; what it leaves is nothing, or what a new plan completes.
    #[test]
    fn a_provisioning_that_ends_anywhere_is_completed_by_the_next() {
        let all = Approval::up_to(StepClass::Slow);
        let mut passed = 0;
        for point in POINTS {
            for skip in 0.. {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("log.db");
                let fail_points = FailPoints::new(POINTS);
                fail_points.arm(point, skip, Fault::Crash);
                let first = plan(&desired(), &Actual::Absent).expect("a plan");
                let outcome = apply_with(&path, &first, &all, &fail_points);
                if !fail_points.disarm() {
                    assert_eq!(outcome.map(|applied| applied.waiting.len()), Ok(0));
                    break;
                }
                passed += 1;
                assert!(outcome.is_err(), "{point}, {skip}");
                let left = inspect(&path).expect("nothing, or a file of ours");
                let rest = plan(&desired(), &left).expect("a plan");
                match &left {
                    Actual::Absent | Actual::Empty => assert_eq!(rest, first),
                    Actual::Ours(_) => assert!(rest.is_empty() && *point == faults::COMMITTED),
                }
                apply(&path, &rest, &all).expect("the rest");
                let whole = plan(&desired(), &inspect(&path).expect("a file of ours"));
                assert!(whole.expect("a plan").is_empty(), "{point}, {skip}");
            }
        }
        assert!(passed > 15, "only {passed} places");
    }
}
