//! The task that reads. It ends with its store.

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, SystemTime},
};

use polylog_log::{
    Digests, Failure, Head, LogId, LogPage, OperationError, Position, ReadLog, Repair, Repaired, SourceName,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Board, Sight, VerificationOptions,
    bisect::{SEGMENT, segment_after},
    ledger::{Finding, Ledger, due},
    pace::Pace,
    sight::Seen,
    walk::Walk,
};
use crate::replicated::{Replica, call};

/// How long a source may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a page.
const PAGE_BYTES: usize = 1 << 20;
/// What is new is read once there is a segment of it, or after this long.
const SETTLED: Duration = Duration::from_secs(2);
/// Where there is one source, a page of what is new is read this often.
const ALONE: Duration = Duration::from_secs(1);
/// Digests are compared so many times as often as everything is read.
const LIGHT: u32 = 24;
/// One request of so many is for what was read before, however much is new.
const OTHERS: u64 = 8;
/// Where nothing is to be done.
const IDLE: Duration = Duration::from_millis(200);

/// A source does not answer now, or cannot be gone on with.
pub(super) struct Away;

/// One source, and how far it was verified.
struct Post {
    replica: Replica,
    ledger: Ledger,
    /// Follows the log's end.
    front: Walk,
    /// When the front moved last.
    moved: Instant,
    /// How often it was its turn.
    steps: u64,
    /// Reads everything again, and compares digests.
    again: Pass,
    /// Not before then, after it did not answer.
    not_before: Instant,
    /// What was found wrong here, and has to be found again before it is told.
    suspect: Option<Position>,
}

/// A way through the whole log that is spread over a cycle.
struct Pass {
    walk: Walk,
    /// Where its reading ends.
    goal: Goal,
    /// Segments are compared up to here.
    compared: Position,
    /// Where its comparing ends.
    compared_goal: Goal,
    began: Instant,
    since: SystemTime,
    compared_since: Instant,
    /// The request that it answers: then nothing is spread.
    hurried: Option<u64>,
    looked_behind: bool,
}

impl Pass {
    fn new(log: LogId, hurried: Option<u64>) -> Self {
        let (began, since) = (Instant::now(), SystemTime::now());
        let compared = Position::ZERO;
        let (walk, compared_since, looked_behind) = (Walk::begin(log), began, false);
        let (goal, compared_goal) = (Goal::default(), Goal::default());
        Self { walk, goal, compared, compared_goal, began, since, compared_since, hurried, looked_behind }
    }
}

/// Where a pass ends: as far as the log went when the pass was to come to its end. What was appended later is new; a pass
/// that ran after it would never end while the log grows.
#[derive(Debug, Default)]
struct Goal(Option<Position>);

impl Goal {
    /// The position to go to while the log ends at `end`.
    fn within(&mut self, end: Position, is_last: bool) -> Position {
        if is_last {
            self.0.get_or_insert(end);
        }
        self.0.map_or(end, |goal| goal.min(end))
    }
}

pub(super) struct Verifier {
    store: String,
    pub(super) log: LogId,
    options: VerificationOptions,
    posts: Vec<Post>,
    /// Posts whose sources answer, the primary first.
    answering: Vec<usize>,
    board: Arc<Board>,
    pace: Pace,
}

/// Verifies until `stop`.
pub(crate) async fn verify(
    store: String,
    options: VerificationOptions,
    log: LogId,
    replicas: Vec<Replica>,
    sight: Sight,
    board: Arc<Board>,
    stop: CancellationToken,
) {
    let verifier = Verifier::new(store, options, log, replicas, board);
    tokio::select! {
        () = verifier.run(sight) => {}
        () = stop.cancelled() => {}
    }
}

impl Verifier {
    fn new(
        store: String,
        options: VerificationOptions,
        log: LogId,
        replicas: Vec<Replica>,
        board: Arc<Board>,
    ) -> Self {
        let now = Instant::now();
        let post = |replica| Post {
            replica,
            ledger: Ledger::new(SystemTime::now()),
            front: Walk::begin(log),
            moved: now,
            steps: 0,
            again: Pass::new(log, None),
            not_before: now,
            suspect: None,
        };
        let posts = replicas.into_iter().map(post).collect();
        let pace = Pace::new(options.reads_per_second);
        Self { store, log, options, posts, answering: Vec::new(), board, pace }
    }

    async fn run(mut self, sight: Sight) {
        let mut asked = self.board.asked();
        loop {
            if asked.has_changed().unwrap_or(false) {
                let request = *asked.borrow_and_update();
                let log = self.log;
                self.posts.iter_mut().for_each(|post| post.again = Pass::new(log, Some(request)));
            }
            let worked = match sight.look() {
                Some(seen) => {
                    self.pace.sees(seen.end);
                    self.round(&seen).await
                }
                None => {
                    self.board.clear();
                    false
                }
            };
            if !worked {
                self.pace.done();
                tokio::select! {
                    _ = asked.changed() => asked.mark_changed(),
                    () = tokio::time::sleep(IDLE) => {}
                }
            }
        }
    }

