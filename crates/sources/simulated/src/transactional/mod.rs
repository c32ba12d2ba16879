//! A source with SQL's atoms: one lock, one transaction.

mod reads;
mod source;
mod tables;
mod transaction;

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use polylog_log::{CommitId, Failure, Head, OperationError, Position, RecordedCommit};

use self::tables::Tables;
use crate::{Options, OtherData, database};

/// A database with a lock and a transaction.
pub enum Transactional {}

/// A simulated database server with one log in it. Clones share it.
pub type Database = database::Database<Transactional>;

/// A connection to a [`Database`]: a source.
pub type Connection = database::Connection<Transactional>;

type Server = database::Server<Transactional>;

/// What transactions share.
#[derive(Default)]
pub struct Transactions {
    /// The lock on the head's row. Holding it over awaits is what a transaction does.
    lock: tokio::sync::Mutex<()>,
    /// What transactions under way have decided; only looked at when the rule against it is off.
    uncommitted: Mutex<HashMap<CommitId, RecordedCommit>>,
}

impl database::Kind for Transactional {
    type Content = Tables;
    type Shared = Transactions;
    /// Between the steps of every operation that writes.
    const FAIL_POINTS: &[&str] = &["locked", "decided", "row written", "written", "committed"];

    fn damage(tables: &mut Tables, position: Position, other: Option<OtherData>) {
        let Some(row) = tables.events.remove(&position) else { return };
        if let Some(other) = other {
            tables.events.insert(position, Arc::new(row.with_data(other)));
        }
    }

    fn content(head: Head, options: Options) -> Tables {
        Tables::new(head, options.rules)
    }
}

impl Connection {
    /// Reads committed tables, all in one moment.
    fn read<T>(&self, read: impl FnOnce(&Tables) -> T) -> Result<T, Failure> {
        let state = self.server.state.lock();
        if state.generation == self.generation { Ok(read(&state.memory)) } else { Err(lost()) }
    }
}

fn lost() -> Failure {
    Failure::Unreachable("the connection was lost".into())
}

fn injected() -> Failure {
    Failure::Unreachable("the database reported an error".into())
}

fn unknown() -> OperationError {
    OperationError::Unknown(lost())
}
