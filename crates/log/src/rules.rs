macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)+) => {
        /// One rule of the contract. Each exists because a log breaks without it; the conformance kit switches them off
        /// one at a time to prove that it would notice.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Rule {
            $($(#[$doc])* $rule,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Rule] = &[$(Rule::$rule),+];
        }
    };
}

rules! {
    /// Every operation names log, database and incarnation.
    Identity,
    /// A term rises by at most 2^20 in one operation.
    TermJump,
    /// One grant per term; a lower term is never promised.
    PromiseOnce,
    /// `open` needs the grant of its proposer.
    OpenNeedsGrant,
    /// `open` needs exactly the tail that its proposer saw.
    OpenNeedsTail,
    /// A source is opened at most once per term.
    OpenOnce,
    /// `append` needs a source that was opened for exactly this term.
    AppendNeedsLead,
    /// `append` names the configuration it was made under.
    AppendNeedsConfig,
    /// Nothing follows a `$config` in its batch: it would have been made under the configuration before.
    ConfigEndsBatch,
    /// Client appends stop while too much is in the primary alone.
    BackPressure,
    /// The expected version is compared under the lock.
    VersionCheck,
    /// A commit names each stream once.
    StreamOnce,
    /// A commit's identity is looked up before it is written.
    CommitLookup,
    /// A recorded identity with another content is refused.
    FingerprintCheck,
    /// An event id stands at most once in a log.
    EventIdUnique,
    /// A stream keeps the category and aggregate id of its first append.
    StreamAttributes,
    /// Positions follow from the head, without a hole.
    DensePositions,
    /// `recordedAt` never falls.
    RecordedAtRises,
    /// An operation decides and writes in one atomic step: nothing else is written in between.
    OneStep,
    /// A commit is written whole or not at all.
    WholeCommits,
    /// Nothing is answered from what another operation has not committed yet.
    CommittedOnly,
    /// A `$config` is in force from where it stands in the log.
    ConfigFollowsLog,
    /// `apply` under a lower term is refused.
    ApplyFenced,
    /// The primary of a term accepts no `apply` of that term.
    ApplyNotPrimary,
    /// `apply` continues exactly the own tail.
    ApplyNeedsPrevious,
    /// Applied entries chain onto the tail, are whole and match their digests.
    ApplyChains,
    /// No applied entry has a term above that of the operation.
    ApplyTermBound,
    /// `apply` raises the own term.
    ApplyRaisesTerm,
    /// A watermark is never ahead of the tail and never falls.
    WatermarkBounded,
    /// `truncate` under a lower term, or of the primary, is refused.
    TruncateFenced,
    /// `truncate` needs exactly the tail that its sender saw.
    TruncateNeedsTail,
    /// Only entries of terms below that of the operation are removed.
    TruncateOldTermsOnly,
    /// What is kept ends where an entry of the own log ends.
    TruncateKeepsEntry,
    /// What a majority holds is not removed, unless the configuration is lossy.
    TruncateAboveStable,
    /// `truncate` raises the own term.
    TruncateRaisesTerm,
    /// `truncate` puts the configuration back in force that stood before what it removes.
    TruncateRestoresConfig,
    /// What is removed is saved in the same step or before.
    TruncateQuarantines,
    /// A repair writes only what the own chain proves.
    RepairProven,
    /// A repair writes over damage, never over another event that is whole.
    RepairKeepsOthers,
    /// A repair never writes an event without its data over one that has it.
    RepairKeepsData,
    /// Data is dropped only of the very event that the sender saw, and never of the log's own.
    StripsThatEvent,
    /// A page and the head that it belongs to are of one snapshot.
    OneSnapshot,
    /// A page holds whole entries.
    WholePages,
    /// What was answered is on disk.
    Durable,
    /// Payload bytes are kept as given.
    VerbatimBytes,
    /// Names are compared byte by byte.
    NamesAsBytes,
    /// A lease is swapped only against what its sender saw.
    LeaseCompares,
    /// Document engines: documents are fenced by the head's revision.
    FenceByRevision,
    /// Document engines: a swap without an answer is resolved before anything is concluded from it.
    SwapResolved,
    /// Document engines: the next swap waits until the batch before it is written out.
    WriteOutFirst,
    /// Document engines: a page is read again when a truncation happened meanwhile.
    ReadersRecheckCuts,
}

/// The rules in force: all of them, but in tests of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    off: u64,
}

impl Rules {
    /// Every rule.
    pub const ALL: Self = Self { off: 0 };

    /// Every rule but one: for tests of the tests.
    #[cfg(feature = "conformance")]
    pub const fn without(rule: Rule) -> Self {
        Self { off: 1 << rule as u8 }
    }

    /// Every rule but these: for tests of the tests, where two rules cover for each other.
    #[cfg(feature = "conformance")]
    pub fn without_all(rules: &[Rule]) -> Self {
        Self { off: rules.iter().fold(0, |off, rule| off | 1 << *rule as u8) }
    }

    /// Whether a rule is in force.
    pub const fn on(self, rule: Rule) -> bool {
        self.off & (1 << rule as u8) == 0
    }
}
