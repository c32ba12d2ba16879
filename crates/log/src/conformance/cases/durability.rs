use crate::conformance::{
    Kit,
    act::Kind,
    subject::Checked,
    violation::ensure,
};

/// Every operation, answered, then a crash.
pub(super) async fn what_was_answered_survives_a_crash(kit: Kit) -> Checked {
    for kind in Kind::ALL {
        let (mut subject, act) = kind.prepare(&kit).await?;
        let before = subject.state().await?;
        act.send(&*subject.source, &subject.identity).await?;
        let answered = subject.state().await?;
        ensure!(act.took_effect(&before, &answered)?, "{kind:?} had no effect");
        for crash in 1..=2 {
            subject.crash().await?;
            ensure!(subject.state().await? == answered, "{kind:?} was lost by crash {crash}");
        }
        subject.audit().await?;
    }
    Ok(())
}
