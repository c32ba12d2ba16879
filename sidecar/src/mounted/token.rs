use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::identity::{ServiceAccount, Workload};

/// As whom and where the process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The pod's service account.
    pub(crate) account: ServiceAccount,
    /// The pod.
    pub(crate) workload: Workload,
}

/// Why it is not known as whom the process runs. Mount the pod's token; it is read again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidToken {
    /// It is not there or may not be read.
    #[error(
        "cannot read the service account token {path}: {reason}; mount a projected token, or say where it is with --token"
    )]
    Unreadable { path: String, reason: String },
    /// It is none of a Kubernetes service account.
    #[error("{0} is no token of a Kubernetes service account")]
    Form(String),
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(rename = "kubernetes.io", default)]
    kubernetes: Bound,
}

/// What a token is bound to.
#[derive(Deserialize, Default)]
pub(crate) struct Bound {
    #[serde(default)]
    pub(crate) pod: Option<Named>,
}

/// The pod, for example.
#[derive(Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
}

/// Reads from the pod's own token as whom the process runs. Whoever can write this file is the process itself, so that a
/// signature would prove nothing.
pub(crate) fn caller(path: &Path) -> Result<Caller, InvalidToken> {
    let shown = || path.display().to_string();
    let unreadable =
        |error: std::io::Error| InvalidToken::Unreadable { path: shown(), reason: error.to_string() };
    let token = fs::read_to_string(path).map_err(unreadable)?;
    parse(token.trim()).ok_or_else(|| InvalidToken::Form(shown()))
}

/// When a token ends, in seconds since 1970, as far as it says that.
pub(crate) fn expiry(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Ends {
        exp: u64,
    }
    payload::<Ends>(token).map(|Ends { exp }| exp)
}

fn payload<T: serde::de::DeserializeOwned>(token: &str) -> Option<T> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn parse(token: &str) -> Option<Caller> {
    let claims: Claims = payload(token)?;
    let account = ServiceAccount::of_subject(&claims.sub)?;
    let pod = claims.kubernetes.pod.map(|pod| pod.name);
    let workload = Workload { pod, namespace: Some(account.namespace.clone()) };
    Some(Caller { account, workload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_subject_names_the_service_account_and_the_pod_where_it_is_bound() {
        let bound = r#"{"sub":"system:serviceaccount:shop:checkout",
            "kubernetes.io":{"namespace":"shop","pod":{"name":"checkout-1","uid":"x"}}}"#;
        let caller = parse(&token(bound)).expect("a token");
        assert_eq!(caller.account.to_string(), "shop/checkout");
        assert_eq!(caller.workload.pod.as_deref(), Some("checkout-1"));
        let unbound = parse(&token(r#"{"sub":"system:serviceaccount:shop:checkout"}"#)).expect("a token");
        assert_eq!(unbound.workload.pod, None);
        for bad in [
            "",
            "a.b",
            &token("{}"),
            &token(r#"{"sub":"jane"}"#),
            &token(r#"{"sub":"system:serviceaccount:shop"}"#),
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
