use crate::{
    Apply, Entry, EntryError, Expected, Position, Refusal, Term,
    conformance::{
        Kit,
        events::reseal,
        subject::{Checked, Subject, apply},
        violation::{ensure, ensure_eq},
    },
};

/// A primary of term 1 with a log of nine entries, and an empty replica.
async fn pair(kit: &Kit) -> Checked<(Subject, Subject)> {
    let [primary, replica, _] = Subject::three(kit).await?;
    for size in [1, 3, 2, 1, 1, 4, 2] {
        primary.commit(kit.commit(primary.log(), "s", Expected::Any, size)).await?;
    }
    Ok((primary, replica))
}

fn chain_error() -> Refusal {
    Refusal::Entries(EntryError::Chain(Position::ZERO))
}

pub(super) async fn a_copy_is_equal(kit: Kit) -> Checked {
    let (primary, replica) = pair(&kit).await?;
    let entries = primary.entries().await?;
    for group in entries.chunks(2) {
        let tail = replica.head().await?.tail;
        let head = replica.apply(apply(1, tail, group.to_vec())).await?;
        ensure_eq!(head.tail, group[group.len() - 1].point(), "the tail after an apply");
        ensure_eq!(head, replica.head().await?, "the head that came with the answer");
        ensure!(!head.is_primary(), "a replica became primary by an apply");
    }
    ensure!(replica.audit().await? == primary.audit().await?, "the copy differs");
    Ok(())
}

pub(super) async fn entries_that_come_again_or_out_of_order_are_refused(kit: Kit) -> Checked {
    let (primary, replica) = pair(&kit).await?;
    let start = replica.head().await?.tail;
    let entries = primary.entries().await?;
    let second = apply(1, entries[2].point(), entries[3..5].to_vec());
    replica.refuses("the second part first", Refusal::Mismatch, replica.apply(second)).await?;
    let first = apply(1, start, entries[..3].to_vec());
    replica.apply(first.clone()).await?;
    replica.refuses("the same again", Refusal::Mismatch, replica.apply(first)).await?;
    let late = apply(1, start, entries[..1].to_vec());
    replica.refuses("a part of it again", Refusal::Mismatch, replica.apply(late)).await?;
    let gap = apply(1, entries[2].point(), entries[4..].to_vec());
    replica.refuses("with a hole behind the tail", chain_error(), replica.apply(gap)).await?;
    let swapped = vec![entries[4].clone(), entries[3].clone()];
    replica.refuses("in the wrong order", chain_error(), replica.apply(apply(1, entries[2].point(), swapped))).await?;
    replica.apply(apply(1, entries[2].point(), entries[3..].to_vec())).await?;
    replica.refuses("nothing, at an old tail", Refusal::Mismatch, replica.apply(apply(1, start, Vec::new()))).await?;
    ensure!(replica.audit().await? == entries, "the copy differs");
    Ok(())
}

/// Two histories with the same positions and terms: only chains tell them apart.
pub(super) async fn a_forked_history_is_refused(kit: Kit) -> Checked {
    let (primary, replica) = pair(&kit).await?;
    let entries = primary.entries().await?;
    let mut fork = entries.clone();
    let start = replica.head().await?.tail;
    fork[4].events[0].time = crate::Timestamp::EPOCH;
    reseal(&mut fork, start);
    replica.apply(apply(1, start, entries[..6].to_vec())).await?;
    let nothing = apply(1, fork[5].point(), Vec::new());
    replica.refuses("the fork's tail, nothing to write", Refusal::Mismatch, replica.apply(nothing)).await?;
    let other = apply(1, fork[5].point(), fork[6..].to_vec());
    replica.refuses("the fork's tail", Refusal::Mismatch, replica.apply(other)).await?;
    let mixed = apply(1, entries[5].point(), fork[6..].to_vec());
    replica.refuses("entries of the fork", chain_error(), replica.apply(mixed)).await?;
    let mut other_log = Subject::primary(&kit).await?.entries().await?;
    other_log.truncate(1);
    let empty = Subject::of(&kit, primary.log(), "d").await?;
    let foreign = apply(1, empty.head().await?.tail, other_log);
    empty.refuses("another log's first entry", chain_error(), empty.apply(foreign)).await?;
    replica.audit().await.map(|_| ())
}

type Damage = fn(&mut Vec<Entry>);

