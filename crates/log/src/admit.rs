use crate::{
    Commit, ConfigPoint, ConfigVersion, Cut, Entry, EntryError, FORMAT, Facts, Head, Identity, Nonce, Point,
    Position, Rule, Rules, SourceName, Term, TermOpened, Timestamp, Verdict, Watermarks,
    sequence::{Sequencer, config_of},
};

/// A term may rise by at most this much in one operation, so that a broken client cannot burn the number space.
const LARGEST_TERM_JUMP: u64 = 1 << 20;

/// A request to open a source as primary; see [`Operation::Open`].
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The term that was promised.
    pub term: Term,
    /// The proposer's nonce.
    pub nonce: Nonce,
    /// The tail that the proposer levelled the source to.
    pub tail: Point,
    /// The source's own name.
    pub primary: &'a SourceName,
    /// Opened without a majority.
    pub forced: bool,
    /// Voters that were not asked.
    pub missing: &'a [SourceName],
    /// What the log holds of [`Wanted::by_open`](crate::Wanted::by_open).
    pub facts: &'a Facts,
    /// The database's clock.
    pub clock: Timestamp,
}

/// Entries copied from the primary of a term; see [`Operation::Apply`].
#[derive(Debug, Clone, Copy)]
pub struct Applying<'a> {
    /// The sender's term.
    pub term: Term,
    /// The tail that the entries continue.
    pub previous: Point,
    /// Whole entries, in order.
    pub entries: &'a [Entry],
    /// What the sender knows of the others.
    pub watermarks: Watermarks,
}

/// A tail to be removed; see [`Operation::Truncate`].
#[derive(Debug, Clone, Copy)]
pub struct Truncating<'a> {
    /// The term of the current primary.
    pub term: Term,
    /// The end of the last entry to keep, as the sender knows it.
    pub keep: Point,
    /// The tail that the sender saw.
    pub tail: Point,
    /// What the own log holds at `keep.position`: the point and the time of the entry that ends there, if one does.
    /// At position zero: [`Point::start`] and [`Timestamp::EPOCH`].
    pub kept: Option<(Point, Timestamp)>,
    /// The last `$config` at or before `keep.position` in the own log.
    pub config: &'a ConfigPoint,
}

