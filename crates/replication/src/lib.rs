//! One log over its sources: group commit, opening of terms, reads and followers.
//!
//! [`Store`] is the way in. This version keeps one voter; what needs a second source is refused.

mod error;
mod export;
mod follow;
mod options;
mod reads;
mod status;
mod store;
mod token;

pub use error::{AppendError, FollowError, InvalidCommit, OpenError, ReadError};
pub use export::LogReader;
pub use follow::{FollowOptions, FollowStep, Follower, Mark, PageLimits, Start};
pub use options::{DesiredConfig, QueueBounds, StoreOptions};
pub use reads::{
    Consistency, EventRead, LogQuery, LogRead, ReadOptions, Served, StreamHeadRead, StreamQuery, StreamRead,
};
pub use status::{Role, SourceState, SourceStatus, StoreStatus};
pub use store::{Acknowledged, Store};
pub use token::TokenPoint;
