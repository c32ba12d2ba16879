use std::{fmt, time::Duration};

use elasticsearch::http::Url;
use polylog_log::FailPoints;
pub use polylog_source_servers::secret::{Secret, TlsUse};

use crate::{Payload, queryable::Queryable};

/// Why a configuration is refused before any connection is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an address, or one that this version cannot use. Correct it; the address itself is not repeated here, because
    /// it may hold a password.
    #[error("the address of the Elasticsearch server: {0}")]
    Address(&'static str),
    /// Not a name that indices may begin with.
    #[error(
        "index name {0:?}: 1 to 200 lower-case letters, digits, _, - and ., beginning with a letter or digit"
    )]
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
    /// Certificates (PEM) that the servers' may rest on, beside the public authorities.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate and its key (PEM).
    pub client_certificate: Option<(Vec<u8>, Secret)>,
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<&str> = self.urls.iter().map(Url::as_str).collect();
        f.write_str(&urls.join(","))
    }
}

impl Address {
    /// Whether the connection is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.urls.iter().all(|url| url.scheme() == "https")
    }

    /// The user, where there is one.
    pub(crate) fn user(&self) -> Option<&str> {
        match self.credentials.as_ref()? {
            Credentials::Basic { username, .. } => Some(username),
            Credentials::ApiKey(_) => None,
        }
    }

    /// Checks what a manifest says of TLS beside the address, which alone decides.
    ///
    /// # Errors
    /// They contradict each other.
    pub fn check(&self, tls: Option<TlsUse>) -> Result<(), ConfigError> {
        let words = match tls {
            Some(TlsUse::Require) if !self.is_encrypted() => {
                "tls.mode is Require (the default of tls), and it does not begin with https://"
            }
            Some(TlsUse::Prefer) => "HTTP does not try TLS first: set tls.mode to Require or Disable",
            Some(TlsUse::Disable) if self.urls.iter().any(|url| url.scheme() == "https") => {
                "tls.mode is Disable, and it begins with https://"
            }
            _ if self.client_certificate.is_some() && self.credentials.is_some() => {
                "a client certificate and other credentials at once are not supported"
            }
            _ => return Ok(()),
        };
        Err(ConfigError::Address(words))
    }

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
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let holds = |text: &str, more: &[u8]| text.bytes().all(|b| is_plain(b) || more.contains(&b));
        if prefix.len() > 200 || !holds(prefix, b"_-.") || !prefix.bytes().next().is_some_and(is_plain) {
            return Err(ConfigError::Prefix(prefix.into()));
        }
        if key.is_empty() || key.len() > 40 || !holds(key, b"_-") {
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
    /// Whether searches by words are answered by the index.
    pub full_text: bool,
    /// Copies of a shard, the primary among them, that must have a write before it counts.
    pub require_copies: u32,
    /// Whether the source may count in acks and elections. Its heads are then confirmed by a write before they are told, and
    /// indices with further copies are refused: a copy that its cluster has given up may still answer reads.
    pub may_vote: bool,
    /// Also indices that forget what was acknowledged when their machine fails.
    pub allow_unsafe_durability: bool,
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
    /// A page of a stream or category, and a search, reads so many of the newest events one by one, instead of making them searchable.
    pub read_beyond: u64,
    /// Where tests make something go wrong; see [`POINTS`](crate::POINTS).
    pub fail_points: FailPoints,
}

impl ElasticsearchConfig {
    /// What queries can see of events.
    pub(crate) fn queryable(&self) -> Queryable {
        Queryable { payload: self.payload, full_text: self.full_text }
    }

    /// The defaults for a log.
    pub fn new(address: Address, indices: Indices) -> Self {
        Self {
            address,
            indices,
            payload: Payload::default(),
            full_text: true,
            require_copies: 1,
            may_vote: true,
            allow_unsafe_durability: false,
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
        for bad in ["", "Payments", "_x", "-x", "a*", "a,b", "a/b", ".x", &"x".repeat(201)] {
            assert!(Indices::new(bad, "main").is_err(), "{bad}");
        }
        for bad in ["", "a/b", "A", &"x".repeat(41)] {
            assert!(Indices::new("payments", bad).is_err(), "{bad}");
        }
    }
}
