//! One whole look at a store: what it refers to, whether it can be, what its databases hold, and what it needs.

use std::collections::BTreeMap;

use kube::{Resource, runtime::reflector::Store};
use polylog_crds::{EventStore, ReplicationStrategy, manifests::ObjectKey};
use polylog_log::{Identity, LogId};

use super::{
    EventStores, Guarded,
    budget::Pools,
    build::{Built, Kind, Owner, Wanted, build, plan_map},
    dereference::{DereferenceError, Reader},
    finalizer,
    joining::{Newcomers, new_log},
    membership::{Before, check_kept, memberships},
    namespaced,
    provision::{Approvals, Provisioning},
    reconcile::ReconcileError,
    refusal::Refusal,
    status::{Judged, Known},
    validate::{Validated, validated},
};
use crate::names;

/// What a look gave.
pub(super) struct Look {
    pub(super) judged: Judged,
    /// What is to be applied; nothing where the store cannot be served.
    pub(super) objects: Vec<Built>,
    /// Whether there is no plan any more.
    pub(super) has_no_plan: bool,
    /// Whether something is to be tried again soon.
    pub(super) is_incomplete: bool,
    /// Whether sidecars cannot use a database.
    pub(super) is_shut: bool,
}

impl Look {
    fn refused(refusal: Refusal) -> Self {
        Self::that_stands(refusal, Vec::new(), false)
    }

    /// Something stands in the way.
    fn that_stands(refusal: Refusal, objects: Vec<Built>, is_incomplete: bool) -> Self {
        let judged = Judged::Refused(refusal);
        Self { judged, objects, has_no_plan: false, is_incomplete, is_shut: false }
    }
}

impl EventStores {
    /// Looks at everything, and carries out approved steps.
    pub(super) async fn look(
        &self,
        key: &ObjectKey,
        store: &EventStore,
        known: Option<LogId>,
        before: &Before,
        newcomers: &Newcomers,
        seen: &mut BTreeMap<String, Identity>,
    ) -> Result<Look, ReconcileError> {
        let strategy = self.strategy(key, store).await?;
        let strategy_generation = strategy.as_ref().and_then(|strategy| strategy.metadata.generation);
        let account = self.context.account();
        let found = match self.reader(&account).dereference(key, store, strategy.clone()).await {
            Ok(found) => found,
            Err(DereferenceError::Refused(refusal)) => return Ok(Look::refused(refusal)),
            Err(error @ DereferenceError::Api { .. }) => return Err(error.into()),
        };
        let Validated { store: resolved, warnings } = match validated(key, &found) {
            Ok(validated) => validated,
            Err(refusal) => return Ok(Look::refused(refusal)),
        };
        if let Err(refusal) = check_kept(&resolved, before) {
            return Ok(Look::refused(refusal));
        }
        if finalizer::is_wanted(store) {
            // before anything of it is written that would be left behind
            self.finalize(key, store.meta(), true).await?;
        }
        let uid = store.meta().uid.clone().unwrap_or_default();
        let all = self.all().await;
        let progress = if found.is_blind {
            Ok(None)
        } else {
            let approvals = Approvals {
                mode: resolved.provisioning.mode,
                automatic: resolved.provisioning.auto_approve,
                hash: approval(store),
            };
            let others = |log| holder_of(&all, log, &uid);
            let may_write = || self.context.leadership.holds();
            let provisioning = Provisioning {
                uid: &uid,
                manifests: &found.manifests,
                store: &resolved,
                known,
                provisioned: &before.provisioned,
                newcomers,
                approvals,
                unsafe_durability: self.context.args.unsafe_durability,
                others: &others,
                may_write: &may_write,
            };
            provisioning.run().await.map(Some)
        };
        if let Ok(Some(progress)) = &progress {
            let there = progress.sources.iter();
            seen.extend(there.filter_map(|one| Some((one.source.clone(), one.identity?))));
        }
        let members = memberships(&resolved, before, &self.pods_of(key), seen);
        let owner = Owner { key: key.clone(), uid };
        let (entrance, is_incomplete) = self.entrance(&owner, &store.spec, &found).await?;
        let strategy = strategy.as_ref().zip(store.spec.strategy_ref.as_ref());
        let wanted = |log| Wanted {
            owner: &owner,
            spec: &store.spec,
            strategy: strategy.map(|(strategy, reference)| (&reference.name, &strategy.spec)),
            store: &resolved,
            log,
            members: &members,
            schemas: found.schemas.as_ref().map(|(name, keys)| (name, keys.as_slice())),
            entrance: entrance.clone(),
            image: &self.context.args.sidecar_image,
            pull_policy: self.context.args.webhook.sidecar_pull_policy.as_deref(),
        };
        Ok(match progress {
            // a database that stands in the way holds up neither the gateway nor the sidecars, which wait for it too
            Err(refusal) if refusal.is_invalid() => Look::refused(refusal),
            Err(refusal) => {
                let objects = build(&wanted(known));
                Look::that_stands(refusal, objects, is_incomplete)
            }
            Ok(progress) => {
                let is_shut =
                    progress.iter().flat_map(|progress| &progress.sources).any(|one| one.shut.is_some());
                let log = progress.as_ref().and_then(|progress| progress.log).or(known);
                let mut objects = build(&wanted(log));
                let plan = progress.as_ref().and_then(|progress| plan_map(&owner, &progress.waiting));
                let has_no_plan = plan.is_none();
                objects.extend(plan);
                let authorities = entrance.authorities.clone();
                let members = members.clone();
                let pools = Pools::of(&store.spec);
                let known =
                    Known { store: resolved, warnings, strategy_generation, authorities, members, pools };
                let judged = match progress {
                    Some(progress) => Judged::Looked(known, progress),
                    None => Judged::Blind(known),
                };
                Look { judged, objects, has_no_plan, is_incomplete, is_shut }
            }
        })
    }

