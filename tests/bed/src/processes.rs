//! Several processes use one database at the same time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::{Commit, Expected, Position, ReadStream, Source, StreamAppend, Version};

use crate::{
    acts::{self, check_log, event, identity, lead, stream, write},
    place::Place,
};

const COMMITS: u64 = 150;

/// The test of each engine that calls [`child`].
const CHILD: &str = "child_that_appends_and_ends";

/// Two processes append at the same time; the engine's binary has a test `child_that_appends_and_ends` that calls
/// [`child`].
///
/// # Panics
/// If the log is not as it must be.
pub async fn two_processes_append_to_one_database(place: &dyn Place) {
    lead(&*place.open().await, &place.identity(), 1).await;
    let start = |name: &str, other: &str| {
        let task = format!("{name} {other} {}", place.locator());
        acts::child(CHILD, &task).spawn().expect("a child process")
    };
    let mut children = [start("a", "b"), start("b", "a")];
    for child in &mut children {
        assert!(child.wait().expect("its end").success());
    }
    let log = check_log(&*place.open().await).await;
    let events: Vec<_> = log.iter().flat_map(|entry| &entry.events).collect();
    for (name, expected) in [("a", COMMITS), ("b", COMMITS), ("shared", 2 * COMMITS)] {
        let versions = events.iter().filter(|event| event.stream == stream(name)).map(|event| event.version);
        assert!(versions.eq((1..=expected).map(Version::new)), "versions of {name}");
    }
    assert_eq!(events.len() as u64, 1 + 4 * COMMITS);
    // both were at work at the same time: each waited for the other's first commit
    let first = |name| log.iter().position(|entry| entry.events[0].stream == stream(name));
    let last = |name| log.iter().rposition(|entry| entry.events[0].stream == stream(name));
    assert!(first("a") < last("b") && first("b") < last("a"));
}

/// The work of a child process; does nothing in the parent.
///
/// # Panics
/// If something goes wrong in it.
pub async fn child(open: impl AsyncFnOnce(&str) -> Arc<dyn Source>) {
    let Some(task) = acts::task() else { return };
    let words: Vec<&str> = task.splitn(3, ' ').collect();
    let [name, other, locator] = words[..] else { panic!("two names and an address: {task}") };
    let source = open(locator).await;
    let of = identity(1);
    for number in 0..COMMITS {
        let own = Expected::Version(Version::new(number));
        let commit = Commit::new(
            of.log,
            vec![
                StreamAppend::new(stream(name), own, vec![event("{}")]),
                StreamAppend::new(stream("shared"), Expected::Any, vec![event("[]")]),
            ],
        );
        let receipt = write(&*source, &of, commit).await;
        if number == 0 && other != "nobody" {
            until_it_exists(&*source, other, receipt.last).await;
        }
    }
}

async fn until_it_exists(source: &dyn Source, name: &str, mut tail: Position) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let read = ReadStream {
            stream: stream(name),
            from: Version::FIRST,
            backward: false,
            max_events: 1,
            max_bytes: 1,
        };
        let page = source.read_stream(read).await.expect("the stream");
        if page.stream.is_some() {
            return;
        }
        assert!(Instant::now() < deadline, "the other process never wrote");
        tail = tail.max(page.head.tail.position);
        source.wait(tail, Duration::from_secs(1)).await;
    }
}

/// Waiting ends when another process commits, and when its time is over.
///
/// # Panics
/// If it does not.
pub async fn a_wait_ends_when_another_process_commits_and_when_its_time_is_over(place: &dyn Place) {
    let source = place.open().await;
    lead(&*source, &place.identity(), 1).await;
    let start = Instant::now();
    source.wait(Position::FIRST, Duration::from_millis(30)).await;
    assert!(start.elapsed() >= Duration::from_millis(30), "nothing came");

    let task = format!("a nobody {}", place.locator());
    let mut child = acts::child(CHILD, &task).spawn().expect("a child process");
    for seen in 1..=COMMITS {
        let start = Instant::now();
        source.wait(Position::new(2 * seen - 1), Duration::from_secs(60)).await;
        assert!(start.elapsed() < Duration::from_secs(60), "commit {seen} was not noticed");
    }
    assert!(child.wait().expect("its end").success());
    let tail = source.head().await.expect("a head").tail.position;
    assert_eq!(tail, Position::new(1 + 2 * COMMITS));

    // own commits need no looking
    let of = place.identity();
    let commit = acts::commit(of.log, "own", Expected::Any);
    let (_, receipt) = tokio::join!(source.wait(tail, Duration::from_secs(60)), write(&*source, &of, commit));
    assert!(receipt.first > tail);
}
