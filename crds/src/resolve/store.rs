//! A store with everything said.

use serde::{Deserialize, Serialize};

use super::{Access, EventSchemas, ResolvedLimits, ResolvedStrategy, ResolvedValidation};
use crate::event_store::{
    Adopt, Alerts, ApprovedClass, Connection, Elasticsearch, Engine, EnrichWith, EventIndex, EventStore,
    EventStoreSpec, LogLevel, Mongodb, Mysql, Postgres, ProvisioningMode, Source, SourceRole, SourceState,
    Verification,
};
use crate::manifests::{Manifests, ObjectKey};
use crate::values::{Duration, JsonPointer, NamespaceName, ObjectName, Region, SourceName};

/// A store with everything said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedStore {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its name.
    pub name: ObjectName,
    /// How its sources follow each other.
    pub strategy: ResolvedStrategy,
    /// Its sources, as declared.
    pub sources: Vec<ResolvedSource>,
    /// The voter that should be primary, if the manifest names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<SourceName>,
    /// What holds for each request.
    pub policy: Policy,
    /// Indexes beyond those that the store needs itself.
    pub indexes: Vec<EventIndex>,
    /// What happens with sources that already carry an identity.
    pub adopt: Adopt,
    /// Who creates tables, and who approves.
    pub provisioning: ResolvedProvisioning,
    /// Comparison of the sources.
    #[serde(default)]
    pub verification: ResolvedVerification,
    /// From when on a source is told to be slow.
    pub alerts: ResolvedAlerts,
    /// Ports and logging.
    pub sidecar: ResolvedSidecar,
}

/// One source with everything said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedSource {
    /// Its name.
    pub name: SourceName,
    /// The engine that the manifest declares.
    pub engine: Engine,
    /// The role that the manifest declares, or its engine's default.
    pub role: SourceRole,
    /// Whether it takes part now.
    pub state: SourceState,
    /// Where it runs.
    pub region: Option<Region>,
    /// How it is reached.
    pub connection: Connection,
    /// How its tables are created, if not through `connection`.
    pub provisioning_connection: Option<Connection>,
    /// What PostgreSQL needs to know, if that is its engine.
    pub postgres: Option<Postgres>,
    /// What MariaDB needs to know, if that is its engine.
    pub mysql: Option<Mysql>,
    /// What MongoDB needs to know, if that is its engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mongodb: Option<Mongodb>,
    /// What Elasticsearch needs to know, if that is its engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elasticsearch: Option<Elasticsearch>,
    /// Whether it is a part of the log. False: it is shown as Unprovisioned, because this version keeps fewer copies.
    pub provisioned: bool,
}

/// What holds for each request. It reaches the processes through the log's policy events, whose form is the sidecar's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Who may do what.
    pub access: Access,
    /// Largest sizes.
    pub limits: ResolvedLimits,
    /// Check of event data.
    pub validation: ResolvedValidation,
    /// What is added to metadata.
    pub enrich: Vec<EnrichWith>,
    /// What is left out of answers.
    pub redact: Vec<JsonPointer>,
}

/// Who creates tables, and who approves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedProvisioning {
    /// What we do.
    pub mode: ProvisioningMode,
    /// Up to which class steps need nobody's approval.
    pub auto_approve: ApprovedClass,
}

/// From when on a source is told to be slow: what the manifest says, and nothing where that is for the rules to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedAlerts {
    /// More events than this behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_events: Option<u64>,
    /// Longer than this behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Duration>,
}

impl ResolvedAlerts {
    fn resolve(declared: Option<&Alerts>) -> Self {
        let lag = declared.and_then(|declared| declared.lag.as_ref());
        Self { lag_events: lag.and_then(|lag| lag.events), lag: lag.and_then(|lag| lag.time) }
    }
}

/// Comparison of the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedVerification {
    /// Time in which everything is compared once.
    pub cycle: Duration,
    /// Most reads per second for it.
    pub max_reads_per_second: u32,
}

impl Default for ResolvedVerification {
    fn default() -> Self {
        Self { cycle: Duration::from_secs(24 * 3_600), max_reads_per_second: 50 }
    }
}

impl ResolvedVerification {
    fn resolve(declared: Option<&Verification>) -> Self {
        let default = Self::default();
        Self {
            cycle: declared.and_then(|declared| declared.cycle).unwrap_or(default.cycle),
            max_reads_per_second: declared
                .and_then(|declared| declared.max_reads_per_second)
                .unwrap_or(default.max_reads_per_second),
        }
    }
}

/// Ports and logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedSidecar {
    /// Port of the API.
    pub api_port: u16,
    /// Port of probes and metrics.
    pub health_port: u16,
    /// What is logged.
    pub log_level: LogLevel,
    /// How long requests that were taken may go on after SIGTERM.
    pub drain: Duration,
}

