use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    Entry, Expected, Fault, Point, Position, ReadLog, Source,
    conformance::{
        Kit, Violation,
        subject::{Checked, Subject, under},
        violation::{ensure, ensure_eq},
    },
};

const READERS: usize = 4;

/// Reads on from where it stands, until the log ends at a position after the writers are done.
async fn tail(source: &dyn Source, kit: &Kit, seen: &mut Vec<Entry>, is_done: &AtomicBool) -> Checked {
    loop {
        let was_done = is_done.load(Ordering::Acquire);
        let from = seen.last().map_or(Position::ZERO, Entry::last).next();
        let (max_events, max_bytes) = (1 + kit.below(4), 1 + kit.below(2_000));
        let read = ReadLog { from, to: Position::new(u64::MAX), max_events, max_bytes };
        let page = source.read_log(read).await?;
        let mut at = seen.last().map_or(Point::start(page.head.identity.log), Entry::point);
        for entry in &page.entries {
            entry.follows(&at).map_err(|error| Violation::from(error).during("a reader that follows the log"))?;
            at = entry.point();
        }
        let is_end = page.entries.is_empty();
        ensure!(!is_end || page.head.tail.position < from, "an empty page below the tail");
        ensure!(page.head.tail.position >= at.position, "a page beyond the tail that came with it");
        seen.extend(page.entries);
        if is_end && was_done {
            return Ok(());
        }
        if is_end {
            source.wait(at.position, Duration::from_millis(5)).await;
        }
        tokio::task::yield_now().await;
    }
}

/// Readers poll from where they stand while writers append: each sees every position once and in order.
pub(super) async fn readers_see_each_position_once_and_in_order(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let is_done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (source, kit, is_done) = (subject.database.open().await?, kit.clone(), is_done.clone());
        readers.spawn(async move {
            let mut seen = Vec::new();
            tail(&*source, &kit, &mut seen, &is_done).await.map(|()| seen)
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (source, of, kit) = (subject.database.open().await?, subject.identity, kit.clone());
        writers.spawn(async move {
            for number in 0..10 {
                let commit = kit.commit(of.log, &format!("s-{writer}"), Expected::Any, 1 + number % 3);
                source.append(&of, under(&source.head().await?, vec![commit])).await?;
            }
            Ok::<_, Violation>(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    is_done.store(true, Ordering::Release);
    let entries = subject.audit().await?;
    while let Some(reader) = readers.join_next().await {
        ensure!(reader?? == entries, "a reader that followed the log saw something else than the log");
    }
    Ok(())
}

/// What a reader was shown is still there after a crash: nothing is shown before it is durable.
pub(super) async fn readers_see_nothing_that_a_crash_removes(kit: Kit) -> Checked {
    let mut subject = Subject::primary(&kit).await?;
    let mut seen = Vec::new();
    for _ in 0..6 {
        let fail_points = subject.database.fail_points();
        if !fail_points.points().is_empty() {
            fail_points.arm(kit.pick(fail_points.points()), kit.below(6) as u32, Fault::Crash);
        }
        let (reader, source, of) = (subject.database.open().await?, subject.source.clone(), subject.identity);
        let commits = [0; 4].map(|_| kit.commit(of.log, "s", Expected::Any, 2));
        let is_done = Arc::new(AtomicBool::new(false));
        let done = is_done.clone();
        let writer = tokio::spawn(async move {
            for commit in commits {
                let Ok(head) = source.head().await else { break };
                if source.append(&of, under(&head, vec![commit])).await.is_err() {
                    break;
                }
            }
            done.store(true, Ordering::Release);
        });
        // a read that fails is the end of this reader's process
        tail(&*reader, &kit, &mut seen, &is_done).await.or_else(|found| {
            if found.to_string().starts_with("a read failed") { Ok(()) } else { Err(found) }
        })?;
        writer.await?;
        fail_points.disarm();
        drop(reader);
        subject.crash().await?;
        let entries = subject.audit().await?;
        ensure!(entries.starts_with(&seen), "a reader was shown what a crash removed");
    }
    Ok(())
}

pub(super) async fn a_wait_ends_when_there_is_more(kit: Kit) -> Checked {
    const LONG: Duration = Duration::from_secs(30);
    let subject = Subject::primary(&kit).await?;
    let start = Instant::now();
    subject.wait(Position::ZERO, LONG).await;
    ensure!(start.elapsed() < LONG / 2, "a wait for what is there already took {:?}", start.elapsed());
    let tail = subject.head().await?.tail.position;
    let waiting = subject.source.clone();
    let wait = tokio::spawn(async move { waiting.wait(tail, LONG).await });
    tokio::task::yield_now().await;
    subject.fill("s", 1).await?;
    wait.await?;
    ensure!(start.elapsed() < LONG / 2, "a wait for an append took {:?}", start.elapsed());
    let start = Instant::now();
    subject.wait(tail.plus(1_000), Duration::from_millis(20)).await;
    ensure!(start.elapsed() < LONG / 2, "a wait of 20 ms took {:?}", start.elapsed());
    Ok(())
}

/// Limits smaller than a commit, and a start in the middle of one, give whole commits.
pub(super) async fn pages_hold_whole_commits(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    for size in [3, 1, 5, 2] {
        subject.commit(kit.commit(subject.log(), "s", Expected::Any, size)).await?;
    }
    let entries = subject.audit().await?;
    for from in 1..=13 {
        let from = Position::new(from);
        let held = entries.iter().find(|entry| entry.first() <= from && from <= entry.last());
        for (max_events, max_bytes) in [(1, usize::MAX), (usize::MAX, 1), (1, 1)] {
            let page = subject.read_log(ReadLog { from, to: from, max_events, max_bytes }).await?;
            ensure_eq!(page.entries.iter().collect::<Vec<_>>(), Vec::from_iter(held), "the page at {from}");
        }
    }
    Ok(())
}
