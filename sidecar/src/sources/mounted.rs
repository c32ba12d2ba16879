use std::sync::Arc;

use polylog_crds::{event_store::Engine, resolve::ResolvedSource};
use polylog_log::{Failure, Identity, Source};
use polylog_source_mariadb::{MariadbConfig, MariadbSource};
use polylog_source_postgres::{PostgresConfig, PostgresSource, SchemaName};

use super::OpenSource;
use crate::{
    config::{DatabaseConnection, ServerEngine, mysql_table_prefix, mysql_tables},
    mounted::SourceFiles,
};

/// A database that keeps a source and was provisioned by others, and how it is reached. Never shown: it holds credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MountedDatabase {
    engine: ServerEngine,
    /// The schema of our tables; in MariaDB their database.
    schema: String,
    /// In front of their names; only in MariaDB.
    table_prefix: String,
    connection: DatabaseConnection,
}

/// What an engine opens.
enum Config {
    Postgres(PostgresConfig),
    Mariadb(MariadbConfig),
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
        let (engine, schema, table_prefix) = match (source.engine, &source.postgres, &source.mysql) {
            (Engine::Postgres, Some(postgres), _) => (ServerEngine::Postgres, postgres.schema.as_str(), ""),
            (Engine::Mysql, _, Some(mysql)) => {
                let database = mysql.database.as_str();
                connection.check_mysql_database(database).map_err(|error| placed(error.to_string()))?;
                (ServerEngine::Mariadb, database, mysql_table_prefix(mysql))
            }
            (engine, ..) => return Err(placed(format!("this version has no engine for {}", engine.field()))),
        };
        let (schema, table_prefix) = (schema.to_owned(), table_prefix.to_owned());
        let database = Self { engine, schema, table_prefix, connection };
        database.config().map_err(placed)?;
        Ok(database)
    }

    /// Opens it, with the checks of its server, tables and rights; writes nothing.
    ///
    /// # Errors
    /// Why it cannot be used now.
    pub(crate) async fn open(&self) -> Result<(OpenSource, Identity), Failure> {
        let (source, head) = match self.config().map_err(Failure::Unreachable)? {
            Config::Postgres(config) => {
                let source = Arc::new(PostgresSource::open(config).await?);
                let head = source.head().await?;
                (OpenSource::Postgres(source), head)
            }
            Config::Mariadb(config) => {
                let source = Arc::new(MariadbSource::open(config).await?);
                let head = source.head().await?;
                (OpenSource::Mariadb(source), head)
            }
        };
        Ok((source, head.identity))
    }

    fn config(&self) -> Result<Config, String> {
        let Self { engine, schema, table_prefix, connection } = self;
        Ok(match engine {
            ServerEngine::Postgres => {
                let schema = SchemaName::parse(schema).map_err(|error| error.to_string())?;
                Config::Postgres(connection.postgres(schema).map_err(|error| error.to_string())?)
            }
            ServerEngine::Mariadb => {
                let tables = mysql_tables(schema, table_prefix).map_err(|error| error.to_string())?;
                Config::Mariadb(connection.mariadb(tables).map_err(|error| error.to_string())?)
            }
        })
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
