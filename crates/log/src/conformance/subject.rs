use std::{ops::Deref, sync::Arc};

use super::{
    Database, Kit, Violation,
    violation::{ensure, ensure_eq},
};
use crate::{
    Acks, Append, Appended, Apply, Commit, CommitReceipt, Config, ConfigVersion, Entry, Failover, Head,
    Identity, LogId, Member, Nonce, Open, OperationError, Point, Position, Source, SourceName, Term,
    Truncate, Verdict, Watermarks,
};

pub(crate) type Checked<T = ()> = Result<T, Violation>;

/// A database under test, and the handle through which a case speaks to it.
pub(crate) struct Subject {
    pub(crate) kit: Kit,
    pub(crate) identity: Identity,
    pub(crate) name: SourceName,
    pub(crate) database: Arc<dyn Database>,
    pub(crate) source: Arc<dyn Source>,
}

impl Subject {
    /// A provisioned, empty database of a new log.
    pub(crate) async fn fresh(kit: &Kit) -> Checked<Self> {
        Self::of(kit, LogId::new(kit.uuid()), "a").await
    }

    /// A provisioned, empty database of a log.
    pub(crate) async fn of(kit: &Kit, log: LogId, name: &str) -> Checked<Self> {
        let (identity, name) = (kit.identity(log), SourceName::recorded(name));
        let database: Arc<dyn Database> = kit.harness().create(identity, name.clone()).await?.into();
        let source = database.open().await?;
        Ok(Self { kit: kit.clone(), identity, name, database, source })
    }

    /// The only voter of a new log, primary of term 1, under `$config` 1: its log ends at position 2.
    pub(crate) async fn primary(kit: &Kit) -> Checked<Self> {
        let subject = Self::fresh(kit).await?;
        subject.lead(1).await?;
        subject.configure(&[], |_| ()).await?;
        Ok(subject)
    }

    /// A primary and two voters that hold nothing yet, at ack level Majority.
    pub(crate) async fn three(kit: &Kit) -> Checked<[Self; 3]> {
        Self::three_with(kit, |_| ()).await
    }

    /// As [`three`](Self::three), with another configuration.
    pub(crate) async fn three_with(kit: &Kit, change: impl FnOnce(&mut Config)) -> Checked<[Self; 3]> {
        let a = Self::fresh(kit).await?;
        let b = Self::of(kit, a.identity.log, "b").await?;
        let c = Self::of(kit, a.identity.log, "c").await?;
        a.lead(1).await?;
        a.configure(&[&b, &c], change).await?;
        Ok([a, b, c])
    }

    pub(crate) fn log(&self) -> LogId {
        self.identity.log
    }

    pub(crate) fn member(&self) -> Member {
        let Identity { database, incarnation, .. } = self.identity;
        Member { name: self.name.clone(), database, incarnation }
    }

    /// Drops what is not durable and opens the database again.
    pub(crate) async fn crash(&mut self) -> Checked {
        self.database.crash().await?;
        self.source = self.database.open().await?;
        Ok(())
    }

    pub(crate) async fn promise(&self, term: u64, nonce: Nonce) -> Result<Head, OperationError> {
        self.source.promise(&self.identity, Term::new(term), nonce).await
    }

    pub(crate) async fn open(&self, open: Open) -> Result<Head, OperationError> {
        self.source.open(&self.identity, open).await
    }

    /// A request to open this source at its own tail.
    pub(crate) async fn opening(&self, term: u64, nonce: Nonce) -> Checked<Open> {
        let tail = self.head().await?.tail;
        let (term, primary) = (Term::new(term), self.name.clone());
        Ok(Open { term, nonce, tail, primary, forced: false, missing: Vec::new() })
    }

    /// Makes it primary of `term` at its own tail.
    pub(crate) async fn lead(&self, term: u64) -> Checked<Head> {
        let nonce = self.kit.nonce();
        self.promise(term, nonce).await?;
        Ok(self.open(self.opening(term, nonce).await?).await?)
    }

    /// Appends the next `$config`, of this source and others as voters.
    pub(crate) async fn configure(
        &self,
        others: &[&Subject],
        change: impl FnOnce(&mut Config),
    ) -> Checked<Head> {
        let voters: Vec<Member> =
            std::iter::once(&self).chain(others).map(|subject| subject.member()).collect();
        let mut config = Config {
            version: ConfigVersion(self.head().await?.config.config.version.0 + 1),
            order: voters.iter().map(|voter| voter.name.clone()).collect(),
            acks: Acks::Majority,
            failover: Failover::Automatic,
            ..Config::implicit(self.member())
        };
        config.voters = voters;
        change(&mut config);
        self.commit(Commit::configure(self.log(), &config)).await?;
        self.head().await.map_err(Violation::from)
    }

