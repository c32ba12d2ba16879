//! The event, the log and the contract that every source keeps.
//!
//! Nothing here does I/O. [`Source`] is what an engine implements; [`Head::admit`] is the one place where the rules of
//! that contract are decided; the conformance kit (feature `conformance`) runs the same tests on every engine.

mod admit;
mod commit;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod digest;
mod encoding;
mod entry;
mod event;
mod fail_points;
mod head;
mod ids;
mod lease;
mod limits;
#[cfg(feature = "mutants")]
pub mod mutants;
mod names;
mod numbers;
mod preflight;
mod provision;
mod repair;
mod route;
mod rules;
mod search;
mod seen;
mod sequence;
mod source;
mod strip;
mod system;
mod time;

pub use admit::{Applying, Effect, Opening, Operation, Refusal, Truncating};
pub use commit::{Commit, CommitReceipt, Expected, RecordedCommit, StreamAppend, StreamReceipt};
pub use config::{Acks, Config, ConfigPoint, ConfigVersion, Divergence, Failover, Member};
pub use digest::{Chain, DataDigest, Digest, Fingerprint};
pub use entry::{Entry, EntryError, Point};
pub use event::{Event, JSON, NewEvent};
pub use fail_points::{FailPoints, Fault};
pub use head::{Cut, FORMAT, Head, IS_RAISED, Identity, Watermarks};
pub use ids::{CommitId, DatabaseId, EventId, Incarnation, LogId, Nonce};
pub use lease::{Lease, LeaseAnswer, LeaseSwap, LeaseWatch};
pub use limits::{LimitExceeded, Limits};
pub use names::{AggregateId, Category, EventType, NameError, SourceName, StreamName};
pub use numbers::{NumberError, Position, Term, Version};
pub use preflight::{Check, CheckOutcome, CheckTopic, Credential, GrantStage, Preflight, RoleGrants};
pub use provision::{Applied, Approval, Desired, IndexOptions, Plan, Step, StepClass};
pub use repair::{Held, HeldRow, Repair, Repaired, Repairing, Rewrite};
pub use route::{ROUTE, Route};
pub use rules::{Rule, Rules};
pub use search::{
    Count, Counted, Find, Findings, InvalidWords, LONGEST_TEXT, LONGEST_WORD, MOST_WORDS, Narrow, Order,
    Select, Selected, Sought, Tallied, Tallies, Tally, TallyRow, Words, metadata_members, metadata_values,
    search_text,
};
pub use seen::{Continuity, Seen};
pub use sequence::{Facts, StreamHead, Verdict, VersionConflict, Wanted};
pub use source::{
    Append, Appended, Apply, CategoryPage, Digests, Failure, FoundEvent, LogPage, Open, OperationError,
    QuarantinePlace, Quarantined, ReadCategory, ReadLog, ReadStream, RecordedEvent, RefusedReason, Source,
    StreamPage, Truncate,
};
pub use strip::Strip;
pub use system::{CONFIG, POLICY, TERM, TermOpened};
pub use time::Timestamp;
