//! Pointers to other objects of the same namespace.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{DataKey, ObjectName};

/// Names an object of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// Name of the object.
    pub name: ObjectName,
}

/// Names a Secret of the same namespace and one of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    pub name: ObjectName,
    /// Key in the Secret; `url` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<DataKey>,
}

/// Names a certificate authority in a ConfigMap or Secret of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct CaRef {
    /// Kind of the object; ConfigMap if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CaRefKind>,
    /// Name of the object.
    pub name: ObjectName,
    /// Key in the object; `ca.crt` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<DataKey>,
}

/// Where a certificate authority is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CaRefKind {
    /// In a ConfigMap.
    ConfigMap,
    /// In a Secret.
    Secret,
}