    /// Reads what a store refers to, as the operator's `account`.
    pub(super) fn reader<'a>(&'a self, account: &'a str) -> Reader<'a> {
        Reader {
            client: &self.context.client,
            account,
            is_cluster_wide: self.context.args.watch_namespaces.is_empty(),
        }
    }

    /// Its strategy, as far as there is one.
    pub(super) async fn strategy(
        &self,
        key: &ObjectKey,
        store: &EventStore,
    ) -> Result<Option<ReplicationStrategy>, ReconcileError> {
        let Some(reference) = &store.spec.strategy_ref else { return Ok(None) };
        let api = namespaced::<ReplicationStrategy>(&self.context, key);
        Ok(api.get_opt(reference.name.as_str()).await?)
    }

    /// Every EventStore that this operator sees, once each scope was read.
    pub(super) async fn all(&self) -> Vec<Store<Guarded>> {
        let all = self.context.stores.read().clone();
        for stores in &all {
            if let Err(error) = stores.wait_until_ready().await {
                tracing::debug!(%error, "event stores are no longer watched");
            }
        }
        all
    }

    /// Makes what is built so, and removes a plan that is done.
    pub(super) async fn apply(
        &self,
        key: &ObjectKey,
        look: &Look,
        had_plan: bool,
    ) -> Result<(), ReconcileError> {
        let context = &self.context;
        for built in &look.objects {
            context.objects.apply(&context.client, &key.namespace, built, &context.metrics).await?;
        }
        if look.has_no_plan && had_plan {
            let name = names::of_plan(key);
            let kind = Kind::ConfigMap;
            context.objects.remove(&context.client, &key.namespace, kind, &name, &context.metrics).await?;
        }
        Ok(())
    }
}

/// The other EventStore that a log belongs to, if one of them knows it or would begin it.
pub(super) fn holder_of(all: &[Store<Guarded>], log: LogId, uid: &str) -> Option<ObjectKey> {
    let text = log.to_string();
    let is_holder = |store: &Guarded| {
        let (Some(other), Ok(store)) = (store.meta().uid.as_deref(), &store.0) else { return false };
        let told = store.status.as_ref().and_then(|status| status.store_id.as_deref());
        other != uid && (told == Some(text.as_str()) || new_log(other) == log)
    };
    let other = all.iter().find_map(|stores| stores.find(is_holder))?;
    super::key(other.meta())
}

/// The hash in the annotation.
pub(super) fn approval(store: &EventStore) -> Option<String> {
    store.metadata.annotations.as_ref()?.get(names::APPROVE_PLAN).cloned()
}

/// Who wrote the annotation, as far as the API server knows, and when.
pub(super) fn approved_by(store: &EventStore) -> String {
    let field = format!("f:{}", names::APPROVE_PLAN);
    let entries = store.metadata.managed_fields.iter().flatten();
    let entry = entries.into_iter().find(|entry| {
        let annotations = entry.fields_v1.as_ref().map(|fields| &fields.0["f:metadata"]["f:annotations"]);
        annotations.is_some_and(|annotations| annotations.get(&field).is_some())
    });
    let by = entry.and_then(|entry| entry.manager.clone()).unwrap_or_else(|| "somebody".to_owned());
    match entry.and_then(|entry| entry.time.as_ref()) {
        Some(time) => format!("{by} at {}", time.0),
        None => by,
    }
}
