//! A deleted EventStore whose `deletionPolicy` is Delete: drained, wiped, let go.

use kube::{Resource, runtime::controller::Action};
use polylog_crds::{
    EventStore,
    event_store::{EventStoreStatus, ProvisioningMode},
    manifests::ObjectKey,
};
use polylog_log::{Failure, LogId};

use super::{
    EventStores, Guarded,
    dereference::DereferenceError,
    finalizer,
    joining::{Newcomers, new_log},
    look::holder_of,
    memory::{Remembered, back_off},
    provision::{Approvals, Provisioning},
    reconcile::{ReconcileError, told_log},
    refusal::{Reason, Refusal},
    validate::validated,
    wait::Wait,
};
use crate::kinds::{conditions_differ, now};

/// What became of the data of a store that may go.
enum Gone {
    /// These tables were dropped, each with its place.
    Wiped(Vec<String>),
    /// It was not to be wiped after all.
    Retained,
    /// Somebody would rather have the EventStore gone.
    Forced,
}

impl EventStores {
    /// Brings a deleted store nearer to its end.
    pub(super) async fn delete(&self, key: &ObjectKey, object: &Guarded) -> Result<Action, ReconcileError> {
        let meta = object.meta();
        if !finalizer::stands(meta) {
            // nothing is made again of what goes with it
            return Ok(Action::await_change());
        }
        let outcome = match &object.0 {
            _ if finalizer::is_forced(meta) => Ok(Gone::Forced),
            Ok(store) => self.wipe(key, store).await?,
            Err(invalid) => {
                let message = format!("this version cannot read the EventStore: {}", invalid.error);
                Err(Wait::Refused(Refusal::new(Reason::InvalidObject, message)))
            }
        };
        match outcome {
            Ok(gone) => {
                self.tell_of_end(key, object, &gone).await;
                self.finalize(key, meta, false).await?;
                Ok(Action::await_change())
            }
            Err(wait) => self.report_wait(key, object, &wait).await,
        }
    }

    async fn wipe(&self, key: &ObjectKey, store: &EventStore) -> Result<Result<Gone, Wait>, ReconcileError> {
        if !finalizer::is_wanted(store) {
            return Ok(Ok(Gone::Retained));
        }
        if store.spec.suspend == Some(true) {
            return Ok(Err(Wait::Suspended));
        }
        let mode = store.spec.provisioning.as_ref().and_then(|provisioning| provisioning.mode);
        if let Some(mode) = mode.filter(|mode| *mode != ProvisioningMode::Apply) {
            return Ok(Err(Wait::NotOurs(mode)));
        }
        if let Some(wait) = self.drain(key).await? {
            return Ok(Err(wait));
        }
        let known = self.memory.get(key).log.or_else(|| told_log(store));
        Ok(self.drop_tables(key, store, known).await?.map(Gone::Wiped).map_err(Wait::Refused))
    }

