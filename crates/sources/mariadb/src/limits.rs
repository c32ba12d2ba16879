use polylog_log::Failure;
use polylog_source_servers::limits::ConnectionLimit;
use sqlx::Row;

use crate::{
    MariadbConfig,
    connection::{Enter, connect},
    error::{EngineError, Patience},
};

/// As text, which every version gives alike. Of one account; 0 = no limit.
const LIMITS: &str = "SELECT CAST(@@max_connections AS CHAR), CAST(@@max_user_connections AS CHAR)";

/// How many connections there may be of the account that `config` connects as.
///
/// # Errors
/// It cannot connect.
pub async fn connection_limit(config: &MariadbConfig) -> Result<Option<ConnectionLimit>, Failure> {
    let patience = Patience { lock: config.lock_timeout, statement: config.statement_timeout };
    look(config).await.map_err(|error| error.failure(patience))
}

async fn look(config: &MariadbConfig) -> Result<Option<ConnectionLimit>, EngineError> {
    let mut connected = connect(config, config.statement_timeout, Enter::Nothing).await?;
    let row = sqlx::query(LIMITS).fetch_one(&mut connected.connection).await?;
    let number = |column: usize| {
        let text: &str = row.try_get_unchecked(column)?;
        Ok::<i64, EngineError>(text.parse().unwrap_or(-1))
    };
    let by_user = Some(number(1)?).filter(|most| *most > 0).unwrap_or(-1);
    Ok(ConnectionLimit::lowest(&[
        ("max_connections", number(0)?),
        ("the account's max_user_connections", by_user),
    ]))
}
