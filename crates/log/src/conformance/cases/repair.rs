use crate::{
    Commit, DataDigest, Entry, Expected, OperationError, Point, Position, Refusal, Repair, Repaired,
    conformance::{
        Damage, Kit, Violation,
        act::mixed,
        events::{reseal, version},
        subject::{Checked, Subject},
        violation::{ensure, ensure_eq},
    },
};

/// A primary of term 1 and a replica that holds its log of nine entries, of one and of three events in turn.
async fn pair(kit: &Kit) -> Checked<Option<(Subject, Subject, Vec<Entry>)>> {
    let [primary, replica, _] = Subject::three(kit).await?;
    for _ in 0..3 {
        primary.commit(kit.commit(primary.log(), "s", Expected::Any, 1)).await?;
        primary.commit(mixed(kit, &primary)).await?;
    }
    replica.follow(&primary, 1).await?;
    // what a document engine holds of its last batch stands in its head: this one is written out by the next
    primary.commit(kit.commit(primary.log(), "s", Expected::Any, 1)).await?;
    replica.follow(&primary, 1).await?;
    let entries = primary.entries().await?;
    let nowhere = Position::new(1 << 40);
    if !replica.database.damage(nowhere, Damage::Remove).await? {
        kit.not_applicable("it cannot write rows back");
        return Ok(None);
    }
    Ok(Some((primary, replica, entries)))
}

/// The entries of a range, and where the history stands before them.
fn run(subject: &Subject, entries: &[Entry], range: std::ops::Range<usize>) -> Repair {
    let previous = match range.start {
        0 => Point::start(subject.log()),
        start => entries[start - 1].point(),
    };
    Repair { previous, entries: entries[range].to_vec() }
}

impl Subject {
    async fn repair(&self, repair: Repair) -> Result<Repaired, OperationError> {
        self.source.repair(&self.identity, repair).await
    }

    /// Flips a bit of an event's data.
    async fn flip(&self, entries: &[Entry], at: Position) -> Checked {
        let event = entries.iter().flat_map(|entry| &entry.events).find(|event| event.position == at);
        let event = event.ok_or_else(|| Violation::new("no such event"))?;
        let mut data = event.data.as_deref().unwrap_or_default().to_vec();
        data[2] ^= 1;
        let (data_digest, digest) = (event.data_digest, event.digest);
        self.damage(at, Damage::Replace { data, data_digest, digest }).await
    }

    async fn damage(&self, at: Position, damage: Damage) -> Checked {
        match self.database.damage(at, damage).await? {
            true => Ok(()),
            false => Err(Violation::new("an engine that cannot repair")),
        }
    }

    /// Demands that a repair is refused for this reason.
    async fn refuses_repair(&self, what: &str, reason: Refusal, of: &crate::Identity, repair: Repair) -> Checked {
        match self.source.repair(of, repair).await {
            Err(OperationError::Refused { reason: got, .. })
                if std::mem::discriminant(&got) == std::mem::discriminant(&reason) =>
            {
                Ok(())
            }
            other => Err(Violation::new(format_args!("{what}: expected {reason:?}, got {other:?}"))),
        }
    }
}

fn counts(repaired: &Repaired) -> (u64, u64) {
    (repaired.missing, repaired.damaged)
}

pub(super) async fn damaged_rows_are_written_back(kit: Kit) -> Checked {
    let Some((_, mut replica, entries)) = pair(&kit).await? else { return Ok(()) };
    let head = replica.head().await?;
    let (single, several) = (entries[2].first(), entries[3].events[1].position);
    replica.flip(&entries, single).await?;
    replica.flip(&entries, several).await?;
    ensure!(replica.entries().await? != entries, "the damage cannot be read");
    let repaired = replica.repair(run(&replica, &entries, 2..4)).await?;
    ensure_eq!(counts(&repaired), (0, 2), "rows written back");
    ensure_eq!(repaired.head, head, "the head that came with the answer");
    ensure!(replica.audit().await? == entries, "the log is not what it was");
    replica.crash().await?;
    ensure!(replica.audit().await? == entries, "the repair did not survive a crash");
    let again = replica.repair(run(&replica, &entries, 0..5)).await?;
    ensure_eq!(counts(&again), (0, 0), "rows written back the second time");
    Ok(())
}

