//! What keeps the log one: each rule exists because a log breaks without it, and the simulation switches each off to prove
//! that it would notice.

#[cfg(feature = "mutants")]
use polylog_log::mutants;

/// A rule of a process; those of sources are [`polylog_log::Rule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A source counts only while it stands under the term that is counted.
    CountUnderTerm,
    /// A majority commits nothing but together with an entry of its own term.
    CommitOwnTerm,
    /// The best log is that with the latest term, then the longest.
    BestByTerm,
    /// A majority of the voters promises before anybody is opened.
    MajorityPromises,
    /// A new primary is brought to the best log first.
    Levelled,
    /// A repeated commit waits for its ack level like a new one.
    DuplicatesWait,
    /// A strong read rests on answers that came after it began.
    FreshProof,
    /// Each attempt has a nonce of its own.
    FreshNonce,
    /// The configuration that an election counts by is that of the best log.
    ConfigOfBest,
    /// One voter comes or goes at a time.
    OneVoter,
    /// A configuration follows only one that is committed.
    ConfigCommitted,
    /// A configuration is written only once the term's opening is committed.
    ConfigUnderTerm,
    /// A source that shows less than it showed before does not count any more.
    WentBack,
    /// What the others keep of a source counts, too: also for a process that never saw it before.
    Remembered,
    /// Nobody deposes a primary that others reach.
    SignsOfLife,
    /// Learners get nothing that may still vanish.
    LearnersLast,
    /// Nobody is opened against the best log's configuration: not where it says that an operator must.
    FailoverAsked,
    /// Nothing is written where the ack level cannot be reached.
    MajorityBeforeWrite,
    /// Only a source that was opened for its term is taken for a primary.
    ObeyOpened,
    /// What is copied was read under the term that it is sent under.
    CopiedFromPrimary,
    /// What is pushed from memory continues the log that it is pushed to.
    PushContinues,
    /// An event whose data one source keeps alone is acknowledged once that one holds it, too.
    KeeperHolds,
    /// Data is dropped only where the source that keeps it holds it.
    DroppedIfKept,
    /// Data is dropped only of what is committed.
    DroppedIfCommitted,
    /// A source that keeps data leaves the log only for another database of its name.
    KeepersStay,
    /// Of a source that is not known to hold all that may be shown, only what a majority holds is shown.
    SettledBehind,
    /// A source whose log was cut since it was counted is not read for what it was counted for.
    ReadUncut,
    /// Who had a try of which nobody knows what became is not told later that nothing was written.
    TriesRemembered,
}

/// The rules in force: all of them, outside tests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    #[cfg(test)]
    pub(crate) off: Option<Rule>,
}

impl Rules {
    pub(crate) fn on(self, rule: Rule) -> bool {
        #[cfg(feature = "mutants")]
        if rule == Rule::Levelled && mutants::active() == Some(mutants::Mutant::NotLevelled) {
            return false;
        }
        #[cfg(test)]
        return self.off != Some(rule);
        #[cfg(not(test))]
        {
            let _ = rule;
            true
        }
    }
}
