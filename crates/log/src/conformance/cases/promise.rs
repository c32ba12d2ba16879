use crate::{
    Head, Refusal, Term,
    conformance::{
        Kit,
        subject::{Checked, Subject, apply},
        violation::ensure_eq,
    },
};

pub(super) async fn a_term_is_promised_once(kit: Kit) -> Checked {
    let subject = Subject::fresh(&kit).await?;
    let (first, other) = (kit.nonce(), kit.nonce());
    let before = subject.head().await?;
    let head = subject.promise(3, first).await?;
    let expected = Head { term: Term::new(3), grant: Some(first), revision: head.revision, ..before.clone() };
    ensure_eq!(head, expected, "the head with the grant");
    subject.refuses("another nonce, same term", Refusal::Fenced, subject.promise(3, other)).await?;
    subject.refuses("a lower term", Refusal::Fenced, subject.promise(2, other)).await?;
    subject.refuses("the same nonce, lower term", Refusal::Fenced, subject.promise(2, first)).await?;
    subject.refuses("term zero", Refusal::Fenced, subject.promise(0, other)).await?;
    let again = subject.promise(3, first).await?;
    ensure_eq!((again.term, again.grant), (Term::new(3), Some(first)), "a resent promise");
    let higher = subject.promise(7, other).await?;
    ensure_eq!((higher.term, higher.grant), (Term::new(7), Some(other)), "a higher promise");
    subject.refuses("the earlier grant", Refusal::Fenced, subject.promise(3, first)).await?;
    subject.audit().await.map(|_| ())
}

pub(super) async fn a_promise_survives_a_crash(kit: Kit) -> Checked {
    let mut subject = Subject::primary(&kit).await?;
    let nonce = kit.nonce();
    let head = subject.promise(9, nonce).await?;
    subject.crash().await?;
    ensure_eq!(subject.head().await?, head, "the head after a crash");
    subject.refuses("another nonce after a crash", Refusal::Fenced, subject.promise(9, kit.nonce())).await?;
    let open = subject.opening(9, nonce).await?;
    subject.open(open).await?;
    subject.audit().await.map(|_| ())
}

pub(super) async fn a_term_jumps_by_a_limited_step(kit: Kit) -> Checked {
    const LARGEST: u64 = 1 << 20;
    let subject = Subject::primary(&kit).await?;
    let operation = subject.promise(2 + LARGEST, kit.nonce());
    subject.refuses("a promise too far ahead", Refusal::TermJump, operation).await?;
    subject.promise(1 + LARGEST, kit.nonce()).await?;

    let replica = Subject::of(&kit, subject.log(), "b").await?;
    let tail = replica.head().await?.tail;
    let operation = replica.apply(apply(1 + LARGEST, tail, Vec::new()));
    replica.refuses("an apply too far ahead", Refusal::TermJump, operation).await?;
    let operation = replica.truncate(1 + LARGEST, tail, tail);
    replica.refuses("a truncation too far ahead", Refusal::TermJump, operation).await?;
    let head = replica.truncate(LARGEST, tail, tail).await?;
    ensure_eq!(head.term, Term::new(LARGEST), "the largest step");
    Ok(())
}
