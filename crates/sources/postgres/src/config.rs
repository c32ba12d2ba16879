use std::{fmt, str::FromStr, time::Duration};

use polylog_log::FailPoints;
use polylog_source_servers::secret::parameters;
pub use polylog_source_servers::secret::{Secret, TlsUse};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Why a configuration is refused before any connection is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an address, or one that lacks something or says something unknown. Correct it; the address itself is not
    /// repeated here, because it may hold a password.
    #[error("the address of the PostgreSQL database: {0}")]
    Address(String),
    /// Not the name of a schema that may be ours.
    #[error("schema {0:?}: a name of 1 to 63 letters, digits and _, not beginning with a digit or pg_")]
    Schema(String),
    /// Not the name of a role.
    #[error("role {0:?}: a name of 1 to 63 bytes without control characters")]
    Role(String),
}

/// The schema that holds our tables: letters, digits and `_`, not beginning with a digit or `pg_`, at most 63 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(String);

impl SchemaName {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, ConfigError> {
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let holds = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_theirs = name.starts_with("pg_") || name == "information_schema";
        if !begins || !holds || is_theirs || name.len() > 63 {
            return Err(ConfigError::Schema(name.into()));
        }
        Ok(Self(name.into()))
    }

    /// Without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Quoted, as statements need it.
impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Where a database is, and who we are there.
#[derive(Debug, Clone)]
pub struct Address {
    url: Secret,
    /// Instead of the one in the address.
    pub username: Option<String>,
    /// Instead of the one in the address.
    pub password: Option<Secret>,
    /// Certificates (PEM) that the server's must rest on. With them, and unless the address has an `sslmode`, the
    /// connection is made only to a server that proves its name.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate and its key (PEM).
    pub client_certificate: Option<(Vec<u8>, Secret)>,
    /// Instead of the `sslmode` in the address.
    pub tls: Option<TlsUse>,
    /// The name that the server's certificate must carry, instead of the host in the address.
    pub server_name: Option<String>,
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.options() {
            Ok(options) => {
                let (host, port) = (options.get_host(), options.get_port());
                write!(f, "postgres://{host}:{port}/{}", options.get_database().unwrap_or_default())
            }
            Err(error) => write!(f, "{error}"),
        }
    }
}

/// Parameters that an address may have.
const PARAMETERS: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

impl Address {
    /// Takes `postgres://user:password@host:port/database?sslmode=…`.
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

    /// The role that the connection works as.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); a user or password set later cannot make it fail.
    pub fn role(&self) -> Result<String, ConfigError> {
        Ok(self.options()?.get_username().to_owned())
    }

    /// The database that it names.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn database(&self) -> Result<String, ConfigError> {
        Ok(self.options()?.get_database().unwrap_or_default().to_owned())
    }

    /// What the driver needs.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn options(&self) -> Result<PgConnectOptions, ConfigError> {
        let url = self.url.reveal();
        let bad = |what: &str| ConfigError::Address(what.into());
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(bad("it must begin with postgres://"));
        }
        let parameters = parameters(url);
        if let Some(unknown) = parameters.iter().find(|name| !PARAMETERS.contains(name)) {
            return Err(ConfigError::Address(format!("unknown parameter {unknown:?}")));
        }
        let mut options =
            PgConnectOptions::from_str(url).map_err(|error| ConfigError::Address(error.to_string()))?;
        if let Some(username) = &self.username {
            options = options.username(username);
        }
        if let Some(password) = &self.password {
            options = options.password(password.reveal());
        }
        if let Some(ca) = &self.ca {
            options = options.ssl_root_cert_from_pem(ca.clone());
        }
        if let Some((certificate, key)) = &self.client_certificate {
            options = options.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key.reveal());
        }
        if let Some(tls) = self.tls {
            options = options.ssl_mode(match tls {
                TlsUse::Require => PgSslMode::VerifyFull,
                TlsUse::Prefer => PgSslMode::Prefer,
                TlsUse::Disable => PgSslMode::Disable,
            });
        } else if !parameters.contains(&"sslmode") {
            let mode = if self.ca.is_some() { PgSslMode::VerifyFull } else { PgSslMode::Prefer };
            options = options.ssl_mode(mode);
        }
        if options.get_database().is_none_or(str::is_empty) {
            return Err(bad("it names no database"));
        }
        if !parameters.contains(&"application_name") {
            options = options.application_name("polylog");
        }
        Ok(options)
    }
}

