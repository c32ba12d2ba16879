//! Who makes the cluster's tokens, and with which keys: what any service account may read.

use http::Request;
use kube::Client;
use serde::Deserialize;

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";
/// More is no set of keys.
const MOST_BYTES: usize = 256 << 10;

/// As the cluster publishes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterKeys {
    /// `iss` of its tokens.
    pub(crate) issuer: String,
    /// A JSON Web Key Set.
    pub(crate) keys: String,
}

/// They could not be read. It is tried again; see that the operator may get these paths (ClusterRole
/// `system:service-account-issuer-discovery`).
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The API server refuses, or does not answer.
    #[error("{0} of the API server: {1}")]
    Read(&'static str, #[source] Box<kube::Error>),
    /// It answers something else.
    #[error("{0} of the API server: {1}")]
    Form(&'static str, String),
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

pub(super) async fn read(client: &Client) -> Result<ClusterKeys, KeysError> {
    let (discovery, keys) = tokio::try_join!(get(client, DISCOVERY), get(client, KEYS))?;
    let odd = |error: serde_json::Error| KeysError::Form(DISCOVERY, error.to_string());
    let Discovery { issuer } = serde_json::from_str(&discovery).map_err(odd)?;
    let parsed: serde_json::Value =
        serde_json::from_str(&keys).map_err(|error| KeysError::Form(KEYS, error.to_string()))?;
    if !parsed["keys"].is_array() {
        return Err(KeysError::Form(KEYS, "it is no JSON Web Key Set".into()));
    }
    Ok(ClusterKeys { issuer, keys })
}

async fn get(client: &Client, path: &'static str) -> Result<String, KeysError> {
    let request =
        Request::get(path).body(Vec::new()).map_err(|error| KeysError::Form(path, error.to_string()))?;
    let text = client.request_text(request).await;
    let text = text.map_err(|error| KeysError::Read(path, Box::new(error)))?;
    if text.len() > MOST_BYTES {
        return Err(KeysError::Form(path, format!("it has more than {MOST_BYTES} bytes")));
    }
    Ok(text)
}
