use std::{fmt, time::Duration};

use mongodb::{
    Client,
    options::{
        ClientOptions, ConnectionString, Credential, HostInfo, ReadPreference, SelectionCriteria, Tls,
        TlsOptions,
    },
};
use polylog_log::FailPoints;
pub use polylog_source_servers::secret::{Secret, TlsUse};

use crate::held::Held;

/// Why a configuration is refused before any connection is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an address, or one that this version cannot use. Correct it; the address itself is not repeated here, because
    /// it may hold a password.
    #[error("the address of the MongoDB server: {0}")]
    Address(String),
    /// Not the name of a database that may be ours.
    #[error("database {0:?}: a name of 1 to 63 letters, digits, _ and -, and not admin, config or local")]
    Database(String),
    /// Not a text that may stand before our collections' names.
    #[error("collection prefix {0:?}: up to 40 letters, digits, _, - and ., and not system.")]
    Prefix(String),
}

/// The database that holds our collections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseName(String);

impl DatabaseName {
    /// Checks a name.
    ///
    /// # Errors
    /// Not a name of ours.
    pub fn parse(name: &str) -> Result<Self, ConfigError> {
        let holds = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let is_theirs = ["admin", "config", "local"].contains(&name);
        if name.is_empty() || name.len() > 63 || !holds || is_theirs {
            return Err(ConfigError::Database(name.into()));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands before the names of our collections; may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CollectionPrefix(String);

impl CollectionPrefix {
    /// Checks a prefix.
    ///
    /// # Errors
    /// Not one of ours.
    pub fn parse(prefix: &str) -> Result<Self, ConfigError> {
        let holds = prefix.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        if prefix.len() > 40 || !holds || prefix.starts_with('.') || prefix.starts_with("system.") {
            return Err(ConfigError::Prefix(prefix.into()));
        }
        Ok(Self(prefix.into()))
    }

    /// The prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A collection of ours, as it is called.
    pub(crate) fn named(&self, collection: &str) -> String {
        format!("{}{collection}", self.0)
    }
}

/// Somebody the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    /// The database where it is declared.
    pub(crate) database: String,
}

/// Where a server is, and who we are there.
#[derive(Debug, Clone)]
pub struct Address {
    url: Secret,
    /// Instead of the one in the address.
    pub username: Option<String>,
    /// Instead of the one in the address.
    pub password: Option<Secret>,
    /// Certificates (PEM) that the server's must rest on, instead of those that the machine trusts.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate and its key (PEM).
    pub client_certificate: Option<(Vec<u8>, Secret)>,
    /// Whether the connection is encrypted; what the address says, if absent.
    pub tls: Option<TlsUse>,
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parsed().map(|parsed| parsed.host_info) {
            Ok(HostInfo::HostIdentifiers(hosts)) => {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                write!(f, "mongodb://{}", hosts.join(","))
            }
            _ => f.write_str("mongodb://"),
        }
    }
}

impl Address {
    /// Checks an address of the form `mongodb://user:password@host:port,…/?parameters`.
    ///
    /// # Errors
    /// It is none, or needs what this version cannot do.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        let address = Self {
            url: Secret::new(url),
            username: None,
            password: None,
            ca: None,
            client_certificate: None,
            tls: None,
        };
        address.parsed()?;
        Ok(address)
    }

    fn parsed(&self) -> Result<ConnectionString, ConfigError> {
        let url = self.url.reveal();
        if url.starts_with("mongodb+srv://") {
            let why = "mongodb+srv:// is not supported: name the servers, as mongodb://a:27017,b:27017/?replicaSet=…";
            return Err(ConfigError::Address(why.into()));
        }
        if !url.starts_with("mongodb://") {
            return Err(ConfigError::Address("it must begin with mongodb://".into()));
        }
        // the driver's words may repeat a part of the address
        ConnectionString::parse(url).map_err(|_| ConfigError::Address("it cannot be read".into()))
    }

    /// The database that the address names: there its user is declared, unless it says otherwise.
    ///
    /// # Errors
    /// None: an address that cannot be read was refused before.
    pub fn database(&self) -> Option<String> {
        self.parsed().ok()?.default_database
    }

    /// Who we are, if the server asks.
    pub(crate) fn user(&self) -> Option<User> {
        let parsed = self.parsed().ok()?;
        let declared = parsed.credential.unwrap_or_default();
        let name = self.username.clone().or(declared.username)?;
        let database = declared.source.or(parsed.default_database).unwrap_or_else(|| "admin".into());
        Some(User { name, database })
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        let by_address = || self.parsed().is_ok_and(|parsed| matches!(parsed.tls, Some(Tls::Enabled(_))));
        match self.tls {
            Some(TlsUse::Disable) => false,
            Some(TlsUse::Require | TlsUse::Prefer) => true,
            None => self.ca.is_some() || self.client_certificate.is_some() || by_address(),
        }
    }

    /// Checks what no connection is needed for.
    ///
    /// # Errors
    /// It asks for something that there is not with MongoDB.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.tls {
            Some(TlsUse::Prefer) => Err(ConfigError::Address(
                "MongoDB's protocol does not try TLS first: set tls.mode to Require or Disable".into(),
            )),
            Some(TlsUse::Disable) if self.ca.is_some() || self.client_certificate.is_some() => {
                Err(ConfigError::Address("certificates are of no use with tls.mode: Disable".into()))
            }
            _ => Ok(()),
        }
    }

    /// A client for reading what others keep there; it connects when it is first needed. `patience` is how long it looks for
    /// a server.
    ///
    /// # Errors
    /// The driver does not take the address.
    pub async fn client(&self, patience: Duration) -> Result<Client, ConfigError> {
        let (mut options, certificates) = self.options().await?;
        options.connect_timeout = Some(patience);
        options.server_selection_timeout = Some(patience);
        let client = Client::with_options(options);
        // it has read them
        drop(certificates);
        client.map_err(|error| ConfigError::Address(error.to_string()))
    }

    /// What the driver needs, with the files that it needs as long as the client is made.
    pub(crate) async fn options(&self) -> Result<(ClientOptions, Vec<Held>), ConfigError> {
        self.check()?;
        let unreadable = |_| ConfigError::Address("it cannot be read".into());
        let mut options = ClientOptions::parse(self.parsed()?).await.map_err(unreadable)?;
        if self.username.is_some() || self.password.is_some() {
            let credential = options.credential.get_or_insert_with(Credential::default);
            credential.username = self.username.clone().or(credential.username.take());
            let password = self.password.as_ref().map(|password| password.reveal().to_owned());
            credential.password = password.or(credential.password.take());
        }
        let mut files = Vec::new();
        if self.is_encrypted() {
            let mut tls = match options.tls.take() {
                Some(Tls::Enabled(declared)) => declared,
                _ => TlsOptions::default(),
            };
            let mut hold = |pem: &[u8]| {
                let held = Held::new(pem);
                let held =
                    held.map_err(|error| ConfigError::Address(format!("its certificates: {error}")))?;
                let path = held.path();
                files.push(held);
                Ok::<_, ConfigError>(path)
            };
            if let Some(ca) = &self.ca {
                tls.ca_file_path = Some(hold(ca)?);
            }
            if let Some((certificate, key)) = &self.client_certificate {
                let both = [certificate.as_slice(), b"\n", key.reveal().as_bytes()].concat();
                tls.cert_key_file_path = Some(hold(&both)?);
            }
            options.tls = Some(Tls::Enabled(tls));
        } else {
            options.tls = Some(Tls::Disabled);
        }
        if options.app_name.is_none() {
            options.app_name = Some("polylog".into());
        }
        // the driver would hide that a write was sent twice, and what became of the first; the engine finds that out itself
        options.retry_writes = Some(false);
        // the others may lag
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        Ok((options, files))
    }
}

