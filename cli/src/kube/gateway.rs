//! The gateway of a store, reached through the API server.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use polylog_client::{Address, Client, Credentials, Timing};
use serde_json::Value;

use super::{
    kubectl::{EVENT_STORES, Kubectl, KubectlError, Scope, failure},
    object::{Store, text},
};
use crate::exit::Failure;

/// The pod's own port, on its loopback: who comes there by kubectl is the gateway's own service account.
const PORT: u16 = polylog_injection::names::GATEWAY_PORT;
/// As long as `polylog` tries.
const PATIENCE: Duration = Duration::from_secs(5);
/// kubectl's words when it listens.
const LISTENS: &str = "Forwarding from 127.0.0.1:";

/// The gateway of a store in the cluster.
pub(super) struct Gateway<'a> {
    kubectl: &'a Kubectl,
    store: Store,
    /// Its pods.
    pods: Vec<String>,
}

/// A port of this machine that leads to a pod, as long as this is kept.
pub(super) struct Forward {
    child: Child,
    port: u16,
}

impl<'a> Gateway<'a> {
    /// Finds the gateway of this store.
    pub(super) fn find(kubectl: &'a Kubectl, store: &str) -> Result<Self, Failure> {
        let store = Store(kubectl.get(EVENT_STORES, store, Scope::Given)?);
        let (name, namespace) = (store.name(), store.namespace());
        let labels = format!("app.kubernetes.io/name=polylog-gateway,app.kubernetes.io/instance={name}");
        let pods = kubectl.list("pods", &["--selector", &labels], Scope::In(namespace))?;
        let ready = pods.iter().filter(|pod| is_ready(pod));
        let pods: Vec<String> = ready.map(|pod| text(pod, "/metadata/name").to_owned()).collect();
        if pods.is_empty() {
            let words = format!("no pod of the gateway of {namespace}/{name} is ready");
            return Err(Failure::NoAnswer(format!("{words}\n  next:    kubectl polylog status {name}")));
        }
        Ok(Self { kubectl, store, pods })
    }

    /// Its pods, one of which does what only one may do.
    pub(super) fn pods(&self) -> &[String] {
        &self.pods
    }

    /// A client of one pod, for as long as the way there is kept.
    pub(super) fn client(&self, pod: &str) -> Result<(Client, Forward), Failure> {
        let forward = Forward::to(self.kubectl, self.store.namespace(), pod)?;
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let url = format!("http://127.0.0.1:{}", forward.port);
        let address = Address::parse(&url, Some(self.store.name())).map_err(|error| usage(&error))?;
        let timing = Timing { deadline: PATIENCE, ..Timing::default() };
        let client = Client::new(address, timing, Credentials::default()).map_err(|error| usage(&error))?;
        Ok((client, forward))
    }
}

impl Forward {
    fn to(kubectl: &Kubectl, namespace: &str, pod: &str) -> Result<Self, KubectlError> {
        let not_started = |error: std::io::Error| KubectlError::NotStarted(error.to_string());
        let child = Command::new("kubectl")
            .args(["port-forward", "--address=127.0.0.1", &format!("pod/{pod}"), &format!(":{PORT}")])
            .args(kubectl.lasting_flags())
            .arg(format!("--namespace={namespace}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(not_started)?;
        // from here on it ends with this
        let mut forward = Self { child, port: 0 };
        let mut lines = forward.child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix(LISTENS)?.split_once(' ')?.0.parse().ok());
        let Some(port) = port else {
            let mut words = String::new();
            if let Some(mut stderr) = forward.child.stderr.take() {
                stderr.read_to_string(&mut words).map_err(not_started)?;
            }
            return Err(failure(&words));
        };
        // it writes a line for each connection, and must not stand still for want of a reader
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let stderr = forward.child.stderr.take();
        thread::spawn(move || stderr.map(|mut stderr| std::io::copy(&mut stderr, &mut std::io::sink())));
        forward.port = port;
        Ok(forward)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
    ready.any(|condition| condition["status"] == "True") && pod["metadata"]["deletionTimestamp"].is_null()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_that_ends_or_is_not_ready_is_not_asked() {
        let pod = |status: &str| json!({"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": status}]}});
        assert!(is_ready(&pod("True")));
        assert!(!is_ready(&pod("False")) && !is_ready(&json!({"metadata": {}})));
        let mut ending = pod("True");
        ending["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z".into();
        assert!(!is_ready(&ending));
    }
}
