//! Faults that a careless change would bring in, to prove that the tests of the whole system notice them.
//!
//! Compiled only with the feature `mutants`, and asleep unless `POLYLOG_MUTANT` names one.

use std::{
    collections::{HashMap, HashSet},
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
    /// A version conflict is answered by what is remembered, and the database is not asked.
    StaleConflict,
    /// A stream is read from a page that was kept for a while, and the database is not asked.
    StaleRead,
    /// An append is answered once the primary alone holds it, whatever the ack level.
    EarlyAck,
    /// What the primary alone holds is shown to readers.
    UnsettledRead,
    /// A new primary is opened with the log that it has, not with the best one.
    NotLevelled,
}

/// The fault of this process.
pub fn active() -> Option<Mutant> {
    static ACTIVE: LazyLock<Option<Mutant>> =
        LazyLock::new(|| match std::env::var("POLYLOG_MUTANT").ok()?.as_str() {
            "sequence" => Some(Mutant::Sequence),
            "early-answer" => Some(Mutant::EarlyAnswer),
            "stale-conflict" => Some(Mutant::StaleConflict),
            "stale-read" => Some(Mutant::StaleRead),
            "early-ack" => Some(Mutant::EarlyAck),
            "unsettled-read" => Some(Mutant::UnsettledRead),
            "not-levelled" => Some(Mutant::NotLevelled),
            other => panic!("there is no mutant {other:?}"),
        });
    *ACTIVE
}

static UNDER_WAY: LazyLock<Mutex<HashMap<CommitId, CommitReceipt>>> = LazyLock::new(Mutex::default);

/// How long a commit takes at least, so that there is a moment for a retry to come and then to be killed in.
const SLOW_COMMIT: Duration = Duration::from_millis(40);

/// Called when everything of a transaction is written and nothing is committed; says how long to wait before the commit.
pub fn before_commit(effect: &Effect) -> Duration {
    if active() != Some(Mutant::EarlyAnswer) {
        return Duration::ZERO;
    }
    let written = effect.write.iter().zip(effect.verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Committed(receipt) => Some(receipt),
        _ => None,
    }));
    let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    under_way.extend(written.filter_map(|(entry, receipt)| Some((entry.commit_id()?, receipt.clone()))));
    SLOW_COMMIT
}

/// Whether the commit was handed in before, so that [`early_answer`] is to be waited for.
pub fn is_retry(commit: CommitId) -> bool {
    static SEEN: LazyLock<Mutex<HashSet<CommitId>>> = LazyLock::new(Mutex::default);
    active() == Some(Mutant::EarlyAnswer)
        && !SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(commit)
}

/// The answer to a retry, before its first try has one.
pub fn early_answer(commit: CommitId) -> Option<CommitReceipt> {
    let under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    under_way.get(&commit).cloned()
}
