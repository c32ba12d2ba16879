use crate::{
    Digest, Entry, Expected, OperationError, Position, Refusal, Repair, Strip,
    conformance::{
        Damage, Kit, Violation,
        act::mixed,
        subject::{Checked, Subject, apply},
        violation::ensure,
    },
};

/// A primary, a replica that holds its log, and the log's entries. The last one is there so that document engines have
/// written the others out.
async fn pair(kit: &Kit) -> Checked<Option<(Subject, Subject, Vec<Entry>)>> {
    let [primary, replica, _] = Subject::three(kit).await?;
    primary.commit(kit.commit(primary.log(), "s", Expected::Any, 1)).await?;
    primary.commit(mixed(kit, &primary)).await?;
    replica.follow(&primary, 1).await?;
    primary.commit(kit.commit(primary.log(), "s", Expected::Any, 1)).await?;
    replica.follow(&primary, 1).await?;
    let entries = primary.entries().await?;
    match replica.source.strip(&replica.identity, Strip { events: Vec::new() }).await {
        Ok(_) => Ok(Some((primary, replica, entries))),
        Err(OperationError::Failed(crate::Failure::Refused { .. })) => {
            kit.not_applicable("it cannot drop data");
            Ok(None)
        }
        Err(error) => Err(Violation::new(format_args!("strips nothing: {error}"))),
    }
}

fn named(entries: &[Entry], positions: &[Position]) -> Strip {
    let events = entries.iter().flat_map(|entry| &entry.events);
    let events = events.filter(|event| positions.contains(&event.position));
    Strip { events: events.map(|event| (event.position, event.digest)).collect() }
}

/// The same entries, as they stand where these events have no data.
fn without(entries: &[Entry], positions: &[Position]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    let events = entries.iter_mut().flat_map(|entry| &mut entry.events);
    events.filter(|event| positions.contains(&event.position)).for_each(|event| event.data = None);
    entries
}

pub(super) async fn dropped_data_leaves_the_log_as_it_is(kit: Kit) -> Checked {
    let Some((primary, mut replica, entries)) = pair(&kit).await? else { return Ok(()) };
    let positions = [entries[2].first(), entries[3].events[1].position];
    let head = replica.head().await?;
    for subject in [&primary, &replica] {
        let stripped = subject.source.strip(&subject.identity, named(&entries, &positions)).await;
        let stripped = stripped.map_err(|error| Violation::new(format_args!("strips: {error}")))?;
        ensure!(stripped.tail == head.tail, "the head that came with the answer ends elsewhere");
    }
    let expected = without(&entries, &positions);
    ensure!(replica.audit().await? == expected, "something else than the data is gone, or the data is not");
    ensure!(primary.audit().await? == expected, "the same at the primary");
    replica.crash().await?;
    ensure!(replica.audit().await? == expected, "it did not survive a crash");
    // twice is as good as once, and the log goes on
    let again = replica.source.strip(&replica.identity, named(&entries, &positions)).await;
    ensure!(again.is_ok(), "a second time is refused: {again:?}");
    primary.commit(kit.commit(primary.log(), "s", Expected::Exists, 1)).await?;
    replica.follow(&primary, 1).await?;
    ensure!(replica.audit().await? == primary.audit().await?, "the logs differ");
    Ok(())
}

pub(super) async fn only_the_very_event_is_stripped(kit: Kit) -> Checked {
    let Some((_, replica, entries)) = pair(&kit).await? else { return Ok(()) };
    let at = entries[2].first();
    let other = Strip { events: vec![(at, Digest::from_bytes([7; 16]))] };
    let own = named(&entries, &[entries[0].first(), entries[1].first()]);
    let nowhere = Strip { events: vec![(Position::new(1 << 20), Digest::from_bytes([7; 16]))] };
    // what is not there may be refused, or left alone
    for strip in [other, own, nowhere] {
        let _ = replica.source.strip(&replica.identity, strip).await;
    }
    ensure!(replica.audit().await? == entries, "another event, or the log's own, was stripped");
    let elsewhere = kit.identity(replica.log());
    match replica.source.strip(&elsewhere, named(&entries, &[at])).await {
        Err(OperationError::Refused { reason: Refusal::WrongStore, .. }) => {}
        other => return Err(Violation::new(format_args!("for another database: {other:?}"))),
    }
    ensure!(replica.audit().await? == entries, "a refused request stripped something");
    Ok(())
}

pub(super) async fn an_event_without_data_is_copied_and_never_written_over_one_with_data(kit: Kit) -> Checked {
    let Some((_, replica, entries)) = pair(&kit).await? else { return Ok(()) };
    let stripped = without(&entries, &[entries[3].events[1].position]);
    let third = Subject::of(&kit, replica.log(), "d").await?;
    let start = third.head().await?.tail;
    third.apply(apply(1, start, stripped.clone())).await.map_err(|error| Violation::new(format_args!("{error}")))?;
    ensure!(third.audit().await? == stripped, "the copy differs");
    if !replica.database.damage(Position::new(1 << 40), Damage::Remove).await? {
        return Ok(());
    }
    let repair = Repair { previous: entries[2].point(), entries: stripped[3..5].to_vec() };
    let repaired = replica.source.repair(&replica.identity, repair.clone()).await;
    ensure!(repaired.is_ok(), "a repair without data of what has it: {repaired:?}");
    ensure!(replica.audit().await? == entries, "the data is gone");
    // of the damaged row only the digest is wrong: its data is the only copy there may be
    let event = &entries[3].events[1];
    let data = event.data.as_deref().unwrap_or_default().to_vec();
    let damage = Damage::Replace { data, data_digest: event.data_digest, digest: Digest::from_bytes([9; 16]) };
    replica.database.damage(event.position, damage).await?;
    let refused = replica.source.repair(&replica.identity, repair).await;
    let is_refused = matches!(
        refused,
        Err(OperationError::Refused { reason: Refusal::OtherEvent(at), .. }) if at == event.position
    );
    ensure!(is_refused, "data was written over: {refused:?}");
    Ok(())
}
