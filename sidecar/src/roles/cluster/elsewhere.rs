//! Stores of other namespaces: nothing of them is mounted, so that the pod is told where their gateways are when it is made.

use std::{str::FromStr, sync::Arc};

use polylog_api::{Code, Problem};
use serde::Deserialize;

use super::ClusterArgs;
use crate::{
    forward::{Forward, InvalidTarget, Target},
    hosted::Waiting,
    server::{Served, Server},
};

/// Gateways of stores of other namespaces.
#[derive(Debug, Clone, Default)]
pub struct Elsewhere(Vec<Gateway>);

/// One of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gateway {
    /// `<namespace>/<name>`, as applications call the store too.
    store: String,
    /// `host:port`
    address: String,
    /// In PEM; absent where the store was not known, or had no gateway, when the pod was made.
    #[serde(default)]
    authority: Option<String>,
}

impl FromStr for Elsewhere {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let gateways: Vec<Gateway> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match gateways.iter().find(|gateway| !gateway.store.contains('/')) {
            Some(Gateway { store, .. }) => Err(format!("{store:?} is not of the form namespace/name")),
            None => Ok(Self(gateways)),
        }
    }
}

/// Serves them, for as long as the process lives.
pub(super) fn serve(server: &Server, args: &ClusterArgs) {
    for gateway in &args.gateways.0 {
        let name = gateway.store.clone();
        let served = match forward(gateway, args) {
            Ok(Some(forward)) => Served::Forwarded(Arc::new(forward)),
            Ok(None) => waiting(
                name.clone(),
                Problem::new(
                    Code::InvalidConfiguration,
                    format_args!(
                        "when this pod was made, EventStore {name} was not there, or had no gateway"
                    ),
                )
                .next_step("have it applied, and make the pod anew"),
            ),
            Err(error) => waiting(
                name.clone(),
                Problem::new(Code::InvalidConfiguration, format_args!("POLYLOG_GATEWAYS: {name}: {error}"))
                    .next_step("make the pod anew"),
            ),
        };
        if let Served::Waiting(waiting) = &served {
            tracing::error!(
                event = "gateway_unusable",
                store = name,
                reason = waiting.problem.detail,
                "a store of another namespace cannot be reached by this pod"
            );
        }
        server.serve(&name, &served);
    }
}

fn forward(gateway: &Gateway, args: &ClusterArgs) -> Result<Option<Forward>, InvalidTarget> {
    let Some(authority) = &gateway.authority else { return Ok(None) };
    let there = gateway.store.rsplit('/').next().unwrap_or_default();
    let target = Target::new(there, &gateway.address, authority.as_bytes())?;
    Forward::new(gateway.store.clone(), target, args.token.clone()).map(Some)
}

fn waiting(name: String, problem: Problem) -> Served {
    Served::Waiting(Arc::new(Waiting { name, sources: Vec::new(), access: None, problem, leadership: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_injection_writes_is_read_and_nothing_else() {
        let text = r#"[{"store":"billing/payments","address":"polylog-payments.billing.svc:7300"}]"#;
        assert_eq!(text.parse::<Elsewhere>().expect("right").0.len(), 1);
        for bad in ["", "{}", r#"[{"store":"payments","address":"a:1"}]"#, r#"[{"store":"a/b"}]"#] {
            assert!(bad.parse::<Elsewhere>().is_err(), "{bad}");
        }
    }
}
