use std::sync::Arc;

use polylog_crds::{event_store::Engine, resolve::ResolvedSource};
use polylog_log::{Failure, Identity, Source};
use polylog_source_postgres::{PostgresSource, SchemaName};

use super::OpenSource;
use crate::{config::DatabaseConnection, mounted::SourceFiles};

/// A database that keeps a source and was provisioned by others, and how it is reached. Never shown: it holds credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MountedDatabase {
    engine: Engine,
    schema: String,
    connection: DatabaseConnection,
}

impl MountedDatabase {
    /// The database of a source; `most` connections where its manifest says nothing.
    ///
    /// # Errors
    /// A file that is not there, an address that cannot be used.
    pub(crate) fn of(source: &ResolvedSource, files: &SourceFiles, most: Most) -> Result<Self, String> {
        let placed = |error: String| format!("source {}: {error}", source.name);
        let connection = DatabaseConnection::mounted(&source.connection, files).map_err(placed)?;
        let most = match most {
            Most::AsDeclaredOr(most) => connection.pool().unwrap_or(most),
            Most::Exactly(most) => most,
        };
        let connection = connection.with_pool(Some(most));
        let schema = match (source.engine, &source.postgres) {
            (Engine::Postgres, Some(postgres)) => postgres.schema.as_str().to_owned(),
            (engine, _) => return Err(placed(format!("this version has no engine for {}", engine.field()))),
        };
        let database = Self { engine: source.engine, schema, connection };
        database.postgres().map_err(placed)?;
        Ok(database)
    }

    /// Opens it, with the checks of its server, tables and rights; writes nothing.
    ///
    /// # Errors
    /// Why it cannot be used now.
    pub(crate) async fn open(&self) -> Result<(OpenSource, Identity), Failure> {
        let config = self.postgres().map_err(Failure::Unreachable)?;
        let source = PostgresSource::open(config).await?;
        let head = source.head().await?;
        Ok((OpenSource::Postgres(Arc::new(source)), head.identity))
    }

    fn postgres(&self) -> Result<polylog_source_postgres::PostgresConfig, String> {
        let schema = SchemaName::parse(&self.schema).map_err(|error| error.to_string())?;
        self.connection.postgres(schema).map_err(|error| error.to_string())
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
