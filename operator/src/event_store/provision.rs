//! Databases as the manifest says: look, plan, and carry out what is approved.

use polylog_crds::{
    event_store::{Adopt, ApprovedClass, ProvisioningMode},
    manifests::{Manifests, ObjectKey},
    resolve::{ResolvedSource, ResolvedStore},
};
use polylog_log::{Approval, DatabaseId, Identity, Incarnation, LogId, Plan, SourceName, Step, StepClass};
use polylog_sidecar::{
    config::declared_database,
    sources::{Planned, Provisioner, index_options},
};
use ring::digest::{Context, SHA256};
use uuid::Uuid;

use super::refusal::{Reason, Refusal};

/// What is to be done for one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourcePlan {
    pub(crate) source: String,
    /// Its database, without credentials.
    pub(crate) place: String,
    pub(crate) plan: Plan,
}

/// What is to be done for a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StorePlan {
    pub(crate) sources: Vec<SourcePlan>,
}

impl StorePlan {
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.iter().all(|source| source.plan.is_empty())
    }

    /// What an approval names. With one source it is what `polylog plan` prints for it.
    pub(crate) fn hash(&self) -> String {
        let plans: Vec<&SourcePlan> = self.sources.iter().filter(|source| !source.plan.is_empty()).collect();
        if let [only] = plans[..] {
            return only.plan.hash();
        }
        let mut context = Context::new(&SHA256);
        for SourcePlan { source, plan, .. } in plans {
            context.update(format!("{}:{source}:{}\n", source.len(), plan.hash()).as_bytes());
        }
        context.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = (&str, &Step)> {
        self.sources
            .iter()
            .flat_map(|source| source.plan.steps.iter().map(|step| (source.source.as_str(), step)))
    }
}

/// Who approves what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Approvals {
    pub(crate) mode: ProvisioningMode,
    pub(crate) automatic: ApprovedClass,
    /// The hash in the annotation.
    pub(crate) hash: Option<String>,
}

impl Approvals {
    /// Nobody approves anything.
    pub(crate) fn none() -> Self {
        Self { mode: ProvisioningMode::Apply, automatic: ApprovedClass::None, hash: None }
    }

    /// What may be carried out of this plan.
    pub(crate) fn of(&self, store: &StorePlan, plan: &Plan) -> Approval {
        if self.mode != ProvisioningMode::Apply {
            return Approval::none();
        }
        let by_class = match self.automatic {
            ApprovedClass::None => Approval::none(),
            ApprovedClass::Additive => Approval::up_to(StepClass::Additive),
            ApprovedClass::Slow => Approval::up_to(StepClass::Slow),
        };
        match &self.hash {
            Some(hash) if *hash == store.hash() => by_class.and_plan(plan.hash()),
            _ => by_class,
        }
    }
}

/// How far the databases of a store are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The log, once it is in a database.
    pub(crate) log: Option<LogId>,
    /// The sources that were looked at, with the database's id, once it is there.
    pub(crate) sources: Vec<(String, Option<DatabaseId>)>,
    /// Steps that wait, with the plan's hash.
    pub(crate) waiting: StorePlan,
    /// How many steps were carried out just now.
    pub(crate) done: usize,
    /// The hash by which they were approved, if the annotation did.
    pub(crate) approved: Option<String>,
}

/// What is to become of a store's databases.
pub(crate) struct Provisioning<'a> {
    pub(crate) uid: &'a str,
    pub(crate) manifests: &'a Manifests,
    pub(crate) store: &'a ResolvedStore,
    /// What `status` says, or what was found before.
    pub(crate) known: Option<LogId>,
    pub(crate) approvals: Approvals,
    pub(crate) unsafe_durability: bool,
    /// Logs of other stores, with their names.
    pub(crate) others: &'a (dyn Fn(LogId) -> Option<ObjectKey> + Send + Sync),
    /// Asked before each change.
    pub(crate) may_write: &'a (dyn Fn() -> bool + Send + Sync),
}

