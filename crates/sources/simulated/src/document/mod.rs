//! A source with a document store's atoms: a conditional update of one document, an insert if absent, reads that span no
//! two documents.
//!
//! The head is one document. It holds the batch in flight, so that one swap of it, conditional on its revision, decides
//! and records an append at once. Then the batch is *written out*, one document per event, by whoever comes along, under
//! the revision of the head it was read from; a document of a lower revision gives way. Below `base` everything is
//! written out, and only there are event documents facts.

mod documents;
mod operate;
mod reads;
mod source;
mod store;
mod swap;

use std::sync::Arc;

use parking_lot::Mutex;
use polylog_log::{Config, FailPoints, Failure, Head, Identity, Member, Position, Rule, SourceName};
use tokio::sync::watch;

use self::documents::{Collections, HeadDocument};
use crate::{Options, schedule::Schedule};

/// A simulated document store with one log in it. Clones share it.
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
    state: Mutex<State>,
    tail: watch::Sender<Position>,
}

struct State {
    /// Counts crashes; connections of an earlier generation are dead.
    generation: u64,
    /// What requests see.
    memory: Collections,
    /// What a crash leaves.
    disk: Collections,
}

impl Database {
    /// A provisioned, empty database whose implicit configuration names one voter.
    pub fn new(identity: Identity, voter: SourceName, options: Options) -> Self {
        let Identity { database, incarnation, .. } = identity;
        let head = Head::empty(identity, Config::implicit(Member { name: voter, database, incarnation }));
        let memory = Collections::new(HeadDocument::new(head));
        let state = State { generation: 0, disk: memory.clone(), memory };
        let server = Server {
            options,
            fail_points: FailPoints::new(store::FAIL_POINTS),
            schedule: Schedule::new(options.seed),
            state: Mutex::new(state),
            tail: watch::Sender::new(Position::ZERO),
        };
        Self { server: Arc::new(server) }
    }

    /// Another connection, as another process would make it.
    pub fn connect(&self) -> Connection {
        let generation = self.server.state.lock().generation;
        Connection { server: self.server.clone(), generation }
    }

    /// Stops the store and starts it again: what was not durable is gone, every connection is dead.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Where tests make something go wrong: before and after each kind of request.
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

/// A request without an answer: it may have been executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lost;

impl From<Lost> for Failure {
    fn from(_: Lost) -> Self {
        Failure::Unreachable("a request to the document store got no answer".into())
    }
}
