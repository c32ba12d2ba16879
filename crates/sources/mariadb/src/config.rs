use std::{fmt, str::FromStr, time::Duration};

use polylog_log::FailPoints;
use polylog_source_servers::secret::parameters;
pub use polylog_source_servers::secret::{Secret, TlsUse};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::tables::Tables;

/// Why a configuration is refused before any connection is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an address, or one that lacks something or says something unknown. Correct it; the address itself is not
    /// repeated here, because it may hold a password.
    #[error("the address of the MariaDB server: {0}")]
    Address(String),
    /// Not the name of a database that may be ours.
    #[error("database {0:?}: a name of 1 to 64 letters, digits, _, $ and -, and none of the server's own")]
    Database(String),
    /// Not a prefix that every server keeps as it is, or one that leaves our names too little room.
    #[error("table prefix {0:?}: up to 20 lower-case letters, digits and _, and no digit in front")]
    Prefix(String),
}

/// The database that holds our tables: letters, digits, `_`, `$` and `-`, at most 64 bytes, none of the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseName(String);

/// Databases that every server has.
const THEIRS: [&str; 4] = ["mysql", "information_schema", "performance_schema", "sys"];

impl DatabaseName {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, ConfigError> {
        let holds = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '-'));
        let is_theirs = THEIRS.iter().any(|theirs| theirs.eq_ignore_ascii_case(name));
        if name.is_empty() || name.len() > 64 || !holds || is_theirs {
            return Err(ConfigError::Database(name.into()));
        }
        Ok(Self(name.into()))
    }

    /// Without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Quoted, as statements need it.
impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// Where a server is, and who we are there.
#[derive(Debug, Clone)]
pub struct Address {
    url: Secret,
    /// Instead of the one in the address.
    pub username: Option<String>,
    /// Instead of the one in the address.
    pub password: Option<Secret>,
    /// Certificates (PEM) that the server's must rest on. With them, and unless the address has an `ssl-mode`, the
    /// connection is made only to a server that proves its name.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate and its key (PEM).
    pub client_certificate: Option<(Vec<u8>, Secret)>,
    /// Instead of the `ssl-mode` in the address.
    pub tls: Option<TlsUse>,
    /// The name that the server's certificate must carry, instead of the host in the address.
    pub server_name: Option<String>,
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.options() {
            Ok(options) => write!(f, "mysql://{}:{}", options.get_host(), options.get_port()),
            Err(error) => write!(f, "{error}"),
        }
    }
}

/// Parameters that an address may have. Character set, collation and time zone are the engine's own.
const PARAMETERS: [&str; 10] = [
    "sslmode",
    "ssl-mode",
    "sslca",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "socket",
    "statement-cache-capacity",
];

impl Address {
    /// Takes `mysql://user:password@host:port/database?ssl-mode=…`, or the same with `mariadb://`.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        let address = Self {
            url: Secret::new(url),
            username: None,
            password: None,
            ca: None,
            client_certificate: None,
            tls: None,
            server_name: None,
        };
        address.options()?;
        Ok(address)
    }

    /// The user that the connection works as.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); a user or password set later cannot make it fail.
    pub fn user(&self) -> Result<String, ConfigError> {
        Ok(self.options()?.get_username().to_owned())
    }

    /// The database that the address names, if it names one.
    pub fn database(&self) -> Option<String> {
        let options = self.options().ok()?;
        options.get_database().filter(|name| !name.is_empty()).map(str::to_owned)
    }

    /// What the driver needs.
    pub(crate) fn options(&self) -> Result<MySqlConnectOptions, ConfigError> {
        let url = self.url.reveal();
        if !url.starts_with("mysql://") && !url.starts_with("mariadb://") {
            return Err(ConfigError::Address("it must begin with mysql:// or mariadb://".into()));
        }
        let parameters = parameters(url);
        if let Some(unknown) = parameters.iter().find(|name| !PARAMETERS.contains(name)) {
            return Err(ConfigError::Address(format!("unknown parameter {unknown:?}")));
        }
        // what the driver would set by itself is set in one go with everything else
        let mut options = MySqlConnectOptions::from_str(url)
            .map_err(|error| ConfigError::Address(error.to_string()))?
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false);
        if let Some(username) = &self.username {
            options = options.username(username);
        }
        if let Some(password) = &self.password {
            options = options.password(password.reveal());
        }
        if let Some(ca) = &self.ca {
            options = options.ssl_ca_from_pem(ca.clone());
        }
        if let Some((certificate, key)) = &self.client_certificate {
            options = options.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key.reveal());
        }
        if let Some(tls) = self.tls {
            options = options.ssl_mode(match tls {
                TlsUse::Require => MySqlSslMode::VerifyIdentity,
                TlsUse::Prefer => MySqlSslMode::Preferred,
                TlsUse::Disable => MySqlSslMode::Disabled,
            });
        } else if !parameters.iter().any(|name| ["sslmode", "ssl-mode"].contains(name)) {
            let mode = if self.ca.is_some() { MySqlSslMode::VerifyIdentity } else { MySqlSslMode::Preferred };
            options = options.ssl_mode(mode);
        }
        Ok(options)
    }
}