/// How a database is used. What is written does not depend on it.
#[derive(Debug, Clone)]
pub struct MongodbConfig {
    /// Where, and as whom.
    pub address: Address,
    /// The database of our collections.
    pub database: DatabaseName,
    /// What stands before their names.
    pub prefix: CollectionPrefix,
    /// How many reads run at once.
    pub readers: usize,
    /// How long a connection may take, and the search for a server that takes writes.
    pub connect_timeout: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long an operation is tried again because others come first; after that it has failed, or its outcome is
    /// unknown.
    pub operation_timeout: Duration,
    /// How often other processes' commits are looked for while somebody waits for events.
    pub poll_interval: Duration,
    /// Documents that one query of a page asks for at most; a page takes as many as it needs.
    pub page_documents: usize,
    /// How often a probe tries each property; see [`probe`](crate::provision::probe). 0 = not at all: for tests on a server
    /// that was probed before.
    pub probe_rounds: usize,
    /// Use a server that does not look at write concerns, and so may lose what it acknowledged: for throw-away servers.
    pub allow_unsafe_durability: bool,
    /// Where tests make something go wrong; see [`POINTS`](crate::POINTS).
    pub fail_points: FailPoints,
}

impl MongodbConfig {
    /// The defaults for a database.
    pub fn new(address: Address, database: DatabaseName) -> Self {
        Self {
            address,
            database,
            prefix: CollectionPrefix::default(),
            readers: 4,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(8),
            operation_timeout: Duration::from_secs(15),
            poll_interval: Duration::from_millis(25),
            page_documents: 2_000,
            probe_rounds: 20,
            allow_unsafe_durability: false,
            fail_points: FailPoints::default(),
        }
    }

