//! Databases as the manifest says: look, plan, and carry out what is approved.

use std::collections::BTreeSet;

use polylog_crds::{
    event_store::{Adopt, ApprovedClass, ProvisioningMode},
    manifests::{Manifests, ObjectKey},
    resolve::{ResolvedSource, ResolvedStore},
};
use polylog_log::{Approval, Credential, Failure, Identity, LogId, Plan, SourceName, Step, StepClass};
use polylog_sidecar::{
    config::declared_database,
    sources::{ConnectionLimit, Planned, Provisioner, index_options},
};

use super::{
    joining::{Newcomers, first, new_log},
    refusal::{Reason, Refusal},
};

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
        Plan::hash_of_all(self.sources.iter().map(|source| (source.source.as_str(), &source.plan)))
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

/// How far a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceProgress {
    pub(crate) source: String,
    /// What it holds, once it is there.
    pub(crate) identity: Option<Identity>,
    /// In which stored format, also where that is too new.
    pub(crate) format: Option<u32>,
    /// Why it cannot be used; only where others can.
    pub(crate) failure: Option<Refusal>,
    /// Why sidecars cannot connect to it, though it can be provisioned.
    pub(crate) shut: Option<Refusal>,
    /// How many connections they may have, as far as its engine tells.
    pub(crate) limit: Option<ConnectionLimit>,
}

/// How far the databases of a store are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The log, once it is in a database.
    pub(crate) log: Option<LogId>,
    /// The sources of the log; those that could not be looked at come last.
    pub(crate) sources: Vec<SourceProgress>,
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
    /// Sources that hold the log, as `status` says.
    pub(crate) provisioned: &'a BTreeSet<String>,
    /// What databases become that come to it.
    pub(crate) newcomers: &'a Newcomers,
    pub(crate) approvals: Approvals,
    pub(crate) unsafe_durability: bool,
    /// Logs of other stores, with their names.
    pub(crate) others: &'a (dyn Fn(LogId) -> Option<ObjectKey> + Send + Sync),
    /// Asked before each change.
    pub(crate) may_write: &'a (dyn Fn() -> bool + Send + Sync),
}

/// A database that answered.
struct Found<'a> {
    source: &'a ResolvedSource,
    provisioner: Provisioner,
    planned: Planned,
    entrance: Entrance,
    /// It held the log, and holds nothing now.
    lost: Option<Refusal>,
}

/// What sidecars find who connect to a database.
type Entrance = Result<Option<ConnectionLimit>, Refusal>;

/// A source that could not be looked at, and why.
type Failed<'a> = (&'a ResolvedSource, Refusal);

