//! How a database is reached.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::references::{CaRef, ObjectRef, SecretKeyRef};
use crate::values::{DataKey, Duration, Url};

/// How a database is reached: by `url`, or by a Secret that holds the whole address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.url) != has(self.secretRef)").message("a connection has exactly one of url and secretRef"),
    validation = Rule::new("!has(self.auth) || has(self.url)").message("auth goes only with url; a secretRef holds its own credentials"),
)]
pub struct Connection {
    /// Address without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.matches('^[a-z][a-z0-9+.-]*://[^/]*@')").message("credentials belong in a Secret, not in a url"))]
    pub url: Option<Url>,
    /// Secret that holds the address with its credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// Credentials for `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ConnectionAuth>,
    /// Transport security.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Connections of one sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// How long to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<ConnectionTimeouts>,
}

/// Credentials for a `url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionAuth {
    /// Secret that holds them.
    pub secret_ref: ObjectRef,
    /// Key of the user's name; `username` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_key: Option<DataKey>,
    /// Key of the password; `password` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_key: Option<DataKey>,
    /// Key of an API key, used instead of name and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_key: Option<DataKey>,
}

/// Transport security of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Whether it is used; Require if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TlsMode>,
    /// Certificate authority that signed the server's certificate; the system's authorities if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<CaRef>,
    /// Secret with our own certificate: `tls.crt`, `tls.key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_ref: Option<ObjectRef>,
    /// Name that the server's certificate must carry; the host of the address if absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub server_name: Option<String>,
}

/// Whether transport security is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// Always, and the certificate is checked.
    Require,
    /// If the server offers it.
    Prefer,
    /// Never.
    Disable,
}

/// Connections that are kept open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Pool {
    /// Most connections of one sidecar; 2 if absent. The gateway has its own setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: Option<u32>,
}

/// How long a connection waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ConnectionTimeouts {
    /// For a new connection; 2s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Duration>,
    /// For an answer; 5s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
}
