use std::{fs, path::Path};

use polylog_log::{Approval, Desired, Failure, Identity, LogId, Plan};
use polylog_source_sqlite::provision::{self, Actual};

use super::{Wanted, identity};

/// Provisions a file as approved.
pub(super) fn prepare(
    path: &Path,
    wanted: Wanted,
    approval: &Approval,
    known: Option<LogId>,
) -> Result<(Identity, Plan), Failure> {
    if let Some(folder) = folder_of(path) {
        fs::create_dir_all(folder).map_err(|error| {
            Failure::Unreachable(format!("the folder {} cannot be made: {error}", folder.display()))
        })?;
    }
    let (identity, plan) = plan(path, wanted, known)?;
    let applied = provision::apply(path, &plan, approval)?;
    Ok((identity, Plan { steps: applied.waiting }))
}

/// What a file is to be, and the steps to there.
pub(super) fn plan(path: &Path, wanted: Wanted, known: Option<LogId>) -> Result<(Identity, Plan), Failure> {
    let actual = match folder_of(path) {
        Some(folder) if !folder.exists() => Actual::Absent,
        _ => provision::inspect(path)?,
    };
    let found = match &actual {
        Actual::Ours(inventory) => inventory.identity,
        Actual::Absent | Actual::Empty => None,
    };
    if wanted.fresh.is_none()
        && let Some(known) = known
        && matches!(actual, Actual::Absent | Actual::Empty)
    {
        return Err(Failure::Damaged(format!(
            "the folder belongs to log {known}, but its file is gone: restore it, or remove the folder to begin anew"
        )));
    }
    let is_empty = matches!(actual, Actual::Absent | Actual::Empty);
    let identity = match wanted.fresh {
        None => identity(known, found),
        Some(_) => wanted.identity(known, found, is_empty)?,
    };
    let Wanted { source, indexes, .. } = wanted;
    let plan = provision::plan(&Desired { identity, source, indexes }, &actual)?;
    Ok((identity, plan))
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}
