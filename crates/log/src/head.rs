use serde::{Deserialize, Serialize};

use crate::{ConfigPoint, DatabaseId, Incarnation, LogId, Nonce, Point, Position, Term, Timestamp};

/// The stored format that this version writes. A version that knows n reads n + 1 too, and writes nothing into it: what a
/// newer format adds must not change what an older one reads.
pub const FORMAT: u32 = 1;

/// Which log a database holds, which database it is, and which adoption of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The log.
    pub log: LogId,
    /// The database.
    pub database: DatabaseId,
    /// Its adoption by the log.
    pub incarnation: Incarnation,
}

/// What is known of how far others hold the log. Hints: they may lag, are never ahead, and fall only by a lossy truncation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watermarks {
    /// A majority of the voters holds everything up to here.
    pub stable: Position,
    /// Everything up to here has the store's ack level.
    pub acked: Position,
}

impl Watermarks {
    /// The higher of both, each bounded by `tail`.
    #[must_use]
    pub fn raised(self, to: Watermarks, tail: Position) -> Self {
        Self { stable: self.stable.max(to.stable.min(tail)), acked: self.acked.max(to.acked.min(tail)) }
    }

    /// Both bounded by `tail`.
    #[must_use]
    pub fn capped(self, tail: Position) -> Self {
        Self { stable: self.stable.min(tail), acked: self.acked.min(tail) }
    }
}

/// A truncation that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// 1-based number of the truncation in this database.
    pub number: u64,
    /// What was kept.
    pub keep: Point,
    /// The tail that was removed.
    pub removed: Point,
    /// The term under which it was done.
    pub term: Term,
}

/// What a source says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Log, database, incarnation.
    pub identity: Identity,
    /// Stored format; see [`FORMAT`].
    pub format: u32,
    /// Highest term promised or accepted; never falls.
    pub term: Term,
    /// The proposer that has this source's promise for `term`.
    pub grant: Option<Nonce>,
    /// Last term that this source was opened as primary of.
    pub lead: Term,
    /// The end of the last entry.
    pub tail: Point,
    /// When the last entry was recorded.
    pub recorded_at: Timestamp,
    /// The last `$config` in this log.
    pub config: ConfigPoint,
    /// Hints on what others hold.
    pub watermarks: Watermarks,
    /// The last truncation, whose number counts them.
    pub last_cut: Option<Cut>,
    /// Grows at every write of the head.
    pub revision: u64,
}

impl Head {
    /// The head of a database that was provisioned and holds no entries yet.
    pub fn empty(identity: Identity, implicit: crate::Config) -> Self {
        Self {
            identity,
            format: FORMAT,
            term: Term::ZERO,
            grant: None,
            lead: Term::ZERO,
            tail: Point::start(identity.log),
            recorded_at: Timestamp::EPOCH,
            config: ConfigPoint { position: Position::ZERO, config: std::sync::Arc::new(implicit) },
            watermarks: Watermarks::default(),
            last_cut: None,
            revision: 0,
        }
    }

    /// Whether this source is the primary of its term.
    pub fn is_primary(&self) -> bool {
        !self.term.is_zero() && self.lead == self.term
    }

    /// Number of truncations so far.
    pub fn cuts(&self) -> u64 {
        self.last_cut.map_or(0, |cut| cut.number)
    }

    /// Whether this source alone is a majority, so that what it holds as primary is committed.
    pub fn is_sole_voter(&self) -> bool {
        matches!(&self.config.config.voters[..], [voter] if voter.database == self.identity.database)
    }
}
