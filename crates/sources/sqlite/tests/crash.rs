//! A process that is killed loses nothing that it acknowledged.

mod support;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
};

use polylog_log::{EventId, Expected, Position};
use polylog_source_sqlite::{SqliteConfig, SqliteSource};
use support::{Store, check_log, commit, identity, write};

#[tokio::test]
async fn five_kills_lose_nothing_that_was_acknowledged() {
    let store = Store::new();
    store.primary().await.close().await;
    let mut acknowledged: BTreeMap<Position, EventId> = BTreeMap::new();
    for life in 1..=5 {
        let path = store.path();
        let mut child =
            support::child("child_that_appends", &path.to_string_lossy()).spawn().expect("a child process");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut heard = 0;
        for line in lines {
            // the kill may cut the last line off
            let line = line.expect("a line");
            let Some((position, id)) = parse(&line) else { continue };
            assert!(acknowledged.insert(position, id).is_none(), "position {position} twice");
            heard += 1;
            if heard == 20 * life {
                child.kill().expect("a kill");
            }
        }
        child.wait().expect("its end");
        assert!(heard >= 20 * life, "the child ended by itself after {heard}");

        let source = store.open().await;
        let log = check_log(&source).await;
        for (position, id) in &acknowledged {
            let found = log.iter().find(|entry| entry.first() == *position);
            assert_eq!(found.map(|entry| entry.events[0].id), Some(*id), "at position {position}");
        }
        source.close().await;
    }
}

/// `acknowledged <position> <id> .`
fn parse(line: &str) -> Option<(Position, EventId)> {
    let mut words = line.split_whitespace();
    words.find(|word| *word == "acknowledged")?;
    let position = words.next()?.parse().ok()?;
    let id = words.next()?.parse().ok()?;
    (words.next() == Some(".")).then(|| (Position::new(position), EventId::new(id)))
}

#[tokio::test]
async fn child_that_appends() {
    let Some(path) = support::task() else { return };
    let source = SqliteSource::open(SqliteConfig::new(path)).await.expect("an open source");
    let of = identity(1);
    loop {
        let commit = commit(of.log, "s", Expected::Any);
        let id = commit.appends[0].events[0].id;
        let position = write(&source, &of, commit).await.first;
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {position} {id} .").expect("a pipe");
        out.flush().expect("a pipe");
    }
}
