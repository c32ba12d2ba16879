use crate::{
    DatabaseId, Identity, Incarnation, LogId, Refusal,
    conformance::{
        Kit,
        act::Kind,
        subject::Checked,
        violation::ensure,
    },
};

/// Requests for another log, another database or another adoption of it.
pub(super) async fn requests_for_another_store_are_refused(kit: Kit) -> Checked {
    for kind in Kind::ALL {
        let (subject, act) = kind.prepare(&kit).await?;
        let own = subject.identity;
        let others = [
            ("log", Identity { log: LogId::new(kit.uuid()), ..own }),
            ("database", Identity { database: DatabaseId::new(kit.uuid()), ..own }),
            ("incarnation", Identity { incarnation: Incarnation::new(kit.uuid()), ..own }),
        ];
        let before = subject.state().await?;
        for (part, of) in others {
            let what = format!("{kind:?} for another {part}");
            let operation = act.send(&*subject.source, &of);
            subject.refuses(&what, Refusal::WrongStore, operation).await?;
        }
        ensure!(subject.state().await? == before, "{kind:?} for another store wrote something");
        act.send(&*subject.source, &own).await?;
        subject.audit().await?;
    }
    Ok(())
}
