use std::{sync::Arc, time::Instant};

use kube::{Resource, runtime::controller::Action};
use polylog_crds::{EventStore, manifests::ObjectKey};
use polylog_log::LogId;
use uuid::Uuid;

use super::{
    EventStores, Guarded,
    asking::SOON,
    dereference::DereferenceError,
    finalizer,
    gateway::Seen,
    key,
    look::approval,
    made,
    membership::{Before, may_vote},
    memory::{EVERY, Inputs, Remembered, back_off, drift_wait, spread},
    refusal::{Reason, Refusal},
    status::Judged,
};
use crate::entrance::PairError;

/// Why a reconcile did not come to its end. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    /// Something that the store refers to cannot be read.
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    /// What was written down of its gateway's certificate cannot be read.
    #[error(transparent)]
    Noted(#[from] PairError),
    /// The API server refuses a request, or does not answer.
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
}

/// Brings one EventStore nearer to what its manifest says.
pub(super) async fn reconcile(
    object: Arc<Guarded>,
    stores: Arc<EventStores>,
) -> Result<Action, ReconcileError> {
    let Some(key) = key(object.meta()) else { return Ok(Action::await_change()) };
    if let Some(later) = stores.context.leave(&key.namespace, &*object).await? {
        // what comes back later is looked at anew
        stores.memory.forget(&key);
        return Ok(later);
    }
    let now = Instant::now();
    if object.meta().deletion_timestamp.is_some() {
        return stores.delete(&key, &object).await;
    }
    let store = match &object.0 {
        Ok(store) => store,
        Err(invalid) => {
            let message = format!("this version cannot read the EventStore: {}", invalid.error);
            let mut remembered = stores.memory.get(&key);
            remembered.judged = Some(Judged::Refused(Refusal::new(Reason::InvalidObject, message)));
            return stores.report(&key, object.meta(), None, remembered).await;
        }
    };
    if store.spec.suspend == Some(true) {
        return stores.report_suspended(&key, store).await;
    }
    if !finalizer::is_wanted(store) {
        stores.finalize(&key, object.meta(), false).await?;
    }
    let mut remembered = stores.memory.get(&key);
    let inputs = Inputs {
        uid: store.metadata.uid.clone().unwrap_or_default(),
        generation: store.metadata.generation,
        approval: approval(store),
        // looked at again at once when the last of the pods that it waits for is gone
        may_vote: remembered.judged.as_ref().is_some_and(Judged::has_followers)
            && may_vote(&stores.pods_of(&key)),
    };
    if remembered.inputs.as_ref().is_some_and(|before| before.uid != inputs.uid) {
        // another object of the same name
        remembered = Remembered::default();
    }
    let is_changed = stores.context.objects.are_changed(key.namespace.as_str(), &made(&key));
    if is_changed {
        // its Deployment, perhaps: it may be there now
        remembered.unopened = 0;
    }
    if is_changed || remembered.is_due(&inputs, now) {
        stores.look_again(&key, store, inputs, &mut remembered).await?;
    }
    if let Some(Judged::Looked(..) | Judged::Blind(_)) = &remembered.judged {
        if remembered.should_ask_gateway() {
            remembered.should_ask = false;
            stores.asking.ask(&key);
        }
        if remembered.gateway.is_none() {
            // what it says is a part of the status: its first one is not written without
            stores.memory.put(key, remembered);
            return Ok(Action::requeue(SOON));
        }
    } else if remembered.gateway.is_none() {
        remembered.gateway = Some((now, Seen::Nothing("there is no gateway yet".to_owned())));
    }
    stores.report(&key, object.meta(), Some(store), remembered).await
}

impl EventStores {
    async fn look_again(
        &self,
        key: &ObjectKey,
        store: &EventStore,
        inputs: Inputs,
        remembered: &mut Remembered,
    ) -> Result<(), ReconcileError> {
        let known = remembered.log.or_else(|| told_log(store));
        let status = remembered.status.as_ref().map(|(_, status)| status).or(store.status.as_ref());
        let before = Before::of(status);
        let newcomers = remembered.newcomers.clone();
        let look = self.look(key, store, known, &before, &newcomers, &mut remembered.identities).await?;
        let had_plan = status.and_then(|status| status.plan.as_ref()).is_some_and(|plan| plan.hash.is_some());
        self.apply(key, &look, had_plan).await?;
        let share = rand::random();
        // a credential that is refused is not tried so often that its account is locked
        let stands = look.is_shut || matches!(look.judged, Judged::Refused(_));
        remembered.failures = if stands { remembered.failures.saturating_add(1) } else { 0 };
        let every = self.context.args.drift_check;
        let is_first = remembered.inputs.is_none();
        let wait = match (stands, look.is_incomplete) {
            (true, _) => back_off(remembered.failures, share),
            (false, true) => spread(every.min(EVERY), share),
            (false, false) => drift_wait(every, is_first, share),
        };
        if let Judged::Looked(_, progress) = &look.judged {
            remembered.log = progress.log.or(remembered.log);
            self.tell_of_plan(store, progress, remembered).await;
        }
        remembered.next = Some(Instant::now() + wait);
        remembered.inputs = Some(inputs);
        remembered.judged = Some(look.judged);
        Ok(())
    }
}

/// What an earlier process wrote down.
pub(super) fn told_log(store: &EventStore) -> Option<LogId> {
    let id = store.status.as_ref()?.store_id.as_deref()?;
    Uuid::try_parse(id).ok().map(LogId::new)
}
