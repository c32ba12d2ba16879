//! Sources: the databases that hold a copy of the log.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Connection, Elasticsearch, Engine, Mongodb, Mysql, Postgres};
use crate::values::{Region, SourceName};

/// One database that holds a copy of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.postgres), has(self.mysql), has(self.mongodb), has(self.elasticsearch)].exists_one(x, x)")
        .message("a source has exactly one engine: postgres, mysql, mongodb or elasticsearch"),
    validation = Rule::new("has(self.postgres) == has(oldSelf.postgres) && has(self.mysql) == has(oldSelf.mysql) && has(self.mongodb) == has(oldSelf.mongodb) && has(self.elasticsearch) == has(oldSelf.elasticsearch)")
        .message("a source keeps its engine; add another source and remove this one"),
)]
pub struct Source {
    /// Name of the source, unique in the store.
    pub name: SourceName,
    /// Whether it counts in acks and elections. If absent, Learner for elasticsearch and Voter for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<SourceRole>,
    /// Whether it takes part now; Active if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SourceState>,
    /// Where it runs; used by routes and by reads that prefer a local source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// How rows are read and written.
    pub connection: Connection,
    /// How tables are created; `connection` if absent. Never given to a pod but the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning_connection: Option<Connection>,
    /// PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
    /// MySQL or MariaDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysql: Option<Mysql>,
    /// MongoDB, or a server that speaks its protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mongodb: Option<Mongodb>,
    /// Elasticsearch or OpenSearch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elasticsearch: Option<Elasticsearch>,
}

impl Source {
    /// The declared engine; `None` only where the rule "exactly one engine" was not applied.
    pub fn engine(&self) -> Option<Engine> {
        let declared = [
            self.postgres.is_some().then_some(Engine::Postgres),
            self.mysql.is_some().then_some(Engine::Mysql),
            self.mongodb.is_some().then_some(Engine::Mongodb),
            self.elasticsearch.is_some().then_some(Engine::Elasticsearch),
        ];
        let mut declared = declared.into_iter().flatten();
        declared.next().filter(|_| declared.next().is_none())
    }

    /// The role, with the default of the engine where none is declared.
    pub fn effective_role(&self) -> SourceRole {
        self.role.unwrap_or(if self.elasticsearch.is_some() {
            SourceRole::Learner
        } else {
            SourceRole::Voter
        })
    }
}

/// Whether a source counts in acks and elections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SourceRole {
    /// It counts, and may become the primary.
    Voter,
    /// It only follows.
    Learner,
}

/// Whether a source takes part now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SourceState {
    /// It takes part.
    Active,
    /// It follows and votes, but is not read, not chosen as primary, and raises no alert.
    Maintenance,
    /// It is about to be removed: it only follows.
    Draining,
}
