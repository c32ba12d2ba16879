use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{DatabaseId, Incarnation, Position, Route, SourceName};

/// Number of a `$config` in its log; zero = the implicit one that provisioning wrote into an empty head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigVersion(pub u32);

/// A source as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name in the manifests.
    pub name: SourceName,
    /// The database that holds it.
    pub database: DatabaseId,
    /// The adoption of that database that counts.
    pub incarnation: Incarnation,
}

/// How many sources must have an append before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// That many voters, 1 to 9.
    Count(u8),
    /// A majority of the voters.
    Majority,
    /// Every voter that is in sync.
    All,
}

impl Acks {
    /// Number of voters it requires among `voters`.
    pub fn required(self, voters: usize) -> usize {
        match self {
            Acks::Count(count) => usize::from(count),
            Acks::Majority => voters / 2 + 1,
            Acks::All => voters,
        }
    }
}

/// Not an ack level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an ack level is a number of 1 to 9, Majority or All, got {0:?}")]
pub struct InvalidAcks(String);

impl std::str::FromStr for Acks {
    type Err = InvalidAcks;
    fn from_str(text: &str) -> Result<Self, InvalidAcks> {
        match text.to_ascii_lowercase().as_str() {
            "majority" => Ok(Acks::Majority),
            "all" => Ok(Acks::All),
            number => match number.as_bytes() {
                [digit @ b'1'..=b'9'] => Ok(Acks::Count(digit - b'0')),
                _ => Err(InvalidAcks(text.into())),
            },
        }
    }
}

impl std::fmt::Display for Acks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Acks::Count(count) => write!(f, "{count}"),
            Acks::Majority => f.write_str("Majority"),
            Acks::All => f.write_str("All"),
        }
    }
}

impl Serialize for Acks {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Acks {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Who may open another primary when this one is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failover {
    /// Nobody.
    Never,
    /// The operator, on demand.
    Manual,
    /// A majority of the voters, by themselves.
    Automatic,
}

/// What happens to a tail that lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Divergence {
    /// It is kept aside until somebody decides.
    Quarantine,
    /// It is appended again where nothing conflicts.
    ReplayIfClean,
}

/// What travels in the log as `$config`: every append is made under one of them, by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Its number; grows by one.
    pub version: ConfigVersion,
    /// Sources that count in acks and elections.
    pub voters: Vec<Member>,
    /// Sources that only follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learners: Vec<Member>,
    /// Voters that `All` waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_sync: Vec<SourceName>,
    /// The store's ack level.
    pub acks: Acks,
    /// Least number of voters in sync for `All`.
    pub min_in_sync: u8,
    /// Who may open another primary.
    pub failover: Failover,
    /// What happens to a tail that lost.
    pub divergence: Divergence,
    /// Order in which sources are preferred as primary.
    pub order: Vec<SourceName>,
    /// Appends are refused while more events than this are in the primary alone; absent = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unreplicated_events: Option<u64>,
    /// Which source keeps the data of which events; the first that fits counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// The source that keeps the data of all others, where there are routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_route: Option<SourceName>,
    /// Every source that a route named since the log began: it may keep data that no other has, so it stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keepers: Vec<SourceName>,
    /// It has fields that this version does not know, so a newer one wrote it. What is read under it stays readable;
    /// nothing may be written under it here.
    #[serde(skip)]
    pub is_newer: bool,
}

impl Config {
    /// From the content of a `$config`.
    ///
    /// # Errors
    /// Not a configuration, or one with a value that only a newer format may have.
    pub fn parse(content: &[u8]) -> Result<Self, serde_json::Error> {
        let whole: serde_json::Value = serde_json::from_slice(content)?;
        let mut config: Self = serde_json::from_slice(content)?;
        config.is_newer = has_more(&whole, &serde_json::to_value(&config)?);
        Ok(config)
    }

    /// The configuration number zero, of a log that is not open yet.
    pub fn implicit(voter: Member) -> Self {
        Self {
            version: ConfigVersion(0),
            order: vec![voter.name.clone()],
            voters: vec![voter],
            learners: Vec::new(),
            in_sync: Vec::new(),
            acks: Acks::Count(1),
            min_in_sync: 1,
            failover: Failover::Manual,
            divergence: Divergence::Quarantine,
            max_unreplicated_events: None,
            routes: Vec::new(),
            default_route: None,
            keepers: Vec::new(),
            is_newer: false,
        }
    }

    /// Whether acknowledged events can be in a tail that loses.
    pub fn is_lossy(&self) -> bool {
        self.acks.required(self.voters.len()) < Acks::Majority.required(self.voters.len())
    }
}

/// Whether a document has a field, somewhere, that another one lacks. An empty one is as good as none.
fn has_more(document: &serde_json::Value, known: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (document, known) {
        (Value::Object(fields), Value::Object(known)) => {
            fields.iter().any(|(name, value)| match known.get(name) {
                Some(known) => has_more(value, known),
                None => !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()),
            })
        }
        (Value::Array(items), Value::Array(known)) => {
            items.iter().zip(known).any(|(item, known)| has_more(item, known))
        }
        _ => false,
    }
}

/// A `$config` and where it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigPoint {
    /// Zero for the implicit one.
    pub position: Position,
    /// Its content.
    pub config: Arc<Config>,
}

impl ConfigPoint {
    /// The configuration that an entry puts in force, if it holds one. Engines keep each by its position, so that a
    /// truncation finds the last one that stays.
    pub fn of(entry: &crate::Entry) -> Option<Self> {
        crate::sequence::config_of(entry)
    }
}
