//! What was promised so far, and whether it is kept. Each check says what broke.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use polylog_log::{
    Acks, Chain, CommitId, CommitReceipt, ConfigPoint, Entry, Head, Point, Position, SourceName, StreamName,
    Term,
};

use super::{plan::Plan, routed, source::SimSource};
use crate::quorum::Operation;

/// A broken promise, in words.
pub(super) type Kept = Result<(), String>;

type Sources = BTreeMap<SourceName, SimSource>;

#[derive(Debug, Default)]
pub(super) struct Promises {
    /// Acknowledged commits by their ends.
    pub(super) acked: BTreeMap<Position, CommitReceipt>,
    by_commit: HashMap<CommitId, CommitReceipt>,
    pub(super) highest_acked: Position,
    /// Commits whose clients were told that nothing was written, and that nobody tried again.
    refused: HashSet<CommitId>,
    /// What a watermark said that a majority holds.
    settled: BTreeMap<Position, Chain>,
    /// The highest commit that was known to be kept under each term: what every later primary must hold.
    kept_under: BTreeMap<Term, (Position, Chain)>,
    /// Commits that were lost and may be.
    lost: usize,
    /// Ends of what was shown of others than the primary.
    shown: BTreeMap<Position, Chain>,
}

/// A source before an operation.
pub(super) struct Before {
    head: Head,
    removed: usize,
}

impl Before {
    pub(super) fn of(source: &SimSource) -> Self {
        Self { head: source.head.clone(), removed: source.removed.len() }
    }
}

impl Promises {
    /// An operation was executed.
    pub(super) fn executed(
        &mut self,
        plan: &Plan,
        name: &SourceName,
        before: &Before,
        source: &SimSource,
        operation: &Operation,
    ) -> Kept {
        let (was, is) = (&before.head, &source.head);
        if was.revision == is.revision {
            return Ok(());
        }
        if is.term < was.term {
            return Err(format!("{name}: the term fell from {} to {}", was.term, is.term));
        }
        if is.tail.term > is.term {
            return Err(format!("{name}: an entry of term {} under term {}", is.tail.term, is.term));
        }
        if let Operation::Append(append) = operation
            && is.tail != was.tail
            && (was.lead, was.term) != (append.term, append.term)
        {
            return Err(format!("{name}: an append of term {}, which it was not opened for", append.term));
        }
        let gone = &source.removed[before.removed..];
        let rises = |entries: &[Entry]| entries.windows(2).all(|pair| pair[0].term <= pair[1].term);
        let newest = source.entries.len().saturating_sub(4);
        if !rises(&source.entries[newest..]) {
            return Err(format!("{name}: terms fall in the log"));
        }
        if is.watermarks.stable.max(is.watermarks.acked) > is.tail.position {
            return Err(format!("{name}: a watermark beyond the tail"));
        }
        if let (Some(most), Operation::Append(append)) = (plan.most_unreplicated, operation)
            && append.batch.iter().any(|commit| !commit.is_system())
            && was.tail.position.get() > was.watermarks.stable.max(append.watermarks.stable).get() + most
        {
            return Err(format!("{name}: too much is in the primary alone at {}", was.tail.position));
        }
        if !plan.is_lossless() {
            return Ok(());
        }
        if is.watermarks.stable < was.watermarks.stable || is.watermarks.acked < was.watermarks.acked {
            return Err(format!("{name}: a watermark fell from {:?}", was.watermarks));
        }
        let acknowledged = |entry: &&Entry| {
            self.acked.get(&entry.last()).is_some_and(|receipt| receipt.chain == entry.chain)
        };
        if let Some(entry) = gone.iter().find(acknowledged) {
            return Err(format!("{name}: an acknowledged commit at {} was truncated", entry.last()));
        }
        let only_learns =
            plan.spare == 0 && was.config.config.learners.iter().any(|learner| learner.name == *name);
        if only_learns && !gone.is_empty() {
            return Err(format!("{name}: a learner had to give back what it held"));
        }
        if is.watermarks.stable > was.watermarks.stable {
            self.settle(name, was.watermarks.stable, source)?;
        }
        if matches!(operation, Operation::Open(_)) {
            self.opened(name, source)?;
        }
        Ok(())
    }