    /// Appends under the term and configuration of its own head, knowing nothing of others.
    pub(crate) async fn append(&self, batch: Vec<Commit>) -> Checked<Appended> {
        let head = self.head().await?;
        Ok(self.source.append(&self.identity, under(&head, batch)).await?)
    }

    /// Appends one commit and demands that it is written now.
    pub(crate) async fn commit(&self, commit: Commit) -> Checked<CommitReceipt> {
        let appended = self.append(vec![commit]).await?;
        match &appended.verdicts[..] {
            [Verdict::Committed(receipt)] => Ok(receipt.clone()),
            other => Err(Violation::new(format_args!("a commit that must be written was not: {other:?}"))),
        }
    }

    /// Appends `count` single events to `stream`, each as a commit of its own.
    pub(crate) async fn fill(&self, stream: &str, count: usize) -> Checked<Head> {
        let commit = |_| self.kit.commit(self.log(), stream, crate::Expected::Any, 1);
        Ok(self.append((0..count).map(commit).collect()).await?.head)
    }

    /// Copies what it lacks of another log, under a term.
    pub(crate) async fn follow(&self, from: &Subject, term: u64) -> Checked<Head> {
        let previous = self.head().await?.tail;
        let entries = from.entries_after(previous.position).await?;
        Ok(self.apply(apply(term, previous, entries)).await?)
    }

    pub(crate) async fn apply(&self, apply: Apply) -> Result<Head, OperationError> {
        self.source.apply(&self.identity, apply).await
    }

    pub(crate) async fn truncate(&self, term: u64, keep: Point, tail: Point) -> Result<Head, OperationError> {
        self.source.truncate(&self.identity, Truncate { term: Term::new(term), keep, tail }).await
    }

    /// The entries after a position.
    pub(crate) async fn entries_after(&self, position: Position) -> Checked<Vec<Entry>> {
        entries_after(&*self.source, position).await
    }

    /// The whole log.
    pub(crate) async fn entries(&self) -> Checked<Vec<Entry>> {
        self.entries_after(Position::ZERO).await
    }

    /// Demands that an operation is refused for `reason` (whatever its content), and that nothing is different afterwards.
    pub(crate) async fn refuses<T: std::fmt::Debug>(
        &self,
        what: &str,
        reason: crate::Refusal,
        operation: impl Future<Output = Result<T, OperationError>>,
    ) -> Checked<Head> {
        let (before, log_before) = (self.head().await?, self.entries().await?);
        let answer = operation.await;
        let (after, log_after) = (self.head().await?, self.entries().await?);
        let Err(OperationError::Refused { reason: got, head }) = answer else {
            return Err(Violation::new(format_args!("{what}: expected {reason:?}, got {answer:?}")));
        };
        let same = std::mem::discriminant(&got) == std::mem::discriminant(&reason);
        ensure!(same, "{what}: expected {reason:?}, got {got:?}");
        ensure_eq!(*head, before, "{what}: the head that came with the refusal");
        ensure_eq!(after, before, "{what}: the head after the refusal");
        ensure!(log_after == log_before, "{what}: the refusal changed the log");
        Ok(after)
    }
}

impl Deref for Subject {
    type Target = dyn Source;
    fn deref(&self) -> &Self::Target {
        &*self.source
    }
}

/// A batch under the term and configuration of a head.
pub(crate) fn under(head: &Head, batch: Vec<Commit>) -> Append {
    let (term, config) = (head.term, head.config.config.version);
    Append { term, config, batch: batch.into(), watermarks: Watermarks::default() }
}

/// Entries under a term, knowing nothing of others.
pub(crate) fn apply(term: u64, previous: Point, entries: Vec<Entry>) -> Apply {
    Apply { term: Term::new(term), previous, entries: entries.into(), watermarks: Watermarks::default() }
}

/// The entries of a source after a position, in one page.
pub(crate) async fn entries_after(source: &dyn Source, position: Position) -> Checked<Vec<Entry>> {
    let read = crate::ReadLog {
        from: position.next(),
        to: Position::new(u64::MAX),
        max_events: usize::MAX,
        max_bytes: usize::MAX,
    };
    Ok(source.read_log(read).await?.entries)
}
