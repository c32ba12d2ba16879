//! What a process has seen of a source, so that it notices when the source goes back: a database that was restored from
//! an older copy, or that failed over to a server which lagged.

use crate::{Chain, Failure, Head, Identity, Point};

/// The newest head that a process has seen of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    identity: Identity,
    revision: u64,
    tail: Point,
    cuts: u64,
}

/// What a head, read after another one was seen, says of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// It holds what was seen.
    Holds,
    /// It holds it if an entry with this end is in it.
    IfItHolds(Point),
    /// It does not.
    WentBack,
}

impl Seen {
    /// A head that was read.
    pub fn of(head: &Head) -> Self {
        let Head { identity, revision, tail, .. } = head;
        Self { identity: *identity, revision: *revision, tail: *tail, cuts: head.cuts() }
    }

    /// Where the log ended.
    pub fn tail(&self) -> Point {
        self.tail
    }

    /// Whether this is the newer of two heads of one database; answers overtake each other.
    pub fn is_after(&self, other: &Self) -> bool {
        self.identity != other.identity || self.revision > other.revision
    }

    /// Compares it with a head that was read later. Every operation that writes raises the revision; only a truncation
    /// shortens the log, and is counted.
    pub fn compare(&self, head: &Head) -> Continuity {
        // whether it is the right database is decided elsewhere
        if head.identity != self.identity {
            return Continuity::Holds;
        }
        if head.revision < self.revision {
            return Continuity::WentBack;
        }
        if head.cuts() > self.cuts || head.tail == self.tail {
            return Continuity::Holds;
        }
        if head.tail.position <= self.tail.position {
            return Continuity::WentBack;
        }
        Continuity::IfItHolds(self.tail)
    }

    /// Decides by the chain that the log has where an entry should end; `None` = none ends there.
    pub fn holds(&self, chain: Option<Chain>) -> bool {
        chain == Some(self.tail.chain)
    }

    /// The failure with which a source that went back refuses everything.
    pub fn went_back(&self, head: &Head) -> Failure {
        Failure::WrongStore(format!(
            "the log went back: it stood at position {} and is now at {} with another history; the database was restored \
             from an older copy, or failed over to a server that lagged. Nothing is written: bring back what is missing, \
             or, to go on from here without it, start polylog again",
            self.tail.position, head.tail.position
        ))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{Chain, Config, Cut, DatabaseId, Incarnation, LogId, Member, Position, SourceName, Term};

    fn head(revision: u64, position: u64, chain: u8) -> Head {
        let identity = Identity {
            log: LogId::new(Uuid::from_u128(1)),
            database: DatabaseId::new(Uuid::from_u128(2)),
            incarnation: Incarnation::new(Uuid::from_u128(3)),
        };
        let voter = Member {
            name: SourceName::parse("main").expect("a good name"),
            database: identity.database,
            incarnation: identity.incarnation,
        };
        let tail = Point {
            position: Position::new(position),
            term: Term::FIRST,
            chain: Chain::from_bytes([chain; 16]),
        };
        Head { revision, tail, ..Head::empty(identity, Config::implicit(voter)) }
    }

    #[test]
    fn a_log_that_goes_on_holds_what_was_seen() {
        let seen = Seen::of(&head(5, 10, 1));
        assert_eq!(seen.compare(&head(5, 10, 1)), Continuity::Holds);
        assert_eq!(seen.compare(&head(9, 10, 1)), Continuity::Holds, "a promise, or a watermark");
        assert_eq!(seen.compare(&head(6, 11, 2)), Continuity::IfItHolds(seen.tail()));
        assert!(seen.holds(Some(Chain::from_bytes([1; 16]))));
    }

    #[test]
    fn a_log_that_went_back_is_noticed_however_far_it_came_again() {
        let seen = Seen::of(&head(5, 10, 1));
        assert_eq!(seen.compare(&head(4, 9, 3)), Continuity::WentBack);
        assert_eq!(seen.compare(&head(4, 12, 3)), Continuity::WentBack, "by its revision");
        assert_eq!(seen.compare(&head(7, 10, 3)), Continuity::WentBack, "another entry ends there");
        assert_eq!(seen.compare(&head(7, 9, 3)), Continuity::WentBack);
        assert!(!seen.holds(Some(Chain::from_bytes([3; 16]))) && !seen.holds(None));
        assert!(seen.went_back(&head(4, 9, 3)).to_string().contains("position 10 and is now at 9"));
    }

    #[test]
    fn a_truncation_and_another_database_are_judged_elsewhere() {
        let seen = Seen::of(&head(5, 10, 1));
        let mut cut = head(6, 8, 3);
        let (keep, removed) = (cut.tail, seen.tail());
        cut.last_cut = Some(Cut { number: 1, keep, removed, term: Term::FIRST });
        assert_eq!(seen.compare(&cut), Continuity::Holds);
        let mut other = head(1, 1, 1);
        other.identity.incarnation = Incarnation::new(Uuid::from_u128(9));
        assert_eq!(seen.compare(&other), Continuity::Holds);
        assert!(Seen::of(&other).is_after(&seen) && !seen.is_after(&Seen::of(&head(5, 10, 1))));
    }
}