impl Provisioning<'_> {
    /// Looks at each database that belongs to the log, and carries out what is approved. Of several, those that cannot be
    /// used hold up none of the others.
    pub(crate) async fn run(&self) -> Result<Progress, Refusal> {
        let (mut found, mut failed): (Vec<Found<'_>>, Vec<Failed<'_>>) = (Vec::new(), Vec::new());
        let sources: Vec<_> = self.store.sources.iter().filter(|source| source.provisioned).collect();
        for source in &sources {
            let provisioner = self.provisioner(source)?;
            let entrance = entrance(&provisioner).await;
            let looked = match &entrance {
                // it would be tried again in vain
                Err(shut) if provisioner.credential() == Credential::Rows => Err(shut.clone()),
                _ => self.look(&provisioner, self.known_in(source.name.as_str(), sources.len())).await,
            };
            match (looked, entrance) {
                (Ok(planned), entrance) => {
                    found.push(Found { source, provisioner, planned, entrance, lost: None });
                }
                // where both stand in the way, and as to engines that try both: the one that sidecars need comes first
                (Err(refusal), Err(shut)) if refusal.reason == shut.reason => failed.push((source, shut)),
                (Err(refusal), _) => failed.push((source, refusal)),
            }
        }
        let log = self.agreed(&mut found, &mut failed)?;
        if let (true, Some((_, refusal))) = (found.is_empty(), failed.first()) {
            return Err(refusal.clone());
        }
        let is_held = found.iter().any(|one| one.planned.is_there);
        // a log that is still to begin begins with all of its sources
        let unusable = failed.iter().find(|(_, refusal)| refusal.is_invalid());
        if let (None, false, Some((_, refusal))) = (self.known, is_held, unusable) {
            return Err(refusal.clone());
        }
        // one that is away may hold the log
        if is_held || !failed.is_empty() || self.known.is_some() {
            self.join(log.unwrap_or_else(|| new_log(self.uid)), &mut found).await?;
        }
        if let Some(log) = log.filter(|_| is_held) {
            self.join_anew(log, &mut found, &mut failed).await;
        }
        let mut progress =
            Progress { log, sources: Vec::new(), waiting: StorePlan::default(), done: 0, approved: None };
        let plan = StorePlan {
            sources: found
                .iter()
                .map(|Found { source, provisioner, planned, .. }| SourcePlan {
                    source: source.name.as_str().to_owned(),
                    place: provisioner.to_string(),
                    plan: planned.plan.clone(),
                })
                .collect(),
        };
        for (Found { source, provisioner, planned, entrance, lost }, of_source) in
            found.into_iter().zip(&plan.sources)
        {
            let source = source.name.as_str().to_owned();
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
                let failed = |failure| Refusal { while_applying: true, ..refused(&provisioner, &failure) };
                self.newcomers.used(&source);
                let applied = provisioner.apply(&planned.plan, &approval).await.map_err(failed)?;
                progress.done += applied.done.len();
                progress.approved = self.approvals.hash.clone().filter(|hash| *hash == plan.hash());
                // what is there is asked, not concluded
                planned = self.look(&provisioner, self.known_in(&source, sources.len())).await?;
                waiting.plan = planned.plan.clone();
            }
            let identity = planned.is_there.then_some(planned.identity);
            progress.log = progress.log.or(planned.is_there.then_some(planned.identity.log));
            let failure = lost.filter(|_| !planned.is_there);
            let (limit, shut) = match entrance {
                Ok(limit) => (limit, None),
                Err(shut) => (None, Some(shut)),
            };
            let format = planned.format;
            progress.sources.push(SourceProgress { source, identity, format, failure, shut, limit });
            progress.waiting.sources.push(waiting);
        }
        let failed = failed.into_iter();
        progress.sources.extend(failed.map(|(source, failure)| SourceProgress {
            source: source.name.as_str().to_owned(),
            identity: None,
            format: failure.found_format,
            failure: Some(failure),
            shut: None,
            limit: None,
        }));
        Ok(progress)
    }

    /// The log that a source must hold. One that comes to a log of several holds nothing yet.
    fn known_in(&self, source: &str, sources: usize) -> Option<LogId> {
        self.known.filter(|_| sources == 1 || self.provisioned.contains(source))
    }

    pub(super) fn provisioner(&self, source: &ResolvedSource) -> Result<Provisioner, Refusal> {
        let log = self.known.unwrap_or_else(|| new_log(self.uid));
        self.provisioner_of(source, first(self.uid, source.name.as_str(), log))
    }

    /// The same where it is said what a database becomes that holds nothing.
    fn provisioner_of(&self, source: &ResolvedSource, fresh: Identity) -> Result<Provisioner, Refusal> {
        let invalid = |error: polylog_sidecar::config::ConfigError| {
            Refusal::new(Reason::InvalidConnection, error.to_string())
        };
        let database = declared_database(self.manifests, self.store, source).map_err(invalid)?;
        let name = SourceName::recorded(source.name.as_str());
        let indexes = index_options(self.store);
        Provisioner::new(&database, name, indexes, fresh, self.unsafe_durability).map_err(invalid)
    }

    /// What holds nothing, beside others that hold the log or may, comes to it as something that never was.
    async fn join(&self, log: LogId, found: &mut [Found<'_>]) -> Result<(), Refusal> {
        for one in found.iter_mut().filter(|one| !one.planned.is_there) {
            let identity = self.newcomers.identity(one.source.name.as_str(), log);
            one.provisioner = self.provisioner_of(one.source, identity)?;
            one.planned = self.look(&one.provisioner, None).await?;
        }
        Ok(())
    }

    /// A source that held the log, and whose database is empty now, may join it anew, while others hold it: somebody has to
    /// approve that, since the database may only be the wrong one.
    async fn join_anew<'a>(&self, log: LogId, found: &mut Vec<Found<'a>>, failed: &mut Vec<Failed<'a>>) {
        for (source, refusal) in std::mem::take(failed) {
            let name = source.name.as_str();
            let is_lost = refusal.reason == Reason::IdentityConflict && self.provisioned.contains(name);
            let provisioner = self.provisioner_of(source, self.newcomers.identity(name, log)).ok();
            let Some(provisioner) = provisioner.filter(|_| is_lost) else {
                failed.push((source, refusal));
                continue;
            };
            match self.look(&provisioner, None).await {
                Ok(mut planned) if !planned.is_there => {
                    for step in &mut planned.plan.steps {
                        step.class = StepClass::Destructive;
                    }
                    let message = format!(
                        "{provisioner} holds no log, and source {name} held one: have the database restored, or approve the                          plan that waits, by which it joins the log anew and is filled by the others"
                    );
                    let lost = Some(Refusal::new(Reason::IdentityConflict, message));
                    let entrance = entrance(&provisioner).await;
                    found.push(Found { source, provisioner, planned, entrance, lost });
                }
                Ok(_) | Err(_) => failed.push((source, refusal)),
            }
        }
    }

    async fn look(&self, provisioner: &Provisioner, known: Option<LogId>) -> Result<Planned, Refusal> {
        let planned = provisioner.plan(known).await;
        planned.map_err(|failure| refused(provisioner, &failure))
    }

    /// The one log that all databases hold which hold any. One that holds another than the one that is known has failed;
    /// as long as none is known, nobody can tell which is the right one.
    fn agreed<'a>(
        &self,
        found: &mut Vec<Found<'a>>,
        failed: &mut Vec<Failed<'a>>,
    ) -> Result<Option<LogId>, Refusal> {
        let mut log = self.known;
        for one in std::mem::take(found) {
            match self.conflict(&one, log) {
                Some(refusal) if self.known.is_some() => failed.push((one.source, refusal)),
                Some(refusal) => return Err(refusal),
                None => {
                    log = log.or(one.planned.is_there.then_some(one.planned.identity.log));
                    found.push(one);
                }
            }
        }
        Ok(log)
    }

    /// Why a database cannot hold the store's log, as far as that is known.
    fn conflict(&self, one: &Found<'_>, log: Option<LogId>) -> Option<Refusal> {
        let Found { source, provisioner, planned, .. } = one;
        let there = planned.identity.log;
        let conflict = |message: String| Some(Refusal::new(Reason::IdentityConflict, message));
        if !planned.is_there {
            return None;
        }
        if let Some(other) = (self.others)(there) {
            return conflict(format!(
                "{provisioner} holds the log of EventStore {other}; nothing was changed: give each store a schema of its own"
            ));
        }
        if let Some(log) = log.filter(|log| *log != there) {
            return conflict(format!("source {} holds log {there}, and the store's is {log}", source.name));
        }
        let is_adopted = self.known.is_none() && there != new_log(self.uid);
        if is_adopted && self.store.adopt == Adopt::Never {
            return conflict(format!(
                "{provisioner} holds log {there} already, and adopt is Never; nothing was changed: give an empty schema, or                  adopt: IfIdentical"
            ));
        }
        None
    }
}

/// Connects as sidecars do.
async fn entrance(provisioner: &Provisioner) -> Entrance {
    let place = format!("{provisioner}, by {}", Credential::Rows);
    provisioner.connection_limit().await.map_err(|failure| Refusal::of_source(&place, &failure))
}

/// What stands against provisioning.
fn refused(provisioner: &Provisioner, failure: &Failure) -> Refusal {
    Refusal::of_source(&format!("{provisioner}, by {}", provisioner.credential()), failure)
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
}
