//! One log over its sources: group commit, opening of terms, reads and followers.
//!
//! [`Store`] is the way in. It keeps the log in one source, or in several voters.

mod appender;
mod backoff;
mod bootstrap;
mod caught;
mod configure;
mod error;
mod export;
mod follow;
mod followers;
mod freshness;
mod group;
mod heads;
mod leadership;
mod log_reads;
mod opening;
mod options;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "forced openings and sources adopted again: only simulated so far")
)]
mod quorum;
mod reader;
mod reads;
mod recent;
mod replicated;
mod search;
mod shared;
mod status;
mod store;
mod stream_reads;
mod tail;
mod token;
mod trace;
mod verdict;
mod verification;
mod writer;

pub use error::{AppendError, FollowError, InvalidCommit, OpenError, ReadError};
pub use export::LogReader;
pub use follow::{FollowOptions, FollowStep, Follower, Mark, PageLimits, Start};
pub use group::Sent;
pub use leadership::Leadership;
pub use opening::Unopened;
pub use options::{DesiredConfig, PrimaryWish, QueueBounds, StoreOptions};
pub use quorum::ForceRefused;
pub use reads::{
    Consistency, EventRead, LogQuery, LogRead, ReadOptions, Served, StreamHeadRead, StreamQuery, StreamRead,
};
pub use replicated::{Duties, Replica};
pub use search::Search;
pub use status::{Role, SourceState, SourceStatus, Stalled, StoreStatus};
pub use store::{Acknowledged, Store};
pub use token::TokenPoint;
pub use verification::{VerificationOptions, Verified};
