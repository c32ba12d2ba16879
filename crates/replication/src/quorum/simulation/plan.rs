//! What a run is made of.

use std::time::Duration;

use polylog_log::{Acks, Config, Failover};

use crate::quorum::Rule;

/// Something that happens to the system, or that its operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A source stops, the primary more often than others.
    Down,
    /// A source answers and takes no writes.
    ReadOnly,
    /// All sources run.
    Up,
    /// Nothing passes between a process and a source.
    Cut,
    /// All lines work.
    Mend,
    /// A process dies and another takes its place.
    Kill,
    /// A source's disk is slow for a while.
    Slow,
    /// A source's clock jumps.
    Clock,
    /// A source's backup is put back; somebody adopts it again later.
    Restore,
    /// A source's database is lost; an empty one takes its place.
    Wipe,
    /// The operator wants another primary.
    Switch,
    /// The operator wants other voters.
    Members,
    /// The operator opens the log without those that are down.
    Force,
}

use Fault::{Clock, Cut, Down, Force, Kill, Members, Mend, ReadOnly, Restore, Slow, Switch, Up, Wipe};

/// Faults of every run, and how often each comes.
const USUAL: &[(Fault, u32)] =
    &[(Down, 6), (ReadOnly, 2), (Up, 6), (Cut, 3), (Mend, 3), (Kill, 4), (Slow, 1), (Clock, 1)];

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) voters: usize,
    /// Sources that are no voters at the beginning: the first ones learners, the others nothing.
    pub(super) learners: usize,
    pub(super) spare: usize,
    /// The last one is a sidecar, the others have duties.
    pub(super) peers: usize,
    pub(super) clients: usize,
    pub(super) acks: Acks,
    pub(super) min_in_sync: u8,
    pub(super) failover: Failover,
    pub(super) most_unreplicated: Option<u64>,
    pub(super) opens_minority: bool,
    /// Whether one voter alone keeps the data of an event.
    pub(super) is_routed: bool,
    /// Time with faults; what follows is without.
    pub(super) stormy: Duration,
    /// By then everything must be well again.
    pub(super) calm: Duration,
    /// Longest time between two faults, in ms.
    pub(super) fault_every: u64,
    pub(super) faults: Vec<(Fault, u32)>,
    /// How often a request or its answer is lost, or late.
    pub(super) loss: f64,
    pub(super) failover_after: Duration,
    /// When a process stops waiting for an answer.
    pub(super) timeout: Duration,
    /// How long a request may wander before it is executed, in ms.
    pub(super) wander: u64,
    /// Most entries in a page.
    pub(super) page: usize,
    /// A rule that is switched off.
    pub(super) off: Option<Rule>,
    pub(super) sources_without: polylog_log::Rules,
}

impl Plan {
    pub(super) fn majority() -> Self {
        Self {
            name: "majority",
            voters: 3,
            learners: 0,
            spare: 0,
            peers: 3,
            clients: 3,
            acks: Acks::Majority,
            min_in_sync: 1,
            failover: Failover::Automatic,
            most_unreplicated: None,
            opens_minority: false,
            is_routed: false,
            stormy: Duration::from_millis(2_500),
            calm: Duration::from_secs(30),
            fault_every: 300,
            faults: USUAL.to_vec(),
            loss: 0.02,
            failover_after: Duration::from_millis(120),
            timeout: Duration::from_millis(80),
            wander: 1_500,
            page: 500,
            off: None,
            sources_without: polylog_log::Rules::ALL,
        }
    }

    /// Everything fails all the time.
    pub(super) fn fierce() -> Self {
        Self {
            name: "fierce",
            fault_every: 80,
            failover_after: Duration::from_millis(50),
            timeout: Duration::from_millis(30),
            wander: 800,
            loss: 0.05,
            page: 3,
            ..Self::majority()
        }
    }

    pub(super) fn five() -> Self {
        Self { name: "five voters", voters: 5, peers: 4, page: 2, ..Self::fierce() }
    }

    pub(super) fn all() -> Self {
        Self { name: "all in sync", acks: Acks::All, min_in_sync: 2, ..Self::majority() }
    }

    pub(super) fn learners() -> Self {
        Self { name: "learners", learners: 1, page: 3, fault_every: 150, ..Self::majority() }
    }

    pub(super) fn members() -> Self {
        let faults = [USUAL, &[(Members, 6)]].concat();
        Self { name: "members", spare: 2, faults, fault_every: 150, page: 3, ..Self::majority() }
    }

    pub(super) fn lossy() -> Self {
        Self { name: "one ack", acks: Acks::Count(1), ..Self::fierce() }
    }

    /// What two of five hold may be lost, though another than the primary holds it.
    pub(super) fn lossy_five() -> Self {
        Self { name: "one ack of five", acks: Acks::Count(1), ..Self::five() }
    }

    pub(super) fn minority() -> Self {
        Self { name: "best effort", acks: Acks::Count(1), opens_minority: true, ..Self::majority() }
    }

    pub(super) fn forced() -> Self {
        let faults = [USUAL, &[(Force, 5)]].concat();
        Self { name: "two voters, forced", voters: 2, failover: Failover::Manual, faults, ..Self::majority() }
    }

    pub(super) fn pressure() -> Self {
        Self {
            name: "back-pressure",
            most_unreplicated: Some(4),
            page: 2,
            fault_every: 150,
            ..Self::majority()
        }
    }

    pub(super) fn switches() -> Self {
        let faults = [USUAL, &[(Switch, 8)]].concat();
        Self { name: "switches", faults, fault_every: 200, ..Self::majority() }
    }

    pub(super) fn routed() -> Self {
        Self { name: "routed", is_routed: true, page: 3, ..Self::fierce() }
    }

    /// Whoever never saw a source knows that it forgot by what the others keep of it.
    pub(super) fn restored() -> Self {
        let faults = vec![
            (Down, 4),
            (ReadOnly, 1),
            (Up, 6),
            (Cut, 2),
            (Mend, 4),
            (Kill, 2),
            (Slow, 1),
            (Restore, 6),
            (Wipe, 3),
        ];
        Self {
            name: "restored",
            faults,
            stormy: Duration::from_millis(3_500),
            fault_every: 200,
            ..Self::majority()
        }
    }

    /// One after the other.
    pub(super) fn mix() -> Vec<Self> {
        vec![
            Self::majority(),
            Self::fierce(),
            Self::five(),
            Self::all(),
            Self::learners(),
            Self::members(),
            Self::lossy(),
            Self::minority(),
            Self::forced(),
            Self::pressure(),
            Self::switches(),
            Self::restored(),
            Self::routed(),
            Self::lossy_five(),
        ]
    }

    pub(super) fn sources(&self) -> usize {
        self.voters + self.learners + self.spare
    }

    /// Whether nothing that was acknowledged may be lost.
    pub(super) fn is_lossless(&self) -> bool {
        self.acks.required(self.voters) >= Acks::Majority.required(self.voters)
    }

    pub(super) fn configure(&self, config: &mut Config) {
        (config.acks, config.min_in_sync, config.failover) = (self.acks, self.min_in_sync, self.failover);
        config.max_unreplicated_events = self.most_unreplicated;
        if self.is_routed {
            config.keepers = config.voters.iter().map(|voter| voter.name.clone()).collect();
        }
        config.in_sync = if self.acks == Acks::All {
            config.voters.iter().map(|voter| voter.name.clone()).collect()
        } else {
            Vec::new()
        };
    }
}
