//! Named points between any two steps of an operation, where tests make it fail or end the process. Without the
//! feature `failpoints` they are not compiled in.

/// An operation with points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `promise`
    Promise,
    /// `open`
    Open,
    /// `append`
    Append,
    /// `apply`
    Apply,
    /// `truncate`
    Truncate,
    /// `lease`
    Lease,
    /// Carrying out a plan.
    Provision,
}

/// Where in an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing was done yet.
    BeforeBegin,
    /// The lock is held, head and facts are read.
    AfterLookups,
    /// Rows are written; the head is not.
    AfterRows,
    /// Everything is written, nothing is committed.
    BeforeCommit,
    /// Committed, not answered.
    AfterCommit,
}

#[cfg(not(feature = "failpoints"))]
pub(crate) use off::hit;
#[cfg(feature = "failpoints")]
pub(crate) use on::hit;
#[cfg(feature = "failpoints")]
pub use on::{Action, arm, disarm};

#[cfg(not(feature = "failpoints"))]
mod off {
    use std::path::Path;

    use super::{Operation, Stage};
    use crate::error::EngineError;

    #[expect(clippy::unnecessary_wraps, reason = "with the feature it fails")]
    #[inline]
    pub(crate) fn hit(_: &Path, _: Operation, _: Stage) -> Result<(), EngineError> {
        Ok(())
    }
}

#[cfg(feature = "failpoints")]
mod on {
    use std::{
        collections::HashMap,
        path::{Path, PathBuf},
        sync::{Mutex, PoisonError},
    };

    use polylog_log::Failure;

    use super::{Operation, Stage};
    use crate::error::EngineError;

    /// What happens at an armed point.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Action {
        /// The operation goes on as after an I/O error.
        Fail,
        /// The process ends at once, as by kill -9.
        Abort,
    }

    struct Armed {
        action: Action,
        skip: u32,
    }

    type Points = HashMap<(PathBuf, Operation, Stage), Armed>;

    /// By file, so that tests of one process do not disturb each other.
    static POINTS: Mutex<Option<Points>> = Mutex::new(None);

    fn with<T>(change: impl FnOnce(&mut Points) -> T) -> T {
        change(POINTS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
    }

    /// Arms a point of the operations on a file: it acts once, after it was passed `skip` times.
    pub fn arm(path: &Path, operation: Operation, stage: Stage, action: Action, skip: u32) {
        with(|points| points.insert((path.into(), operation, stage), Armed { action, skip }));
    }

    /// Disarms all points of a file.
    pub fn disarm(path: &Path) {
        with(|points| points.retain(|(armed, ..), _| armed != path));
    }

    pub(crate) fn hit(path: &Path, operation: Operation, stage: Stage) -> Result<(), EngineError> {
        let key = (path.to_path_buf(), operation, stage);
        let action = with(|points| match points.get_mut(&key) {
            Some(armed) if armed.skip > 0 => {
                armed.skip -= 1;
                None
            }
            Some(_) => points.remove(&key).map(|armed| armed.action),
            None => None,
        });
        match action {
            None => Ok(()),
            Some(Action::Fail) => {
                Err(Failure::Unreachable(format!("injected in {operation:?}, {stage:?}")).into())
            }
            Some(Action::Abort) => std::process::abort(),
        }
    }
}
