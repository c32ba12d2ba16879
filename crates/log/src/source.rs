use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    Category, Commit, ConfigVersion, Count, Counted, Cut, Digest, Entry, Event, EventId, Find, Findings,
    Head, Identity, LeaseAnswer, LeaseSwap, Limits, Nonce, Point, Position, Refusal, Repair, Repaired,
    Select, Selected, SourceName, StreamHead, StreamName, Strip, Tallied, Tally, Term, Verdict, Version,
    Watermarks, search,
};

/// One database that holds a copy of the log.
///
/// Every operation is atomic in the source, and every answer carries the head after it, read in the same atomic step.
/// A request may be executed late, or twice: the preconditions ([`Head::admit`]) make that harmless. Dropping a future
/// does not undo an operation: its outcome is then unknown.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What the source says of itself.
    async fn head(&self) -> Result<Head, Failure>;

    /// Promises `term` to the proposer with this nonce, and to no other.
    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError>;

    /// Makes the source the primary of a promised term, and records that in the log.
    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError>;

    /// Appends commits as primary, each whole or not at all; gives each its own verdict.
    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError>;

    /// Copies entries of the primary.
    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError>;

    /// Moves a tail that lost to quarantine.
    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError>;

    /// Writes rows back that are missing or damaged, of entries that the own chain proves; the log is the same afterwards.
    /// Never writes over a whole event that is another ([`Refusal::OtherEvent`]): then nothing is written.
    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError>;

    /// Drops the data of events that another source keeps; all else of them stays, and so does the log. What is not there,
    /// or is another event, is left alone.
    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError>;

    /// Whole entries from the one that holds `from` on, with the head of the same snapshot. At least one entry where
    /// there is one, however large.
    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure>;

    /// Events of one stream, with the head of the same snapshot.
    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure>;

    /// Events of one category by position, with the head of the same snapshot.
    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure>;

    /// The event with this id, with the head of the same snapshot.
    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure>;

    /// Events of a range of positions that are what is asked for, by position, with the head of the same snapshot. For
    /// searches: unlike [`Self::read_log`] it need not give whole entries. An engine without a way of its own reads the log.
    async fn select(&self, select: Select) -> Result<Selected, Failure> {
        search::select_by_reading(self, select).await
    }

    /// How many events of a range are alike, with the head of the same snapshot. An engine without a way of its own
    /// selects them.
    async fn tally(&self, tally: Tally) -> Result<Tallied, Failure> {
        search::tally_by_selecting(self, tally).await
    }

    /// Whether a read changes something in the database, which appends then meet: it is asked where no other can be.
    fn reads_write(&self) -> bool {
        false
    }

    /// Whether the engine has an index of its own, by which it finds and counts without a look at each event.
    fn has_index(&self) -> bool {
        false
    }

    /// The first events of an order by the engine's own index; `None` = it cannot say what a look at each event would.
    async fn find_by_index(&self, _: Find) -> Result<Option<Findings>, Failure> {
        Ok(None)
    }

    /// Counts by the engine's own index; `None` = it cannot say what a look at each event would.
    async fn count_by_index(&self, _: Count) -> Result<Option<Counted>, Failure> {
        Ok(None)
    }

    /// Count and combined digest of the rows in a range, and the chain at its end.
    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure>;

    /// Entries that truncations removed, oldest first; at most `limit` of those after this place.
    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure>;

    /// Returns when there may be events after `after`, or when `at_most` has passed. A hint, never the truth.
    async fn wait(&self, after: Position, at_most: Duration);

    /// Swaps a lease, if it is what the sender saw.
    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError>;

    /// What this engine can hold at most, whatever the manifest allows.
    fn limits(&self) -> Limits;
}

/// See [`Source::open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The promised term.
    pub term: Term,
    /// The nonce it was promised to.
    pub nonce: Nonce,
    /// The tail that the source must have.
    pub tail: Point,
    /// The source's name, as recorded in the log.
    pub primary: SourceName,
    /// Opened without a majority.
    pub forced: bool,
    /// Voters that were not asked.
    pub missing: Vec<SourceName>,
}

/// See [`Source::append`].
#[derive(Debug, Clone)]
pub struct Append {
    /// The sender's term.
    pub term: Term,
    /// The configuration that the sender works under.
    pub config: ConfigVersion,
    /// Whole commits; may be empty, then only the watermarks are raised.
    pub batch: Arc<[Commit]>,
    /// What the sender knows of the others.
    pub watermarks: Watermarks,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// One per commit, in order.
    pub verdicts: Vec<Verdict>,
    /// The head afterwards.
    pub head: Head,
    /// The entries that it wrote, in order: whoever copies them on need not read them.
    pub written: Vec<Entry>,
}

/// See [`Source::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    /// The sender's term.
    pub term: Term,
    /// The tail that the entries continue.
    pub previous: Point,
    /// Whole entries, in order; may be empty. Shared, because a request may be kept and sent again.
    pub entries: Arc<[Entry]>,
    /// What the sender knows of the others.
    pub watermarks: Watermarks,
}

/// See [`Source::truncate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncate {
    /// The term of the current primary.
    pub term: Term,
    /// The end of the last entry to keep.
    pub keep: Point,
    /// The tail that the source must have.
    pub tail: Point,
}

