//! What each engine needs to know.

use std::fmt;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SourceRole;
use crate::values::{
    CollectionPrefix, Duration, FieldPath, IndexName, MongodbDatabase, MysqlDatabase, PostgresSchema,
    TablePrefix,
};

/// The kind of database a source declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// MongoDB, or a server that speaks its protocol.
    Mongodb,
    /// Elasticsearch or OpenSearch.
    Elasticsearch,
}

impl Engine {
    /// The field that declares it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mongodb => "mongodb",
            Self::Elasticsearch => "elasticsearch",
        }
    }

    /// Schemes of an address of this engine.
    pub fn url_schemes(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["postgres", "postgresql"],
            Self::Mysql => &["mysql", "mariadb"],
            Self::Mongodb => &["mongodb", "mongodb+srv"],
            Self::Elasticsearch => &["http", "https"],
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field())
    }
}

/// A source in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Postgres {
    /// Schema of our tables; cannot change.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the schema cannot change; add another source and remove this one"))]
    pub schema: PostgresSchema,
    /// Whether we create the schema; true if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_schema: Option<bool>,
}

/// A source in MySQL or MariaDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.tablePrefix) ? self.tablePrefix : '') == (has(oldSelf.tablePrefix) ? oldSelf.tablePrefix : '')")
        .message("the table prefix cannot change; add another source and remove this one"),
)]
pub struct Mysql {
    /// Database of our tables; cannot change.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the database cannot change; add another source and remove this one"))]
    pub database: MysqlDatabase,
    /// Text in front of our table names; empty if absent; cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_prefix: Option<TablePrefix>,
}

/// A source in MongoDB, or in a server that speaks its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.collectionPrefix) ? self.collectionPrefix : '') == (has(oldSelf.collectionPrefix) ? oldSelf.collectionPrefix : '')")
        .message("the collection prefix cannot change; add another source and remove this one"),
)]
pub struct Mongodb {
    /// Database of our collections; cannot change.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the database cannot change; add another source and remove this one"))]
    pub database: MongodbDatabase,
    /// Text in front of our collection names; empty if absent; cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection_prefix: Option<CollectionPrefix>,
}

/// A source in Elasticsearch or OpenSearch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.flavor) ? self.flavor : 'Elasticsearch') == (has(oldSelf.flavor) ? oldSelf.flavor : 'Elasticsearch')")
        .message("the flavor cannot change; add another source and remove this one"),
    validation = Rule::new("(has(self.index) && has(self.index.name)) == (has(oldSelf.index) && has(oldSelf.index.name)) && (!has(self.index) || !has(self.index.name) || self.index.name == oldSelf.index.name)")
        .message("the index name cannot change; add another source and remove this one"),
    validation = Rule::new("(has(self.index) && has(self.index.shards) ? self.index.shards : 3) == (has(oldSelf.index) && has(oldSelf.index.shards) ? oldSelf.index.shards : 3)")
        .message("the number of shards cannot change; add another source and remove this one"),
)]
pub struct Elasticsearch {
    /// Which product it is; Elasticsearch if absent; cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<ElasticsearchFlavor>,
    /// The index of our events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<ElasticsearchIndex>,
    /// How the fields of payloads are indexed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<ElasticsearchFields>,
    /// Whether one bounded text field for full-text search is written; true if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_text: Option<bool>,
    /// How many copies of a shard, the primary shard among them, must hold a write before it counts; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub require_copies: Option<u8>,
}

impl Elasticsearch {
    /// Further copies of each shard: what is declared, else one, and none for a voter.
    pub fn replicas(declared: Option<&Self>, role: SourceRole) -> u32 {
        let index = declared.and_then(|declared| declared.index.as_ref());
        index.and_then(|index| index.replicas).unwrap_or(match role {
            SourceRole::Voter => 0,
            SourceRole::Learner => 1,
        })
    }
}

/// Which product answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ElasticsearchFlavor {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
}

/// The index of our events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElasticsearchIndex {
    /// Its name; `<namespace>-<store>` if absent; cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<IndexName>,
    /// Primary shards; 3 if absent; cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub shards: Option<u32>,
    /// Further copies of each shard; 1 if absent, and 0 for a Voter, which can have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9))]
    pub replicas: Option<u32>,
    /// How soon events can be searched; 30s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_interval: Option<Duration>,
}

/// How the fields of payloads are indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ElasticsearchFields {
    /// Which fields; Flattened if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FieldsMode>,
    /// Fields with a type of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    pub explicit: Option<Vec<ExplicitField>>,
}

/// Which fields of payloads are indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FieldsMode {
    /// All, as untyped keywords, beside the explicit ones.
    Flattened,
    /// Only the explicit ones.
    Explicit,
    /// None.
    None,
}

/// A payload field with a type of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplicitField {
    /// Where it is in the event's document, for example `data.amount`.
    pub path: FieldPath,
    /// How it is indexed.
    #[serde(rename = "type")]
    pub type_: ExplicitFieldType,
}

/// How a payload field is indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExplicitFieldType {
    /// Exact text.
    Keyword,
    /// Analysed text.
    Text,
    /// Whole number.
    Integer,
    /// Exact decimal.
    Decimal,
    /// Truth value.
    Boolean,
    /// Point in time.
    Timestamp,
}
