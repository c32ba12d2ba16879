use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{
    database::{Engine, Server},
    sidecar::{Sidecar, SidecarArgs},
};

/// Sidecars that share one store: two over a server, one over a file.
pub struct Cluster {
    pub sidecars: Vec<Sidecar>,
    /// Ends after the sidecars.
    pub server: Option<Box<dyn Server>>,
    data: PathBuf,
}

impl Cluster {
    /// Starts everything; `name` is that of its folder.
    pub fn start(engine: Engine, args: &SidecarArgs, name: &str) -> Result<Self> {
        let data = std::env::temp_dir().join(format!("polylog-{name}"));
        let server = engine.start();
        let sidecars = match &server {
            None => vec![Sidecar::new(args, &data)?],
            Some(server) => ["a", "b"]
                .iter()
                .map(|folder| Ok(Sidecar::new(args, &data.join(folder))?.at(&server.url())))
                .collect::<Result<_>>()?,
        };
        let mut cluster = Self { sidecars, server, data };
        cluster.sidecars.iter_mut().try_for_each(Sidecar::start)?;
        Ok(cluster)
    }

    /// Where the sidecars listen.
    pub fn ports(&self) -> Vec<u16> {
        self.sidecars.iter().map(|sidecar| sidecar.port).collect()
    }

    /// Ends everything and removes what is left; after a failure the folder stays, to be looked at.
    pub fn end(mut self) -> Result<()> {
        self.sidecars.iter_mut().try_for_each(Sidecar::kill)?;
        std::fs::remove_dir_all(&self.data).context("the data of this run")
    }
}