/// Entries that are not whole, not what their digests say, or not in order: each is refused, and the batch with it.
pub(super) async fn damaged_entries_are_refused(kit: Kit) -> Checked {
    let (primary, replica) = pair(&kit).await?;
    let entries = primary.entries().await?;
    let start = replica.head().await?.tail;
    let damages: [(&str, Damage); 12] = [
        ("a flipped byte of data", |entries| {
            let event = &mut entries[3].events[1];
            let mut data = event.data.as_deref().unwrap_or_default().to_vec();
            data[3] ^= 1;
            event.data = Some(data.into());
        }),
        ("data of another event", |entries| entries[3].events[1].data = entries[4].events[0].data.clone()),
        ("another type", |entries| entries[3].events[0].event_type = crate::EventType::recorded("Other")),
        ("another time", |entries| entries[3].events[0].time = crate::Timestamp::EPOCH),
        ("another fingerprint", |entries| entries[4].fingerprint = entries[3].fingerprint),
        ("another chain", |entries| entries[4].chain = entries[3].chain),
        ("another term", |entries| entries[3].term = Term::ZERO),
        ("a commit without its last event", |entries| drop(entries[3].events.pop())),
        ("a commit without its first event", |entries| drop(entries[3].events.remove(0))),
        ("a commit in two entries", |entries| {
            let rest = entries[3].events.split_off(1);
            let second = Entry { events: rest, ..entries[3].clone() };
            entries.insert(4, second);
        }),
        ("no events", |entries| entries[4].events.clear()),
        ("two commits in one entry", |entries| {
            let second = entries.remove(5);
            entries[4].events.extend(second.events);
        }),
    ];
    for (what, damage) in damages {
        for is_resealed in [false, true] {
            let mut damaged = entries.clone();
            damage(&mut damaged);
            // with digests and chains made to fit, only what is not whole can still be seen
            let is_visible = !is_resealed || what.contains("commit") || what.contains("data") || what == "no events";
            if is_resealed {
                reseal(&mut damaged, start);
            }
            if is_visible {
                let operation = replica.apply(apply(1, start, damaged));
                replica.refuses(what, chain_error(), operation).await?;
            }
        }
    }
    replica.apply(apply(1, start, entries.clone())).await?;
    ensure!(replica.audit().await? == entries, "the copy differs");
    Ok(())
}

pub(super) async fn terms_of_entries_rise_to_that_of_the_sender(kit: Kit) -> Checked {
    let (primary, replica) = pair(&kit).await?;
    let start = replica.head().await?.tail;
    primary.lead(3).await?;
    primary.fill("s", 2).await?;
    let entries = primary.entries().await?;
    let above = apply(2, start, entries.clone());
    replica.refuses("entries above the sender's term", Refusal::EntryAboveTerm, replica.apply(above)).await?;
    let mut falling = entries.clone();
    let last = falling.len() - 1;
    falling[last].term = Term::new(2);
    reseal(&mut falling, start);
    replica.refuses("a falling term", chain_error(), replica.apply(apply(3, start, falling))).await?;
    replica.apply(apply(3, start, entries)).await?;
    replica.audit().await.map(|_| ())
}

/// An apply of a higher term takes the source away from its primary and from proposers of lower terms.
pub(super) async fn an_apply_raises_the_term(kit: Kit) -> Checked {
    let (primary, mut replica) = pair(&kit).await?;
    let start = replica.head().await?.tail;
    let entries = primary.entries().await?;
    replica.promise(2, kit.nonce()).await?;
    let old = apply(1, start, entries.clone());
    replica.refuses("an apply of a lower term", Refusal::Fenced, replica.apply(old)).await?;
    let head = replica.apply(apply(2, start, entries[..4].to_vec())).await?;
    ensure!(head.grant.is_some(), "an apply of the promised term takes the grant away");
    let head = replica.apply(apply(5, entries[3].point(), entries[4..6].to_vec())).await?;
    ensure_eq!((head.term, head.grant), (Term::new(5), None), "term and grant after an apply of term 5");
    let head = replica.apply(apply(7, entries[5].point(), Vec::new())).await?;
    ensure_eq!(head.term, Term::new(7), "the term after an empty apply");
    replica.crash().await?;
    ensure_eq!(replica.head().await?, head, "the head after a crash");
    let late = apply(5, entries[5].point(), entries[6..].to_vec());
    replica.refuses("an apply of term 5, late", Refusal::Fenced, replica.apply(late)).await?;
    let late = replica.promise(7, kit.nonce());
    replica.refuses("a promise of the accepted term", Refusal::Fenced, late).await?;
    replica.apply(apply(7, entries[5].point(), entries[6..].to_vec())).await?;
    replica.audit().await.map(|_| ())
}

pub(super) async fn the_primary_of_a_term_follows_nobody_in_it(kit: Kit) -> Checked {
    let (primary, replica) = pair(&kit).await?;
    let tail = primary.head().await?.tail;
    let nothing = apply(1, tail, Vec::new());
    primary.refuses("an apply of the own term", Refusal::Fenced, primary.apply(nothing.clone())).await?;
    replica.follow(&primary, 1).await?;
    replica.lead(2).await?;
    replica.fill("s", 2).await?;
    let own = Apply { term: Term::new(2), ..nothing };
    let entries = replica.entries_after(tail.position).await?;
    primary.apply(Apply { entries: entries.into(), ..own }).await?;
    ensure!(primary.audit().await? == replica.audit().await?, "the copies differ");
    Ok(())
}
