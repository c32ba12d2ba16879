use crate::{
    Expected, Open, Position, Refusal, SourceName, TERM, Term, TermOpened, Version,
    conformance::{
        Kit, Violation,
        subject::{Checked, Subject, under},
        violation::{ensure, ensure_eq},
    },
};

pub(super) async fn opening_is_recorded(kit: Kit) -> Checked {
    let subject = Subject::fresh(&kit).await?;
    for term in [1, 5] {
        let nonce = kit.nonce();
        subject.promise(term, nonce).await?;
        let missing = vec![SourceName::recorded("lost")];
        let open = Open { forced: true, missing: missing.clone(), ..subject.opening(term, nonce).await? };
        let from = open.tail;
        let head = subject.open(open).await?;
        ensure!(head.is_primary(), "an opened source is not primary: {head:?}");
        ensure_eq!(head.lead, Term::new(term), "the term it was opened for");
        let entries = subject.audit().await?;
        let event = &entries[entries.len() - 1].events[0];
        ensure_eq!((event.stream.as_str(), event.event_type.as_str()), (TERM, TERM), "stream and type");
        let data = event.data.as_deref().unwrap_or_default();
        let opened: TermOpened = serde_json::from_slice(data).map_err(Violation::new)?;
        let (term, primary) = (Term::new(term), subject.name.clone());
        let expected = TermOpened { term, nonce, primary, from, forced: true, missing };
        ensure_eq!(opened, expected, "what the log says of the term");
        let stable = head.watermarks.stable;
        ensure_eq!(stable, head.tail.position, "the only voter's own tail is held by a majority");
    }
    let head = subject.head().await?;
    ensure_eq!(head.tail.position, Position::new(2), "two openings");
    Ok(())
}

pub(super) async fn opening_needs_the_grant(kit: Kit) -> Checked {
    let subject = Subject::fresh(&kit).await?;
    let nonce = kit.nonce();
    let open = subject.opening(1, nonce).await?;
    subject.refuses("nothing was promised", Refusal::Fenced, subject.open(open.clone())).await?;
    subject.promise(1, nonce).await?;
    let stranger = Open { nonce: kit.nonce(), ..open.clone() };
    subject.refuses("another nonce", Refusal::Fenced, subject.open(stranger)).await?;
    let higher = Open { term: Term::new(2), ..open.clone() };
    subject.refuses("a term that was not promised", Refusal::Fenced, subject.open(higher)).await?;
    subject.promise(2, kit.nonce()).await?;
    subject.refuses("a grant that was outbid", Refusal::Fenced, subject.open(open)).await?;
    subject.audit().await.map(|_| ())
}

pub(super) async fn opening_needs_the_exact_tail(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let early = subject.head().await?.tail;
    subject.commit(kit.commit(subject.log(), "s", Expected::Any, 2)).await?;
    let nonce = kit.nonce();
    subject.promise(2, nonce).await?;
    let open = subject.opening(2, nonce).await?;
    let behind = Open { tail: early, ..open.clone() };
    subject.refuses("a tail that moved", Refusal::Mismatch, subject.open(behind)).await?;
    let mut other = open.clone();
    other.tail.chain = early.chain;
    subject.refuses("another chain", Refusal::Mismatch, subject.open(other)).await?;
    let mut other = open.clone();
    other.tail.term = Term::new(2);
    subject.refuses("another term of the tail", Refusal::Mismatch, subject.open(other)).await?;
    subject.open(open).await?;
    subject.audit().await.map(|_| ())
}

pub(super) async fn a_term_is_opened_once(kit: Kit) -> Checked {
    let subject = Subject::fresh(&kit).await?;
    let nonce = kit.nonce();
    subject.promise(1, nonce).await?;
    let open = subject.opening(1, nonce).await?;
    subject.open(open.clone()).await?;
    let now = subject.opening(1, nonce).await?;
    subject.refuses("at the tail of now", Refusal::Fenced, subject.open(now)).await?;
    subject.refuses("the same request again", Refusal::Fenced, subject.open(open)).await?;
    let entries = subject.audit().await?;
    ensure_eq!(entries.len(), 1, "entries after one opening");
    ensure_eq!(entries[0].events[0].version, Version::FIRST, "the version of the first $term");
    Ok(())
}

pub(super) async fn a_promise_fences_the_primary(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let old = subject.head().await?;
    let batch = || vec![kit.commit(subject.log(), "s", Expected::Any, 1)];
    let append = |head| subject.source.append(&subject.identity, under(head, batch()));
    append(&old).await?;
    let nonce = kit.nonce();
    let promised = subject.promise(2, nonce).await?;
    ensure!(!promised.is_primary(), "still primary after a promise to another");
    subject.refuses("the old term", Refusal::Fenced, append(&old)).await?;
    subject.refuses("the promised term", Refusal::Fenced, append(&promised)).await?;
    let opened = subject.open(subject.opening(2, nonce).await?).await?;
    subject.refuses("the old term, opened again", Refusal::Fenced, append(&old)).await?;
    append(&opened).await?;
    subject.audit().await.map(|_| ())
}
