use std::{ffi::OsStr, path::PathBuf};

use clap::builder::{TypedValueParser, ValueParserFactory};
use polylog_crds::{validate::TargetEngine, values::SourceName};
use polylog_source_postgres::Secret;

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
    /// Keep a source at this address instead of a file in the data folder, like ledger=sqlite:./ledger.db or
    /// ledger=postgres://user:password@host:5432/database; ledger=declared: where its manifest says
    #[arg(long = "source", value_name = "NAME=URL")]
    pub sources: Vec<SourcePlacement>,
    /// Act as this service account, so that `access` applies; without it every verb is allowed
    #[arg(long = "as", value_name = "NAMESPACE/SERVICEACCOUNT")]
    pub subject: Option<ServiceAccount>,
    /// The store of paths that name none; needed only where the manifests have several
    #[arg(long, value_name = "STORE")]
    pub default_store: Option<String>,
    /// Also use a database that may lose what it acknowledged when its machine fails (fsync or synchronous_commit off):
    /// for throw-away test servers
    #[arg(long)]
    pub unsafe_durability: bool,
    /// Carry out the plan with this hash, also its destructive steps
    #[arg(long, value_name = "HASH")]
    pub approve: Option<String>,
}

/// Where a source is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlacement {
    /// The source's name in the manifests.
    pub name: SourceName,
    /// The place.
    pub target: Target,
}

/// A place for a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An SQLite file.
    File(PathBuf),
    /// A database at this address, which may hold credentials.
    Address(TargetEngine, Secret),
    /// The database that its manifest declares.
    Declared,
}

/// Not written as `name=url`, or at an address that no engine has. The address is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlacement {
    /// Write the name of a source, `=`, and its address.
    #[error("a source is placed with <name>=<url>, like ledger=sqlite:./ledger.db, or with <name>=declared")]
    Form,
    /// Correct the name.
    #[error("{0}")]
    Name(String),
    /// Use one of the schemes.
    #[error("this is no address of an engine: use sqlite:, postgres:, mysql:, mongodb: or http(s):")]
    Scheme,
}

impl std::str::FromStr for SourcePlacement {
    type Err = InvalidPlacement;
    fn from_str(text: &str) -> Result<Self, InvalidPlacement> {
        let (name, url) = text.split_once('=').ok_or(InvalidPlacement::Form)?;
        // an address that has an = in it, and no name
        if name.contains(':') {
            return Err(InvalidPlacement::Form);
        }
        let name = name.parse::<SourceName>().map_err(|error| InvalidPlacement::Name(error.to_string()))?;
        if url == "declared" {
            return Ok(Self { name, target: Target::Declared });
        }
        let (scheme, rest) = url.split_once(':').ok_or(InvalidPlacement::Form)?;
        let engine = TargetEngine::of_url_scheme(scheme).ok_or(InvalidPlacement::Scheme)?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() {
            return Err(InvalidPlacement::Form);
        }
        let target = match engine {
            TargetEngine::Sqlite => Target::File(path.into()),
            engine => Target::Address(engine, Secret::new(url)),
        };
        Ok(Self { name, target })
    }
}

/// Reads a [`SourcePlacement`] from an argument; the ordinary reader repeats what it cannot read, password and all.
#[derive(Debug, Clone, Copy)]
pub struct PlacementParser;

impl ValueParserFactory for SourcePlacement {
    type Parser = PlacementParser;
    fn value_parser() -> PlacementParser {
        PlacementParser
    }
}

impl TypedValueParser for PlacementParser {
    type Value = SourcePlacement;
    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<SourcePlacement, clap::Error> {
        let placement = value.to_str().ok_or(InvalidPlacement::Form).and_then(str::parse);
        placement.map_err(|error| {
            let message = format!("--source: {error}\n");
            clap::Error::raw(clap::error::ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_placed_by_name_and_url() {
        let placed = |text: &str| text.parse::<SourcePlacement>().expect("good").target;
        assert_eq!(placed("ledger=sqlite:./x.db"), Target::File("./x.db".into()));
        assert_eq!(placed("ledger=sqlite:///tmp/x.db"), Target::File("/tmp/x.db".into()));
        let address = "postgresql://me:geheim@h/d";
        let postgres = Target::Address(TargetEngine::Postgres, Secret::new(address));
        assert_eq!(placed(&format!("ledger={address}")), postgres);
        assert!(!format!("{postgres:?}").contains("geheim"));
        assert!(matches!(placed("archive=mongodb://h/d"), Target::Address(TargetEngine::Mongodb, _)));
        assert_eq!(placed("ledger=declared"), Target::Declared);
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

    #[test]
    fn a_mistake_in_an_address_does_not_show_its_password() {
        #[derive(Debug, clap::Parser)]
        struct Arguments {
            #[arg(long = "source")]
            sources: Vec<SourcePlacement>,
        }
        for bad in
            ["ledger=psql://me:geheim@h/d", "postgres://me:geheim@h/d?sslmode=require", "me:geheim@h/d"]
        {
            let error = <Arguments as clap::Parser>::try_parse_from(["x", "--source", bad]).expect_err(bad);
            assert!(!error.to_string().contains("geheim") && error.exit_code() == 2, "{error}");
        }
    }
}
