//! Routes of EventTypePartitioning.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::values::{CelExpression, EventTypeName, SourceName};

/// Which source keeps the data of some events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.types) != has(self.when)").message("a route has exactly one of types and when"))]
pub struct Route {
    /// Event types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub types: Option<Vec<EventTypeName>>,
    /// CEL condition over `type`, `stream`, `category` and `metadata`, never over the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<CelExpression>,
    /// The source that keeps their data.
    pub source: SourceName,
}