impl ResolvedStore {
    /// The store `key` of `manifests` with presets and defaults, of which at most `voters` sources are part of the log.
    /// `None` if there is no such store. Meant for manifests that passed [`crate::validate::validate`]: references
    /// to what is missing count as absent.
    pub fn resolve(manifests: &Manifests, key: &ObjectKey, voters: usize) -> Option<Self> {
        let store = &manifests.stores.get(key)?.object;
        let strategy = store.spec.strategy_ref.as_ref().and_then(|reference| {
            let key = ObjectKey { namespace: key.namespace.clone(), name: reference.name.clone() };
            manifests.strategies.get_key_value(&key)
        });
        let validation = store.spec.events.as_ref().and_then(|events| events.validation.as_ref());
        let schemas =
            validation.and_then(|validation| validation.schemas_ref.as_ref()).and_then(|reference| {
                let key = ObjectKey { namespace: key.namespace.clone(), name: reference.name.clone() };
                manifests.config_maps.get(&key)
            });
        let schemas = schemas.map(|config_map| EventSchemas::read(config_map).0).unwrap_or_default();
        let names = source_names(&store.spec);
        let in_force = voters.min(voter_count(&store.spec));
        let strategy = match strategy {
            Some((key, strategy)) => {
                ResolvedStrategy::resolve(Some(key.name.clone()), &strategy.object.spec, &names, in_force)
            }
            None => ResolvedStrategy::default_for(&names, in_force),
        };
        Some(Self::from_parts(key, store, strategy, schemas, voters))
    }

    fn from_parts(
        key: &ObjectKey,
        store: &EventStore,
        strategy: ResolvedStrategy,
        schemas: EventSchemas,
        voters: usize,
    ) -> Self {
        let spec = &store.spec;
        let provisioned = provisioned(&spec.sources, &strategy.order, voters);
        let sources = spec.sources.iter().filter_map(|source| {
            Some(ResolvedSource {
                name: source.name.clone(),
                engine: source.engine()?,
                role: source.effective_role(),
                state: source.state.unwrap_or(SourceState::Active),
                region: source.region.clone(),
                connection: source.connection.clone(),
                provisioning_connection: source.provisioning_connection.clone(),
                postgres: source.postgres.clone(),
                mysql: source.mysql.clone(),
                mongodb: source.mongodb.clone(),
                elasticsearch: source.elasticsearch.clone(),
                provisioned: provisioned.contains(&source.name),
            })
        });
        let events = spec.events.as_ref();
        let provisioning = spec.provisioning.as_ref();
        let sidecar = spec.sidecar.as_ref();
        Self {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            sources: sources.collect(),
            strategy,
            primary: spec.primary.clone(),
            policy: Policy {
                access: Access::resolve(spec.access.as_deref(), &key.namespace),
                limits: ResolvedLimits::resolve(events),
                validation: ResolvedValidation::resolve(events, schemas),
                enrich: events
                    .and_then(|events| events.enrich.clone())
                    .map_or_else(|| vec![EnrichWith::Trace, EnrichWith::ServiceAccount], sorted),
                redact: events.and_then(|events| events.redact.clone()).map(sorted).unwrap_or_default(),
            },
            indexes: events.and_then(|events| events.indexes.clone()).map(sorted).unwrap_or_default(),
            adopt: spec.adopt.unwrap_or(Adopt::IfIdentical),
            provisioning: ResolvedProvisioning {
                mode: provisioning
                    .and_then(|provisioning| provisioning.mode)
                    .unwrap_or(ProvisioningMode::Apply),
                auto_approve: provisioning
                    .and_then(|provisioning| provisioning.auto_approve)
                    .unwrap_or(ApprovedClass::Additive),
            },
            verification: ResolvedVerification::resolve(spec.verification.as_ref()),
            alerts: ResolvedAlerts::resolve(spec.alerts.as_ref()),
            sidecar: ResolvedSidecar {
                api_port: sidecar.and_then(|sidecar| sidecar.api_port).unwrap_or(7300),
                health_port: sidecar.and_then(|sidecar| sidecar.health_port).unwrap_or(7301),
                log_level: sidecar.and_then(|sidecar| sidecar.log_level).unwrap_or(LogLevel::Info),
                drain: sidecar.and_then(|sidecar| sidecar.drain).unwrap_or(Duration::from_secs(10)),
            },
        }
    }

    /// The source that becomes the first primary: the first voter in the order of the strategy that takes part in
    /// everything, else the first one that stays.
    pub fn first_primary(&self) -> Option<&ResolvedSource> {
        let voter = |name: &SourceName| {
            let source = self.sources.iter().find(|source| source.name == *name);
            source.filter(|source| source.role == SourceRole::Voter && source.provisioned)
        };
        let voters = || self.strategy.order.iter().filter_map(voter);
        let in_state = |state| voters().find(|source| source.state == state);
        in_state(SourceState::Active)
            .or_else(|| in_state(SourceState::Maintenance))
            .or_else(|| voters().next())
    }
}

/// A set in one order, so that writing it in another changes nothing.
fn sorted<T: Ord>(mut set: Vec<T>) -> Vec<T> {
    set.sort_unstable();
    set
}

/// The names of a store's sources, as declared.
pub(crate) fn source_names(spec: &EventStoreSpec) -> Vec<SourceName> {
    spec.sources.iter().map(|source| source.name.clone()).collect()
}

/// How many voters a store declares, without those that are about to be removed.
pub(crate) fn voter_count(spec: &EventStoreSpec) -> usize {
    let stays = |source: &&Source| {
        source.effective_role() == SourceRole::Voter && source.state != Some(SourceState::Draining)
    };
    spec.sources.iter().filter(stays).count()
}

/// The sources that are part of the log when it has at most `voters` voters: the first ones in `order`, and all that only
/// follow.
pub(crate) fn provisioned(sources: &[Source], order: &[SourceName], voters: usize) -> Vec<SourceName> {
    let is_voter = |name: &&SourceName| {
        sources.iter().any(|source| source.name == **name && source.effective_role() == SourceRole::Voter)
    };
    let learners = sources.iter().filter(|source| source.effective_role() == SourceRole::Learner);
    let voters = order.iter().filter(is_voter).take(voters);
    voters.chain(learners.map(|source| &source.name)).cloned().collect()
}
