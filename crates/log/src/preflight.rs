//! What is looked at before a database is used, and what a role must be granted there: the same words for every engine.

use std::fmt;

use crate::Failure;

/// One of a source's two ways into its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Credential {
    /// `provisioningConnection`: creates and changes tables.
    Provisioning,
    /// `connection`: reads and writes rows; where it is the only one, it creates the tables too.
    Rows,
}

/// The name of its field in a manifest.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Credential::Provisioning => "provisioningConnection",
            Credential::Rows => "connection",
        })
    }
}

/// When an administrator runs a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantStage {
    /// Before the tables are there.
    Before,
    /// Once the tables are there; provisioning through a connection of its own carries these out itself.
    After,
}

/// Whole statements, without the `;`, that give a role what it needs and nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleGrants {
    /// Whose role it is.
    pub credential: Credential,
    /// The role, which must exist.
    pub role: String,
    /// When to run them.
    pub stage: GrantStage,
    /// In the order in which they must run.
    pub statements: Vec<String>,
}

/// What is looked at, in the order in which one rests on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckTopic {
    /// A server answers, and has the database.
    Reachable,
    /// Whether the connection is encrypted, and to whom.
    Tls,
    /// User and password.
    Credentials,
    /// The server's version.
    Version,
    /// The database's encoding.
    Encoding,
    /// What the server acknowledged survives its machine.
    Durability,
    /// The server takes writes.
    Writable,
    /// What the role may do.
    Rights,
    /// Our tables, and nobody else's under our names.
    Tables,
    /// Whose log it holds.
    Identity,
    /// The stored format.
    Format,
    /// The indexes that keep ids and versions unique.
    UniqueIndexes,
    /// How far the server's clock is from ours.
    Clock,
    /// How many connections are left.
    Connections,
    /// How much room is left.
    Space,
}

impl CheckTopic {
    /// A stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            CheckTopic::Reachable => "reachable",
            CheckTopic::Tls => "tls",
            CheckTopic::Credentials => "credentials",
            CheckTopic::Version => "version",
            CheckTopic::Encoding => "encoding",
            CheckTopic::Durability => "durability",
            CheckTopic::Writable => "writable",
            CheckTopic::Rights => "rights",
            CheckTopic::Tables => "tables",
            CheckTopic::Identity => "identity",
            CheckTopic::Format => "format",
            CheckTopic::UniqueIndexes => "unique_indexes",
            CheckTopic::Clock => "clock",
            CheckTopic::Connections => "connections",
            CheckTopic::Space => "space",
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// As it should be.
    Passed,
    /// It works, but somebody should know; what to do about it.
    Warning {
        /// What to do, or the statement that does it.
        fix: String,
    },
    /// The source cannot be used.
    Failed {
        /// What opening the source, or provisioning it, fails with.
        failure: Failure,
        /// What to do, or the statement that does it.
        fix: String,
    },
    /// It cannot be told (yet).
    Unknown,
}

/// One line of a preflight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Through which connection it was looked at.
    pub credential: Credential,
    /// What was looked at.
    pub topic: CheckTopic,
    /// What was seen.
    pub seen: String,
    /// What that means.
    pub outcome: CheckOutcome,
}

/// The lines of one connection, as they are written down.
#[derive(Debug)]
pub struct Preflight {
    credential: Credential,
    checks: Vec<Check>,
}

impl Preflight {
    /// No line yet.
    pub fn new(credential: Credential) -> Self {
        Self { credential, checks: Vec::new() }
    }

    /// It is as it should be.
    pub fn passed(&mut self, topic: CheckTopic, seen: impl Into<String>) {
        self.push(topic, seen, CheckOutcome::Passed);
    }

    /// It works, but somebody should know.
    pub fn warning(&mut self, topic: CheckTopic, seen: impl Into<String>, fix: impl Into<String>) {
        self.push(topic, seen, CheckOutcome::Warning { fix: fix.into() });
    }

    /// The source cannot be used; what was seen is the failure itself.
    pub fn failed(&mut self, topic: CheckTopic, failure: Failure, fix: impl Into<String>) {
        self.push(topic, failure.to_string(), CheckOutcome::Failed { failure, fix: fix.into() });
    }

    /// It cannot be told.
    pub fn unknown(&mut self, topic: CheckTopic, why: impl Into<String>) {
        self.push(topic, why, CheckOutcome::Unknown);
    }

    fn push(&mut self, topic: CheckTopic, seen: impl Into<String>, outcome: CheckOutcome) {
        self.checks.push(Check { credential: self.credential, topic, seen: seen.into(), outcome });
    }

    /// The lines, in the order of their topics.
    pub fn finish(mut self) -> Vec<Check> {
        self.checks.sort_by_key(|check| check.topic);
        self.checks
    }
}