/// How a MariaDB database is used. What is written does not depend on it.
#[derive(Debug, Clone)]
pub struct MariadbConfig {
    /// Where, and as whom.
    pub address: Address,
    /// Our tables; what database the address names does not count.
    pub tables: Tables,
    /// Connections that read, opened when first needed; one more writes, one more looks for others' commits.
    pub readers: usize,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an operation waits for one of another process; the server counts whole seconds, upwards.
    pub lock_timeout: Duration,
    /// After this long without a word from us the server ends a transaction of ours: a process that was stopped in the
    /// middle of one holds the others up no longer. The server counts whole seconds, upwards.
    pub idle_timeout: Duration,
    /// How long one statement may take in the server.
    pub statement_timeout: Duration,
    /// How long an operation may take in all; after that its outcome is unknown, if it was about to be committed.
    pub request_timeout: Duration,
    /// How often a session that is used checks again what may have changed since: settings, tables, indexes, rights.
    pub check_interval: Duration,
    /// How often other processes' commits are looked for while somebody waits for events.
    pub poll_interval: Duration,
    /// Rows that one statement reads at most; a page takes as many statements as it needs.
    pub page_rows: usize,
    /// Use a server that forgets what it acknowledged (`innodb_flush_log_at_trx_commit` and the like): for throw-away
    /// servers.
    pub allow_unsafe_durability: bool,
    /// Where tests make something go wrong; see [`POINTS`](crate::POINTS).
    pub fail_points: FailPoints,
}

impl MariadbConfig {
    /// The defaults for tables in a database of a server.
    pub fn new(address: Address, tables: impl Into<Tables>) -> Self {
        Self {
            address,
            tables: tables.into(),
            readers: 4,
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(4),
            idle_timeout: Duration::from_secs(1),
            statement_timeout: Duration::from_secs(8),
            request_timeout: Duration::from_secs(15),
            check_interval: Duration::from_secs(5),
            poll_interval: Duration::from_millis(25),
            page_rows: 2_000,
            allow_unsafe_durability: false,
            fail_points: FailPoints::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_never_shown() {
        let address = Address::parse("mysql://me:geheim@db.example/shop?ssl-mode=REQUIRED").expect("good");
        assert!(!format!("{address:?}").contains("geheim"));
        assert_eq!(address.to_string(), "mysql://db.example:3306");
        assert_eq!(address.database().as_deref(), Some("shop"));
        assert_eq!(address.user().as_deref(), Ok("me"));
        let options = address.options().expect("good");
        assert_eq!((options.get_host(), options.get_username()), ("db.example", "me"));
        assert!(matches!(options.get_ssl_mode(), MySqlSslMode::Required));
        assert_eq!(Address::parse("mariadb://h:33061").expect("good").database(), None);
        for bad in ["", "postgres://h/d", "mysql://h/d?charset=latin1", "mysql://h:x/d"] {
            let error = Address::parse(bad).expect_err(bad);
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
    }

    #[test]
    fn with_a_ca_the_server_must_prove_its_name_unless_told_otherwise() {
        let mode = |url: &str, ca: Option<Vec<u8>>, tls| {
            let address = Address { ca, tls, ..Address::parse(url).expect("good") };
            address.options().expect("good").get_ssl_mode()
        };
        let ca = Some(vec![1]);
        assert!(matches!(mode("mysql://h/d", None, None), MySqlSslMode::Preferred));
        assert!(matches!(mode("mysql://h/d", ca.clone(), None), MySqlSslMode::VerifyIdentity));
        assert!(matches!(mode("mysql://h/d?sslmode=verify_ca", ca, None), MySqlSslMode::VerifyCa));
        let told = |tls| mode("mysql://h/d?ssl-mode=PREFERRED", None, Some(tls));
        assert!(matches!(told(TlsUse::Require), MySqlSslMode::VerifyIdentity));
        assert!(matches!(told(TlsUse::Disable), MySqlSslMode::Disabled));
    }

    #[test]
    fn databases_that_are_not_ours_are_refused() {
        for good in ["payments", "_x", "P-1", "1$"] {
            assert_eq!(DatabaseName::parse(good).expect("good").as_str(), good);
        }
        for bad in ["", "a b", "a`b", "mysql", "Sys", "information_schema", &"x".repeat(65)] {
            assert!(DatabaseName::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(DatabaseName::parse("P-1").expect("good").to_string(), "`P-1`");
    }
}
