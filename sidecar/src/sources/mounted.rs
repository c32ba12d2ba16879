use polylog_crds::resolve::{ResolvedSource, ResolvedStore};
use polylog_log::{Failure, Head};

use super::{OpenSource, ServerDatabase};
use crate::{
    config::{DatabaseConnection, DeclaredDatabase},
    mounted::SourceFiles,
};

/// A database that keeps a source and was provisioned by others, and how it is reached. Never shown: it holds credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MountedDatabase(DeclaredDatabase);

impl MountedDatabase {
    /// The database of a source; `most` connections where its manifest says nothing.
    ///
    /// # Errors
    /// A file that is not there, an address that cannot be used.
    pub(crate) fn of(
        store: &ResolvedStore,
        source: &ResolvedSource,
        files: &SourceFiles,
        most: Most,
    ) -> Result<Self, String> {
        let placed = |error: String| format!("source {}: {error}", source.name);
        let connection = DatabaseConnection::mounted(&source.connection, files).map_err(placed)?;
        let most = match most {
            Most::AsDeclaredOr(most) => connection.pool().unwrap_or(most),
            Most::Exactly(most) => most,
        };
        let connection = connection.with_pool(Some(most));
        let declared = DeclaredDatabase::of_manifest(store, source, connection);
        let declared = declared.map_err(|error| placed(error.to_string()))?;
        ServerDatabase::of(&declared, false).map_err(|error| placed(error.to_string()))?;
        Ok(Self(declared))
    }

    /// Opens it, with the checks of its server, tables and rights, and says what it holds; writes nothing.
    ///
    /// # Errors
    /// Why it cannot be used now.
    pub(crate) async fn open(&self) -> Result<(OpenSource, Head), Failure> {
        let database = ServerDatabase::of(&self.0, false);
        let database = database.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let source = database.place().open().await?;
        let head = source.shared().head().await?;
        Ok((source, head))
    }
}

/// How many connections a source may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Most {
    /// What the connection declares, else this many.
    AsDeclaredOr(u32),
    /// This many, whatever the connection declares.
    Exactly(u32),
}