/// The log that a new EventStore begins. Always the same for the same object: a process that ends in the middle is
/// followed by one that makes the same plan, with the same hash.
pub(crate) fn new_log(uid: &str) -> LogId {
    LogId::new(derived(&["log", uid]))
}

fn fresh(uid: &str, source: &str) -> Identity {
    Identity {
        log: new_log(uid),
        database: DatabaseId::new(derived(&["database", uid, source])),
        incarnation: Incarnation::new(derived(&["incarnation", uid, source])),
    }
}

fn derived(parts: &[&str]) -> Uuid {
    let name: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"polylog.dev"), name.as_bytes())
}

impl Provisioning<'_> {
    /// Looks at each database that belongs to the log, and carries out what is approved.
    pub(crate) async fn run(&self) -> Result<Progress, Refusal> {
        let mut found = Vec::new();
        for source in self.store.sources.iter().filter(|source| source.provisioned) {
            let provisioner = self.provisioner(source)?;
            let planned = self.look(&provisioner).await?;
            found.push((source.name.as_str().to_owned(), provisioner, planned));
        }
        let log = self.agreed(&found)?;
        let mut progress =
            Progress { log, sources: Vec::new(), waiting: StorePlan::default(), done: 0, approved: None };
        let plan = StorePlan {
            sources: found
                .iter()
                .map(|(source, provisioner, planned)| SourcePlan {
                    source: source.clone(),
                    place: provisioner.to_string(),
                    plan: planned.plan.clone(),
                })
                .collect(),
        };
        for ((source, provisioner, planned), of_source) in found.into_iter().zip(&plan.sources) {
            let approval = self.approvals.of(&plan, &planned.plan);
            let hash = planned.plan.hash();
            let is_approved = planned.plan.steps.iter().any(|step| approval.allows(step, &hash));
            let mut waiting = of_source.clone();
            let mut planned = planned;
            if is_approved {
                if !(self.may_write)() {
                    let message = "this operator leads no longer; the next one goes on";
                    return Err(Refusal::new(Reason::Unreachable, message));
                }
                let failed = |failure| Refusal {
                    while_applying: true,
                    ..Refusal::of_source(&provisioner.to_string(), &failure)
                };
                let applied = provisioner.apply(&planned.plan, &approval).await.map_err(failed)?;
                progress.done += applied.done.len();
                progress.approved = self.approvals.hash.clone().filter(|hash| *hash == plan.hash());
                // what is there is asked, not concluded
                planned = self.look(&provisioner).await?;
                waiting.plan = planned.plan.clone();
            }
            let id = planned.is_there.then_some(planned.identity.database);
            progress.log = progress.log.or(planned.is_there.then_some(planned.identity.log));
            progress.sources.push((source, id));
            progress.waiting.sources.push(waiting);
        }
        Ok(progress)
    }

    pub(super) fn provisioner(&self, source: &ResolvedSource) -> Result<Provisioner, Refusal> {
        let invalid = |error: polylog_sidecar::config::ConfigError| {
            Refusal::new(Reason::InvalidConnection, error.to_string())
        };
        let database = declared_database(self.manifests, self.store, source).map_err(invalid)?;
        let name = SourceName::recorded(source.name.as_str());
        let fresh = fresh(self.uid, source.name.as_str());
        let indexes = index_options(self.store);
        Provisioner::new(&database, name, indexes, fresh, self.unsafe_durability).map_err(invalid)
    }

    async fn look(&self, provisioner: &Provisioner) -> Result<Planned, Refusal> {
        let planned = provisioner.plan(self.known).await;
        planned.map_err(|failure| Refusal::of_source(&provisioner.to_string(), &failure))
    }

    /// The one log that all databases hold which hold any.
    fn agreed(&self, found: &[(String, Provisioner, Planned)]) -> Result<Option<LogId>, Refusal> {
        let mut log = self.known;
        for (source, provisioner, planned) in found.iter().filter(|(_, _, planned)| planned.is_there) {
            let there = planned.identity.log;
            let conflict = |message: String| Err(Refusal::new(Reason::IdentityConflict, message));
            if let Some(other) = (self.others)(there) {
                return conflict(format!(
                    "{provisioner} holds the log of EventStore {other}; nothing was changed: give each store a schema of \
                     its own"
                ));
            }
            if log.is_some_and(|log| log != there) {
                return conflict(format!("source {source} holds log {there}, and another one holds another"));
            }
            let is_adopted = self.known.is_none() && there != new_log(self.uid);
            if is_adopted && self.store.adopt == Adopt::Never {
                return conflict(format!(
                    "{provisioner} holds log {there} already, and adopt is Never; nothing was changed: give an empty \
                     schema, or adopt: IfIdentical"
                ));
            }
            log = Some(there);
        }
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(statements: &[(StepClass, &str)]) -> Plan {
        let step = |(class, statement): &(StepClass, &str)| Step {
            class: *class,
            summary: (*statement).into(),
            statement: (*statement).into(),
        };
        Plan { steps: statements.iter().map(step).collect() }
    }

    fn of(source: &str, plan: Plan) -> SourcePlan {
        SourcePlan { source: source.into(), place: "somewhere".into(), plan }
    }

    fn approved(approvals: &Approvals, store: &StorePlan) -> Vec<bool> {
        let plan = &store.sources[0].plan;
        let approval = approvals.of(store, plan);
        plan.steps.iter().map(|step| approval.allows(step, &plan.hash())).collect()
    }

    #[test]
    fn a_plan_is_approved_by_class_or_by_its_hash_and_only_where_it_may_be_applied() {
        let steps = [(StepClass::Additive, "a"), (StepClass::Slow, "s"), (StepClass::Destructive, "d")];
        let store = StorePlan { sources: vec![of("ledger", plan(&steps))] };
        let approvals = |mode, automatic, hash: Option<&str>| Approvals {
            mode,
            automatic,
            hash: hash.map(str::to_owned),
        };
        let by_class = |automatic| approved(&approvals(ProvisioningMode::Apply, automatic, None), &store);
        assert_eq!(by_class(ApprovedClass::None), [false, false, false]);
        assert_eq!(by_class(ApprovedClass::Additive), [true, false, false]);
        assert_eq!(by_class(ApprovedClass::Slow), [true, true, false]);
        let hash = store.hash();
        let by_hash = |mode, hash: &str| approved(&approvals(mode, ApprovedClass::None, Some(hash)), &store);
        assert_eq!(by_hash(ProvisioningMode::Apply, &hash), [true, true, true]);
        assert_eq!(by_hash(ProvisioningMode::Apply, "another"), [false, false, false]);
        assert_eq!(by_hash(ProvisioningMode::PlanOnly, &hash), [false, false, false]);
        assert_eq!(by_hash(ProvisioningMode::External, &hash), [false, false, false]);
    }

    #[test]
    fn the_hash_of_several_sources_changes_with_each_of_them() {
        let one = plan(&[(StepClass::Additive, "a")]);
        let other = plan(&[(StepClass::Additive, "b")]);
        let alone = StorePlan { sources: vec![of("x", one.clone()), of("y", Plan::default())] };
        assert_eq!(alone.hash(), one.hash(), "as `polylog plan` prints it");
        let both = |first: &Plan, second: &Plan| {
            StorePlan { sources: vec![of("x", first.clone()), of("y", second.clone())] }.hash()
        };
        assert_ne!(both(&one, &other), both(&other, &one));
        assert_ne!(both(&one, &other), both(&one, &one));
        assert!(StorePlan { sources: vec![of("x", Plan::default())] }.is_empty());
    }

    #[test]
    fn the_identity_of_a_new_store_is_always_the_same_and_another_for_each() {
        assert_eq!(fresh("1", "ledger"), fresh("1", "ledger"));
        assert_ne!(fresh("1", "ledger").database, fresh("1", "copy").database);
        assert_eq!(fresh("1", "ledger").log, fresh("1", "copy").log);
        assert_ne!(new_log("1"), new_log("2"));
        assert_ne!(derived(&["ab", "c"]), derived(&["a", "bc"]));
    }
}