    async fn drop_tables(
        &self,
        key: &ObjectKey,
        store: &EventStore,
        known: Option<LogId>,
    ) -> Result<Result<Vec<String>, Refusal>, ReconcileError> {
        let strategy = self.strategy(key, store).await?;
        let account = self.context.account();
        let found = match self.reader(&account).dereference(key, store, strategy).await {
            Ok(found) => found,
            Err(DereferenceError::Refused(refusal)) => return Ok(Err(refusal)),
            Err(error @ DereferenceError::Api { .. }) => return Err(error.into()),
        };
        let resolved = match validated(key, &found) {
            Ok(validated) => validated.store,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let uid = store.meta().uid.clone().unwrap_or_default();
        let all = self.all().await;
        let others = |log| holder_of(&all, log, &uid);
        let may_write = || self.context.leadership.holds();
        let provisioning = Provisioning {
            uid: &uid,
            manifests: &found.manifests,
            store: &resolved,
            known,
            provisioned: &Default::default(),
            newcomers: &Newcomers::default(),
            approvals: Approvals::none(),
            unsafe_durability: self.context.args.unsafe_durability,
            others: &others,
            may_write: &may_write,
        };
        Ok(provisioning.wipe().await)
    }

    async fn tell_of_end(&self, key: &ObjectKey, object: &Guarded, gone: &Gone) {
        let (is_good, reason, note) = match gone {
            Gone::Wiped(tables) if tables.is_empty() => {
                (true, "Wiped", "its databases held nothing of it".to_owned())
            }
            Gone::Wiped(tables) => (true, "Wiped", format!("dropped: {}", tables.join(", "))),
            Gone::Retained => (true, "Retained", "deletionPolicy is Retain: its databases stay".to_owned()),
            Gone::Forced => {
                (false, "NotWiped", "let go by annotation: what its databases hold stays".to_owned())
            }
        };
        match gone {
            Gone::Wiped(tables) => {
                tracing::info!(
                    event = "store_wiped",
                    store = %key,
                    tables = tables.len(),
                    "the data of a deleted EventStore is gone"
                );
            }
            Gone::Retained => {}
            Gone::Forced => {
                tracing::warn!(
                    event = "store_not_wiped",
                    store = %key,
                    "a deleted EventStore was let go before it was wiped"
                );
            }
        }
        self.context.tell(object, is_good, reason, "Delete", &note).await;
    }

    /// Says what the store waits for, and tries again: soon at first, then more and more seldom.
    async fn report_wait(
        &self,
        key: &ObjectKey,
        object: &Guarded,
        wait: &Wait,
    ) -> Result<Action, ReconcileError> {
        let mut remembered = self.memory.get(key);
        let told = remembered.status.as_ref().map(|(_, status)| status.clone());
        let before: EventStoreStatus = told
            .or_else(|| object.0.as_ref().ok().and_then(|store| store.status.clone()))
            .unwrap_or_default();
        let previous = before.conditions.as_deref().unwrap_or_default();
        let generation = object.meta().generation;
        let conditions = wait.conditions(key, generation, previous, now());
        if conditions_differ(Some(previous), Some(&conditions)) {
            let next = EventStoreStatus {
                conditions: Some(conditions),
                observed_generation: generation,
                ..before.clone()
            };
            self.write(key, &next).await?;
            remembered.status = Some((std::time::Instant::now(), next));
            tracing::info!(event = "wipe_waits", store = %key, ?wait, "a deleted EventStore waits");
        }
        remembered.waits = remembered.waits.saturating_add(1);
        let again = back_off(remembered.waits, rand::random());
        self.memory.put(key.clone(), Remembered { judged: None, ..remembered });
        Ok(Action::requeue(again))
    }
}

impl Provisioning<'_> {
    /// Drops what each database holds of the store's log, and nothing else; says which tables.
    async fn wipe(&self) -> Result<Vec<String>, Refusal> {
        let log = self.known.unwrap_or_else(|| new_log(self.uid));
        if let Some(other) = (self.others)(log) {
            let message = format!("log {log} belongs to EventStore {other} too: nothing was dropped");
            return Err(Refusal::new(Reason::IdentityConflict, message));
        }
        let mut dropped = Vec::new();
        for source in self.store.sources.iter().filter(|source| source.provisioned) {
            let provisioner = self.provisioner(source)?;
            if !(self.may_write)() {
                let message = "this operator leads no longer; the next one goes on";
                return Err(Refusal::new(Reason::Unreachable, message));
            }
            match provisioner.wipe(log).await {
                Ok(tables) => dropped.extend(tables.iter().map(|table| format!("{provisioner}: {table}"))),
                // nothing of this store was ever there
                Err(Failure::WrongStore(_)) if self.known.is_none() => {}
                Err(failure) => return Err(Refusal::of_source(&provisioner.to_string(), &failure)),
            }
        }
        Ok(dropped)
    }
}
