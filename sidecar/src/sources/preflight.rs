//! What an administrator asks about a source: may we use it, and what must be granted.

use std::path::Path;

use polylog_log::{Check, RoleGrants};

use super::{ServerDatabase, folder::known_log};
use crate::config::{At, ConfigError, SourceAt};

/// A database that can be looked at.
#[derive(Debug, Clone)]
pub enum Looked {
    /// A database of a server.
    Server(ServerDatabase),
    /// Nothing that has rights or settings; says what it is.
    Nothing(String),
}

impl Looked {
    /// Where a source is; `unsafe_durability` as for `polylog dev`.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub fn of(source: &SourceAt, unsafe_durability: bool) -> Result<Self, ConfigError> {
        Ok(match &source.at {
            At::Server(database) => Self::Server(ServerDatabase::of(database, unsafe_durability)?),
            At::File(path) => Self::Nothing(format!("the SQLite file {}", path.display())),
            At::NotSupported(engine) => Self::Nothing(format!("{engine} is not in this version")),
        })
    }

    /// What its roles must be granted; `None` = it has no roles.
    ///
    /// # Errors
    /// A name that cannot be a role's.
    pub fn grants(&self) -> Result<Option<Vec<RoleGrants>>, ConfigError> {
        match self {
            Self::Server(database) => database.place().grants().map(Some),
            Self::Nothing(_) => Ok(None),
        }
    }

    /// Looks at it through each of its connections; writes nothing. `None` = there is nothing to look at. The log that
    /// it should hold is the one that the store's folder below `data` knows, if it knows one.
    pub async fn check(
        &self,
        source: &SourceAt,
        data: &Path,
    ) -> Result<Option<Vec<Check>>, super::SourceError> {
        let known = known_log(&data.join(format!("{}.{}", source.namespace, source.store)))?;
        match self {
            Self::Server(database) => Ok(Some(database.place().check(known).await)),
            Self::Nothing(_) => Ok(None),
        }
    }
}

/// The engine, or what it is.
impl std::fmt::Display for Looked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(database) => write!(f, "{database}"),
            Self::Nothing(what) => f.write_str(what),
        }
    }
}