/// An operation on a source, with the facts that its engine read in the same atomic step.
#[derive(Debug, Clone, Copy)]
pub enum Operation<'a> {
    /// Promise a term to a proposer.
    Promise {
        /// The term.
        term: Term,
        /// The proposer's nonce; the same on a resend.
        nonce: Nonce,
    },
    /// Become primary of a promised term.
    Open(Opening<'a>),
    /// Append commits as primary.
    Append {
        /// The sender's term.
        term: Term,
        /// The configuration that the sender works under.
        config: ConfigVersion,
        /// Zero or more commits; none = only raise the watermarks.
        batch: &'a [Commit],
        /// What the log holds of what the batch names.
        facts: &'a Facts,
        /// What the sender knows of the others.
        watermarks: Watermarks,
        /// The database's clock.
        clock: Timestamp,
    },
    /// Follow the primary of a term.
    Apply(Applying<'a>),
    /// Remove a tail that lost.
    Truncate(Truncating<'a>),
}

/// What an engine does for an admitted operation, all of it in one atomic step.
#[derive(Debug)]
pub struct Effect {
    /// The head to store; its `revision` is one higher.
    pub head: Head,
    /// Entries to write, in order.
    pub write: Vec<Entry>,
    /// Per commit of an append.
    pub verdicts: Vec<Verdict>,
    /// Everything after `keep` is moved to quarantine.
    pub cut: Option<Cut>,
}

/// Why a source refused an operation. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The database belongs to another log, is another database, or was adopted again: stop counting it.
    #[error("this database holds another log, or is not the one that was adopted")]
    WrongStore,
    /// A newer version has written the head: read on, write nothing. Update this one.
    #[error("stored format {found} needs a newer version (this one knows up to {known})")]
    NewerFormat {
        /// What the head says.
        found: u32,
        /// The newest this version knows.
        known: u32,
    },
    /// A newer version has written the configuration in force: read on, write nothing. Update this one.
    #[error("configuration {} in the log has fields that this version does not know", .0.0)]
    NewerConfig(ConfigVersion),
    /// The own term is higher, or this source is not the primary of the term: read the heads again.
    #[error("the source stands under another term, or is not its primary")]
    Fenced,
    /// The own tail is another than the sender thought: compare chains and go on from there.
    #[error("the source's tail is not where the operation continues")]
    Mismatch,
    /// The configuration changed: read it and send the same batch again.
    #[error("the configuration in the log changed")]
    ConfigChanged,
    /// A commit follows a `$config` in its batch: send it afterwards, under the new configuration.
    #[error("a commit follows a change of the configuration in its batch")]
    AfterConfig,
    /// Too much is in the primary alone: wait until replicas follow.
    #[error("too many events are in the primary alone")]
    BackPressure,
    /// The term is more than 2^20 above the own.
    #[error("the term jumps by more than 1048576")]
    TermJump,
    /// The entries are damaged, or of another log. Never send them again.
    #[error("{0}")]
    Entries(#[from] EntryError),
    /// An entry has a term above that of its sender.
    #[error("an entry has a term above that of the operation")]
    EntryAboveTerm,
    /// A repair met an event that is whole and another than this log's. Somebody must look.
    #[error("another event than this log's stands at position {0}")]
    OtherEvent(Position),
    /// A majority holds what should be removed. Somebody must look.
    #[error("the truncation would remove what a majority holds")]
    BelowStable,
}

impl Head {
    /// Decides an operation: the one place where the contract's rules stand.
    pub fn admit(&self, of: &Identity, operation: Operation<'_>, rules: Rules) -> Result<Effect, Refusal> {
        if rules.on(Rule::Identity) && *of != self.identity {
            return Err(Refusal::WrongStore);
        }
        self.is_known()?;
        let mut effect = match operation {
            Operation::Promise { term, nonce } => self.promise(term, nonce, rules),
            Operation::Open(opening) => self.open(opening, rules),
            Operation::Append { term, config, batch, facts, watermarks, clock } => {
                self.append(term, config, batch, facts, watermarks, clock, rules)
            }
            Operation::Apply(applying) => self.apply(applying, rules),
            Operation::Truncate(truncating) => self.truncate(truncating, rules),
        }?;
        effect.head.revision = self.revision + 1;
        Ok(effect)
    }

    /// Whether this version knows all that a writer has to know. Every operation asks, whatever the rules.
    fn is_known(&self) -> Result<(), Refusal> {
        if self.format > FORMAT {
            return Err(Refusal::NewerFormat { found: self.format, known: FORMAT });
        }
        if self.config.config.is_newer {
            return Err(Refusal::NewerConfig(self.config.config.version));
        }
        Ok(())
    }

    fn rises_to(&self, term: Term, rules: Rules) -> Result<(), Refusal> {
        let too_far = term.get() > self.term.get() + LARGEST_TERM_JUMP;
        if rules.on(Rule::TermJump) && too_far { Err(Refusal::TermJump) } else { Ok(()) }
    }

    fn promise(&self, term: Term, nonce: Nonce, rules: Rules) -> Result<Effect, Refusal> {
        let resend = term == self.term && self.grant == Some(nonce);
        if rules.on(Rule::PromiseOnce) && self.term >= term && !resend {
            return Err(Refusal::Fenced);
        }
        self.rises_to(term, rules)?;
        Ok(Effect::of(Head { term, grant: Some(nonce), ..self.clone() }))
    }

    fn open(&self, opening: Opening<'_>, rules: Rules) -> Result<Effect, Refusal> {
        let Opening { term, nonce, tail, primary, forced, missing, facts, clock } = opening;
        let granted = term == self.term && self.grant == Some(nonce);
        if rules.on(Rule::OpenNeedsGrant) && !granted || rules.on(Rule::OpenOnce) && self.lead >= term {
            return Err(Refusal::Fenced);
        }
        if rules.on(Rule::OpenNeedsTail) && self.tail != tail {
            return Err(Refusal::Mismatch);
        }
        let opened = TermOpened {
            term,
            nonce,
            primary: primary.clone(),
            from: tail,
            forced,
            missing: missing.to_vec(),
        };
        let commit = Commit::open_term(self.identity.log, &opened);
        let mut sequencer = Sequencer::new(Head { term, lead: term, ..self.clone() }, facts, clock, rules);
        sequencer.commit(&commit);
        let (mut head, write) = sequencer.finish();
        head.raise_alone();
        Ok(Effect { write, ..Effect::of(head) })
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of Operation::Append")]
    fn append(
        &self,
        term: Term,
        config: ConfigVersion,
        batch: &[Commit],
        facts: &Facts,
        watermarks: Watermarks,
        clock: Timestamp,
        rules: Rules,
    ) -> Result<Effect, Refusal> {
        let leads = self.is_primary() && term == self.term;
        let may_write = if rules.on(Rule::AppendNeedsLead) { leads } else { term >= self.term };
        if !may_write {
            return Err(Refusal::Fenced);
        }
        if rules.on(Rule::AppendNeedsConfig) && config != self.config.config.version {
            return Err(Refusal::ConfigChanged);
        }
        let is_followed = batch.iter().rev().skip(1).any(Commit::configures);
        if rules.on(Rule::ConfigEndsBatch) && is_followed {
            return Err(Refusal::AfterConfig);
        }
        if rules.on(Rule::BackPressure)
            && self.is_ahead_of_replicas(watermarks)
            && batch.iter().any(|commit| !commit.is_system())
        {
            return Err(Refusal::BackPressure);
        }
        let mut sequencer = Sequencer::new(Head { term, ..self.clone() }, facts, clock, rules);
        let verdicts = batch.iter().map(|commit| sequencer.commit(commit)).collect();
        let (mut head, write) = sequencer.finish();
        head.watermarks = self.raised(watermarks, head.tail.position, rules);
        head.raise_alone();
        Ok(Effect { write, verdicts, ..Effect::of(head) })
    }

    /// Counts what the sender knows, too: else the append that brings the news would be refused for lack of it.
    fn is_ahead_of_replicas(&self, watermarks: Watermarks) -> bool {
        let stable = self.watermarks.raised(watermarks, self.tail.position).stable;
        let ahead = self.tail.position.get().saturating_sub(stable.get());
        self.config.config.max_unreplicated_events.is_some_and(|most| ahead > most)
    }

    fn raised(&self, watermarks: Watermarks, tail: Position, rules: Rules) -> Watermarks {
        if rules.on(Rule::WatermarkBounded) { self.watermarks.raised(watermarks, tail) } else { watermarks }
    }

    /// Where this source is the only voter, what it wrote as primary is held by a majority.
    fn raise_alone(&mut self) {
        if self.is_sole_voter() {
            self.watermarks = Watermarks { stable: self.tail.position, acked: self.tail.position };
        }
    }

    fn apply(&self, applying: Applying<'_>, rules: Rules) -> Result<Effect, Refusal> {
        let Applying { term, previous, entries, watermarks } = applying;
        let is_lower = self.term > term;
        let is_primary = self.lead == term && !term.is_zero();
        if rules.on(Rule::ApplyFenced) && is_lower || rules.on(Rule::ApplyNotPrimary) && is_primary {
            return Err(Refusal::Fenced);
        }
        self.rises_to(term, rules)?;
        let continues = (previous.position, previous.chain) == (self.tail.position, self.tail.chain);
        if rules.on(Rule::ApplyNeedsPrevious) && !continues {
            return Err(Refusal::Mismatch);
        }
        if rules.on(Rule::ApplyTermBound) && entries.iter().any(|entry| entry.term > term) {
            return Err(Refusal::EntryAboveTerm);
        }
        let mut head = self.clone();
        for entry in entries {
            if rules.on(Rule::ApplyChains) {
                entry.follows(&head.tail)?;
            }
            head.tail = entry.point();
            head.recorded_at = entry.recorded_at();
            if let Some(config) = config_of(entry).filter(|_| rules.on(Rule::ConfigFollowsLog)) {
                head.config = config;
            }
        }
        if term > self.term && rules.on(Rule::ApplyRaisesTerm) {
            (head.term, head.grant) = (term, None);
        }
        head.watermarks = self.raised(watermarks, head.tail.position, rules);
        Ok(Effect { write: entries.to_vec(), ..Effect::of(head) })
    }

    fn truncate(&self, truncating: Truncating<'_>, rules: Rules) -> Result<Effect, Refusal> {
        let Truncating { term, keep, tail, kept, config } = truncating;
        let is_primary = self.lead == term && !term.is_zero();
        if rules.on(Rule::TruncateFenced) && (self.term > term || is_primary) {
            return Err(Refusal::Fenced);
        }
        self.rises_to(term, rules)?;
        if rules.on(Rule::TruncateNeedsTail) && tail != self.tail {
            return Err(Refusal::Mismatch);
        }
        let in_log = kept.filter(|(point, _)| *point == keep).filter(|_| keep.position <= self.tail.position);
        if rules.on(Rule::TruncateKeepsEntry) && in_log.is_none() {
            return Err(Refusal::Mismatch);
        }
        let removes = keep.position < self.tail.position;
        if rules.on(Rule::TruncateOldTermsOnly) && removes && self.tail.term >= term {
            return Err(Refusal::Fenced);
        }
        let is_lossy = self.config.config.is_lossy();
        if rules.on(Rule::TruncateAboveStable) && keep.position < self.watermarks.stable && !is_lossy {
            return Err(Refusal::BelowStable);
        }
        let cut = removes.then(|| Cut { number: self.cuts() + 1, keep, removed: self.tail, term });
        let mut head = self.clone();
        head.tail = keep;
        head.recorded_at = kept.map_or(head.recorded_at, |(_, recorded_at)| recorded_at);
        if rules.on(Rule::TruncateRestoresConfig) {
            head.config = config.clone();
        }
        head.watermarks = self.watermarks.capped(keep.position);
        head.last_cut = cut.or(self.last_cut);
        if term > self.term && rules.on(Rule::TruncateRaisesTerm) {
            (head.term, head.grant) = (term, None);
        }
        Ok(Effect { cut, ..Effect::of(head) })
    }
}

impl Effect {
    fn of(head: Head) -> Self {
        Self { head, write: Vec::new(), verdicts: Vec::new(), cut: None }
    }
}

#[cfg(test)]
mod tests;