/// The oldest server that this engine is tested with.
const OLDEST: i32 = 150_000;

/// How a PostgreSQL database is used. What is written does not depend on it.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Where, and as whom.
    pub address: Address,
    /// The schema of our tables.
    pub schema: SchemaName,
    /// Connections that read, opened when first needed; one more writes, one more looks for others' commits.
    pub readers: usize,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an operation waits for one of another process before it looks whether that one fell silent; then it
    /// waits as long again. Longer than `idle_timeout`, which needs no help.
    pub lock_timeout: Duration,
    /// After this long without a word from us the server ends a transaction of ours: a process that was stopped in the
    /// middle of one holds the others up no longer.
    pub idle_timeout: Duration,
    /// How long one statement may take in the server.
    pub statement_timeout: Duration,
    /// How long an operation may take in all; after that its outcome is unknown, if it was about to be committed.
    pub request_timeout: Duration,
    /// How often other processes' commits are looked for while somebody waits for events.
    pub poll_interval: Duration,
    /// How often an open connection checks again that the server's settings, our tables, their unique indexes and our
    /// rights are as they must be.
    pub check_interval: Duration,
    /// Rows that one statement reads at most; a page takes as many statements as it needs.
    pub page_rows: usize,
    /// The oldest server that is used, as its `server_version_num` says it; tests raise it.
    pub oldest_version: i32,
    /// Use a server that forgets what it acknowledged (`fsync` or `synchronous_commit` off): for throw-away servers.
    pub allow_unsafe_durability: bool,
    /// Where tests make something go wrong; see [`POINTS`](crate::POINTS).
    pub fail_points: FailPoints,
}

impl PostgresConfig {
    /// The defaults for a schema in a database.
    pub fn new(address: Address, schema: SchemaName) -> Self {
        Self {
            address,
            schema,
            readers: 4,
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_millis(1500),
            idle_timeout: Duration::from_millis(1250),
            statement_timeout: Duration::from_secs(8),
            request_timeout: Duration::from_secs(15),
            poll_interval: Duration::from_millis(25),
            check_interval: Duration::from_secs(5),
            page_rows: 2_000,
            oldest_version: OLDEST,
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
        let address = Address::parse("postgres://me:geheim@db.example/shop?sslmode=require").expect("good");
        assert!(!format!("{address:?}").contains("geheim"));
        assert_eq!(address.to_string(), "postgres://db.example:5432/shop");
        assert_eq!(address.role().as_deref(), Ok("me"));
        let options = address.options().expect("good");
        assert_eq!((options.get_host(), options.get_username()), ("db.example", "me"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
        for bad in ["", "mysql://h/d", "postgres://h", "postgres://h/d?sslmod=require", "postgres://h:x/d"] {
            let error = Address::parse(bad).expect_err(bad);
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
    }

    #[test]
    fn with_a_ca_the_server_must_prove_its_name_unless_told_otherwise() {
        let mode = |url: &str, ca: Option<Vec<u8>>| {
            let address = Address { ca, ..Address::parse(url).expect("good") };
            address.options().expect("good").get_ssl_mode()
        };
        assert!(matches!(mode("postgres://h/d", None), PgSslMode::Prefer));
        assert!(matches!(mode("postgres://h/d", Some(vec![1])), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://h/d?sslmode=verify-ca", Some(vec![1])), PgSslMode::VerifyCa));
        let told = |tls| {
            let address =
                Address { tls: Some(tls), ..Address::parse("postgres://h/d?sslmode=allow").expect("good") };
            address.options().expect("good").get_ssl_mode()
        };
        assert!(matches!(told(TlsUse::Require), PgSslMode::VerifyFull));
        assert!(matches!(told(TlsUse::Disable), PgSslMode::Disable));
    }

    #[test]
    fn schemas_that_are_not_ours_are_refused() {
        for good in ["payments", "_x", "P1"] {
            assert_eq!(SchemaName::parse(good).expect("good").as_str(), good);
        }
        for bad in ["", "1x", "a-b", "pg_catalog", "information_schema", "a\"b", &"x".repeat(64)] {
            assert!(SchemaName::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(SchemaName::parse("P1").expect("good").to_string(), "\"P1\"");
    }
}
