use std::sync::Arc;

use polylog_log::{
    Appended, Commit, CommitId, CommitReceipt, Effect, Fault, OperationError, Quarantined, RecordedCommit,
    Refusal, Rule, Rules, Timestamp, Verdict,
};

use super::{
    Connection, Server, injected,
    tables::{Change, Tables},
    unknown,
};
use crate::{database::State, entries::rows};

/// One operation on its way through its steps.
struct Passage<'a> {
    connection: &'a Connection,
    is_committed: bool,
    is_reply_lost: bool,
}

impl Passage<'_> {
    /// Goes past a point between two steps.
    async fn pass(&mut self, point: &'static str) -> Result<(), OperationError> {
        let server = &self.connection.server;
        server.schedule.step().await;
        match server.fail_points.hit(point) {
            None => {}
            Some(Fault::Error) if self.is_committed => return Err(OperationError::Unknown(injected())),
            Some(Fault::Error) => return Err(OperationError::Failed(injected())),
            Some(Fault::LostReply) => self.is_reply_lost = true,
            Some(Fault::Crash) => server.crash(),
            Some(Fault::Delay) => server.schedule.delay().await,
        }
        self.connection.read(|_| ()).map_err(|_| unknown())
    }

    fn answer<T>(&self, answer: T) -> Result<T, OperationError> {
        if self.is_reply_lost { Err(unknown()) } else { Ok(answer) }
    }
}

impl Connection {
    /// A transaction under the head's lock: what `decide` returns is written as a whole or not at all.
    pub(super) async fn transact<T>(
        &self,
        decide: impl FnOnce(&Tables, Timestamp) -> Result<(Vec<Change>, T), Refusal>,
    ) -> Result<T, OperationError> {
        let server = &self.server;
        let mut passage = Passage { connection: self, is_committed: false, is_reply_lost: false };
        server.schedule.step().await;
        let _lock = if server.is_on(Rule::OneStep) { Some(server.shared.lock.lock().await) } else { None };
        passage.pass("locked").await?;
        let clock = server.schedule.clock();
        let decided = self
            .read(|tables| decide(tables, clock).map_err(|reason| (reason, Box::new(tables.head.clone()))));
        let (changes, answer) = match decided.map_err(|_| unknown())? {
            Ok(decided) => decided,
            Err((reason, head)) => {
                passage.answer(())?;
                return Err(OperationError::Refused { reason, head });
            }
        };
        passage.pass("decided").await?;
        for change in changes.iter().filter(|change| matches!(change, Change::Insert(_))) {
            if !server.is_on(Rule::WholeCommits) {
                self.write(std::slice::from_ref(change))?;
            }
            passage.pass("row written").await?;
        }
        passage.pass("written").await?;
        self.write(&changes)?;
        passage.is_committed = true;
        passage.pass("committed").await?;
        passage.answer(answer)
    }

    /// An operation on the head.
    pub(super) async fn operate<T>(
        &self,
        decide: impl FnOnce(&Tables, Timestamp) -> Result<Effect, Refusal>,
        answer: impl FnOnce(Effect) -> T,
    ) -> Result<T, OperationError> {
        let mut announced = Announced { server: &self.server, ids: Vec::new() };
        self.transact(|tables, clock| {
            let effect = decide(tables, clock)?;
            announced.announce(&effect);
            let changes = changes(tables, &effect, self.server.options.rules);
            Ok((changes, answer(effect)))
        })
        .await
    }

    fn write(&self, changes: &[Change]) -> Result<(), OperationError> {
        let mut state = self.server.state.lock();
        if state.generation != self.generation {
            return Err(unknown());
        }
        let State { memory, disk, .. } = &mut *state;
        for change in changes {
            memory.change(change.clone());
            if self.server.is_on(Rule::Durable) {
                disk.change(change.clone());
            }
        }
        self.server.tail.send_replace(memory.head.tail.position);
        Ok(())
    }
}

fn changes(tables: &Tables, effect: &Effect, rules: Rules) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(cut) = effect.cut {
        let removed = tables.entries_from(cut.keep.position.next());
        if rules.on(Rule::TruncateQuarantines) {
            changes.extend(removed.into_iter().map(|entry| Change::Quarantine(Quarantined { cut, entry })));
        }
        changes.push(Change::RemoveAfter(cut.keep.position));
    }
    let written = effect.write.iter().flat_map(|entry| rows(entry, rules));
    changes.extend(written.map(|row| Change::Insert(Arc::new(row))));
    changes.push(Change::Head(Box::new(effect.head.clone())));
    changes
}

/// What a transaction under way will write, until it ends: to be seen by others when the rule against that is off.
struct Announced<'a> {
    server: &'a Server,
    ids: Vec<CommitId>,
}

impl Announced<'_> {
    fn announce(&mut self, effect: &Effect) {
        let recorded = effect.write.iter().filter_map(|entry| {
            let (receipt, fingerprint) = (CommitReceipt::of(entry), entry.fingerprint);
            let first_event = entry.events.first()?.id;
            Some((entry.commit_id()?, RecordedCommit { receipt, fingerprint, first_event }))
        });
        let mut uncommitted = self.server.shared.uncommitted.lock();
        for (id, recorded) in recorded {
            self.ids.push(id);
            uncommitted.insert(id, recorded);
        }
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        let mut uncommitted = self.server.shared.uncommitted.lock();
        self.ids.iter().for_each(|id| drop(uncommitted.remove(id)));
    }
}

impl Connection {
    /// Verdicts and head, if transactions under way write all of these commits and the rule against looking is off.
    pub(super) fn under_way(&self, batch: &[Commit]) -> Option<Appended> {
        if self.server.is_on(Rule::CommittedOnly) || batch.is_empty() {
            return None;
        }
        let uncommitted = self.server.shared.uncommitted.lock();
        let duplicate = |commit: &Commit| {
            let recorded = uncommitted.get(&commit.id)?;
            let is_same = recorded.fingerprint == commit.fingerprint;
            is_same.then(|| Verdict::Duplicate(recorded.receipt.clone()))
        };
        let verdicts = batch.iter().map(duplicate).collect::<Option<_>>()?;
        Some(Appended { verdicts, head: self.read(|tables| tables.head.clone()).ok()?, written: Vec::new() })
    }
}
