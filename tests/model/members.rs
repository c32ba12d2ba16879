use polylog_log::{
    Acks, Commit, Config, ConfigVersion, DatabaseId, Divergence, EventId, EventType, Expected, Failover,
    Identity, Incarnation, LogId, Member, NewEvent, SourceName, StreamAppend, StreamName,
};
use uuid::Uuid;

use crate::state::SOURCES;

pub const LOG: LogId = LogId::new(Uuid::from_u128(1));

/// A set of sources, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set(pub u8);

impl Set {
    pub fn has(self, source: usize) -> bool {
        self.0 & (1 << source) != 0
    }

    pub fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// One more than half of it.
    pub fn majority(self) -> usize {
        self.count() / 2 + 1
    }

    /// How many came or went.
    pub fn differs(self, other: Set) -> usize {
        Set(self.0 ^ other.0).count()
    }

    pub fn sources(self) -> impl Iterator<Item = usize> {
        (0..SOURCES).filter(move |source| self.has(*source))
    }
}

pub fn member(index: usize) -> Member {
    let number = Uuid::from_u128(10 + index as u128);
    Member {
        name: SourceName::recorded(["one", "two", "three", "four"][index]),
        database: DatabaseId::new(number),
        incarnation: Incarnation::new(number),
    }
}

pub fn identity(index: usize) -> Identity {
    let Member { database, incarnation, .. } = member(index);
    Identity { log: LOG, database, incarnation }
}

/// Who votes by a configuration.
pub fn voters(config: &Config) -> Set {
    let is_voter = |index: &usize| config.voters.contains(&member(*index));
    Set((0..SOURCES).filter(is_voter).fold(0, |set, index| set | (1 << index)))
}

/// The commit that puts voters in force; the others follow.
pub fn configure(version: u8, voters: Set) -> Commit {
    let members: Vec<Member> = voters.sources().map(member).collect();
    let config = Config {
        version: ConfigVersion(version.into()),
        order: members.iter().map(|voter| voter.name.clone()).collect(),
        voters: members,
        learners: (0..SOURCES).filter(|index| !voters.has(*index)).map(member).collect(),
        acks: Acks::Majority,
        failover: Failover::Automatic,
        divergence: Divergence::Quarantine,
        ..Config::implicit(member(0))
    };
    Commit::configure(LOG, &config)
}

/// A client's commit.
pub fn commit(number: u8) -> Commit {
    let id = EventId::new(Uuid::from_u128(100 + u128::from(number)));
    let event = NewEvent::json(id, EventType::recorded("T"), "{}");
    Commit::new(LOG, vec![StreamAppend::new(StreamName::recorded("a-1"), Expected::Any, vec![event])])
}