    /// A watermark rose: there is one committed history.
    fn settle(&mut self, name: &SourceName, from: Position, source: &SimSource) -> Kept {
        let first = source.entries.partition_point(|entry| entry.last() <= from);
        let covered = source.entries[first..].iter();
        for entry in covered.take_while(|entry| entry.last() <= source.head.watermarks.stable) {
            let before = self.settled.insert(entry.last(), entry.chain);
            if before.is_some_and(|chain| chain != entry.chain) {
                return Err(format!("{name}: two committed histories at {}", entry.last()));
            }
        }
        if let Some(entry) = source.entry_at(source.head.watermarks.stable) {
            self.kept(source.head.term, entry.last(), entry.chain);
        }
        Ok(())
    }

    fn kept(&mut self, under: Term, position: Position, chain: Chain) {
        let highest = self.kept_under.entry(under).or_insert((position, chain));
        *highest = if position > highest.0 { (position, chain) } else { *highest };
    }

    /// A new primary holds all that was ever committed: equal chains mean equal histories.
    fn opened(&self, name: &SourceName, source: &SimSource) -> Kept {
        // one of an earlier term may come late; it commits nothing any more
        for (position, chain) in self.kept_under.range(..source.head.term).map(|(_, kept)| *kept) {
            if source.entry_at(position).is_none_or(|entry| entry.chain != chain) {
                return Err(format!("{name}: a primary without what was committed at {position}"));
            }
        }
        Ok(())
    }

    /// A client was told that its commit is kept.
    pub(super) fn acknowledged(
        &mut self,
        plan: &Plan,
        under: Term,
        commit: CommitId,
        receipt: CommitReceipt,
        sources: &Sources,
    ) -> Kept {
        if plan.is_lossless() {
            let other = self.acked.get(&receipt.last).filter(|before| **before != receipt);
            if let Some(before) = other {
                return Err(format!("two answers for position {}: {before:?} and {receipt:?}", receipt.last));
            }
            let other = self.by_commit.get(&commit).filter(|before| **before != receipt);
            if let Some(before) = other {
                return Err(format!("two answers for one commit: {before:?} and {receipt:?}"));
            }
            if plan.off.is_none() && !is_held(plan, &receipt, sources) {
                return Err(format!("the commit at {} has not reached its ack level", receipt.last));
            }
        }
        if plan.is_routed && plan.is_lossless() {
            routed::keepers_hold(&receipt, sources)?;
        }
        self.kept(under, receipt.last, receipt.chain);
        self.highest_acked = self.highest_acked.max(receipt.last);
        self.by_commit.insert(commit, receipt.clone());
        self.acked.insert(receipt.last, receipt);
        Ok(())
    }

    /// A reader was shown another source than the primary up to this point.
    pub(super) fn shown(&mut self, plan: &Plan, name: &SourceName, cap: Point, source: &SimSource) -> Kept {
        let held = source.entry_at(cap.position).map(|entry| entry.chain);
        if held != Some(cap.chain) {
            return Err(format!("{name}: another history was shown than was counted up to {}", cap.position));
        }
        let other = self.shown.insert(cap.position, cap.chain).filter(|chain| *chain != cap.chain);
        match other {
            Some(_) if !plan.opens_minority => {
                Err(format!("{name}: two histories were shown at {}", cap.position))
            }
            _ => Ok(()),
        }
    }

    /// A client was told of each of its tries that nothing was written.
    pub(super) fn refused(&mut self, commit: CommitId) {
        self.refused.insert(commit);
    }

