use std::{fmt, path::PathBuf, time::Duration};

use elasticsearch::http::Url;
use polylog_log::FailPoints;
pub use polylog_source_servers::secret::Secret;

use crate::Payload;

/// Why a configuration is refused before any connection is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an address, or one that this version cannot use. Correct it; the address itself is not repeated here, because
    /// it may hold a password.
    #[error("the address of the Elasticsearch server: {0}")]
    Address(&'static str),
    /// Not a name that indices may begin with.
    #[error("index prefix {0:?}: 1 to 100 lower-case letters, digits, _ and -, beginning with a letter")]
    Prefix(String),
    /// Not a name of a store among others in the same indices.
    #[error("store key {0:?}: 1 to 40 lower-case letters, digits, _ and -")]
    Key(String),
}

/// Who we are to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user.
    Basic {
        /// Its name.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// An API key as the server gave it, encoded: id and key in one.
    ApiKey(Secret),
}

/// Where the servers of a cluster are, and who we are there.
#[derive(Debug, Clone)]
pub struct Address {
    pub(crate) urls: Vec<Url>,
    /// Instead of those in the address.
    pub credentials: Option<Credentials>,
    /// A file of certificates (PEM) that the servers' may rest on, beside the public authorities.
    pub ca: Option<PathBuf>,
    /// A file with our own certificate and its key (PEM).
    pub client_certificate: Option<PathBuf>,
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<&str> = self.urls.iter().map(Url::as_str).collect();
        f.write_str(&urls.join(","))
    }
}

impl Address {
    /// Checks an address of the form `https://user:password@host:9200`, or several of one cluster with commas between.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(address: &str) -> Result<Self, ConfigError> {
        let mut credentials = None;
        let mut urls = Vec::new();
        for part in address.split(',') {
            let mut url = Url::parse(part.trim()).map_err(|_| ConfigError::Address("it cannot be read"))?;
            if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
                return Err(ConfigError::Address("it must begin with http:// or https:// and name a host"));
            }
            if url.query().is_some() || url.fragment().is_some() {
                return Err(ConfigError::Address("it takes no parameters"));
            }
            if !url.username().is_empty() || url.password().is_some() {
                let username = decoded(url.username())?;
                let password = Secret::new(decoded(url.password().unwrap_or_default())?);
                credentials = Some(Credentials::Basic { username, password });
                let cleared = url.set_username("").and_then(|()| url.set_password(None));
                cleared.map_err(|()| ConfigError::Address("it cannot be read"))?;
            }
            if !url.path().ends_with('/') {
                // what follows is joined to it
                let path = format!("{}/", url.path());
                url.set_path(&path);
            }
            urls.push(url);
        }
        Ok(Self { urls, credentials, ca: None, client_certificate: None })
    }
}

fn decoded(text: &str) -> Result<String, ConfigError> {
    let bytes = percent_encoding::percent_decode_str(text).decode_utf8();
    bytes.map(Into::into).map_err(|_| ConfigError::Address("user and password must be UTF-8"))
}

/// The indices of a log. Several logs may share them, each under a key of its own: a cluster bears a limited number of
/// shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indices {
    prefix: String,
    key: String,
}

impl Indices {
    /// Indices whose names begin with `prefix`, and the key of the log in them.
    ///
    /// # Errors
    /// One of them cannot be a part of a name.
    pub fn new(prefix: &str, key: &str) -> Result<Self, ConfigError> {
        let holds = |text: &str| {
            text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
        };
        if prefix.len() > 100 || !holds(prefix) || !prefix.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(ConfigError::Prefix(prefix.into()));
        }
        if key.is_empty() || key.len() > 40 || !holds(key) {
            return Err(ConfigError::Key(key.into()));
        }
        Ok(Self { prefix: prefix.into(), key: key.into() })
    }

    /// What the names of the indices begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of the log.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The alias of the index of the head and the leases.
    pub fn head(&self) -> String {
        format!("{}-head", self.prefix)
    }

    /// The alias of the index of the events.
    pub fn events(&self) -> String {
        format!("{}-events", self.prefix)
    }

    /// The alias of the index that tells where streams, ids and commits stand.
    pub fn lookup(&self) -> String {
        format!("{}-lookup", self.prefix)
    }

    /// The alias of the index of what truncations removed.
    pub fn quarantine(&self) -> String {
        format!("{}-quarantine", self.prefix)
    }
}

/// How a cluster is used. What is written does not depend on it.
#[derive(Debug, Clone)]
pub struct ElasticsearchConfig {
    /// Where, and as whom.
    pub address: Address,
    /// The indices of the log.
    pub indices: Indices,
    /// What queries can see of data and metadata; as the indices were made.
    pub payload: Payload,
    /// Copies of a shard, the primary among them, that must have a write before it counts.
    pub require_copies: u32,
    /// Whether a head is confirmed by a write of it before it is told. A server that lost its cluster may answer a read
    /// with what is no longer true; needed where the source counts in acks and elections.
    pub confirm_heads: bool,
    /// How many reads run at once.
    pub readers: usize,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long an operation is tried again because others come first; after that it has failed, or its outcome is
    /// unknown.
    pub operation_timeout: Duration,
    /// How often other processes' commits are looked for while somebody waits for events.
    pub poll_interval: Duration,
    /// Documents that one request of a page asks for at most, 1 to 10,000; a page takes as many as it needs.
    pub page_documents: usize,
    /// A page of a stream or category reads so many of the newest events one by one, instead of making them searchable.
    pub read_beyond: u64,
    /// Where tests make something go wrong; see [`POINTS`](crate::POINTS).
    pub fail_points: FailPoints,
}

impl ElasticsearchConfig {
    /// The defaults for a log.
    pub fn new(address: Address, indices: Indices) -> Self {
        Self {
            address,
            indices,
            payload: Payload::default(),
            require_copies: 1,
            confirm_heads: true,
            readers: 4,
            request_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(15),
            poll_interval: Duration::from_millis(25),
            page_documents: 1_000,
            read_beyond: 256,
            fail_points: FailPoints::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_never_shown() {
        let address =
            Address::parse("https://me:ge%20heim@a.example:9200, https://b.example/search").expect("good");
        assert!(!format!("{address:?}").contains("heim"));
        assert_eq!(address.to_string(), "https://a.example:9200/,https://b.example/search/");
        let password = Secret::new("ge heim");
        assert_eq!(address.credentials, Some(Credentials::Basic { username: "me".into(), password }));
        for bad in ["", "mysql://h/d", "https://", "https://h/?a=b", "h:9200"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_cannot_be_indices_are_refused() {
        assert_eq!(Indices::new("payments", "main").expect("good").events(), "payments-events");
        for bad in ["", "Payments", "_x", "-x", "a*", "a,b", "a/b", ".x", &"x".repeat(101)] {
            assert!(Indices::new(bad, "main").is_err(), "{bad}");
        }
        for bad in ["", "a/b", "A", &"x".repeat(41)] {
            assert!(Indices::new("payments", bad).is_err(), "{bad}");
        }
    }
}
