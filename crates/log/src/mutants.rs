//! Faults that a careless change would bring in, to prove that the tests of the whole system notice them.
//!
//! Compiled only with the feature `mutants`, and asleep unless `POLYLOG_MUTANT` names one.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use crate::{CommitId, CommitReceipt, Effect, Verdict};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Positions come from a counter of its own that a rollback or a crash does not take back.
    Sequence,
    /// A retry is answered although its first try's commit has not returned.
    EarlyAnswer,
}

/// The fault of this process.
pub fn active() -> Option<Mutant> {
    static ACTIVE: LazyLock<Option<Mutant>> =
        LazyLock::new(|| match std::env::var("POLYLOG_MUTANT").ok()?.as_str() {
            "sequence" => Some(Mutant::Sequence),
            "early-answer" => Some(Mutant::EarlyAnswer),
            other => panic!("there is no mutant {other:?}"),
        });
    *ACTIVE
}

static UNDER_WAY: LazyLock<Mutex<HashMap<CommitId, CommitReceipt>>> = LazyLock::new(Mutex::default);

/// How long a commit takes at least, so that there is a moment to be killed in.
const SLOW_COMMIT: Duration = Duration::from_millis(20);

/// Called when everything of a transaction is written and nothing is committed.
pub fn before_commit(effect: &Effect) {
    if active() != Some(Mutant::EarlyAnswer) {
        return;
    }
    let written = effect.write.iter().zip(effect.verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Committed(receipt) => Some(receipt),
        _ => None,
    }));
    let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    under_way.extend(written.filter_map(|(entry, receipt)| Some((entry.commit_id()?, receipt.clone()))));
    drop(under_way);
    std::thread::sleep(SLOW_COMMIT);
}

/// The answer to a retry, before its first try has one.
pub fn early_answer(commit: CommitId) -> Option<CommitReceipt> {
    let under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    under_way.get(&commit).cloned()
}