    /// One step for each source. Whether there was something to do.
    async fn round(&mut self, seen: &Seen) -> bool {
        let index_of = |name: &SourceName| self.posts.iter().position(|post| post.replica.name == *name);
        let mut sources: Vec<(usize, Position)> =
            seen.sources.iter().filter_map(|(name, end)| Some((index_of(name)?, *end))).collect();
        let primary = index_of(&seen.primary);
        sources.sort_by_key(|(index, _)| Some(*index) != primary);
        self.answering = sources.iter().map(|(index, _)| *index).collect();
        let mut worked = false;
        for (index, end) in sources {
            if Instant::now() >= self.posts[index].not_before {
                match self.step(index, primary, end).await {
                    Ok(has_worked) => worked |= has_worked,
                    Err(Away) => self.posts[index].not_before = Instant::now() + SETTLED,
                }
            }
        }
        for post in &self.posts {
            self.board.tell(&post.replica.name, post.ledger.verified(seen.end));
        }
        worked
    }

    async fn step(&mut self, index: usize, primary: Option<usize>, end: Position) -> Result<bool, Away> {
        let post = &self.posts[index];
        let new = end.get().saturating_sub(post.front.at.position.get());
        // one source has no other to be repaired from: its appends come first
        let is_due = match self.posts.len() {
            1 => new > 0 && post.moved.elapsed() >= ALONE,
            _ => new >= SEGMENT || new > 0 && post.moved.elapsed() >= SETTLED,
        };
        let post = &mut self.posts[index];
        post.steps += 1;
        // a log that grows faster than it is read is compared and read again all the same
        if is_due && !post.steps.is_multiple_of(OTHERS) {
            return self.reads_new(index, end).await;
        }
        // nor does the one keep the other from its turn
        if post.steps.is_multiple_of(2 * OTHERS) && self.reads_again(index, end).await? {
            return Ok(true);
        }
        if let Some(primary) = primary
            && self.compares(index, primary, end).await?
        {
            return Ok(true);
        }
        if self.reads_again(index, end).await? {
            return Ok(true);
        }
        if is_due { self.reads_new(index, end).await } else { Ok(false) }
    }

    /// The next page of what was not read yet.
    async fn reads_new(&mut self, index: usize, end: Position) -> Result<bool, Away> {
        let mut walk = self.posts[index].front.clone();
        let result = self.advance(index, &mut walk, end).await;
        // a log that grows all the time has whole segments; at its end a pause comes first
        let is_over = walk.at.position >= end || self.posts.len() == 1;
        let post = &mut self.posts[index];
        post.moved = if is_over { Instant::now() } else { post.moved };
        post.front = walk;
        result.map(|()| true)
    }

    /// The next segment's digests, if it is time.
    async fn compares(&mut self, index: usize, primary: usize, end: Position) -> Result<bool, Away> {
        let pass = &mut self.posts[index].again;
        let is_last = pass.hurried.is_some() || pass.compared_since.elapsed() >= self.options.cycle / LIGHT;
        let end = pass.compared_goal.within(end, is_last);
        let spread = due(self.options.cycle / LIGHT, pass.compared, end);
        if pass.hurried.is_none() && pass.compared_since.elapsed() < spread {
            return Ok(false);
        }
        if !pass.looked_behind {
            self.look_behind(index).await?;
            self.posts[index].again.looked_behind = true;
            return Ok(true);
        }
        if let Some(segment) = segment_after(pass.compared, end) {
            let last = *segment.end();
            if index != primary {
                self.compare(index, primary, segment).await?;
            }
            self.posts[index].again.compared = last;
            return Ok(index != primary);
        }
        let pass = &mut self.posts[index].again;
        if pass.hurried.is_none() && pass.compared_since.elapsed() >= self.options.cycle / LIGHT {
            (pass.compared, pass.compared_since, pass.looked_behind) =
                (Position::ZERO, Instant::now(), false);
            pass.compared_goal = Goal::default();
        }
        Ok(false)
    }

    /// The next page of what was read before, if it is time.
    async fn reads_again(&mut self, index: usize, end: Position) -> Result<bool, Away> {
        let pass = &mut self.posts[index].again;
        let is_last = pass.hurried.is_some() || pass.began.elapsed() >= self.options.cycle;
        let end = pass.goal.within(end, is_last);
        let is_due = pass.hurried.is_some()
            || pass.began.elapsed() >= due(self.options.cycle, pass.walk.at.position, end)
                // what was just read for the first time is not read again at once
                && pass.began.elapsed() >= self.options.cycle / LIGHT;
        if !is_due {
            return Ok(false);
        }
        if pass.walk.at.position < end {
            let mut walk = pass.walk.clone();
            let result = self.advance(index, &mut walk, end).await;
            let pass = &mut self.posts[index].again;
            pass.walk = walk;
            if result.is_err() {
                // the log may have been cut since, and be another one there
                pass.goal = Goal::default();
            }
            return result.map(|()| true);
        }
        if pass.hurried.is_none() && pass.began.elapsed() < self.options.cycle {
            return Ok(false);
        }
        let (log, post) = (self.log, &mut self.posts[index]);
        post.ledger.passed(post.again.since, post.again.hurried.unwrap_or_default());
        post.again = Pass::new(log, None);
        Ok(true)
    }

