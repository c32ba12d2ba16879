//! What is mounted into the pods of a cluster.

use std::{fs, path::Path};

use anyhow::Result;

/// A role of a process in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Beside an application.
    Sidecar,
    /// One for each store.
    Gateway,
}

impl Role {
    /// As the program is told.
    pub fn name(self) -> &'static str {
        match self {
            Role::Sidecar => "sidecar",
            Role::Gateway => "gateway",
        }
    }
}

/// A store whose source's whole address is mounted. It is the one of `examples/payments`, whose policy is in the log that
/// `polylog dev` opened.
const STORE: &str = "\
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: default}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}
";

/// A token as Kubernetes makes them, unsigned, of the service account `default/checkout` in the pod `checkout-1`.
const TOKEN: &str = "e30.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6ZGVmYXVsdDpjaGVja291dCIsImt1YmVybmV0ZXMuaW8iOnsicG9kIjp7Im5hbWUiOiJjaGVja291dC0xIn19fQ.c2ln";

/// Writes what is mounted into a pod: the folder `config`, and the file `token` beside it.
pub fn mount(folder: &Path, database: &str) -> Result<()> {
    let files =
        [("config/store/eventstore.yaml", STORE), ("config/sources/ledger/url", database), ("token", TOKEN)];
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a file in a folder"))?;
        fs::write(path, content)?;
    }
    Ok(())
}
