use crate::{
    Acks, Config, Entry, Expected, Head, Point, Position, QuarantinePlace, Quarantined, Refusal, Term, Verdict,
    conformance::{
        Kit, Violation,
        act::{Act, Kind, mixed},
        events::version,
        subject::{Checked, Subject, apply},
        violation::{ensure, ensure_eq},
    },
};

/// The primary of term 1 with a tail that lost, the primary of term 2, and the end of what they share.
struct Diverged {
    loser: Subject,
    winner: Subject,
    fork: Point,
}

impl Diverged {
    async fn new(kit: &Kit, change: impl FnOnce(&mut Config)) -> Checked<Self> {
        let [loser, winner, _] = Subject::three_with(kit, change).await?;
        for _ in 0..3 {
            loser.commit(mixed(kit, &loser)).await?;
        }
        let fork = winner.follow(&loser, 1).await?.tail;
        winner.lead(2).await?;
        winner.append((0..2).map(|_| mixed(kit, &winner)).collect()).await?;
        loser.append((0..3).map(|_| mixed(kit, &loser)).collect()).await?;
        Ok(Self { loser, winner, fork })
    }

    /// Cuts the loser and lets it follow.
    async fn heal(&self) -> Checked<Head> {
        let tail = self.loser.head().await?.tail;
        self.loser.truncate(2, self.fork, tail).await?;
        self.loser.follow(&self.winner, 2).await
    }
}

/// Everything may be removed, also what a majority holds.
fn lossy(config: &mut Config) {
    config.acks = Acks::Count(1);
}

pub(super) async fn a_tail_that_lost_is_kept_in_quarantine(kit: Kit) -> Checked {
    let mut diverged = Diverged::new(&kit, |_| ()).await?;
    let Diverged { loser, winner, fork } = &mut diverged;
    let before = loser.state().await?;
    let removed: Vec<Entry> = before.entries.iter().filter(|entry| entry.last() > fork.position).cloned().collect();
    let head = loser.truncate(2, *fork, before.head.tail).await?;
    ensure_eq!((head.tail, head.term, head.cuts()), (*fork, Term::new(2), 1), "tail, term and cuts");
    let cut = head.last_cut.ok_or_else(|| Violation::new("a truncation that the head does not tell"))?;
    ensure_eq!((cut.keep, cut.removed, cut.number), (*fork, before.head.tail, 1), "what the head says of it");
    let expected: Vec<_> = removed.iter().map(|entry| Quarantined { cut, entry: entry.clone() }).collect();
    ensure!(loser.quarantine(QuarantinePlace::START, 100).await? == expected, "quarantine does not hold what was removed");
    ensure!(loser.quarantine(QuarantinePlace::START, 2).await? == expected[..2], "the first two of quarantine");
    ensure!(loser.quarantine(QuarantinePlace::end_of(1), 100).await?.is_empty(), "quarantine after the only cut");
    loser.audit().await?;
    for entry in removed.iter().flat_map(|entry| &entry.events) {
        ensure!(loser.find(entry.id).await?.event.is_none(), "a removed event is still found by its id");
    }
    loser.crash().await?;
    ensure!(loser.quarantine(QuarantinePlace::START, 100).await? == expected, "quarantine after a crash");
    loser.follow(winner, 2).await?;
    ensure!(loser.audit().await? == winner.audit().await?, "the logs differ after the loser followed");
    ensure!(loser.quarantine(QuarantinePlace::START, 100).await? == expected, "quarantine after the log went on");
    Ok(())
}

/// Versions, ids and commits of the removed tail can be used again, in whatever order.
pub(super) async fn what_was_removed_is_free_again(kit: Kit) -> Checked {
    let diverged = Diverged::new(&kit, |_| ()).await?;
    let loser = &diverged.loser;
    let new = kit.commit(loser.log(), "only-in-the-tail", Expected::NoStream, 2);
    loser.commit(new.clone()).await?;
    let lost = mixed(&kit, loser);
    loser.commit(lost.clone()).await?;
    diverged.heal().await?;
    loser.lead(3).await?;
    let again = loser.append(vec![lost, new]).await?.verdicts;
    let is_new = again.iter().all(|verdict| matches!(verdict, Verdict::Committed(_)));
    ensure!(is_new, "commits of the removed tail, sent again: {again:?}");
    loser.commit(kit.commit(loser.log(), "only-in-the-tail", version(2), 1)).await?;
    loser.audit().await.map(|_| ())
}

