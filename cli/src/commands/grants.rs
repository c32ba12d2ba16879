use std::{fmt::Write, path::PathBuf};

use clap::{Args, ValueEnum};
use polylog_log::{GrantStage, RoleGrants};
use polylog_sidecar::{
    config::{self, SourceAt, SourcePlacement},
    sources::Looked,
};
use serde::Serialize;

use crate::{
    exit::{Failure, Outcome},
    output::{Format, Output},
};

#[derive(Debug, Args)]
pub(crate) struct GrantsArgs {
    /// Folder of manifests (*.yaml, *.yml, *.json), or one file
    #[arg(default_value = ".")]
    manifests: PathBuf,
    /// Where a source is kept, instead of where its manifest says; the address needs no password here
    #[arg(long = "source", value_name = "NAME=URL")]
    sources: Vec<SourcePlacement>,
    /// Only what is run before the tables are there, or after
    #[arg(long, value_enum)]
    stage: Option<Stage>,
}

/// When an administrator runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// Before the first start
    Before,
    /// Once the tables are there
    After,
}

impl From<GrantStage> for Stage {
    fn from(stage: GrantStage) -> Self {
        match stage {
            GrantStage::Before => Self::Before,
            GrantStage::After => Self::After,
        }
    }
}

/// The grants of one source, for programs.
#[derive(Debug, Serialize)]
struct SourceGrants {
    store: String,
    source: String,
    database: String,
    roles: Vec<Granted>,
}

#[derive(Debug, Serialize)]
struct Granted {
    /// The manifest's field.
    credential: String,
    role: String,
    stage: Stage,
    statements: Vec<String>,
}

/// Prints what an administrator must run so that each source's roles have the rights that they need, and no more;
/// connects to nothing.
pub(crate) fn run(args: &GrantsArgs, format: Format) -> Outcome {
    let refused = |error: config::ConfigError| Failure::Usage(error.to_string());
    let sources = config::declared_sources(&args.manifests, &args.sources).map_err(refused)?;
    let found = sources.iter().map(|source| of(source, args.stage)).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(refused)?;
    let mut out = Output::new();
    match format {
        Format::Table => found.iter().try_for_each(|source| out.text(&sql(source)))?,
        Format::Json => out.document(&found, format)?,
        Format::Ndjson => found.iter().try_for_each(|source| out.document(source, format))?,
    }
    Ok(out.flush()?)
}

fn of(source: &SourceAt, stage: Option<Stage>) -> Result<SourceGrants, config::ConfigError> {
    let looked = Looked::of(source, false)?;
    let granted = |grants: RoleGrants| Granted {
        credential: grants.credential.to_string(),
        role: grants.role,
        stage: grants.stage.into(),
        statements: grants.statements,
    };
    let roles = looked.grants()?.unwrap_or_default().into_iter().map(granted);
    Ok(SourceGrants {
        store: format!("{}/{}", source.namespace, source.store),
        source: source.source.to_string(),
        database: looked.to_string(),
        roles: roles.filter(|granted| stage.is_none_or(|stage| stage == granted.stage)).collect(),
    })
}

/// As an administrator runs it.
fn sql(source: &SourceGrants) -> String {
    let SourceGrants { store, source, database, roles } = source;
    let mut text = format!("-- store {store}, source {source}: {database}\n");
    if roles.is_empty() {
        text.push_str("-- nothing to grant\n\n");
        return text;
    }
    for Granted { credential, role, stage, statements } in roles {
        let when = match stage {
            Stage::Before => "before the first start; the role must exist and may log in",
            Stage::After => {
                "once the tables are there; the first start through provisioningConnection does it itself"
            }
        };
        // writing to a string cannot fail
        let _ = writeln!(text, "\n-- {credential}, role {role}: {when}");
        for statement in statements {
            let _ = writeln!(text, "{statement};");
        }
    }
    text.push('\n');
    text
}
