use std::fmt;

use polylog_log::Failure;
use sqlx::{MySqlConnection, Row};

use super::inspect::patience;
use crate::{
    MariadbConfig,
    connection::{Enter, connect},
    error::EngineError,
};

/// A user of the server with the hosts that it may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub user: String,
    /// A host, or a pattern: `%` for all.
    pub host: String,
}

/// Quoted, as statements need it.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
        write!(f, "'{}'@'{}'", quoted(&self.user), quoted(&self.host))
    }
}

impl Account {
    /// From what the server says of it: `user@host`.
    fn read(text: &str) -> Self {
        let (user, host) = text.rsplit_once('@').unwrap_or((text, "%"));
        Self { user: user.into(), host: host.into() }
    }

    /// The account that a connection gets: only the server knows which of its patterns fits.
    pub async fn of(config: &MariadbConfig) -> Result<Self, Failure> {
        let found = async {
            let mut connected = connect(config, config.statement_timeout, Enter::Nothing).await?;
            current(&mut connected.connection).await
        };
        found.await.map_err(|error: EngineError| error.failure(patience(config)))
    }
}

pub(crate) async fn current(connection: &mut MySqlConnection) -> Result<Account, EngineError> {
    let row = sqlx::query("SELECT CURRENT_USER()").fetch_one(connection).await?;
    Ok(Account::read(row.try_get_unchecked(0)?))
}

/// The user that sources work as.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Who it is.
    pub account: Account,
    /// How it connects: what it may do is tried as itself.
    pub config: MariadbConfig,
}

impl Worker {
    /// Connects as the user.
    pub async fn of(config: MariadbConfig) -> Result<Self, Failure> {
        Ok(Self { account: Account::of(&config).await?, config })
    }
}
