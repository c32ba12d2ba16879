//! What sources keep of each other: how far each of them was seen. One that goes back while nobody runs is so noticed by
//! whoever begins.
//!
//! It stands in a lease that is nobody's: every source has leases already, beside its log and not in it.

use std::{collections::BTreeMap, fmt};

use polylog_log::{Identity, Incarnation, Lease, LeaseSwap};
use uuid::Uuid;

/// The lease in which a source keeps what was seen of the others.
pub(crate) const LEASE: &str = "last-seen";

/// The highest revision that was seen of each source, by its adoption: another adoption begins anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    revisions: BTreeMap<Incarnation, u64>,
}

impl Memory {
    /// What a source keeps. What is not understood is passed over: a later version may have more to say.
    pub(crate) fn kept_in(lease: &Lease) -> Self {
        let read = |part: &str| {
            let (incarnation, revision) = part.split_once('=')?;
            Some((Incarnation::new(Uuid::parse_str(incarnation).ok()?), revision.parse().ok()?))
        };
        Self { revisions: lease.holder.split(' ').filter_map(read).collect() }
    }

    /// The revision that the source had at least; zero = nothing is known.
    pub(crate) fn of(&self, source: &Identity) -> u64 {
        self.revisions.get(&source.incarnation).copied().unwrap_or(0)
    }

    /// Takes that a source was seen at this revision.
    pub(crate) fn saw(&mut self, source: Incarnation, revision: u64) {
        let held = self.revisions.entry(source).or_insert(revision);
        *held = revision.max(*held);
    }

    /// Takes what somebody else saw.
    pub(crate) fn learn(&mut self, other: &Self) {
        other.revisions.iter().for_each(|(source, revision)| self.saw(*source, *revision));
    }

    /// Drops what nobody asks for any more.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(Incarnation) -> bool) {
        self.revisions.retain(|source, _| is_kept(*source));
    }

    /// To have a source keep this in place of what it kept before; `None` = it does already.
    pub(crate) fn swap(&self, before: Option<&Lease>) -> Option<LeaseSwap> {
        let (holder, beat) = (self.to_string(), before.map_or(1, |lease| lease.beat + 1));
        let is_news = before.map_or("", |lease| lease.holder.as_str()) != holder;
        let swap =
            || LeaseSwap { name: LEASE.into(), expect: before.cloned(), set: Some(Lease { holder, beat }) };
        is_news.then(swap)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (source, revision)) in self.revisions.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{source}={revision}")?;
        }
        Ok(())
    }
}

/// Asks a source what it keeps, and changes nothing.
pub(crate) fn ask() -> LeaseSwap {
    LeaseSwap { name: LEASE.into(), expect: None, set: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u8) -> Incarnation {
        Incarnation::from_bytes([number; 16])
    }

    fn lease(holder: &str, beat: u64) -> Lease {
        Lease { holder: holder.into(), beat }
    }

    #[test]
    fn what_is_kept_is_read_again_and_never_falls() {
        let mut memory = Memory::default();
        assert_eq!(memory.swap(None), None, "nothing was seen");
        memory.saw(source(1), 7);
        memory.saw(source(2), 40);
        memory.saw(source(1), 6);
        let swap = memory.swap(None).expect("there is news");
        let kept = swap.set.expect("it is kept");
        assert_eq!((swap.name.as_str(), swap.expect, kept.beat), ("last-seen", None, 1));
        let text = "01010101-0101-0101-0101-010101010101=7 02020202-0202-0202-0202-020202020202=40";
        assert_eq!(kept.holder, text, "versions read it of each other");
        assert_eq!(Memory::kept_in(&kept), memory);
        assert_eq!(memory.swap(Some(&kept)), None);

        let others = Memory::kept_in(&lease("01010101-0101-0101-0101-010101010101=9", 3));
        memory.learn(&others);
        memory.keep(|kept| kept == source(1));
        let swap = memory.swap(Some(&kept)).expect("there is news");
        assert_eq!(swap.expect, Some(kept));
        assert_eq!(swap.set, Some(lease("01010101-0101-0101-0101-010101010101=9", 2)));
    }

    #[test]
    fn what_a_later_version_says_beside_it_is_passed_over() {
        let kept =
            lease("v2 01010101-0101-0101-0101-010101010101=9 x=1 02020202-0202-0202-0202-020202020202=a", 1);
        let mut memory = Memory::default();
        memory.saw(source(1), 9);
        assert_eq!(Memory::kept_in(&kept), memory);
    }
}
