use crate::{
    Config, Head, QuarantinePlace,
    conformance::{
        Kit,
        subject::{Checked, Subject},
        violation::{ensure, ensure_eq},
    },
};

pub(super) async fn a_fresh_source_is_empty(kit: Kit) -> Checked {
    let subject = Subject::fresh(&kit).await?;
    let expected = Head::empty(subject.identity, Config::implicit(subject.member()));
    ensure_eq!(subject.head().await?, expected, "the head of a fresh source");
    ensure!(subject.audit().await?.is_empty(), "a fresh source holds entries");
    ensure!(subject.quarantine(QuarantinePlace::START, 10).await?.is_empty(), "a fresh source has entries in quarantine");
    let other = subject.database.open().await?;
    ensure_eq!(other.head().await?, expected, "the head through another handle");
    let limits = subject.limits();
    let holds_one = limits.event_bytes > 0 && limits.commit_events > 0 && limits.commit_bytes > 0;
    ensure!(holds_one, "the engine's limits allow no event: {limits:?}");
    Ok(())
}
