use std::fmt;

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a path part or a query value as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where a sidecar or gateway listens, and which of its stores is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    base: String,
    store: Option<String>,
}

/// Why an address is refused. Correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Something else than `http://host:port` or `https://host:port`.
    #[error("an address is like http://127.0.0.1:7300, got {0:?}")]
    Malformed(String),
}

impl Address {
    /// Reads `http[s]://host[:port][/prefix]`. Without a `store`, the one that the sidecar is for.
    pub fn parse(url: &str, store: Option<&str>) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
        let scheme = scheme.ok_or_else(malformed)?;
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') || uri.query().is_some() || authority.host().is_empty() {
            return Err(malformed());
        }
        let base = format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'));
        Ok(Self { base, store: store.map(str::to_owned) })
    }

    /// The address of something of the store.
    pub(crate) fn in_store(&self, parts: &[&str], query: &str) -> String {
        let mut url = format!("{}/v1", self.base);
        if let Some(store) = &self.store {
            url.extend(["/stores/", &encode(store)]);
        }
        for part in parts {
            url.extend(["/", &encode(part)]);
        }
        with_query(url, query)
    }

    /// The address of something beside the stores.
    pub(crate) fn beside_stores(&self, parts: &[&str]) -> String {
        let mut url = format!("{}/v1", self.base);
        for part in parts {
            url.extend(["/", &encode(part)]);
        }
        url
    }

    /// The store that was named.
    pub fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }
}

fn with_query(mut url: String, query: &str) -> String {
    if !query.is_empty() {
        url.extend(["?", query]);
    }
    url
}

/// Percent-encodes a path part or a query value.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_spoken_with_tls_or_without() {
        for good in [
            "https://x",
            "http://127.0.0.1:7300",
            "http://[::1]:7300/",
            "http://gateway",
            "http://x:1/prefix/",
        ] {
            assert!(Address::parse(good, None).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:7300", "ftp://x", "http://", "http://a@b", "http://x/?a=1", "http://x y"] {
            assert!(matches!(Address::parse(bad, None), Err(AddressError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn names_are_encoded_into_paths() {
        let short = Address::parse("http://x:1/", None).expect("good");
        assert_eq!(
            short.in_store(&["streams", "a/b %é"], "from=1"),
            "http://x:1/v1/streams/a%2Fb%20%25%C3%A9?from=1"
        );
        let named = Address::parse("http://x:1/p", Some("s/t")).expect("good");
        assert_eq!(named.in_store(&["commits"], ""), "http://x:1/p/v1/stores/s%2Ft/commits");
        assert_eq!(named.beside_stores(&["stores"]), "http://x:1/p/v1/stores");
    }
}
