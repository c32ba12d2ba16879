use std::{sync::Arc, time::Duration};

use polylog_log::{Config, Failure, Head, Identity, Member, Point, Position, SourceName, Term};

use crate::{
    Sent, Verified,
    caught::caught,
    replicated::{Replicated, View},
    shared::Shared,
    writer::Writer,
};

/// How long the source may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a source is in the log's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Counts in acks and elections.
    Voter,
    /// Only follows.
    Learner,
}

/// How a source is at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// It is the primary of the term.
    Primary,
    /// It answers, but was not opened as primary.
    NotOpened,
    /// It holds the primary's log to its end.
    Level,
    /// It lacks events that the primary has, and receives them.
    Behind,
    /// It cannot store the next event: nothing after it is copied until it can.
    Stalled(Stalled),
    /// It does not do its work.
    Failing(Failure),
}

/// An event that a source cannot store. It is never left out: it is tried again until the source takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    /// The first position of its commit.
    pub position: Position,
    /// Why not.
    pub reason: String,
}

/// One source, as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its name.
    pub name: SourceName,
    /// What it is in the configuration.
    pub role: Role,
    /// How it is.
    pub state: SourceState,
    /// Log, database, incarnation.
    pub identity: Identity,
    /// Its term.
    pub term: Term,
    /// Where its log ends.
    pub position: Position,
    /// How many events it is behind.
    pub lag_events: u64,
    /// How long it is behind; `None` = not measured.
    pub lag: Option<Duration>,
    /// Truncations of its log: each left entries in quarantine.
    pub cuts: u64,
    /// Events of callers that they left there; `None` = another process counts them, or this one has not yet.
    pub quarantined: Option<u64>,
    /// What comparing and reading it again found; `None` = this process does not verify it.
    pub verified: Option<Verified>,
}

/// A store, as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// Its name.
    pub name: String,
    /// Log, database and incarnation of the primary.
    pub identity: Identity,
    /// The primary of the term, if there is one.
    pub primary: Option<SourceName>,
    /// The term.
    pub term: Term,
    /// Where the log ends.
    pub tail: Point,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// Where it stands in the log; zero = none was written yet.
    pub config_position: Position,
    /// Every source that holds the log.
    pub sources: Vec<SourceStatus>,
    /// Appends that wait to be sent.
    pub waiting_commits: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// How well commits travelled together, since this process opened the store.
    pub sent: Sent,
    /// Number of followers.
    pub followers: usize,
    /// Where the follower stands that is furthest behind; `None` without followers.
    pub slowest_follower: Option<Position>,
    /// Whether it takes no more appends.
    pub is_draining: bool,
}

impl Shared {
    pub(crate) async fn status(&self) -> StoreStatus {
        match &self.writer {
            Writer::One(_) => self.status_of_one().await,
            Writer::Many(handle) => self.status_of_many(&handle.view()),
        }
    }

