//! Who may do what.

use std::fmt;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{CategoryPattern, NamespaceName, ServiceAccountPattern};

/// Grants verbs on categories to service accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessRule {
    /// Who.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub service_accounts: Vec<ServiceAccountRef>,
    /// What they may do.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub verbs: Vec<Verb>,
    /// On streams of which categories, with `*` for any run of characters; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub categories: Option<Vec<CategoryPattern>>,
}

/// A service account, or all of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceAccountRef {
    /// Its namespace; the store's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamespaceName>,
    /// Its name, or `*`.
    pub name: ServiceAccountPattern,
}

/// What a caller may do.
// Its names are part of the stored format: policy events hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Append events.
    Append,
    /// Read streams, the log and single events.
    Read,
    /// Follow the log or a stream.
    Subscribe,
    /// Search events, statistics and trends.
    Search,
    /// Query read models.
    Query,
    /// Take part in a consumer group.
    Consume,
    /// See what is redacted for others.
    Reveal,
    /// Change configuration, and see system events and status details.
    Admin,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 8] = [
        Self::Append,
        Self::Read,
        Self::Subscribe,
        Self::Search,
        Self::Query,
        Self::Consume,
        Self::Reveal,
        Self::Admin,
    ];

    /// As written in manifests and policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Read => "read",
            Self::Subscribe => "subscribe",
            Self::Search => "search",
            Self::Query => "query",
            Self::Consume => "consume",
            Self::Reveal => "reveal",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
