use std::sync::Arc;

use async_trait::async_trait;

use super::Violation;
use crate::{DataDigest, Digest, FailPoints, Identity, Position, Source, SourceName};

/// What an engine implements so that the kit can test it.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// A new database, provisioned and empty, with this identity; its implicit configuration
    /// ([`Config::implicit`](crate::Config::implicit)) names one voter: `voter` in this database.
    async fn create(&self, identity: Identity, voter: SourceName) -> Result<Box<dyn Database>, Violation>;
}

/// A database under test. Dropping it may delete it.
#[async_trait]
pub trait Database: Send + Sync + 'static {
    /// Another handle to the same database, as another process would open it. Runs whatever recovery the engine has.
    async fn open(&self) -> Result<Arc<dyn Source>, Violation>;

    /// Drops whatever is not durable, as a crash of the database and of every process at once would.
    ///
    /// The kit has dropped its handles before, or does not use them any more; operations may still be in flight in them
    /// and must have no effect after this returned.
    async fn crash(&self) -> Result<(), Violation>;

    /// Does to the stored row of an event what a bad disk or somebody with a database client does. `false`: this engine
    /// cannot write rows back.
    async fn damage(&self, _position: Position, _damage: Damage) -> Result<bool, Violation> {
        Ok(false)
    }

    /// The engine's fail points, shared by every handle to this database. Those of an engine without any are empty.
    fn fail_points(&self) -> FailPoints {
        FailPoints::default()
    }

    /// How other processes reach this database; `None` where none can.
    fn processes(&self) -> Option<Processes> {
        None
    }
}

/// What happens to a stored row behind its source's back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// It is gone.
    Remove,
    /// It holds other data, and says these digests of it.
    Replace {
        /// The data.
        data: Vec<u8>,
        /// What it says to be the data's digest.
        data_digest: DataDigest,
        /// What it says to be the event's digest.
        digest: Digest,
    },
}

/// How the kit starts real processes that work on a database, to kill them.
///
/// The test binary needs a test of the name `child_test` whose body is [`child`](super::child); the kit starts the test
/// binary again with that test alone.
#[derive(Debug, Clone)]
pub struct Processes {
    /// The full name of the test in the test binary that the children run.
    pub child_test: &'static str,
    /// What a child needs to reach the database, for example a path.
    pub locator: String,
}