    /// The next page of a source's log: reads it, and does something about what is not as it should be.
    async fn advance(&mut self, index: usize, walk: &mut Walk, end: Position) -> Result<(), Away> {
        let read = ReadLog { from: walk.next(), to: end, max_events: walk.page, max_bytes: PAGE_BYTES };
        match self.read(index, read).await {
            Ok(page) if walk.is_cut(&page.head) => {
                *walk = Walk::begin(self.log);
                self.posts[index].front = walk.clone();
                self.posts[index].ledger.forget(SystemTime::now());
                Ok(())
            }
            Ok(page) if page.entries.is_empty() => Err(Away),
            Ok(page) => {
                let before = walk.at.position;
                let taken = walk.take(&page.entries);
                self.posts[index].ledger.is_good(before, walk.at.position);
                match taken {
                    Ok(()) => Ok(()),
                    Err(_) => self.stumbled(index, walk, end).await,
                }
            }
            Err(Failure::Damaged(_)) if walk.narrows() => Ok(()),
            Err(Failure::Damaged(_)) => self.stumbled(index, walk, end).await,
            Err(_) => Err(Away),
        }
    }

    /// Whether rows stand behind the log's end, that no operation of ours wrote.
    async fn look_behind(&mut self, index: usize) -> Result<(), Away> {
        let before = self.head(index).await?;
        let tail = before.tail.position;
        let behind = tail.next()..=Position::new(i64::MAX as u64);
        let count = self.digests_of(index, behind).await.map_err(|_| Away)?.count;
        let after = self.head(index).await?;
        // else the log grew meanwhile
        if (before.tail, before.cuts()) == (after.tail, after.cuts())
            && self.posts[index].ledger.has_extra(count)
        {
            let source = &self.posts[index].replica.name;
            tracing::error!(
                event = "source_inconsistent", store = %self.store, %source, position = %tail.next(), count,
                finding = "extra", "rows stand behind the end of a source's log"
            );
        }
        Ok(())
    }

    /// The first time it is looked at again a little later: an election may have come between two reads.
    pub(super) fn confirm(&mut self, index: usize, at: Position) -> Result<(), Away> {
        let post = &mut self.posts[index];
        match post.ledger.knows(at) || post.suspect.replace(at) == Some(at) {
            true => Ok(()),
            false => Err(Away),
        }
    }

    pub(super) fn found(&mut self, index: usize, position: Position, finding: Finding) {
        let post = &mut self.posts[index];
        if post.ledger.find(position, finding) {
            tracing::error!(
                event = "source_inconsistent", store = %self.store, source = %post.replica.name, %position, count = 1,
                finding = finding.text(), "a source does not hold what the log's chain says"
            );
        }
    }

    pub(super) fn was_repaired(&mut self, index: usize, from: Position, repaired: &Repaired) {
        let post = &mut self.posts[index];
        post.ledger.was_repaired(repaired.missing + repaired.damaged);
        tracing::warn!(
            event = "source_repaired", store = %self.store, source = %post.replica.name, %from,
            missing = repaired.missing, damaged = repaired.damaged,
            "rows that were missing or damaged were written back"
        );
    }

    pub(super) fn reached(&mut self, index: usize, position: Position) {
        self.posts[index].ledger.reached(position);
    }

    /// The others that answer, the primary first.
    pub(super) fn others(&self, index: usize) -> Vec<usize> {
        self.answering.iter().copied().filter(|other| *other != index).collect()
    }

    /// Whether somebody asked for it and waits.
    fn is_awaited(&self) -> bool {
        self.posts.iter().any(|post| post.again.hurried.is_some())
    }

    async fn head(&mut self, index: usize) -> Result<Head, Away> {
        self.pace.pass(self.is_awaited()).await;
        let Replica { source, identity, .. } = &self.posts[index].replica;
        let head = call::read(PATIENCE, source.head()).await.map_err(|_| Away)?;
        if head.identity == *identity { Ok(head) } else { Err(Away) }
    }

    pub(super) async fn read(&mut self, index: usize, read: ReadLog) -> Result<LogPage, Failure> {
        self.pace.pass(self.is_awaited()).await;
        let Replica { source, identity, .. } = &self.posts[index].replica;
        let page = call::read(PATIENCE, source.read_log(read)).await?;
        match page.head.identity == *identity {
            true => Ok(page),
            false => Err(Failure::WrongStore(format!("log {}", page.head.identity.log))),
        }
    }

    pub(super) async fn digests_of(
        &mut self,
        index: usize,
        range: RangeInclusive<Position>,
    ) -> Result<Digests, Failure> {
        self.pace.pass(self.is_awaited()).await;
        call::read(PATIENCE, self.posts[index].replica.source.digests(range)).await
    }

    pub(super) async fn write_back(
        &mut self,
        index: usize,
        repair: Repair,
    ) -> Result<Repaired, OperationError> {
        self.pace.pass(self.is_awaited()).await;
        let Replica { source, identity, .. } = &self.posts[index].replica;
        call::change(PATIENCE, source.repair(identity, repair)).await
    }
}
