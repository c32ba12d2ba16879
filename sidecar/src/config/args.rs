use std::path::PathBuf;

use polylog_crds::{validate::TargetEngine, values::SourceName};

use crate::identity::ServiceAccount;

/// Arguments of `polylog dev`.
#[derive(Debug, Clone, clap::Args)]
pub struct DevArgs {
    /// Folder of manifests (*.yaml, *.yml, *.json), or one file
    #[arg(default_value = ".")]
    pub manifests: PathBuf,
    /// Folder for the databases, one folder in it per store
    #[arg(long, value_name = "FOLDER", default_value = "./.polylog")]
    pub data: PathBuf,
    /// Keep the databases in a temporary folder, and remove it at the end
    #[arg(long, conflicts_with = "data")]
    pub ephemeral: bool,
    /// Port of the API on 127.0.0.1 and ::1; 0 = any free one
    #[arg(long, default_value_t = 7300)]
    pub port: u16,
    /// Port of /livez, /readyz and /metrics; 0 = any free one
    #[arg(long, default_value_t = 7301)]
    pub health_port: u16,
    /// Keep a source at this address instead of a file in the data folder, like ledger=sqlite:./ledger.db
    #[arg(long = "source", value_name = "NAME=URL")]
    pub sources: Vec<SourcePlacement>,
    /// Act as this service account, so that `access` applies; without it every verb is allowed
    #[arg(long = "as", value_name = "NAMESPACE/SERVICEACCOUNT")]
    pub subject: Option<ServiceAccount>,
    /// The store of paths that name none; needed only where the manifests have several
    #[arg(long, value_name = "STORE")]
    pub default_store: Option<String>,
    /// Carry out the plan with this hash, also its destructive steps
    #[arg(long, value_name = "HASH")]
    pub approve: Option<String>,
}

/// Where a source is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlacement {
    /// The source's name in the manifests.
    pub name: SourceName,
    /// The engine at the address.
    pub engine: TargetEngine,
    /// The address after its scheme.
    pub path: PathBuf,
}

/// Not written as `name=url`, or at an address that no engine has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlacement {
    /// Write the name of a source, `=`, and its address.
    #[error("a source is placed with <name>=<url>, like ledger=sqlite:./ledger.db")]
    Form,
    /// Correct the name.
    #[error("{0}")]
    Name(String),
    /// Use one of the schemes.
    #[error("{0:?} is no address of an engine: use sqlite:, postgres:, mysql:, mongodb: or http(s):")]
    Scheme(String),
}

impl std::str::FromStr for SourcePlacement {
    type Err = InvalidPlacement;
    fn from_str(text: &str) -> Result<Self, InvalidPlacement> {
        let (name, url) = text.split_once('=').ok_or(InvalidPlacement::Form)?;
        let (scheme, rest) = url.split_once(':').ok_or(InvalidPlacement::Form)?;
        let name = name.parse::<SourceName>().map_err(|error| InvalidPlacement::Name(error.to_string()))?;
        let engine = TargetEngine::of_url_scheme(scheme)
            .ok_or_else(|| InvalidPlacement::Scheme(format!("{scheme}:")))?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() {
            return Err(InvalidPlacement::Form);
        }
        Ok(Self { name, engine, path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_placed_by_name_and_url() {
        let placement: SourcePlacement = "ledger=sqlite:./x.db".parse().expect("good");
        assert_eq!((placement.engine, placement.path), (TargetEngine::Sqlite, PathBuf::from("./x.db")));
        let absolute: SourcePlacement = "ledger=sqlite:///tmp/x.db".parse().expect("good");
        assert_eq!(absolute.path, PathBuf::from("/tmp/x.db"));
        let other: SourcePlacement = "archive=mongodb://h/d".parse().expect("good");
        assert_eq!(other.engine, TargetEngine::Mongodb);
        for bad in [
            "",
            "ledger",
            "ledger=",
            "ledger=x",
            "ledger=ftp:x",
            "=sqlite:x",
            "ledger=sqlite:",
            "A b=sqlite:x",
        ] {
            assert!(bad.parse::<SourcePlacement>().is_err(), "{bad}");
        }
    }
}
