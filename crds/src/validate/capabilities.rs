//! What a version can do, in one table. A later version turns a row on, and nothing else changes here.

use std::fmt;

use crate::event_store::Engine;

/// The database that really keeps a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetEngine {
    /// An embedded SQLite file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// MongoDB, or a server that speaks its protocol.
    Mongodb,
    /// Elasticsearch or OpenSearch.
    Elasticsearch,
}

impl TargetEngine {
    /// The engine of an address with this scheme.
    pub fn of_url_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::Mysql),
            "mongodb" | "mongodb+srv" => Some(Self::Mongodb),
            "http" | "https" => Some(Self::Elasticsearch),
            _ => None,
        }
    }

    /// The engine of a server; none for a file.
    pub fn of_server(self) -> Option<Engine> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(Engine::Postgres),
            Self::Mysql => Some(Engine::Mysql),
            Self::Mongodb => Some(Engine::Mongodb),
            Self::Elasticsearch => Some(Engine::Elasticsearch),
        }
    }
}

impl From<Engine> for TargetEngine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => Self::Postgres,
            Engine::Mysql => Self::Mysql,
            Engine::Mongodb => Self::Mongodb,
            Engine::Elasticsearch => Self::Elasticsearch,
        }
    }
}

impl fmt::Display for TargetEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MariaDB",
            Self::Mongodb => "MongoDB",
            Self::Elasticsearch => "Elasticsearch",
        })
    }
}

/// Something that a field can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// `spec.adopt` other than IfIdentical
    AdoptNever,
    /// `spec.alerts`
    Alerts,
    /// `spec.provisioning.autoApprove: None`
    ApproveEveryStep,
    /// `spec.provisioning.autoApprove: Additive`
    ApproveSlowSteps,
    /// BestEffort for a store with several voters
    BestEffort,
    /// `spec.cache` without a second level
    Cache,
    /// `spec.cache.redis`
    CacheInRedis,
    /// `spec.deletionPolicy: Delete`
    DeleteData,
    /// EventTypePartitioning
    EventTypePartitioning,
    /// `spec.sources[].elasticsearch.fields` of mode Explicit, or with explicit fields
    ExplicitFields,
    /// `spec.delivery: Gateway`
    GatewayDelivery,
    /// `spec.gateway.tlsSecretRef`
    GatewayTls,
    /// `spec.interception`
    Interception,
    /// `spec.events.enrich` with Pod or Namespace
    PodEnrichment,
    /// `spec.provisioning.mode` other than Apply
    PlanWithoutApplying,
    /// `spec.primary` other than the first voter
    PlannedSwitch,
    /// Projections
    Projections,
    /// `spec.reads.prefer: Local` of a strategy
    ReadLocally,
    /// `spec.divergence: ReplayIfClean` of a strategy for a store with several voters
    ReplayIfClean,
    /// `spec.search`
    Search,
    /// `spec.sidecar.apiPort`, `.healthPort`, `.logLevel` and `.drain`
    SidecarSettings,
    /// `spec.sources[].state` other than Active
    SourceStates,
    /// `spec.suspend`
    Suspend,
    /// `spec.failover.maxUnreplicated.bytes` of a strategy
    UnreplicatedBytes,
    /// `spec.verification`
    Verification,
}

/// What happens to a field that asks for a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does what it says.
    Works,
    /// It changes nothing here, for this reason, and does no harm.
    NoEffect(&'static str),
    /// It is refused.
    Refused,
}

/// What a program of this version can do.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// The program, as messages name it.
    pub program: &'static str,
    /// Engines that exist.
    pub engines: &'static [TargetEngine],
    /// The engine that keeps every source which is not placed elsewhere; `None` for the one that it declares.
    pub default_engine: Option<TargetEngine>,
    /// Most voters that a log has.
    pub voters: usize,
    /// Most lanes that a log has.
    pub lanes: u8,
    /// Features that are not simply refused.
    pub features: &'static [Features],
}

