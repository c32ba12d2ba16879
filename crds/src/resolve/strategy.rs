//! Presets of replication settings.

use serde::{Deserialize, Serialize};

use crate::replication_strategy::{
    Consistency, Divergence, FailoverMode, ReadPreference, ReplicationStrategySpec, Route, StrategyType,
};
use crate::values::{AckLevel, ByteSize, Duration, ObjectName, SourceName};

/// A strategy for one store, with everything said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedStrategy {
    /// Name of the ReplicationStrategy; `None` for the default one.
    pub name: Option<ObjectName>,
    /// The preset.
    #[serde(rename = "type")]
    pub type_: StrategyType,
    /// All sources of the store, those that the strategy names first.
    pub order: Vec<SourceName>,
    /// How many voters must hold an append before it is answered.
    pub acks: AckLevel,
    /// How many voters must stay in sync; counts only with acks All.
    pub min_in_sync: u8,
    /// How long an append waits for its acks.
    pub ack_timeout: Duration,
    /// What happens when the primary is lost.
    pub failover: ResolvedFailover,
    /// What reads are served from.
    pub reads: ResolvedReads,
    /// What happens to the tail that lost.
    pub divergence: Divergence,
    /// Which source keeps the data of which events; empty but for EventTypePartitioning.
    pub routes: Vec<Route>,
    /// Which source keeps the data of all other events.
    pub default_route: Option<SourceName>,
}

/// What happens when the primary is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedFailover {
    /// Who chooses another primary.
    pub mode: FailoverMode,
    /// How long the primary must be silent.
    pub after: Duration,
    /// How much may be unreplicated.
    pub max_unreplicated: ResolvedMaxUnreplicated,
}

/// How much may be unreplicated, and what happens beyond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedMaxUnreplicated {
    /// In events.
    pub events: u64,
    /// In bytes.
    pub bytes: ByteSize,
    /// What happens beyond.
    pub action: MaxUnreplicatedAction,
}

/// What happens once more is unreplicated than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaxUnreplicatedAction {
    /// Appends are refused.
    Refuse,
    /// It is only told.
    Alert,
}

/// What reads are served from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedReads {
    /// The consistency of a read that asks for none.
    pub consistency: Consistency,
    /// How long a session read waits for its source before it tries another.
    pub wait: Duration,
    /// Events that a source may be behind for a bounded read.
    pub max_lag_events: u64,
    /// Time that a source may be behind for a bounded read.
    pub max_lag: Duration,
    /// Which of several eligible sources is read.
    pub prefer: ReadPreference,
}

struct Preset {
    acks: AckLevel,
    failover: FailoverMode,
    consistency: Consistency,
    divergence: Divergence,
}

/// The values of fields that a strategy leaves out.
fn preset(type_: StrategyType, voters: usize) -> Preset {
    match type_ {
        // partitioning says where data is kept, not how it is acknowledged
        StrategyType::Priority | StrategyType::EventTypePartitioning => Preset {
            acks: AckLevel::ONE,
            failover: FailoverMode::Manual,
            consistency: Consistency::Session,
            divergence: Divergence::Quarantine,
        },
        StrategyType::FullReplication => Preset {
            acks: AckLevel::All,
            // of two voters none is a majority, so nobody could be elected
            failover: if voters >= 3 { FailoverMode::Automatic } else { FailoverMode::Manual },
            consistency: Consistency::Session,
            divergence: Divergence::Quarantine,
        },
        StrategyType::BestEffort => Preset {
            acks: AckLevel::ONE,
            failover: FailoverMode::Automatic,
            consistency: Consistency::Eventual,
            divergence: Divergence::ReplayIfClean,
        },
    }
}

impl ResolvedStrategy {
    /// The strategy of a store that names none: Priority in the order of its sources.
    pub fn default_for(sources: &[SourceName], voters: usize) -> Self {
        let spec = ReplicationStrategySpec {
            type_: StrategyType::Priority,
            order: None,
            acks: None,
            min_in_sync: None,
            ack_timeout: None,
            failover: None,
            reads: None,
            divergence: None,
            routes: None,
            default_route: None,
        };
        Self::resolve(None, &spec, sources, voters)
    }

    /// `spec` for a store with these `sources`, of which `voters` vote.
    pub fn resolve(
        name: Option<ObjectName>,
        spec: &ReplicationStrategySpec,
        sources: &[SourceName],
        voters: usize,
    ) -> Self {
        let preset = preset(spec.type_, voters);
        let mut order = spec.order.clone().unwrap_or_default();
        order.extend(sources.iter().filter(|source| !order.contains(source)).cloned().collect::<Vec<_>>());
        let majority = AckLevel::Majority.required(voters);
        let acks = spec.acks.unwrap_or(preset.acks);
        let failover = spec.failover.as_ref();
        let mode = failover.and_then(|failover| failover.mode).unwrap_or(preset.failover);
        let limit = failover.and_then(|failover| failover.max_unreplicated.as_ref());
        let survives_failover = acks.required(voters) >= majority;
        let may_lose_by_itself = mode == FailoverMode::Automatic && spec.type_ != StrategyType::BestEffort;
        let refuse = limit.is_some() || survives_failover || may_lose_by_itself;
        let reads = spec.reads.as_ref();
        Self {
            name,
            type_: spec.type_,
            order,
            acks,
            min_in_sync: spec.min_in_sync.unwrap_or_else(|| u8::try_from(majority).unwrap_or(u8::MAX)),
            ack_timeout: spec.ack_timeout.unwrap_or(Duration::from_secs(5)),
            failover: ResolvedFailover {
                mode,
                after: failover.and_then(|failover| failover.after).unwrap_or(Duration::from_secs(2)),
                max_unreplicated: ResolvedMaxUnreplicated {
                    events: limit.and_then(|limit| limit.events).unwrap_or(10_000),
                    bytes: limit.and_then(|limit| limit.bytes).unwrap_or(ByteSize::from_kib(64 * 1024)),
                    action: if refuse { MaxUnreplicatedAction::Refuse } else { MaxUnreplicatedAction::Alert },
                },
            },
            reads: ResolvedReads {
                consistency: reads.and_then(|reads| reads.consistency).unwrap_or(preset.consistency),
                wait: reads.and_then(|reads| reads.wait).unwrap_or(Duration::from_millis(200)),
                max_lag_events: reads.and_then(|reads| reads.max_lag_events).unwrap_or(1000),
                max_lag: reads.and_then(|reads| reads.max_lag).unwrap_or(Duration::from_secs(2)),
                prefer: reads.and_then(|reads| reads.prefer).unwrap_or(ReadPreference::Fastest),
            },
            divergence: spec.divergence.unwrap_or(preset.divergence),
            routes: spec.routes.clone().unwrap_or_default(),
            default_route: spec.default_route.clone(),
        }
    }
}