    /// A collection of ours, as it is called here.
    pub(crate) fn collection(&self, name: &str) -> String {
        self.prefix.named(name)
    }

    /// The database, for messages.
    pub(crate) fn place(&self) -> String {
        match self.prefix.as_str() {
            "" => format!("database {}", self.database),
            prefix => format!("database {}, collection prefix {prefix}", self.database),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_checked_and_never_shown() {
        let address = Address::parse(
            "mongodb://me:geheim@a.example,b.example:27018/?replicaSet=rs&readPreference=secondary&retryWrites=true",
        )
        .expect("good");
        assert!(!format!("{address:?}").contains("geheim"));
        assert_eq!(address.to_string(), "mongodb://a.example:27017,b.example:27018");
        let (options, _) = address.options().await.expect("good");
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        assert_eq!(options.selection_criteria, Some(primary), "whatever the address says");
        assert_eq!(options.retry_writes, Some(false));
        let named = Address { username: Some("you".into()), ..address };
        let credential = named.options().await.expect("good").0.credential.expect("credentials");
        assert_eq!(credential.username.as_deref(), Some("you"));
        assert_eq!(credential.password.as_deref(), Some("geheim"));
        for bad in ["", "mysql://h/d", "mongodb://", "mongodb+srv://h/d", "mongodb://h:x/"] {
            let error = Address::parse(bad).expect_err(bad);
            assert!(bad.len() < 12 || !error.to_string().contains(bad), "{error}");
        }
    }

    #[tokio::test]
    async fn certificates_are_given_to_the_driver_and_kept_from_others() {
        let plain = Address::parse("mongodb://h/payments").expect("good");
        assert_eq!(plain.database().as_deref(), Some("payments"));
        assert!(!plain.is_encrypted());
        let (options, files) = plain.options().await.expect("good");
        assert!(files.is_empty() && options.tls == Some(Tls::Disabled));
        let pair = (b"certificate".to_vec(), Secret::new("key"));
        let secure = Address { ca: Some(b"authority".to_vec()), client_certificate: Some(pair), ..plain };
        let (options, files) = secure.options().await.expect("good");
        let Some(Tls::Enabled(tls)) = options.tls else { panic!("encrypted") };
        let read =
            |path: Option<std::path::PathBuf>| std::fs::read(path.expect("a file")).expect("its content");
        assert_eq!(read(tls.ca_file_path), b"authority");
        assert_eq!(read(tls.cert_key_file_path), b"certificate\nkey");
        assert_eq!(files.len(), 2);
        for tls in [TlsUse::Prefer, TlsUse::Disable] {
            let refused = Address { tls: Some(tls), ..secure.clone() };
            assert!(refused.check().is_err() && refused.options().await.is_err(), "{tls:?}");
        }
    }

    #[test]
    fn prefixes_that_are_not_ours_are_refused() {
        for good in ["", "shop_", "a.b-"] {
            assert_eq!(CollectionPrefix::parse(good).expect("good").named("x"), format!("{good}x"));
        }
        for bad in ["$a", ".a", "system.", "a b", &"x".repeat(41)] {
            assert!(CollectionPrefix::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn databases_that_are_not_ours_are_refused() {
        for good in ["payments", "_x", "p-1"] {
            assert_eq!(DatabaseName::parse(good).expect("good").as_str(), good);
        }
        for bad in ["", "admin", "local", "config", "a b", "a.b", "a/b", "$x", &"x".repeat(64)] {
            assert!(DatabaseName::parse(bad).is_err(), "{bad}");
        }
    }
}
