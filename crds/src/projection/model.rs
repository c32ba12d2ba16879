//! What a read model holds and how events change it.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{CategoryPattern, CelExpression, EventTypeName, FieldName, SourceName, TargetName};

/// Which events are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Filter {
    /// Of these types; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub types: Option<Vec<EventTypeName>>,
    /// Of streams of these categories; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub categories: Option<Vec<CategoryPattern>>,
    /// CEL condition over `event`; none if absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<CelExpression>,
}

/// Where the read model is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// A source of the store.
    pub source: SourceName,
    /// Stem of the table, collection or index.
    pub name: TargetName,
}

/// A field of the read model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Field {
    /// Its name.
    pub name: FieldName,
    /// What it holds.
    #[serde(rename = "type")]
    pub type_: FieldType,
    /// Whether it is indexed; false if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indexed: Option<bool>,
    /// Its value in a new row, as text; null if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub default: Option<String>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FieldType {
    /// Text.
    String,
    /// Whole number of 64 bits.
    Integer,
    /// Exact decimal.
    Decimal,
    /// Truth value.
    Boolean,
    /// Point in time.
    Timestamp,
    /// Any JSON.
    Json,
}

/// What an event does to its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ProjectionRule {
    /// For events of these types.
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub types: Vec<EventTypeName>,
    /// CEL condition over `event`; none if absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<CelExpression>,
    /// Fields and the values they get, as they are.
    #[serde(rename = "const", default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 100))]
    pub constants: Option<BTreeMap<String, Literal>>,
    /// Fields and CEL expressions over `event` that give their values; an absent key gives null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 100))]
    pub set: Option<BTreeMap<String, CelExpression>>,
    /// Number fields and CEL expressions over `event` that the database adds to them, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 100))]
    pub add: Option<BTreeMap<String, CelExpression>>,
    /// Fields that become null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub remove: Option<Vec<FieldName>>,
    /// Whether the row is deleted; false if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<bool>,
}

/// A value written as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Literal(pub serde_json::Value);

impl JsonSchema for Literal {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Literal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
    }
}

/// How rows are spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionRoute {
    /// CEL expression over `event` that gives the part a row belongs to.
    pub by: CelExpression,
    /// What a part is.
    #[serde(rename = "as")]
    pub as_: RouteAs,
    /// The part of rows whose expression gives null; `none` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub if_null: Option<String>,
}

/// What a part of a read model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteAs {
    /// A routing value in Elasticsearch.
    Routing,
    /// A list partition of the table.
    Partition,
    /// A table or index of its own.
    Suffix,
}
