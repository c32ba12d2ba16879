use crate::{
    AggregateId, Category, Commit, Expected, Position, StreamAppend, Verdict, Version,
    conformance::{
        Kit, Violation,
        events::{stream, version},
        subject::{Checked, Subject},
        violation::{ensure, ensure_eq},
    },
};

pub(super) async fn a_commit_over_streams_is_all_or_nothing(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let log = subject.log();
    subject.fill("a", 2).await?;
    let part = |name, expected, count| StreamAppend::new(stream(name), expected, kit.events(count));
    let bad = vec![
        part("a", version(2), 1),
        part("b", version(4), 2),
        part("c", Expected::Any, 1),
        part("d", Expected::Exists, 0),
    ];
    let before = subject.head().await?.tail;
    let verdicts = subject.append(vec![Commit::new(log, bad)]).await?.verdicts;
    let [Verdict::VersionConflict { conflicts, .. }] = &verdicts[..] else {
        return Err(Violation::new(format_args!("two streams are not as expected: {verdicts:?}")));
    };
    let named: Vec<_> = conflicts.iter().map(|conflict| conflict.stream.as_str()).collect();
    ensure_eq!(named, ["b", "d"], "the streams in the conflict");
    ensure_eq!(subject.head().await?.tail, before, "the tail after a conflict");
    let good = vec![
        part("b", Expected::NoStream, 2),
        part("a", version(2), 3),
        part("d", Expected::NoStream, 0),
        part("c", Expected::Any, 1),
    ];
    let receipt = subject.commit(Commit::new(log, good)).await?;
    let streams: Vec<_> = receipt
        .streams
        .iter()
        .map(|part| (part.stream.as_str(), part.first_version.get(), part.last_version.get()))
        .collect();
    ensure_eq!(streams, [("b", 1, 2), ("a", 3, 5), ("c", 1, 1)], "the versions, stream by stream");
    let entries = subject.audit().await?;
    let entry = &entries[entries.len() - 1];
    ensure_eq!(entry.events.len(), 6, "the events of the commit");
    ensure_eq!((entry.first(), entry.last()), (Position::new(5), Position::new(10)), "its positions");
    Ok(())
}

pub(super) async fn a_commit_may_only_check(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let log = subject.log();
    subject.fill("a", 2).await?;
    let check = |a, b| {
        let part = |name, expected| StreamAppend::new(stream(name), expected, Vec::new());
        Commit::new(log, vec![part("a", a), part("b", b)])
    };
    let batch = vec![
        check(version(2), Expected::NoStream),
        check(version(2), Expected::Exists),
        kit.commit(log, "b", Expected::NoStream, 1),
        check(version(2), Expected::Exists),
        check(version(2), Expected::NoStream),
    ];
    let before = subject.head().await?.tail;
    let appended = subject.append(batch).await?;
    let [Verdict::Checked(first), Verdict::VersionConflict { .. }, Verdict::Committed(receipt), Verdict::Checked(second), Verdict::VersionConflict { .. }] =
        &appended.verdicts[..]
    else {
        return Err(Violation::new(format_args!("checks: {:?}", appended.verdicts)));
    };
    ensure_eq!(*first, before, "the tail that the first check rests on");
    ensure_eq!(*second, receipt.point(), "the tail that the check after a write rests on");
    ensure_eq!(subject.audit().await?.len(), 2 + 2 + 1, "entries: checks write nothing");
    Ok(())
}

pub(super) async fn a_stream_keeps_its_attributes(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let log = subject.log();
    let part = |name: &str, category: Option<&str>, id: Option<&str>| {
        let append = StreamAppend::new(stream(name), Expected::Any, kit.events(1));
        let (category, aggregate_id) = (category.map(Category::recorded), id.map(AggregateId::recorded));
        Commit::new(log, vec![StreamAppend { category, aggregate_id, ..append }])
    };
    let tries = [
        (part("Payment-p-1", None, None), true),
        (part("Payment-p-1", Some("Payment"), Some("p-1")), true),
        (part("Payment-p-1", Some("payment"), None), false),
        (part("Payment-p-1", None, Some("p-2")), false),
        (part("ledger", Some("Books"), Some("all")), true),
        (part("ledger", None, None), true),
        (part("ledger", Some("ledger"), None), false),
        (part("ledger", Some("Books"), Some("all")), true),
    ];
    for (commit, is_good) in tries {
        let append = &commit.appends[0];
        let what = format!("{} with {:?}, {:?}", append.stream, append.category, append.aggregate_id);
        let verdicts = subject.append(vec![commit.clone()]).await?.verdicts;
        match &verdicts[..] {
            [Verdict::Committed(_)] if is_good => {}
            [Verdict::OtherAttributes { stream, recorded, .. }] if !is_good => {
                ensure_eq!(*stream, append.stream, "{what}: the stream named");
                let known = subject.read_stream(crate::ReadStream {
                    stream: stream.clone(),
                    from: Version::FIRST,
                    backward: false,
                    max_events: 1,
                    max_bytes: 1,
                });
                ensure_eq!(Some(recorded), known.await?.stream.as_ref(), "{what}: what is recorded");
            }
            other => ensure!(false, "{what}: got {other:?}"),
        }
    }
    let entries = subject.audit().await?;
    let event = &entries[entries.len() - 1].events[0];
    ensure_eq!((event.category.as_str(), event.aggregate_id.as_str()), ("Books", "all"), "attributes");
    Ok(())
}

/// Whether or not the stream exists, with events or without, and whatever is expected of it.
pub(super) async fn a_commit_names_each_stream_once(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let log = subject.log();
    subject.commit(kit.commit(log, "known", Expected::NoStream, 2)).await?;
    let before = subject.head().await?.tail;
    for (name, counts) in [("known", [1, 1]), ("new", [1, 2]), ("known", [0, 1]), ("new", [1, 0]), ("known", [0, 0])] {
        let part = |count| StreamAppend::new(stream(name), Expected::Any, kit.events(count));
        let other = StreamAppend::new(stream("other"), Expected::Any, kit.events(1));
        let commit = Commit::new(log, vec![part(counts[0]), other, part(counts[1])]);
        let verdicts = subject.append(vec![commit]).await?.verdicts;
        let twice = Verdict::StreamTwice { stream: stream(name), at: before };
        ensure_eq!(verdicts, vec![twice], "{name} twice, with {counts:?} events");
    }
    ensure_eq!(subject.head().await?.tail, before, "the tail: nothing was written");
    subject.audit().await.map(|_| ())
}

pub(super) async fn a_large_commit_is_one_entry(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let count = 500.min(subject.limits().commit_events as usize);
    let parts = (0..10).map(|number| {
        let events = kit.events(count / 10);
        StreamAppend::new(stream(&format!("s-{number}")), Expected::NoStream, events)
    });
    let commit = Commit::new(subject.log(), parts.collect());
    let receipt = subject.commit(commit.clone()).await?;
    ensure_eq!(receipt.last, Position::new(2 + commit.event_count() as u64), "its last position");
    let entries = subject.audit().await?;
    ensure_eq!(entries.len(), 3, "entries");
    let replica = Subject::of(&kit, subject.log(), "b").await?;
    replica.follow(&subject, 1).await?;
    ensure!(replica.audit().await? == entries, "the copy of a large commit differs");
    Ok(())
}
