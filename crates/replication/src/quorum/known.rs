//! What is known of each source: its newest head, since when it does not answer, and whether it forgot something.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use polylog_log::{Head, Identity, Lease, Member, SourceName, Term};

use super::memory::Memory;
use crate::backoff::Backoff;

/// A source that was read meanwhile is no more said to refuse writes when the last one that failed is older than this:
/// nobody tried.
const TRIED_WITHIN: Duration = Duration::from_secs(10);

/// Writes that failed one after the other, while nothing of the source changed.
#[derive(Debug, Clone, Copy)]
struct Refusing {
    /// When the first of them was sent.
    since: Instant,
    /// When the last of them failed.
    until: Instant,
}

/// One source.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) identity: Identity,
    pub(crate) head: Option<Head>,
    /// When the head was last seen to change.
    pub(crate) moved_at: Option<Instant>,
    /// When the last request was sent that was answered: what happened later is not known.
    seen_at: Option<Instant>,
    /// It showed less than it had shown before: a backup was put back, or writes were lost that it had answered. It is
    /// not that voter any more, until it is adopted again.
    pub(crate) went_back: bool,
    /// Since when every read failed.
    pub(crate) failing_since: Option<Instant>,
    backoff: Backoff,
    /// Nothing is asked of it before this moment.
    pub(crate) rests_until: Option<Instant>,
    /// It answers, perhaps, and takes no writes: its disk is full, it is read-only, somebody holds its lock.
    refusing: Option<Refusing>,
    write_backoff: Backoff,
    /// Nothing is written to it before this moment.
    writes_rest_until: Option<Instant>,
    /// What it keeps of the others.
    pub(crate) keeps: Keeps,
}

/// What is known of that which a source keeps of the others.
#[derive(Debug, Default)]
pub(crate) struct Keeps {
    /// Whether it said what it keeps.
    is_told: bool,
    /// Whether it said so after the last source came back that was away: others may have seen more of that one.
    is_fresh: bool,
    /// As it stands there.
    pub(crate) lease: Option<Lease>,
    /// When it was last brought up to date.
    written_at: Option<Instant>,
}

impl Known {
    fn new(identity: Identity) -> Self {
        Self {
            identity,
            head: None,
            moved_at: None,
            seen_at: None,
            went_back: false,
            failing_since: None,
            backoff: Backoff::default(),
            rests_until: None,
            refusing: None,
            write_backoff: Backoff::default(),
            writes_rest_until: None,
            keeps: Keeps::default(),
        }
    }

    /// Whatever was written to it last was written, or may be tried now.
    fn may_take_writes(&mut self) {
        (self.refusing, self.writes_rest_until) = (None, None);
        self.write_backoff.succeeded();
    }

    /// Since when it refuses writes, as far as was tried lately.
    pub(crate) fn refuses_since(&self, now: Instant) -> Option<Instant> {
        let Refusing { since, until } = self.refusing?;
        (now.saturating_duration_since(until) < TRIED_WITHIN).then_some(since)
    }
}

/// All sources that the manifest names, by name.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    known: BTreeMap<SourceName, Known>,
    /// Grows whenever a head is seen to change.
    moves: u64,
    /// What others keep of each.
    memory: Memory,
}

impl Sources {
    pub(crate) fn new(sources: impl IntoIterator<Item = (SourceName, Identity)>) -> Self {
        let known = sources.into_iter().map(|(name, identity)| (name, Known::new(identity))).collect();
        Self { known, moves: 0, memory: Memory::default() }
    }

    /// Takes a source that the manifest names now, or the identity that it has now; `true` where that is news.
    pub(crate) fn know(&mut self, name: SourceName, identity: Identity) -> bool {
        let is_known = self.known.get(&name).is_some_and(|known| known.identity == identity);
        if !is_known {
            self.known.insert(name, Known::new(identity));
        }
        !is_known
    }

