use crate::{
    Append, Commit, Config, ConfigVersion, Expected, Head, Position, Refusal, Verdict, Watermarks,
    conformance::{
        Kit,
        subject::{Checked, Subject, apply, under},
        violation::{ensure, ensure_eq},
    },
};

pub(super) async fn a_configuration_is_in_force_where_it_stands(kit: Kit) -> Checked {
    let mut subject = Subject::fresh(&kit).await?;
    let implicit = subject.lead(1).await?;
    ensure_eq!(implicit.config.config.version, ConfigVersion(0), "the implicit configuration");
    let mut old = implicit;
    for number in 1..=3 {
        let head = subject.configure(&[], |config| config.min_in_sync = number as u8).await?;
        ensure_eq!(head.config.config.version, ConfigVersion(number), "the version in force");
        ensure_eq!(head.config.config.min_in_sync, number as u8, "the content in force");
        ensure_eq!(head.config.position, head.tail.position, "where it stands");
        let append = |head: &Head| {
            let batch = vec![kit.commit(subject.log(), "s", Expected::Any, 1)];
            subject.source.append(&subject.identity, under(head, batch))
        };
        subject.refuses("under the configuration before", Refusal::ConfigChanged, append(&old)).await?;
        append(&head).await?;
        old = head;
    }
    subject.crash().await?;
    ensure_eq!(subject.head().await?.config, old.config, "the configuration after a crash");
    let again = Config { version: ConfigVersion(3), min_in_sync: 9, ..Config::implicit(subject.member()) };
    let verdicts = subject.append(vec![Commit::configure(subject.log(), &again)]).await?.verdicts;
    ensure!(matches!(verdicts[..], [Verdict::VersionConflict { .. }]), "version 3 again: {verdicts:?}");
    subject.audit().await.map(|_| ())
}

/// What follows a `$config` in its batch was made under the configuration before it.
pub(super) async fn a_configuration_ends_its_batch(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    let head = subject.head().await?;
    let mut config = Config::clone(&head.config.config);
    config.version = ConfigVersion(config.version.0 + 1);
    let configure = || Commit::configure(subject.log(), &config);
    let client = || kit.commit(subject.log(), "s", Expected::Any, 1);
    let append = |batch| subject.source.append(&subject.identity, under(&head, batch));
    for batch in [vec![configure(), client()], vec![client(), configure(), client()]] {
        subject.refuses("a commit after a $config", Refusal::AfterConfig, append(batch)).await?;
    }
    let appended = append(vec![client(), configure()]).await?;
    ensure_eq!(appended.head.config.config.version, config.version, "the version in force");
    ensure_eq!(appended.head.config.position, appended.head.tail.position, "where it stands");
    subject.audit().await.map(|_| ())
}

pub(super) async fn a_replica_takes_over_the_configuration(kit: Kit) -> Checked {
    let [primary, mut replica, _] = Subject::three(&kit).await?;
    let before = replica.head().await?.config;
    ensure_eq!(before.config.version, ConfigVersion(0), "the configuration of an empty replica");
    for _ in 0..2 {
        primary.fill("s", 2).await?;
        let config = primary.configure(&[&replica], |_| ()).await?.config;
        primary.fill("s", 1).await?;
        let head = replica.follow(&primary, 1).await?;
        ensure_eq!(head.config, config, "the replica's configuration");
        replica.crash().await?;
        ensure_eq!(replica.head().await?.config, config, "the replica's configuration after a crash");
    }
    replica.audit().await.map(|_| ())
}

pub(super) async fn client_commits_wait_for_replicas(kit: Kit) -> Checked {
    let [primary, replica, _] =
        Subject::three_with(&kit, |config| config.max_unreplicated_events = Some(5)).await?;
    let log = primary.log();
    let one = || vec![kit.commit(log, "s", Expected::Any, 1)];
    primary.fill("s", 3).await?;
    primary.fill("s", 2).await?;
    let head = primary.head().await?;
    ensure_eq!(head.tail.position.get() - head.watermarks.stable.get(), 6, "events in the primary alone");
    let append = |batch, stable| {
        let watermarks = Watermarks { stable: Position::new(stable), acked: Position::new(stable) };
        primary.source.append(&primary.identity, Append { watermarks, ..under(&head, batch) })
    };
    primary.refuses("with six unreplicated events", Refusal::BackPressure, append(one(), 0)).await?;
    append(Vec::new(), 0).await?;
    append(one(), 2).await?;
    primary.refuses("with six again", Refusal::BackPressure, append(one(), 2)).await?;
    append(Vec::new(), 7).await?;
    append(one(), 7).await?;
    primary.configure(&[&replica], |config| config.max_unreplicated_events = Some(0)).await?;
    let system = primary.configure(&[&replica], |config| config.max_unreplicated_events = Some(0)).await?;
    ensure!(system.tail.position > system.watermarks.stable, "the log's own commits do not wait");
    primary.audit().await.map(|_| ())
}

/// What is published is bounded by the tail and never falls, on a primary and on a replica.
pub(super) async fn watermarks_are_bounded_and_rise(kit: Kit) -> Checked {
    let [primary, mut replica, _] = Subject::three(&kit).await?;
    primary.fill("s", 8).await?;
    let head = primary.head().await?;
    let marks = |stable, acked| Watermarks { stable: Position::new(stable), acked: Position::new(acked) };
    let tail = head.tail.position.get();
    let steps = [(4, 6, 4, 6), (2, 7, 4, 7), (5, 3, 5, 7), (9, 99, 9, tail), (0, 0, 9, tail), (999, 999, tail, tail)];
    let start = replica.head().await?.tail;
    let entries = primary.entries().await?;
    for (stable, acked, then_stable, then_acked) in steps {
        let expected = marks(then_stable, then_acked);
        let append = Append { watermarks: marks(stable, acked), ..under(&head, Vec::new()) };
        let answer = primary.source.append(&primary.identity, append).await?.head;
        ensure_eq!(answer.watermarks, expected, "the primary's watermarks after {stable}, {acked}");
        ensure_eq!(primary.head().await?, answer, "the primary's head");
        let first = replica.head().await?.tail.position.is_zero();
        let (previous, entries) = if first { (start, entries.clone()) } else { (head.tail, Vec::new()) };
        let publish = crate::Apply { watermarks: marks(stable, acked), ..apply(1, previous, entries) };
        let answer = replica.apply(publish).await?;
        ensure_eq!(answer.watermarks, expected, "the replica's watermarks after {stable}, {acked}");
    }
    replica.crash().await?;
    ensure_eq!(replica.head().await?.watermarks, marks(tail, tail), "the watermarks after a crash");
    primary.audit().await?;
    replica.audit().await.map(|_| ())
}
