use polylog_log::Rule as OfSource;

use crate::members::Set;

/// A rule of the protocol that can be switched off, alone or with those that cover for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Only a source that was opened for its term takes appends, and only such a one is taken for a primary.
    Opened,
    /// One grant per term.
    OneGrant,
    /// Each attempt has a nonce of its own.
    FreshNonce,
    /// A new primary is brought to the best log first, and opened at exactly that tail.
    Levelled,
    /// The tail that counts is that of the promise, not one read before.
    TailOfGrant,
    /// The best log is that with the latest term, then the longest.
    BestByTerm,
    /// A majority promises before anybody is opened.
    MajorityPromises,
    /// Nothing is settled but together with an entry of the term under which it is counted.
    CommitOwnTerm,
    /// A source counts only while it stands under the term that is counted.
    CountUnderTerm,
    /// What is copied was read under the term that it is sent under, and has no later one.
    CopiedFromPrimary,
    /// `apply` raises the term.
    ApplyRaisesTerm,
    /// `truncate` needs the exact tail, and removes entries of earlier terms only.
    TruncateGuarded,
    /// A repeated commit waits for its evidence like a new one.
    DuplicatesWait,
    /// A strong read rests on answers that came after it began, not on what was published.
    FreshProof,
    /// The configuration that an election counts by is that of the best log.
    ConfigOfBest,
    /// One voter comes or goes at a time, once the configuration before is settled.
    OneVoter,
    /// Voters change only once an entry of the term is settled.
    ConfigUnderTerm,
    /// `truncate` puts the configuration back in force that stood before what it removes.
    ConfigOfLog,
}

impl Rule {
    /// The rules of sources that go with it: the contract's own switches.
    pub fn of_sources(self) -> &'static [OfSource] {
        match self {
            Rule::Opened => &[OfSource::AppendNeedsLead],
            Rule::OneGrant => &[OfSource::PromiseOnce],
            Rule::Levelled => &[OfSource::OpenNeedsTail],
            Rule::CopiedFromPrimary => &[OfSource::ApplyTermBound],
            Rule::ApplyRaisesTerm => &[OfSource::ApplyRaisesTerm],
            Rule::TruncateGuarded => {
                &[OfSource::TruncateNeedsTail, OfSource::TruncateOldTermsOnly, OfSource::TruncateAboveStable]
            }
            Rule::ConfigOfLog => &[OfSource::TruncateRestoresConfig],
            Rule::FreshNonce
            | Rule::TailOfGrant
            | Rule::BestByTerm
            | Rule::MajorityPromises
            | Rule::CommitOwnTerm
            | Rule::CountUnderTerm
            | Rule::DuplicatesWait
            | Rule::FreshProof
            | Rule::ConfigOfBest
            | Rule::OneVoter
            | Rule::ConfigUnderTerm => &[],
        }
    }
}

/// How much may happen. All that can happen within is explored.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Sources of the log, those that only follow included.
    pub sources: usize,
    /// Who may vote: at first, and after a change.
    pub voters: &'static [Set],
    /// Processes that write, elect and copy; at most two.
    pub processes: u8,
    /// The last term that may be asked for; the log begins in term 1.
    pub terms: u8,
    /// Different commits that clients try to append, through any process, as often as they like.
    pub commits: u8,
    /// Requests under way at once, whose sender no longer waits: each is executed at any later time, or never.
    pub late: u8,
    /// How often a process forgets all that it knew.
    pub crashes: u8,
    /// Whether an election is one step of its candidate: for runs that are long in elections.
    pub elects_at_once: bool,
    /// Whether the first that may become primary does, rather than any.
    pub by_order: bool,
}