pub(super) async fn truncation_needs_the_exact_tail(kit: Kit) -> Checked {
    let Diverged { loser, winner, fork } = Diverged::new(&kit, |_| ()).await?;
    let tail = loser.head().await?.tail;
    let entries = loser.entries().await?;
    let earlier = entries[entries.len() - 2].point();
    loser.refuses("an earlier tail", Refusal::Mismatch, loser.truncate(2, fork, earlier)).await?;
    let other = Point { chain: fork.chain, ..tail };
    loser.refuses("another chain", Refusal::Mismatch, loser.truncate(2, fork, other)).await?;
    loser.truncate(2, fork, tail).await?;
    loser.refuses("the same again", Refusal::Mismatch, loser.truncate(2, fork, tail)).await?;
    // the new primary was levelled with entries of an old term: a late truncation must not take them away
    loser.follow(&winner, 3).await?;
    loser.refuses("a late one, entries of old terms", Refusal::Mismatch, loser.truncate(3, fork, tail)).await?;
    loser.audit().await.map(|_| ())
}

pub(super) async fn only_entries_of_old_terms_are_removed(kit: Kit) -> Checked {
    let Diverged { loser, winner, fork } = Diverged::new(&kit, |_| ()).await?;
    let tail = loser.head().await?.tail;
    loser.refuses("in the tail's own term", Refusal::Fenced, loser.truncate(1, fork, tail)).await?;
    loser.truncate(2, fork, tail).await?;
    let head = loser.follow(&winner, 2).await?;
    let term_2 = loser.truncate(2, fork, head.tail);
    loser.refuses("entries of the primary's own term", Refusal::Fenced, term_2).await?;
    let tail = winner.head().await?.tail;
    winner.refuses("the primary itself", Refusal::Fenced, winner.truncate(2, fork, tail)).await?;
    loser.promise(4, kit.nonce()).await?;
    let low = loser.truncate(3, fork, head.tail);
    loser.refuses("under a lower term than promised", Refusal::Fenced, low).await?;
    let nothing = loser.truncate(3, head.tail, head.tail);
    loser.refuses("nothing, under a lower term than promised", Refusal::Fenced, nothing).await?;
    // a primary whose log is empty of its own term's entries does not exist; one that is opened stays as it is
    let primary = winner.truncate(2, tail, tail);
    winner.refuses("nothing, of the primary itself", Refusal::Fenced, primary).await?;
    loser.audit().await?;
    winner.audit().await.map(|_| ())
}

pub(super) async fn what_is_kept_ends_with_an_entry(kit: Kit) -> Checked {
    let Diverged { loser, fork, .. } = Diverged::new(&kit, lossy).await?;
    let tail = loser.head().await?.tail;
    let keeps = [
        ("the middle of a commit", Point { position: fork.position.next(), ..fork }),
        ("another chain", Point { chain: tail.chain, ..fork }),
        ("another term", Point { term: Term::ZERO, ..fork }),
        ("beyond the tail", Point { position: tail.position.plus(3), ..tail }),
    ];
    for (what, keep) in keeps {
        loser.refuses(what, Refusal::Mismatch, loser.truncate(2, keep, tail)).await?;
    }
    loser.truncate(2, fork, tail).await?;
    let nothing = Point::start(loser.log());
    let head = loser.truncate(3, nothing, fork).await?;
    ensure_eq!((head.tail, head.cuts()), (nothing, 2), "tail and cuts after everything was removed");
    ensure!(loser.audit().await?.is_empty(), "entries after everything was removed");
    let again = Head { revision: head.revision + 1, ..head };
    let same = loser.truncate(3, nothing, nothing).await?;
    ensure_eq!(Head { revision: again.revision, ..same }, again, "the head after nothing was removed");
    Ok(())
}

/// A truncation takes the term away from lower ones, also where it removes nothing.
pub(super) async fn a_truncation_raises_the_term(kit: Kit) -> Checked {
    let Diverged { loser, fork, .. } = Diverged::new(&kit, |_| ()).await?;
    let tail = loser.head().await?.tail;
    let lost = loser.entries_after(fork.position).await?;
    let head = loser.truncate(6, fork, tail).await?;
    ensure_eq!((head.term, head.grant), (Term::new(6), None), "term and grant");
    let back = loser.apply(apply(1, fork, lost));
    loser.refuses("the removed tail, sent again by its primary", Refusal::Fenced, back).await?;
    let promise = loser.promise(6, kit.nonce());
    loser.refuses("a promise of the accepted term", Refusal::Fenced, promise).await?;
    let head = loser.truncate(8, fork, fork).await?;
    ensure_eq!((head.term, head.cuts()), (Term::new(8), 1), "term and cuts after nothing was removed");
    loser.audit().await.map(|_| ())
}