impl Capabilities {
    /// What `polylog dev` of this version can do.
    pub const DEV: Self = Self {
        program: "polylog dev",
        engines: &[
            TargetEngine::Sqlite,
            TargetEngine::Postgres,
            TargetEngine::Mysql,
            TargetEngine::Mongodb,
            TargetEngine::Elasticsearch,
        ],
        default_engine: Some(TargetEngine::Sqlite),
        voters: 9,
        lanes: 1,
        features: &[&[
            (
                Feature::AdoptNever,
                Support::NoEffect("polylog dev takes only databases that hold this store, or none"),
            ),
            (
                Feature::ApproveSlowSteps,
                Support::NoEffect("polylog dev carries out Slow steps too without asking"),
            ),
            (Feature::Alerts, Support::Works),
            (Feature::BestEffort, Support::Works),
            (Feature::EventTypePartitioning, Support::Works),
            (Feature::DeleteData, Support::NoEffect("polylog dev deletes no data; remove its folder")),
            (
                Feature::GatewayDelivery,
                Support::NoEffect("in polylog dev one process is sidecar and gateway"),
            ),
            // as all of `spec.gateway`: read and checked, since there is no gateway of its own
            (Feature::GatewayTls, Support::Works),
            (Feature::PodEnrichment, Support::NoEffect("there is no pod in polylog dev; nothing is added")),
            (Feature::PlannedSwitch, Support::Works),
            (
                Feature::ReadLocally,
                Support::NoEffect("where a source runs is not known here: whichever answers soonest is read"),
            ),
            (Feature::ReplayIfClean, Support::Works),
            (
                Feature::SidecarSettings,
                Support::NoEffect(
                    "polylog dev takes ports from --port and --health-port, the log level from POLYLOG_LOG, and \
                     drains for up to 9s",
                ),
            ),
            (Feature::SourceStates, Support::Works),
            (Feature::Verification, Support::Works),
            (
                Feature::UnreplicatedBytes,
                Support::NoEffect("this version counts events, and not their bytes"),
            ),
            (
                Feature::Suspend,
                Support::NoEffect("there is no operator in polylog dev that could be suspended"),
            ),
        ]],
    };

    /// What the sidecar in a pod of this version can do: what is the operator's or the gateway's is no business of its own.
    pub const SIDECAR: Self = Self { program: "the sidecar", ..Self::GATEWAY };

    /// What the gateway of this version can do: what is the operator's is no business of its own.
    pub const GATEWAY: Self = Self {
        program: "the gateway",
        features: &[IN_A_CLUSTER, &[(Feature::DeleteData, Support::Works)]],
        ..Self::OPERATOR
    };

    /// What the operator of this version can do, for the gateway that it starts too.
    pub const OPERATOR: Self = Self {
        program: "the operator",
        engines: &[
            TargetEngine::Postgres,
            TargetEngine::Mysql,
            TargetEngine::Mongodb,
            TargetEngine::Elasticsearch,
        ],
        default_engine: None,
        voters: 9,
        lanes: 1,
        features: &[IN_A_CLUSTER, &[(Feature::DeleteData, Support::Works)]],
    };

    /// What happens to a field that asks for `feature`.
    pub fn support(&self, feature: Feature) -> Support {
        let row = self.features.iter().copied().flatten().find(|(listed, _)| *listed == feature);
        row.map_or(Support::Refused, |(_, support)| *support)
    }
}

/// What happens to some features.
type Features = &'static [(Feature, Support)];

/// What every process in a cluster makes of features.
const IN_A_CLUSTER: Features = &[
    (Feature::AdoptNever, Support::Works),
    (Feature::Alerts, Support::Works),
    (Feature::ApproveEveryStep, Support::Works),
    (Feature::ApproveSlowSteps, Support::Works),
    (Feature::BestEffort, Support::Works),
    (Feature::EventTypePartitioning, Support::Works),
    (Feature::GatewayDelivery, Support::Works),
    (Feature::GatewayTls, Support::Works),
    (Feature::PlanWithoutApplying, Support::Works),
    (Feature::PodEnrichment, Support::Works),
    (Feature::PlannedSwitch, Support::Works),
    (
        Feature::ReadLocally,
        Support::NoEffect("where a source runs is not known here: whichever answers soonest is read"),
    ),
    (Feature::ReplayIfClean, Support::Works),
    (Feature::SidecarSettings, Support::Works),
    (Feature::SourceStates, Support::Works),
    (Feature::Suspend, Support::Works),
    (Feature::Verification, Support::Works),
    (Feature::UnreplicatedBytes, Support::NoEffect("this version counts events, and not their bytes")),
];
