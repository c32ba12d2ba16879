use std::sync::Arc;

use parking_lot::Mutex;
use polylog_log::{Config, FailPoints, Head, Identity, Member, Position, Rule, SourceName};
use tokio::sync::watch;

use crate::{Options, entries::OtherData, schedule::Schedule};

/// What a kind of database stores, and how.
pub trait Kind: 'static {
    /// All that it holds.
    type Content: Clone + Send;
    /// What its operations share beside that.
    type Shared: Default + Send + Sync;
    /// Where tests can make something go wrong.
    const FAIL_POINTS: &[&str];

    /// Takes an event's row away, or puts other data into it, behind the back of every connection.
    fn damage(content: &mut Self::Content, position: Position, other: Option<OtherData>);

    /// A provisioned, empty log.
    fn content(head: Head, options: Options) -> Self::Content;
}

/// A simulated database with one log in it. Clones share it.
pub struct Database<K: Kind> {
    server: Arc<Server<K>>,
}

/// A connection to a [`Database`]: a source.
pub struct Connection<K: Kind> {
    pub(crate) server: Arc<Server<K>>,
    pub(crate) generation: u64,
}

pub(crate) struct Server<K: Kind> {
    pub(crate) options: Options,
    pub(crate) fail_points: FailPoints,
    pub(crate) schedule: Schedule,
    pub(crate) state: Mutex<State<K::Content>>,
    pub(crate) shared: K::Shared,
    pub(crate) tail: watch::Sender<Position>,
}

pub(crate) struct State<Content> {
    /// Counts crashes; connections of an earlier generation are dead.
    pub(crate) generation: u64,
    /// What operations see.
    pub(crate) memory: Content,
    /// What a crash leaves.
    pub(crate) disk: Content,
}

impl<K: Kind> Database<K> {
    /// A provisioned, empty database whose implicit configuration names one voter.
    pub fn new(identity: Identity, voter: SourceName, options: Options) -> Self {
        let Identity { database, incarnation, .. } = identity;
        let head = Head::empty(identity, Config::implicit(Member { name: voter, database, incarnation }));
        let memory = K::content(head, options);
        let state = State { generation: 0, disk: memory.clone(), memory };
        let server = Server {
            options,
            fail_points: FailPoints::new(K::FAIL_POINTS),
            schedule: Schedule::new(options.seed),
            state: Mutex::new(state),
            shared: K::Shared::default(),
            tail: watch::Sender::new(Position::ZERO),
        };
        Self { server: Arc::new(server) }
    }

    /// Another connection, as another process would make it.
    pub fn connect(&self) -> Connection<K> {
        let generation = self.server.state.lock().generation;
        Connection { server: self.server.clone(), generation }
    }

    /// Stops the database and starts it again: what was not durable is gone, every connection is dead.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Takes an event's row away, or puts other data into it, behind the back of every connection.
    pub fn damage(&self, position: Position, other: Option<OtherData>) {
        let mut state = self.server.state.lock();
        K::damage(&mut state.memory, position, other.clone());
        K::damage(&mut state.disk, position, other);
    }

    /// Where tests make something go wrong.
    pub fn fail_points(&self) -> FailPoints {
        self.server.fail_points.clone()
    }
}

impl<K: Kind> Clone for Database<K> {
    fn clone(&self) -> Self {
        Self { server: self.server.clone() }
    }
}

impl<K: Kind> Clone for Connection<K> {
    fn clone(&self) -> Self {
        Self { server: self.server.clone(), generation: self.generation }
    }
}

impl<K: Kind> Server<K> {
    pub(crate) fn crash(&self) {
        let mut state = self.state.lock();
        state.generation += 1;
        state.memory = state.disk.clone();
    }

    pub(crate) fn is_on(&self, rule: Rule) -> bool {
        self.options.rules.on(rule)
    }
}