pub(super) async fn what_a_majority_holds_is_not_removed(kit: Kit) -> Checked {
    for is_lossy in [false, true] {
        let change = if is_lossy { lossy } else { |_: &mut Config| () };
        let Diverged { loser, fork, .. } = Diverged::new(&kit, change).await?;
        let (tail, old) = (loser.head().await?.tail, loser.entries().await?);
        let stable = old[old.len() - 2].last();
        let watermarks = crate::Watermarks { stable, acked: stable };
        let head = loser.head().await?;
        let append = crate::Append { watermarks, ..crate::conformance::subject::under(&head, Vec::new()) };
        loser.source.append(&loser.identity, append).await?;
        if is_lossy {
            let head = loser.truncate(2, fork, tail).await?;
            let marks = (head.watermarks.stable, head.watermarks.acked);
            ensure_eq!(marks, (fork.position, fork.position), "watermarks after a lossy truncation");
        } else {
            loser.refuses("below stable", Refusal::BelowStable, loser.truncate(2, fork, tail)).await?;
            let keep = old[old.len() - 2].point();
            let head = loser.truncate(2, keep, tail).await?;
            ensure_eq!(head.watermarks.stable, stable, "stable after a truncation above it");
        }
        loser.audit().await?;
    }
    Ok(())
}

/// Also where several configurations are removed, and where the one before them is the implicit one.
pub(super) async fn the_configuration_before_the_tail_is_back_in_force(kit: Kit) -> Checked {
    let Diverged { loser, winner, fork } = Diverged::new(&kit, lossy).await?;
    let before = winner.head().await?.config;
    for in_sync in 1..=2 {
        loser.configure(&[&winner], |config| config.min_in_sync = in_sync).await?;
        loser.fill("s", 1).await?;
    }
    let tail = loser.head().await?.tail;
    let head = loser.truncate(2, fork, tail).await?;
    ensure_eq!(head.config, before, "the configuration after the truncation");
    loser.audit().await?;
    let head = loser.truncate(3, Point::start(loser.log()), fork).await?;
    let implicit = Config::implicit(loser.member());
    ensure_eq!((head.config.position, &*head.config.config), (Position::ZERO, &implicit), "the implicit one");
    loser.follow(&winner, 3).await?;
    ensure_eq!(loser.head().await?.config, before, "the configuration after it followed");
    loser.audit().await.map(|_| ())
}

/// One source diverges again and again; every cut keeps its own entries.
pub(super) async fn several_truncations_are_told_apart(kit: Kit) -> Checked {
    let [a, b, _] = Subject::three(&kit).await?;
    let mut expected = Vec::new();
    for round in 1..=3_u64 {
        let (loser, winner) = (&a, &b);
        let shared = winner.follow(loser, 2 * round - 1).await?.tail;
        winner.lead(2 * round).await?;
        winner.commit(mixed(&kit, winner)).await?;
        let tail = loser.append((0..round).map(|_| mixed(&kit, loser)).collect()).await?.head.tail;
        expected.extend(loser.entries_after(shared.position).await?);
        loser.truncate(2 * round, shared, tail).await?;
        loser.follow(winner, 2 * round).await?;
        loser.lead(2 * round + 1).await?;
    }
    let quarantine = a.quarantine(QuarantinePlace::START, 100).await?;
    let entries: Vec<_> = quarantine.iter().map(|removed| removed.entry.clone()).collect();
    ensure!(entries == expected, "quarantine does not hold every entry, oldest first");
    let numbers: Vec<_> = quarantine.iter().map(|removed| removed.cut.number).collect();
    ensure_eq!(numbers, [1, 2, 2, 3, 3, 3], "the cuts' numbers");
    let later: Vec<_> = a.quarantine(QuarantinePlace::end_of(2), 100).await?.iter().map(|removed| removed.cut.number).collect();
    ensure_eq!(later, [3, 3, 3], "the entries after cut 2");
    let mut paged: Vec<Quarantined> = Vec::new();
    loop {
        let after = paged.last().map_or(QuarantinePlace::START, Quarantined::place);
        let page = a.quarantine(after, 1).await?;
        ensure!(page.len() <= 1, "a page is longer than it was asked for");
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    ensure!(paged == quarantine, "quarantine, entry by entry, is not what it is at once");
    a.audit().await.map(|_| ())
}

/// The request that crash tests use, without any fault.
pub(super) async fn the_prepared_request_works(kit: Kit) -> Checked {
    for kind in Kind::ALL {
        let (subject, act): (Subject, Act) = kind.prepare(&kit).await?;
        let before = subject.state().await?;
        act.send(&*subject.source, &subject.identity).await?;
        let after = subject.state().await?;
        ensure!(act.took_effect(&before, &after)?, "{kind:?} had no effect");
        subject.audit().await?;
    }
    Ok(())
}
