//! The task that keeps the end of the log in memory for followers, and follows `$policy`.

use std::{sync::Arc, time::Duration};

use polylog_log::{Failure, Point, Position, ReadLog};
use rand::Rng;
use tokio::time::Instant;

use crate::{
    backoff::Backoff,
    caught::caught,
    reader::{Data, Who},
    shared::Shared,
};

/// Events and bytes of one read.
const PAGE_EVENTS: usize = 1_000;
const PAGE_BYTES: usize = 512 << 10;
/// A source that says nothing is asked again after this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Without followers, and for `$policy`, the source is asked at most this often.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// A source that does not answer for this long counts as failing.
const PATIENCE: Duration = Duration::from_secs(5);
/// With followers, what others appended is asked for at most this often; own appends are read at once.
const ASK_FOR_FOLLOWERS: Duration = Duration::from_millis(5);

/// What the task remembers between two rounds.
struct Round {
    /// Whether the source is to be asked, whatever is known of it.
    must_ask: bool,
    policy_read_at: Option<Point>,
    next_policy: Instant,
}

/// Runs until the store stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut heads = shared.heads.subscribe();
    let mut backoff = Backoff::default();
    let mut round = Round { must_ask: true, policy_read_at: None, next_policy: Instant::now() };
    loop {
        let work = async {
            heads.mark_unchanged();
            let kept_up = tokio::time::timeout(PATIENCE, keep_up(&shared, &mut round)).await;
            if let Err(error) = kept_up.unwrap_or(Err(Failure::Timeout(PATIENCE))) {
                tracing::warn!(event = "tail_unreadable", store = %shared.name, %error, "cannot read the end of the log");
                round.must_ask = true;
                let pause = backoff.failed(rand::rng().random());
                tokio::time::sleep(pause).await;
                return;
            }
            backoff.succeeded();
            tokio::select! {
                // The sender is in `shared`, so this never fails.
                _ = heads.changed() => {}
                () = shared.follower_came.notified() => {}
                () = policy_due(&shared, &round) => {}
                () = others_append(&shared) => round.must_ask = true,
            }
        };
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = work => {}
        }
    }
}

async fn others_append(shared: &Shared) {
    let pause = if shared.has_followers() { ASK_FOR_FOLLOWERS } else { ASK_EVERY };
    tokio::time::sleep(pause).await;
    let known = shared.heads.newest().tail.position;
    // It is only a hint: how it ends does not matter.
    let _ = caught(shared.reader.wait(known, LONGEST_WAIT)).await;
}

async fn policy_due(shared: &Shared, round: &Round) {
    if round.policy_read_at == Some(shared.heads.newest().tail) {
        return std::future::pending().await;
    }
    tokio::time::sleep_until(round.next_policy).await;
}

/// Reads what is new.
async fn keep_up(shared: &Shared, round: &mut Round) -> Result<(), Failure> {
    let must_ask = std::mem::take(&mut round.must_ask);
    if !shared.has_followers() {
        shared.recent.clear();
    }
    match shared.recent.end() {
        Some(end) if must_ask || end != shared.heads.newest().tail => {
            let read = read_new(shared, end).await;
            // data that cannot be had now keeps followers waiting, and nobody else
            follow_policy(shared, round).await?;
            return read;
        }
        Some(_) => {}
        None if shared.has_followers() => {
            refresh(shared).await?;
            shared.recent.begin(shared.heads.newest().tail);
        }
        None if must_ask => refresh(shared).await?,
        None => {}
    }
    follow_policy(shared, round).await
}

async fn refresh(shared: &Shared) -> Result<(), Failure> {
    let asked = shared.heads.ask();
    let head = caught(shared.reader.head()).await??;
    shared.heads.publish(&head, asked);
    Ok(())
}

async fn read_new(shared: &Shared, mut end: Point) -> Result<(), Failure> {
    loop {
        let read = ReadLog {
            from: end.position.next(),
            to: Position::new(u64::MAX),
            max_events: PAGE_EVENTS,
            max_bytes: PAGE_BYTES,
        };
        let asked = shared.heads.ask();
        let page = caught(shared.reader.read_log(Who::reaching(end.position), read, Data::Whole)).await??;
        shared.heads.publish(&page.head, asked);
        let tail = page.head.tail;
        let has_entries = !page.entries.is_empty();
        let is_same_history = if has_entries { shared.recent.extend(page.entries) } else { tail == end };
        if !is_same_history {
            // Followers find out by themselves, against the source.
            tracing::warn!(event = "history_changed", store = %shared.name, position = %end.position, "the log's history changed");
            shared.recent.begin(tail);
            return Ok(());
        }
        match shared.recent.end() {
            Some(now_at) if now_at.position < tail.position => end = now_at,
            _ => return Ok(()),
        }
    }
}

async fn follow_policy(shared: &Shared, round: &mut Round) -> Result<(), Failure> {
    let tail = shared.heads.newest().tail;
    if Instant::now() < round.next_policy || round.policy_read_at == Some(tail) {
        return Ok(());
    }
    let (version, policy) = shared.read_policy().await?;
    shared.publish_policy(version, policy);
    round.policy_read_at = Some(tail);
    round.next_policy = Instant::now() + ASK_EVERY;
    Ok(())
}
