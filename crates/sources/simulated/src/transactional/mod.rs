//! A source with SQL's atoms: one lock, one transaction.

mod reads;
mod source;
mod tables;
mod transaction;

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use polylog_log::{
    CommitId, Config, FailPoints, Failure, Head, Identity, Member, OperationError, Position, RecordedCommit,
    Rule, SourceName,
};
use tokio::sync::watch;

use self::tables::Tables;
use crate::{Options, schedule::Schedule};

/// Between the steps of every operation that writes.
const FAIL_POINTS: &[&str] = &["locked", "decided", "row written", "written", "committed"];

/// A simulated database server with one log in it. Clones share it.
#[derive(Clone)]
pub struct Database {
    server: Arc<Server>,
}

/// A connection to a [`Database`]: a source.
#[derive(Clone)]
pub struct Connection {
    server: Arc<Server>,
    generation: u64,
}

struct Server {
    options: Options,
    fail_points: FailPoints,
    schedule: Schedule,
    /// The lock on the head's row. Holding it over awaits is what a transaction does.
    lock: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// What transactions under way have decided; only looked at when the rule against it is off.
    uncommitted: Mutex<HashMap<CommitId, RecordedCommit>>,
    tail: watch::Sender<Position>,
}

struct State {
    /// Counts crashes; connections of an earlier generation are dead.
    generation: u64,
    /// What transactions see.
    memory: Tables,
    /// What a crash leaves.
    disk: Tables,
}

impl Database {
    /// A provisioned, empty database whose implicit configuration names one voter.
    pub fn new(identity: Identity, voter: SourceName, options: Options) -> Self {
        let Identity { database, incarnation, .. } = identity;
        let head = Head::empty(identity, Config::implicit(Member { name: voter, database, incarnation }));
        let tables = Tables::new(head, options.rules);
        let (memory, disk) = (tables.clone(), tables);
        let state = State { generation: 0, memory, disk };
        let server = Server {
            options,
            fail_points: FailPoints::new(FAIL_POINTS),
            schedule: Schedule::new(options.seed),
            lock: tokio::sync::Mutex::new(()),
            state: Mutex::new(state),
            uncommitted: Mutex::default(),
            tail: watch::Sender::new(Position::ZERO),
        };
        Self { server: Arc::new(server) }
    }

    /// Another connection, as another process would make it.
    pub fn connect(&self) -> Connection {
        let generation = self.server.state.lock().generation;
        Connection { server: self.server.clone(), generation }
    }

    /// Stops the server and starts it again: what was not committed is gone, every connection is dead.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Where tests make something go wrong.
    pub fn fail_points(&self) -> FailPoints {
        self.server.fail_points.clone()
    }
}

impl Server {
    fn crash(&self) {
        let mut state = self.state.lock();
        state.generation += 1;
        state.memory = state.disk.clone();
    }

    fn is_on(&self, rule: Rule) -> bool {
        self.options.rules.on(rule)
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