    /// Grows whenever a head is seen to change: a sign of life.
    pub(crate) fn moves(&self) -> u64 {
        self.moves
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &SourceName> {
        self.known.keys()
    }

    pub(crate) fn get(&self, name: &SourceName) -> Option<&Known> {
        self.known.get(name)
    }

    pub(crate) fn heads(&self) -> impl Iterator<Item = (&SourceName, &Head)> {
        self.known.iter().filter_map(|(name, known)| Some((name, known.head.as_ref()?)))
    }

    /// The highest term that any source was seen under.
    pub(crate) fn highest_term(&self) -> Term {
        self.heads().map(|(_, head)| head.term).max().unwrap_or(Term::ZERO)
    }

    /// The revision that was seen so far, by whomever: what is asked from now on cannot find less.
    pub(crate) fn floor(&self, name: &SourceName) -> u64 {
        let Some(known) = self.known.get(name) else { return 0 };
        let seen = known.head.as_ref().map_or(0, |head| head.revision);
        seen.max(self.memory.of(&known.identity))
    }

    /// Whether nobody is known to have seen more of it than it shows.
    pub(crate) fn is_vouched(&self, name: &SourceName) -> bool {
        let Some(known) = self.known.get(name) else { return false };
        known.head.as_ref().is_none_or(|head| head.revision >= self.memory.of(&known.identity))
    }

    /// Those whose word is worth nothing, or not before they are looked at again.
    pub(crate) fn doubted(&self) -> impl Iterator<Item = &SourceName> {
        self.known
            .iter()
            .filter(|(name, known)| known.went_back || !self.is_vouched(name))
            .map(|(name, _)| name)
    }

    /// Whether it said what it keeps of the others; `lately`: since the last of them came back.
    pub(crate) fn is_told(&self, name: &SourceName, lately: bool) -> bool {
        self.known.get(name).is_some_and(|known| known.keeps.is_told && (known.keeps.is_fresh || !lately))
    }

    /// Takes what a source keeps. `learns`: whether it counts. Returns those of which it saw more than they showed.
    pub(crate) fn told(&mut self, name: &SourceName, lease: Option<Lease>, learns: bool) -> Vec<SourceName> {
        let Some(known) = self.known.get_mut(name) else { return Vec::new() };
        (known.keeps.is_told, known.keeps.is_fresh) = (true, true);
        if let Some(lease) = lease.as_ref().filter(|_| learns) {
            self.memory.learn(&Memory::kept_in(lease));
        }
        known.keeps.lease = lease;
        self.names().filter(|name| !self.is_vouched(name)).cloned().collect()
    }

    /// What is to be kept of the voters, by every source. What only follows is filled again, whatever it forgot.
    pub(crate) fn memory(&mut self, voters: &[Member]) -> &Memory {
        let votes = |of| voters.iter().any(|voter| voter.incarnation == of);
        for known in self.known.values() {
            if let Some(head) = &known.head {
                self.memory.saw(known.identity.incarnation, head.revision);
            }
        }
        self.memory.keep(votes);
        &self.memory
    }

    /// Whether it was not brought up to date on the others for as long as this.
    pub(crate) fn is_old(&self, name: &SourceName, now: Instant, long: Duration) -> bool {
        let written_at = self.known.get(name).and_then(|known| known.keeps.written_at);
        written_at.is_none_or(|at| now.saturating_duration_since(at) >= long)
    }

    /// Takes that a source is brought up to date on the others.
    pub(crate) fn tells(&mut self, name: &SourceName, now: Instant) {
        if let Some(known) = self.known.get_mut(name) {
            known.keeps.written_at = Some(now);
        }
    }

    /// Takes a head that answers a request of this moment; `floor` is the revision that had been seen then.
    pub(crate) fn answered(
        &mut self,
        name: &SourceName,
        now: Instant,
        sent_at: Instant,
        floor: u64,
        head: &Head,
    ) {
        let Some(known) = self.known.get_mut(name) else { return };
        known.rests_until = None;
        known.backoff.succeeded();
        // what is another database, or has forgotten, answers and yet is as good as silent: nothing waits for it
        if head.identity != known.identity || known.went_back {
            known.failing_since.get_or_insert(now);
            known.head = None;
            return;
        }
        if head.revision < floor {
            known.failing_since.get_or_insert(now);
            (known.went_back, known.head) = (true, None);
            self.moves += 1;
            return;
        }
        known.seen_at = known.seen_at.max(Some(sent_at));
        let is_back = known.failing_since.take().is_some();
        if is_back {
            // what failed meanwhile failed because it was away
            known.may_take_writes();
        }
        // an answer that was long on its way tells nothing new
        if known.head.as_ref().is_none_or(|held| head.revision > held.revision) {
            known.head = Some(head.clone());
            known.moved_at = Some(now);
            // somebody wrote to it
            known.may_take_writes();
            self.moves += 1;
        }
        if is_back {
            self.known.values_mut().for_each(|known| known.keeps.is_fresh = false);
        }
    }

    /// Takes that a source took a write that does not show in its head.
    pub(crate) fn took_write(&mut self, name: &SourceName) {
        self.known.get_mut(name).into_iter().for_each(Known::may_take_writes);
    }

    /// Takes that a write failed which was sent at this moment. It is tried again a little later each time, however well
    /// the source is read.
    pub(crate) fn refused_write(&mut self, name: &SourceName, sent_at: Instant, now: Instant, random: f64) {
        let Some(known) = self.known.get_mut(name) else { return };
        let is_next = |before: &Refusing| sent_at.saturating_duration_since(before.until) < TRIED_WITHIN;
        let since = known.refusing.filter(is_next).map_or(sent_at, |before| before.since);
        known.refusing = Some(Refusing { since, until: now });
        known.writes_rest_until = Some(now + known.write_backoff.failed(random));
    }

    /// Takes that a read failed, and lets the source rest a little longer each time.
    pub(crate) fn failed(&mut self, name: &SourceName, now: Instant, random: f64) {
        let Some(known) = self.known.get_mut(name) else { return };
        known.failing_since.get_or_insert(now);
        known.rests_until = Some(now + known.backoff.failed(random));
    }

    /// Whether it may be asked now.
    pub(crate) fn is_ready(&self, name: &SourceName, now: Instant) -> bool {
        self.known.get(name).is_some_and(|known| known.rests_until.is_none_or(|until| now >= until))
    }

    /// Whether it is time to try whether it takes writes.
    pub(crate) fn is_ready_to_try(&self, name: &SourceName, now: Instant) -> bool {
        let rests_until = self.known.get(name).and_then(|known| known.writes_rest_until);
        self.is_ready(name, now) && rests_until.is_none_or(|until| now >= until)
    }

    /// Whether something may be written to it now. Not before it said what it keeps of the others, and not while somebody
    /// else saw more of it: each write would hide what it forgot.
    pub(crate) fn is_ready_to_write(&self, name: &SourceName, now: Instant) -> bool {
        self.is_ready_to_try(name, now) && self.is_told(name, false) && self.is_vouched(name)
    }

    /// Whether it answers, and has refused all that was written to it for as long as this.
    pub(crate) fn refuses_writes(&self, name: &SourceName, now: Instant, long: Duration) -> bool {
        let Some(known) = self.known.get(name) else { return false };
        let span = known.refusing.map(|Refusing { since, until }| until.saturating_duration_since(since));
        known.refuses_since(now).is_some() && span.is_some_and(|span| span >= long)
    }

    /// Whether it was silent, or refused writes, for as long as this.
    pub(crate) fn is_out(&self, name: &SourceName, now: Instant, long: Duration) -> bool {
        self.is_silent(name, now, long) || self.refuses_writes(name, now, long)
    }

    /// Up to which moment all that answer were seen; `None` = nobody answers.
    pub(crate) fn seen_until(&self) -> Option<Instant> {
        let answering =
            self.known.values().filter(|known| known.head.is_some() && known.failing_since.is_none());
        answering.filter_map(|known| known.seen_at).min()
    }

    /// Whether it answered last time.
    pub(crate) fn answers(&self, name: &SourceName) -> bool {
        self.known.get(name).is_some_and(|known| known.head.is_some() && known.failing_since.is_none())
    }

    /// Whether this is the database that the configuration counts, and it remembers what it said.
    pub(crate) fn is_member(&self, member: &Member) -> bool {
        self.known.get(&member.name).is_some_and(|known| {
            let Identity { database, incarnation, .. } = known.identity;
            (database, incarnation) == (member.database, member.incarnation) && !known.went_back
        })
    }

    /// Whether it did not answer for as long as this.
    pub(crate) fn is_silent(&self, name: &SourceName, now: Instant, long: Duration) -> bool {
        let since = self.known.get(name).and_then(|known| known.failing_since);
        since.is_some_and(|since| now.saturating_duration_since(since) >= long)
    }
}