    fn status_of_many(&self, view: &View) -> StoreStatus {
        let head = self.heads.newest();
        let primary = view.primary.as_ref().map(|(name, _)| name.clone());
        let ends = view.sources.iter().filter_map(|source| source.seen.head.as_ref());
        let end = ends.map(|head| head.tail.position).max().unwrap_or(head.tail.position);
        let end = view.place.as_ref().map_or(end, |place| place.head.tail.position.max(head.tail.position));
        let source = |replicated: &Replicated| {
            let Replicated { seen, failure, lag } = replicated;
            let position = seen.head.as_ref().map_or(Position::ZERO, |head| head.tail.position);
            let is_primary = primary.as_ref() == Some(&seen.name);
            // of this name the log may count another database
            let is_this = |voter: &Member| {
                let of = (voter.database, voter.incarnation);
                voter.name == seen.name && of == (seen.identity.database, seen.identity.incarnation)
            };
            let is_voter = head.config.config.voters.iter().any(is_this);
            // what can be read of it is more than one that does not answer says
            let stalled = seen.stalled.as_ref().filter(|_| seen.failing_since.is_none());
            let state = match (failure, stalled) {
                _ if seen.went_back => {
                    let told = "it went back: it shows less than was seen of it, since a backup was put back or writes were lost; \
                         it does not count any more";
                    SourceState::Failing(Failure::WrongStore(told.into()))
                }
                (_, Some(stalled)) => SourceState::Stalled(stalled.clone()),
                (Some(failure), None) => SourceState::Failing(failure.clone()),
                (None, None) if is_primary => SourceState::Primary,
                // nobody led since this process began
                (None, None) if view.place.is_none() => SourceState::NotOpened,
                (None, None) if seen.held.is_some_and(|held| held.position >= end) => SourceState::Level,
                (None, None) => SourceState::Behind,
            };
            SourceStatus {
                name: seen.name.clone(),
                role: if is_voter { Role::Voter } else { Role::Learner },
                state,
                identity: seen.identity,
                term: seen.head.as_ref().map_or(Term::ZERO, |head| head.term),
                position,
                lag_events: end.get().saturating_sub(position.get()),
                lag: lag.filter(|_| view.place.is_some()),
                cuts: seen.head.as_ref().map_or(0, Head::cuts),
                quarantined: self.set_aside.of(&seen.name),
                verified: self.board.of(&seen.name),
            }
        };
        let sources: Vec<_> = view.sources.iter().map(source).collect();
        let identity = sources.iter().find(|source| Some(&source.name) == primary.as_ref());
        let identity = identity.map_or(self.identity, |source| source.identity);
        let term = view.primary.as_ref().map_or(head.term, |(_, term)| *term);
        self.about(head, Seen { identity, primary, term, sources })
    }

    async fn status_of_one(&self) -> StoreStatus {
        let asked = self.heads.ask();
        let answer = tokio::time::timeout(PATIENCE, caught(self.reader.head())).await;
        let failure = match answer {
            Ok(Ok(Ok(head))) if head.identity != self.identity => {
                Some(Failure::WrongStore(format!("log {}", head.identity.log)))
            }
            Ok(Ok(Ok(head))) => {
                self.heads.publish(&head, asked);
                None
            }
            Ok(Ok(Err(failure)) | Err(failure)) => Some(failure),
            Err(_) => Some(Failure::Timeout(PATIENCE)),
        };
        let head = self.heads.newest();
        let state = match failure {
            Some(failure) => SourceState::Failing(failure),
            None if head.is_primary() => SourceState::Primary,
            None => SourceState::NotOpened,
        };
        let source = SourceStatus {
            name: self.source_name.clone(),
            role: Role::Voter,
            state,
            identity: self.identity,
            term: head.term,
            position: head.tail.position,
            lag_events: 0,
            lag: head.is_primary().then_some(Duration::ZERO),
            cuts: head.cuts(),
            quarantined: None,
            verified: self.board.of(&self.source_name),
        };
        let primary = head.is_primary().then(|| self.source_name.clone());
        let (identity, term) = (self.identity, head.term);
        self.about(head, Seen { identity, primary, term, sources: vec![source] })
    }

    fn about(&self, head: Head, seen: Seen) -> StoreStatus {
        let Seen { identity, primary, term, sources } = seen;
        let (waiting_commits, waiting_bytes) = self.writer.waiting();
        StoreStatus {
            name: self.name.clone(),
            identity,
            primary,
            term,
            tail: head.tail,
            config: head.config.config.clone(),
            config_position: head.config.position,
            sources,
            waiting_commits,
            waiting_bytes,
            sent: self.writer.sent(),
            followers: self.followers.count(),
            slowest_follower: self.followers.slowest(),
            is_draining: self.writer.is_draining(),
        }
    }
}

/// What only the source side knows.
struct Seen {
    identity: Identity,
    primary: Option<SourceName>,
    term: Term,
    sources: Vec<SourceStatus>,
}