pub(super) async fn missing_rows_are_written_back(kit: Kit) -> Checked {
    let Some((primary, replica, entries)) = pair(&kit).await? else { return Ok(()) };
    // the first event of an entry of three, and a whole entry, which only what follows can prove
    for position in [entries[3].first(), entries[4].first()] {
        replica.damage(position, Damage::Remove).await?;
    }
    let alone = run(&replica, &entries, 4..5);
    replica.refuses_repair("an entry that nothing proves", Refusal::Mismatch, &replica.identity, alone).await?;
    let repaired = replica.repair(run(&replica, &entries, 3..6)).await?;
    ensure_eq!(counts(&repaired), (2, 0), "rows written back");
    ensure!(replica.audit().await? == entries, "the log is not what it was");
    // on a primary, whose writer may remember what stands where
    let at = entries[2].first();
    primary.damage(at, Damage::Remove).await?;
    let repaired = primary.repair(run(&primary, &entries, 2..4)).await?;
    ensure_eq!(counts(&repaired), (1, 0), "rows written back on the primary");
    let last = entries.iter().flat_map(|entry| &entry.events).rfind(|event| event.stream.as_str() == "s");
    let expected = version(last.map_or(0, |event| event.version.get()));
    let next: Commit = kit.commit(primary.log(), "s", expected, 1);
    primary.commit(next).await?;
    ensure!(primary.audit().await?.starts_with(&entries), "the primary's log is not what it was");
    Ok(())
}

pub(super) async fn another_event_is_not_written_over(kit: Kit) -> Checked {
    let Some((_, replica, entries)) = pair(&kit).await? else { return Ok(()) };
    let mut other = entries[2].events[0].clone();
    let data = br#"{"n": 2}"#.to_vec();
    other.data_digest = DataDigest::of(&data);
    let (data_digest, digest) = (other.data_digest, other.compute_digest());
    replica.damage(other.position, Damage::Replace { data, data_digest, digest }).await?;
    replica.flip(&entries, entries[3].first()).await?;
    let before = replica.entries().await?;
    let reason = Refusal::OtherEvent(other.position);
    let both = run(&replica, &entries, 2..4);
    replica.refuses_repair("over another event", reason, &replica.identity, both).await?;
    ensure!(replica.entries().await? == before, "a refused repair wrote something");
    let beside = replica.repair(run(&replica, &entries, 3..4)).await?;
    ensure_eq!(counts(&beside), (0, 1), "rows written back beside another event");
    Ok(())
}

/// Entries that fit together, and are not this log's.
pub(super) async fn what_the_chain_does_not_prove_is_refused(kit: Kit) -> Checked {
    let Some((_, replica, entries)) = pair(&kit).await? else { return Ok(()) };
    replica.flip(&entries, entries[3].first()).await?;
    let before = replica.entries().await?;
    let mut fork = run(&replica, &entries, 3..4);
    fork.entries[0].events[0].time = crate::Timestamp::EPOCH;
    reseal(&mut fork.entries, fork.previous);
    replica.refuses_repair("a fork", Refusal::Mismatch, &replica.identity, fork).await?;
    let mut torn = run(&replica, &entries, 3..4);
    torn.entries[0].events[0].time = crate::Timestamp::EPOCH;
    let chain = Refusal::Entries(crate::EntryError::Chain(Position::ZERO));
    replica.refuses_repair("entries that are damaged", chain, &replica.identity, torn).await?;
    let elsewhere = kit.identity(replica.log());
    let good = run(&replica, &entries, 3..4);
    replica.refuses_repair("for another database", Refusal::WrongStore, &elsewhere, good).await?;
    ensure!(replica.entries().await? == before, "a refused repair wrote something");
    Ok(())
}
