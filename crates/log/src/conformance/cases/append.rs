use std::time::Duration;

use crate::{
    Commit, Expected, Position, Refusal, StreamAppend, Term, Timestamp, Verdict,
    Version, VersionConflict,
    conformance::{
        Kit, Violation,
        events::{reseal, stream, version},
        subject::{Checked, Subject, apply, under},
        violation::{ensure, ensure_eq},
    },
};

pub(super) async fn expected_versions_are_compared(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let log = subject.log();
    subject.commit(kit.commit(log, "three", Expected::NoStream, 3)).await?;
    let tries = [
        ("three", Expected::Any, true),
        ("three", Expected::Exists, true),
        ("three", Expected::NoStream, false),
        ("none", Expected::Exists, false),
        ("none", version(1), false),
        ("none", version(0), true),
        ("none too", Expected::NoStream, true),
        ("any", Expected::Any, true),
        ("three", version(5), true),
        ("three", version(5), false),
        ("three", version(7), false),
        ("three", version(0), false),
        ("three", version(6), true),
        ("three", version((1 << 53) - 1), false),
    ];
    for (name, expected, is_good) in tries {
        let before = subject.head().await?;
        let actual = subject.entries().await?.iter().flat_map(|entry| &entry.events).fold(
            Version::ZERO,
            |version, event| if event.stream.as_str() == name { event.version } else { version },
        );
        let appended = subject.append(vec![kit.commit(log, name, expected, 1)]).await?;
        let what = format!("append to {name} at version {actual}, expecting {expected:?}");
        match &appended.verdicts[..] {
            [Verdict::Committed(receipt)] if is_good => {
                let first = before.tail.position.next();
                ensure_eq!((receipt.first, receipt.last), (first, first), "{what}: positions");
                ensure_eq!(receipt.streams[0].first_version, actual.next(), "{what}: version");
                ensure_eq!(receipt.point(), appended.head.tail, "{what}: the head with the answer");
            }
            [Verdict::VersionConflict { conflicts, at }] if !is_good => {
                let conflict = VersionConflict { stream: stream(name), expected, actual };
                ensure_eq!(*conflicts, vec![conflict], "{what}: the conflict");
                ensure_eq!(*at, before.tail, "{what}: the tail it rests on");
                ensure_eq!(subject.head().await?.tail, before.tail, "{what}: a conflict wrote something");
            }
            other => ensure!(false, "{what}: got {other:?}"),
        }
    }
    subject.audit().await.map(|_| ())
}

pub(super) async fn versions_and_positions_are_dense(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    for _ in 0..6 {
        let before = subject.head().await?.tail;
        let sizes: Vec<usize> = (0..1 + kit.below(5)).map(|_| 1 + kit.below(6)).collect();
        let name = || format!("s{}", kit.below(3));
        let batch = sizes.iter().map(|size| kit.commit(subject.log(), &name(), Expected::Any, *size)).collect();
        let appended = subject.append(batch).await?;
        let mut next = before.position.next();
        for (verdict, size) in appended.verdicts.iter().zip(&sizes) {
            let Verdict::Committed(receipt) = verdict else {
                return Err(Violation::new(format_args!("not written: {verdict:?}")));
            };
            let last = next.plus(*size as u64 - 1);
            ensure_eq!((receipt.first, receipt.last), (next, last), "the positions of a commit");
            next = last.next();
        }
        ensure_eq!(appended.verdicts.len(), sizes.len(), "verdicts");
        ensure_eq!(appended.head.tail.position.next(), next, "the tail after the batch");
        ensure_eq!(subject.head().await?, appended.head, "the head that came with the answer");
        let written = subject.entries_after(before.position).await?;
        ensure!(appended.written == written, "the answer tells of other entries than were written");
    }
    subject.audit().await.map(|_| ())
}

