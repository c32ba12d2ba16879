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
        tracing::warn!(%error, folder = %folder.display(), "the folder could not be synced");
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