    /// The end: all members hold one log, and everything acknowledged is in it.
    pub(super) fn at_end(&mut self, plan: &Plan, sources: &Sources, members: &BTreeSet<SourceName>) -> Kept {
        let in_use = || sources.iter().filter(|(name, _)| members.contains(*name));
        let best = in_use().map(|(_, source)| source).max_by_key(|source| source.head.tail.position);
        let best = best.ok_or("no sources")?;
        // whoever opens a log without a majority loses what a majority had
        let may_go = plan.opens_minority;
        let is_there = |position: Position, chain: Chain| {
            best.entry_at(position).is_some_and(|entry| entry.chain == chain)
        };
        let shown = self.shown.iter().map(|(position, chain)| (*position, *chain));
        if let Some((position, _)) = shown.filter(|_| !may_go).find(|(at, chain)| !is_there(*at, *chain)) {
            return Err(format!("what was shown up to {position} is not in the log"));
        }
        let known: HashSet<Chain> = sources
            .values()
            .flat_map(|source| source.entries.iter().chain(&source.removed))
            .map(|entry| entry.chain)
            .collect();
        for (position, receipt) in &self.acked {
            let is_there = best.entry_at(*position).is_some_and(|entry| entry.chain == receipt.chain);
            if !is_there && plan.is_lossless() {
                return Err(format!("the acknowledged commit at {position} is not in the log"));
            }
            if !is_there && !known.contains(&receipt.chain) {
                return Err(format!("the commit at {position} is neither in a log nor in quarantine"));
            }
            self.lost += usize::from(!is_there);
        }
        let is_refused = |entry: &&Entry| entry.commit_id().is_some_and(|id| self.refused.contains(&id));
        if let Some(entry) = best.entries.iter().find(is_refused) {
            return Err(format!("the commit at {} was refused: nothing was written, it said", entry.last()));
        }
        for (name, source) in in_use() {
            if without_data(&source.entries) != without_data(&best.entries) {
                return Err(format!("{name} holds another log at the end"));
            }
            if !plan.is_routed && source.entries != best.entries {
                return Err(format!("{name} holds other data at the end"));
            }
        }
        routed::all_is_kept(sources)?;
        is_sound(&best.entries)
    }
}

fn without_data(entries: &[Entry]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    entries.iter_mut().flat_map(|entry| &mut entry.events).for_each(|event| event.data = None);
    entries
}

/// Whether so many voters hold the commit as its level asks for, by a configuration that was in force then or later.
fn is_held(plan: &Plan, receipt: &CommitReceipt, sources: &Sources) -> bool {
    let holds =
        |source: &SimSource| source.entry_at(receipt.last).is_some_and(|entry| entry.chain == receipt.chain);
    let holders: BTreeSet<&SourceName> =
        sources.iter().filter(|(_, source)| holds(source)).map(|(name, _)| name).collect();
    let configs = sources.values().filter(|source| holds(source)).flat_map(SimSource::configs);
    configs.map(|point: &ConfigPoint| &point.config).any(|config| {
        let voters = config.voters.iter().filter(|voter| holders.contains(&voter.name)).count();
        let in_sync = plan.acks != Acks::All
            || config.in_sync.len() >= usize::from(config.min_in_sync)
                && config.in_sync.iter().all(|name| holders.contains(name));
        voters >= plan.acks.required(config.voters.len()).min(Acks::Majority.required(config.voters.len()))
            && in_sync
    })
}

/// Positions without a hole, versions one after the other, commits whole, ids once, time never backwards.
fn is_sound(entries: &[Entry]) -> Kept {
    let mut versions: HashMap<&StreamName, u64> = HashMap::new();
    let mut ids = HashSet::new();
    let (mut position, mut recorded_at) = (0, None);
    for entry in entries {
        for event in &entry.events {
            position += 1;
            let version = versions.entry(&event.stream).or_default();
            *version += 1;
            if event.position.get() != position || event.version.get() != *version {
                return Err(format!("a hole before {}", event.position));
            }
            if (event.first, event.last) != (entry.first(), entry.last()) || !ids.insert(event.id) {
                return Err(format!("half a commit, or an event twice, at {}", event.position));
            }
        }
        if recorded_at.is_some_and(|before| entry.recorded_at() < before) {
            return Err(format!("time went backwards at {}", entry.last()));
        }
        recorded_at = Some(entry.recorded_at());
    }
    Ok(())
}
