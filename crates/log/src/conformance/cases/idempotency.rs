use crate::{
    Commit, CommitId, Expected, Position, StreamAppend, Verdict,
    conformance::{
        Kit, Violation,
        act::mixed,
        events::{stream, version, with_data},
        subject::{Checked, Subject},
        violation::{ensure, ensure_eq},
    },
};

/// Retries through another handle, after a crash, after other commits, and when the expected version no longer holds.
pub(super) async fn a_retry_gets_the_first_answer(kit: Kit) -> Checked {
    let mut subject = Subject::primary(&kit).await?;
    let mut commit = mixed(&kit, &subject);
    commit.appends[0].expected = Expected::NoStream;
    let receipt = subject.commit(commit.clone()).await?;
    for round in 0..3 {
        let appended = subject.append(vec![commit.clone()]).await?;
        let expected = vec![Verdict::Duplicate(receipt.clone())];
        ensure_eq!(appended.verdicts, expected, "the retry of round {round}");
        match round {
            0 => subject.source = subject.database.open().await?,
            1 => subject.crash().await?,
            _ => {}
        }
        subject.fill("one-1", 2).await?;
    }
    let entries = subject.audit().await?;
    ensure_eq!(entries.len(), 2 + 1 + 6, "entries after three retries");
    Ok(())
}

pub(super) async fn a_retry_is_recognised_after_a_change_of_primary(kit: Kit) -> Checked {
    let [primary, replica, _] = Subject::three(&kit).await?;
    let commit = mixed(&kit, &primary);
    let receipt = primary.commit(commit.clone()).await?;
    replica.follow(&primary, 1).await?;
    replica.lead(2).await?;
    let appended = replica.append(vec![commit.clone()]).await?;
    ensure_eq!(appended.verdicts, vec![Verdict::Duplicate(receipt)], "the retry at the new primary");
    let changed = change_data(&commit);
    let appended = replica.append(vec![changed]).await?;
    names(&appended.verdicts, &commit, 0, Position::new(3))?;
    replica.audit().await.map(|_| ())
}

/// The same ids, but: other data, other order, other stream, some of them, more than them.
pub(super) async fn an_id_with_other_content_conflicts(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let log = subject.log();
    let commit = kit.commit(log, "s", Expected::NoStream, 2);
    subject.commit(commit.clone()).await?;
    let of = |name: &str, events| Commit::new(log, vec![StreamAppend::new(stream(name), Expected::Any, events)]);
    let [first, second] = [0, 1].map(|index| commit.appends[0].events[index].clone());
    let tries = [
        ("other data", change_data(&commit), 0),
        ("other order", of("s", vec![second.clone(), first.clone()]), 1),
        ("another stream", of("t", vec![first.clone(), second.clone()]), 0),
        ("the first alone", of("s", vec![first.clone()]), 0),
        ("the second alone", of("s", vec![second.clone()]), 1),
        ("one known, one new", of("s", vec![kit.event(), second.clone()]), 1),
        ("one more", of("s", vec![first.clone(), second, kit.event()]), 0),
        ("the first elsewhere, with a wrong version", with_version(of("t", vec![first]), 9), 0),
    ];
    let before = subject.head().await?.tail;
    for (what, retry, index) in tries {
        let appended = subject.append(vec![retry]).await?;
        let position = Position::new(3 + index as u64);
        names(&appended.verdicts, &commit, index, position).map_err(|found| found.during(what))?;
        ensure_eq!(appended.head.tail, before, "{what}: the tail after a conflict");
    }
    subject.audit().await.map(|_| ())
}

fn change_data(commit: &Commit) -> Commit {
    let mut changed = commit.clone();
    let event = changed.appends[0].events.remove(0);
    changed.appends[0].events.insert(0, with_data(event, "null"));
    let fingerprint = crate::Fingerprint::from_bytes(*commit.id.as_bytes());
    Commit { fingerprint, ..changed }
}

fn with_version(mut commit: Commit, number: u64) -> Commit {
    commit.appends[0].expected = version(number);
    commit
}

/// Demands an id conflict that names one event of a known commit.
fn names(verdicts: &[Verdict], commit: &Commit, index: usize, at_position: Position) -> Checked {
    let known = commit.events().nth(index).map(|event| event.id);
    let [Verdict::IdConflict { id, stream, position, .. }] = verdicts else {
        return Err(Violation::new(format_args!("expected an id conflict, got {verdicts:?}")));
    };
    ensure_eq!(Some(*id), known, "the id that conflicts");
    ensure_eq!(*position, at_position, "the position of the id that conflicts");
    ensure_eq!(*stream, commit.appends[0].stream, "the stream of the id that conflicts");
    Ok(())
}

pub(super) async fn a_key_names_one_commit(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let log = subject.log();
    let id = CommitId::from_key(log, "append", "client", "key-1");
    let keyed = |name| Commit { id, ..kit.commit(log, name, Expected::Any, 1) };
    let first = keyed("s");
    subject.commit(first.clone()).await?;
    let verdicts = subject.append(vec![first.clone(), keyed("s"), keyed("t")]).await?.verdicts;
    ensure!(matches!(verdicts[0], Verdict::Duplicate(_)), "a retry by key: {:?}", verdicts[0]);
    names(&verdicts[1..2], &first, 0, Position::new(3))?;
    names(&verdicts[2..], &first, 0, Position::new(3))?;
    subject.audit().await.map(|_| ())
}

pub(super) async fn a_batch_may_hold_a_commit_and_its_retry(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let log = subject.log();
    let commit = kit.commit(log, "s", Expected::NoStream, 2);
    let overlap = StreamAppend::new(stream("t"), Expected::Any, vec![commit.appends[0].events[1].clone()]);
    let batch = vec![commit.clone(), commit.clone(), Commit::new(log, vec![overlap]), commit.clone()];
    let verdicts = subject.append(batch).await?.verdicts;
    let [Verdict::Committed(receipt), Verdict::Duplicate(again), conflict, Verdict::Duplicate(last)] = &verdicts[..]
    else {
        return Err(Violation::new(format_args!("a commit, its retry, an overlap, a retry: {verdicts:?}")));
    };
    ensure_eq!((again, last), (receipt, receipt), "the answers to the retries");
    names(std::slice::from_ref(conflict), &commit, 1, Position::new(4))?;
    ensure_eq!(subject.audit().await?.len(), 3, "entries");
    Ok(())
}
