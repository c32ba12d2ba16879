//! Every operation that writes, as data: to be sent again, sent late, or stopped half-way.

use super::{
    Kit, Violation,
    events::stream,
    subject::{Checked, Subject, apply, under},
};
use crate::{
    Append, Apply, Commit, Entry, Expected, Head, Identity, Lease, LeaseSwap, Nonce, Open, OperationError,
    QuarantinePlace, Quarantined, Source, StreamAppend, Term, Truncate,
};

/// A request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Promise(Term, Nonce),
    Open(Open),
    Append(Append),
    Apply(Apply),
    Truncate(Truncate),
    Lease(LeaseSwap),
}

/// Which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Promise,
    Open,
    Append,
    Apply,
    Truncate,
    Lease,
}

impl Kind {
    pub(crate) const ALL: [Kind; 6] =
        [Kind::Promise, Kind::Open, Kind::Append, Kind::Apply, Kind::Truncate, Kind::Lease];

    /// A source on which a request of this kind succeeds, and the request.
    pub(crate) async fn prepare(self, kit: &Kit) -> Checked<(Subject, Act)> {
        if self == Kind::Truncate {
            return diverged(kit).await;
        }
        let [primary, replica, _] = Subject::three(kit).await?;
        replica.follow(&primary, 1).await?;
        primary.append((0..3).map(|_| mixed(kit, &primary)).collect()).await?;
        let nonce = kit.nonce();
        Ok(match self {
            Kind::Promise => (primary, Act::Promise(Term::new(4), nonce)),
            Kind::Open => {
                primary.promise(2, nonce).await?;
                let open = primary.opening(2, nonce).await?;
                (primary, Act::Open(open))
            }
            Kind::Append => {
                let batch = (0..3).map(|_| mixed(kit, &primary)).collect();
                let append = under(&primary.head().await?, batch);
                (primary, Act::Append(append))
            }
            Kind::Apply | Kind::Truncate => {
                let tail = replica.head().await?.tail;
                let entries = primary.entries_after(tail.position).await?;
                (replica, Act::Apply(apply(1, tail, entries)))
            }
            Kind::Lease => {
                let set = Some(Lease { holder: "one".into(), beat: 1 });
                (primary, Act::Lease(LeaseSwap { name: LEASE.into(), expect: None, set }))
            }
        })
    }
}

const LEASE: &str = "push";

/// A commit over two streams.
pub(crate) fn mixed(kit: &Kit, subject: &Subject) -> Commit {
    let append = |name, count| StreamAppend::new(stream(name), Expected::Any, kit.events(count));
    Commit::new(subject.log(), vec![append("one-1", 2), append("two-2", 1)])
}

/// A source with a tail that lost: the primary of term 2 does not have it.
async fn diverged(kit: &Kit) -> Checked<(Subject, Act)> {
    let [loser, winner, _] = Subject::three(kit).await?;
    loser.append((0..2).map(|_| mixed(kit, &loser)).collect()).await?;
    let keep = winner.follow(&loser, 1).await?.tail;
    winner.lead(2).await?;
    let tail = loser.append((0..3).map(|_| mixed(kit, &loser)).collect()).await?.head.tail;
    Ok((loser, Act::Truncate(Truncate { term: Term::new(2), keep, tail })))
}

impl Act {
    /// Sends the request.
    pub(crate) async fn send(&self, source: &dyn Source, of: &Identity) -> Result<(), OperationError> {
        match self.clone() {
            Act::Promise(term, nonce) => source.promise(of, term, nonce).await.map(drop),
            Act::Open(open) => source.open(of, open).await.map(drop),
            Act::Append(append) => source.append(of, append).await.map(drop),
            Act::Apply(apply) => source.apply(of, apply).await.map(drop),
            Act::Truncate(truncate) => source.truncate(of, truncate).await.map(drop),
            Act::Lease(swap) => source.lease(of, swap).await.map(drop),
        }
    }

    /// Whether the request took effect between two states. All other differences are violations.
    pub(crate) fn took_effect(&self, before: &State, after: &State) -> Checked<bool> {
        if after.is_like(before) {
            return Ok(false);
        }
        let (old, new) = (before.entries.len(), &after.entries[..]);
        let grew_by = |count: usize| new.len() == old + count && new[..old] == before.entries[..];
        let is_whole = match self {
            Act::Promise(term, nonce) => {
                (after.head.term, after.head.grant) == (*term, Some(*nonce)) && new == &before.entries[..]
            }
            Act::Open(open) => after.head.lead == open.term && grew_by(1),
            Act::Append(append) => {
                grew_by(append.batch.len())
                    && append
                        .batch
                        .iter()
                        .zip(&new[old..])
                        .all(|(commit, entry)| entry.commit_id() == Some(commit.id))
            }
            Act::Apply(apply) => grew_by(apply.entries.len()) && new[old..] == apply.entries[..],
            Act::Truncate(truncate) => {
                let kept = before.entries.iter().filter(|entry| entry.last() <= truncate.keep.position);
                let removed = before.entries.iter().filter(|entry| entry.last() > truncate.keep.position);
                kept.eq(new) && removed.eq(after.quarantine.iter().map(|removed| &removed.entry))
            }
            Act::Lease(swap) => after.lease == swap.set && new == &before.entries[..],
        };
        if is_whole { Ok(true) } else { Err(Violation::new(format_args!("{self:?} took effect in part"))) }
    }
}

/// All that a source holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) head: Head,
    pub(crate) entries: Vec<Entry>,
    pub(crate) quarantine: Vec<Quarantined>,
    pub(crate) lease: Option<Lease>,
}

impl State {
    /// Whether nothing but the head's revision differs.
    fn is_like(&self, other: &State) -> bool {
        let head = Head { revision: other.head.revision, ..self.head.clone() };
        State { head, ..self.clone() } == *other
    }
}

impl Subject {
    /// All that it holds.
    pub(crate) async fn state(&self) -> Checked<State> {
        let (head, entries) = (self.head().await?, self.entries().await?);
        let quarantine = self.quarantine(QuarantinePlace::START, 1_000).await?;
        Ok(State { head, entries, quarantine, lease: self.leased(LEASE).await? })
    }

    /// Who holds a lease.
    pub(crate) async fn leased(&self, name: &str) -> Checked<Option<Lease>> {
        let nobody = Some(Lease { holder: "somebody whom nobody knows".into(), beat: 0 });
        let swap = LeaseSwap { name: name.into(), expect: nobody.clone(), set: nobody };
        Ok(self.source.lease(&self.identity, swap).await?.lease)
    }
}
