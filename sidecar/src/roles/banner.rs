use std::fmt::Write as _;

use polylog_api::Problem;

use super::dev::{Begun, OpenedSource};
use crate::running::Running;

/// What `polylog dev` says on stderr when it is ready.
#[derive(Default)]
pub(super) struct Banner {
    text: String,
    first_store: Option<String>,
    stores: usize,
}

/// Says what the manifests' author should know.
pub(super) fn warnings(lines: &[String]) {
    for line in lines {
        eprintln!("warning: {line}");
    }
}

impl Banner {
    /// Adds a store.
    pub(super) fn store(&mut self, begun: &Begun) {
        let Begun { namespace, name, declared, sources: opened, .. } = begun;
        self.line(format_args!("store {namespace}/{name}"));
        for source in declared {
            let kept = opened.iter().find(|one| one.name == source.name);
            match (&source.unprovisioned, kept) {
                (None, Some(OpenedSource { database, .. })) => {
                    let engine = database.product();
                    self.line(format_args!("  {}: {engine}, {database}", source.name));
                    if let Some(remark) = &source.remark {
                        self.line(format_args!("    warning: {remark}"));
                    }
                }
                (reason, _) => {
                    let reason = reason.as_deref().unwrap_or_default();
                    self.line(format_args!("  {}: Unprovisioned, {reason}", source.name));
                }
            }
        }
        for waiting in opened.iter().map(|one| &one.waiting).filter(|waiting| !waiting.is_empty()) {
            self.line(format_args!(
                "  {} steps wait for approval; start with --approve {} to carry them out:",
                waiting.steps.len(),
                waiting.hash()
            ));
            for step in &waiting.steps {
                self.line(format_args!("    {}: {}", step.class, step.summary));
            }
        }
        self.first_store.get_or_insert_with(|| name.clone());
        self.stores += 1;
    }

    /// Says of the store before why it is not open.
    pub(super) fn waits(&mut self, problem: &Problem) {
        self.line(format_args!("  not open yet: {}", problem.detail));
        self.line(format_args!("    {}", problem.next_step));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // writing to a string cannot fail
        let _ = writeln!(self.text, "{line}");
    }

    /// Prints it, with two calls to try.
    pub(super) fn print(mut self, running: &Running) {
        let (port, health_port) = (running.port(), running.health_port());
        let prefix = match (running.server().default_store(), &self.first_store) {
            (None, Some(store)) => format!("/v1/stores/{store}"),
            _ => "/v1".to_owned(),
        };
        let base = format!("http://localhost:{port}{prefix}");
        self.line(format_args!("serving {base}   (health and metrics on port {health_port})"));
        self.line(format_args!(
            "append:  curl -s {base}/streams/Payment-p1 -H 'Content-Type: application/json' \\"
        ));
        self.line(format_args!(
            "           -d '{{\"expectedVersion\":\"any\",\"events\":[{{\"type\":\"PaymentProcessed\",\"data\":{{\"amount\":\"100.00\"}}}}]}}'"
        ));
        self.line(format_args!("read:    curl -s {base}/streams/Payment-p1"));
        eprint!("{}", self.text);
    }
}
