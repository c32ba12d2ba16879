//! Three servers, and sidecars with a log over some of them.

use std::fs;

use anyhow::{Context, Result};
use polylog_whole_tests::{
    sidecar::{Sidecar, SidecarArgs},
    status,
};
use tempfile::TempDir;

use super::PATIENCE;
use crate::peers::servers::{Mariadb, Postgres, Server};

/// The sources' names, in the order in which they become primary.
pub const NAMES: [&str; 3] = ["ledger", "mirror", "spare"];

pub struct Bed<'a> {
    args: &'a SidecarArgs,
    ledger: Postgres,
    mirror: Mariadb,
    spare: Postgres,
    folder: TempDir,
}

impl<'a> Bed<'a> {
    pub fn start(args: &'a SidecarArgs) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("polylog-bench-").tempdir()?;
        Ok(Self {
            args,
            ledger: Postgres::start(),
            mirror: Mariadb::start(),
            spare: Postgres::start(),
            folder,
        })
    }

    pub fn server(&self, name: &str) -> &dyn Server {
        match name {
            "ledger" => &self.ledger,
            "mirror" => &self.mirror,
            _ => &self.spare,
        }
    }

    /// kill -9.
    pub fn crash(&self, name: &str) {
        self.server(name).crash();
    }

    pub fn start_again(&self, name: &str) {
        self.server(name).start_again();
    }

    /// A sidecar with a new log over these sources, all of which hold its beginning.
    pub fn open(&self, log: &str, names: &[&str], strategy: &str) -> Result<Sidecar> {
        self.open_with(log, names, strategy, "{}")
    }

    /// The same, verified in this way.
    pub fn open_with(
        &self,
        log: &str,
        names: &[&str],
        strategy: &str,
        verification: &str,
    ) -> Result<Sidecar> {
        let folder = self.folder.path().join(log);
        let manifests = folder.join("manifests");
        fs::create_dir_all(&manifests)?;
        fs::write(manifests.join("payments.yaml"), manifest(log, names, strategy, verification))?;
        let mut sidecar = Sidecar::new(&self.args.with_manifests(&manifests), &folder.join("data"))?;
        for name in names {
            let server = self.server(name);
            server.create(log);
            sidecar = sidecar.with_source(name, &server.address(log));
        }
        let mut sidecar = sidecar.telling(&folder.join("said"))?;
        sidecar.start().with_context(|| format!("the log {log}"))?;
        if names.len() > 1 {
            status::until_level(sidecar.port, PATIENCE)?;
        }
        Ok(sidecar)
    }
}

fn manifest(log: &str, names: &[&str], strategy: &str, verification: &str) -> String {
    let sources = names.iter().map(|name| {
        let place = match *name {
            "mirror" => format!("mysql: {{database: {log}}}"),
            _ => "postgres: {schema: payments}".to_owned(),
        };
        format!("    - {{name: {name}, connection: {{secretRef: {{name: db}}}}, {place}}}\n")
    });
    let sources: String = sources.collect();
    format!(
        "\
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {{name: payments}}
spec:
  strategyRef: {{name: measured}}
  verification: {verification}
  sources:
{sources}---
apiVersion: polylog.dev/v1alpha1
kind: ReplicationStrategy
metadata: {{name: measured}}
spec: {strategy}
---
apiVersion: v1
kind: Secret
metadata: {{name: db}}
stringData: {{url: 'postgres://localhost/x'}}
"
    )
}
