use polylog_log::Failure;
use polylog_source_servers::limits::ConnectionLimit;
use sqlx::Row;

use crate::{
    PostgresConfig,
    connection::connect,
    error::{EngineError, Patience},
};

/// What every role may see of its limits. `reserved_connections` is PostgreSQL 16's.
const LIMITS: &str = "SELECT current_setting('max_connections')::bigint \
     - current_setting('superuser_reserved_connections')::bigint \
     - coalesce(current_setting('reserved_connections', true)::bigint, 0), \
     d.datconnlimit::bigint, r.rolconnlimit::bigint FROM pg_database d, pg_roles r \
     WHERE d.datname = current_database() AND r.rolname = current_user";

/// How many connections there may be of the role that `config` connects as.
///
/// # Errors
/// It cannot connect.
pub async fn connection_limit(config: &PostgresConfig) -> Result<Option<ConnectionLimit>, Failure> {
    let patience = Patience { lock: config.lock_timeout, statement: config.statement_timeout };
    look(config).await.map_err(|error| error.failure(patience))
}

async fn look(config: &PostgresConfig) -> Result<Option<ConnectionLimit>, EngineError> {
    let mut connection = connect(config, config.statement_timeout).await?;
    let row = sqlx::query(LIMITS).persistent(false).fetch_one(&mut connection).await?;
    Ok(ConnectionLimit::lowest(&[
        ("max_connections", row.try_get(0)?),
        ("the database's connection limit", row.try_get(1)?),
        ("the role's connection limit", row.try_get(2)?),
    ]))
}