/// See [`Source::read_log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLog {
    /// The first entry is the one that holds this position.
    pub from: Position,
    /// No entry begins after this position.
    pub to: Position,
    /// No further entry begins once this many events are read.
    pub max_events: usize,
    /// No further entry begins once this many bytes are read.
    pub max_bytes: usize,
}

/// Entries and the head they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// Consecutive.
    pub entries: Vec<Entry>,
    /// Of the same snapshot.
    pub head: Head,
}

/// See [`Source::read_stream`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadStream {
    /// The stream.
    pub stream: StreamName,
    /// The first version to read (the highest when reading backward); beyond the end counts as the end.
    pub from: Version,
    /// From the end to the beginning.
    pub backward: bool,
    /// At most this many events.
    pub max_events: usize,
    /// No further event once this many bytes are read.
    pub max_bytes: usize,
}

/// An event with the term and chain of its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The event.
    pub event: Event,
    /// The term of its entry.
    pub term: Term,
    /// The chain at the end of its entry.
    pub chain: crate::Chain,
}

/// A stream's events and the head they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPage {
    /// In the order asked for.
    pub events: Vec<RecordedEvent>,
    /// The stream's last version and attributes; `None` = it does not exist.
    pub stream: Option<StreamHead>,
    /// Of the same snapshot.
    pub head: Head,
}

/// See [`Source::read_category`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCategory {
    /// The category.
    pub category: Category,
    /// The positions to look at.
    pub range: RangeInclusive<Position>,
    /// From the end to the beginning.
    pub backward: bool,
    /// At most this many events.
    pub max_events: usize,
    /// No further event once this many bytes are read.
    pub max_bytes: usize,
}

/// A category's events and the head they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryPage {
    /// In the order asked for. Fewer than asked for means that the range holds no more, unless bytes ran out.
    pub events: Vec<RecordedEvent>,
    /// Whether the whole range was looked at.
    pub is_complete: bool,
    /// Of the same snapshot.
    pub head: Head,
}

/// See [`Source::find`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEvent {
    /// The event, if it is in this source's log.
    pub event: Option<RecordedEvent>,
    /// Of the same snapshot.
    pub head: Head,
}

/// See [`Source::digests`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Number of events in the range.
    pub count: u64,
    /// Their stored digests, combined.
    pub combined: Digest,
    /// The chain of the entry that holds the range's end, if there is one.
    pub chain: Option<crate::Chain>,
}

/// A place among the entries that truncations removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantinePlace {
    /// Number of the truncation.
    pub cut: u64,
    /// The position that its entry ended at.
    pub position: Position,
}

impl QuarantinePlace {
    /// Before every one.
    pub const START: Self = Self::end_of(0);

    /// Behind everything that this truncation removed.
    pub const fn end_of(cut: u64) -> Self {
        // the highest that every engine can store
        Self { cut, position: Position::new(i64::MAX as u64) }
    }
}

/// An entry that a truncation removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The truncation.
    pub cut: Cut,
    /// The entry, as it stood.
    pub entry: Entry,
}

impl Quarantined {
    /// Where it stands among all that were removed.
    pub fn place(&self) -> QuarantinePlace {
        QuarantinePlace { cut: self.cut.number, position: self.entry.last() }
    }
}

/// Why a source's operation did not answer with success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// The source decided against it; nothing was written. The head says why.
    #[error("{reason}")]
    Refused {
        /// The rule that stood against it.
        reason: Refusal,
        /// The head at that moment.
        head: Box<Head>,
    },
    /// It was certainly not executed.
    #[error("{0}")]
    Failed(Failure),
    /// It may have been executed, or may still be: read again, or send the same operation again.
    #[error("outcome unknown: {0}")]
    Unknown(Failure),
}

/// Why a database refuses its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedReason {
    /// Wrong credentials.
    Auth,
    /// Missing rights.
    Rights,
    /// It takes no writes.
    ReadOnly,
    /// No space is left.
    DiskFull,
    /// The secure connection could not be made.
    Tls,
    /// Its version or settings cannot keep what is written: durability off, another encoding.
    Unsuitable,
}

impl std::fmt::Display for RefusedReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RefusedReason::Auth => "auth",
            RefusedReason::Rights => "rights",
            RefusedReason::ReadOnly => "read_only",
            RefusedReason::DiskFull => "disk_full",
            RefusedReason::Tls => "tls",
            RefusedReason::Unsuitable => "unsuitable",
        })
    }
}

/// What is wrong with a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It does not answer. Try again, or another source.
    #[error("source unreachable: {0}")]
    Unreachable(String),
    /// It answered, but not in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// It holds no log yet. Provision it.
    #[error("not provisioned: {0}")]
    NotProvisioned(String),
    /// It holds another log than expected. Check the connection.
    #[error("holds another store: {0}")]
    WrongStore(String),
    /// The database refuses its service until somebody changes something there.
    #[error("refused ({reason}): {message}")]
    Refused {
        /// The kind of refusal.
        reason: RefusedReason,
        /// The database's words.
        message: String,
    },
    /// Written by a newer version. Update this one.
    #[error("stored format {found} needs a newer version (this one knows up to {known})")]
    FormatTooNew {
        /// What the head says.
        found: u32,
        /// The newest this version knows.
        known: u32,
    },
    /// What was read contradicts itself. Restore or verify the source.
    #[error("damaged: {0}")]
    Damaged(String),
}