/// A batch in which good and bad commits alternate: each gets its own verdict, as if it had come alone.
pub(super) async fn a_mistake_fails_no_other_commit(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let log = subject.log();
    let known = kit.commit(log, "s", Expected::NoStream, 1);
    subject.commit(known.clone()).await?;
    let reuse = |commit: &Commit| {
        let mut appends = commit.appends.clone();
        appends[0].events.push(kit.event());
        Commit::new(log, appends)
    };
    let twin = kit.event();
    let twins = StreamAppend::new(stream("s"), Expected::Any, vec![twin.clone(), twin]);
    let mut other_category = kit.commit(log, "s", Expected::Any, 1);
    other_category.appends[0].category = Some(crate::Category::recorded("other"));
    let halves = ["t", "u", "t"].map(|name| StreamAppend::new(stream(name), Expected::Any, vec![kit.event()]));
    let batch = vec![
        kit.commit(log, "s", version(1), 2),
        kit.commit(log, "s", version(1), 1),
        kit.commit(log, "s", version(3), 1),
        reuse(&known),
        kit.commit(log, "t", Expected::Exists, 1),
        known.clone(),
        kit.commit(log, "t", Expected::NoStream, 1),
        Commit::new(log, vec![twins]),
        kit.commit(log, "t", version(1), 1),
        other_category,
        Commit::new(log, halves.to_vec()),
        kit.commit(log, "s", version(4), 1),
    ];
    let appended = subject.append(batch).await?;
    let kinds: String = appended.verdicts.iter().map(kind).collect();
    ensure_eq!(kinds, "CVCIVDCICASC", "the verdicts, one letter each");
    let entries = subject.audit().await?;
    ensure!(appended.written[..] == entries[3..], "the answer tells of other entries than were written");
    ensure_eq!(entries.len(), 2 + 1 + 5, "entries after the batch");
    Ok(())
}

fn kind(verdict: &Verdict) -> char {
    match verdict {
        Verdict::Committed(_) => 'C',
        Verdict::Duplicate(_) => 'D',
        Verdict::Checked(_) => 'K',
        Verdict::VersionConflict { .. } => 'V',
        Verdict::IdConflict { .. } => 'I',
        Verdict::OtherAttributes { .. } => 'A',
        Verdict::StreamTwice { .. } => 'S',
    }
}

pub(super) async fn only_the_primary_of_the_term_appends(kit: Kit) -> Checked {
    let fresh = Subject::fresh(&kit).await?;
    let batch = vec![kit.commit(fresh.log(), "s", Expected::Any, 1)];
    let append = fresh.source.append(&fresh.identity, under(&fresh.head().await?, batch));
    fresh.refuses("a source that was never opened, at term zero", Refusal::Fenced, append).await?;

    let [primary, replica, _] = Subject::three(&kit).await?;
    replica.follow(&primary, 1).await?;
    let head = replica.head().await?;
    for term in [0, 1, 2] {
        let batch = vec![kit.commit(primary.log(), "s", Expected::Any, 1)];
        let append = crate::Append { term: Term::new(term), ..under(&head, batch) };
        let operation = replica.source.append(&replica.identity, append);
        replica.refuses("a replica, asked to append", Refusal::Fenced, operation).await?;
    }
    let head = primary.head().await?;
    for term in [0, 2] {
        let append = crate::Append { term: Term::new(term), ..under(&head, Vec::new()) };
        let operation = primary.source.append(&primary.identity, append);
        primary.refuses("an empty append of another term", Refusal::Fenced, operation).await?;
    }
    primary.audit().await?;
    replica.audit().await.map(|_| ())
}

/// The log's last entry was recorded by a clock that runs a day ahead of this database's.
pub(super) async fn the_time_of_recording_never_falls(kit: Kit) -> Checked {
    let source = Subject::primary(&kit).await?;
    let replica = Subject::of(&kit, source.log(), "b").await?;
    let ahead = source.fill("s", 1).await?.recorded_at.as_micros() + Duration::from_secs(86_400).as_micros() as i64;
    let mut entries = source.entries().await?;
    for event in entries.iter_mut().flat_map(|entry| &mut entry.events) {
        event.recorded_at = Timestamp::from_micros(ahead);
    }
    let start = replica.head().await?.tail;
    reseal(&mut entries, start);
    replica.apply(apply(1, start, entries)).await?;
    replica.lead(2).await?;
    replica.fill("s", 3).await?;
    for entry in replica.audit().await? {
        let late = entry.recorded_at().as_micros();
        ensure!(late >= ahead, "the entry at {} was recorded before the one before it", entry.last());
    }
    let head = replica.head().await?;
    ensure_eq!(head.tail.position, Position::new(2 + 1 + 1 + 3), "the tail");
    Ok(())
}
