use std::{fmt, path::PathBuf, sync::Arc};

use http::{HeaderValue, header};
use hyper_rustls::{ConfigBuilderExt, FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use crate::error::Failure;

/// How a client shows who it is, and knows who answers. A sidecar on the same machine needs nothing of it.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Certificates in PEM of who vouches for an `https` address; absent = the public authorities.
    pub authorities: Option<Vec<u8>>,
    /// The name that the certificate must have; absent = the address's host.
    pub server_name: Option<String>,
    /// A service account's token.
    pub token: Option<Token>,
}

/// A bearer token.
#[derive(Clone)]
pub enum Token {
    /// This one.
    Given(String),
    /// The one in this file, which is read for each request: tokens are renewed.
    File(PathBuf),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// What a client was given cannot be used. Correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// No certificate in PEM.
    #[error("the authority is no certificate in PEM")]
    Authority,
    /// No name that a certificate can have.
    #[error("{0:?} is no name of a server")]
    ServerName(String),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

impl Credentials {
    /// What makes connections, with TLS to `https` addresses.
    pub(crate) fn connector(
        &self,
        mut plain: HttpConnector,
    ) -> Result<HttpsConnector<HttpConnector>, CredentialsError> {
        plain.enforce_http(false);
        let builder = HttpsConnectorBuilder::new().with_tls_config(self.tls()?).https_or_http();
        let builder = match &self.server_name {
            None => builder,
            Some(name) => {
                let name = ServerName::try_from(name.clone());
                let name = name.map_err(|_| {
                    CredentialsError::ServerName(self.server_name.clone().unwrap_or_default())
                })?;
                builder.with_server_name_resolver(FixedServerNameResolver::new(name))
            }
        };
        Ok(builder.enable_http1().wrap_connector(plain))
    }

    fn tls(&self) -> Result<ClientConfig, CredentialsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| CredentialsError::Tls(error.to_string()))?;
        let Some(authorities) = &self.authorities else {
            return Ok(builder.with_webpki_roots().with_no_client_auth());
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authorities) {
            let certificate = certificate.map_err(|_| CredentialsError::Authority)?;
            roots.add(certificate).map_err(|_| CredentialsError::Authority)?;
        }
        match roots.is_empty() {
            true => Err(CredentialsError::Authority),
            false => Ok(builder.with_root_certificates(roots).with_no_client_auth()),
        }
    }

    /// The header that shows who it is.
    pub(crate) fn authorization(&self) -> Result<Option<(header::HeaderName, HeaderValue)>, Failure> {
        let read;
        let token = match &self.token {
            None => return Ok(None),
            Some(Token::Given(token)) => token,
            Some(Token::File(path)) => {
                let failed =
                    |error| Failure::Unreachable(format!("the token in {}: {error}", path.display()));
                read = std::fs::read_to_string(path).map_err(failed)?;
                &read
            }
        };
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| Failure::Unreachable("the token is none".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some((header::AUTHORIZATION, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(credentials: &Credentials) -> Result<(), CredentialsError> {
        credentials.connector(HttpConnector::new()).map(drop)
    }

    #[test]
    fn authorities_and_names_are_checked_before_anything_is_sent() {
        connector(&Credentials::default()).expect("the public authorities");
        let authorities = Some(b"geheim".to_vec());
        let refused = connector(&Credentials { authorities, ..Credentials::default() });
        assert_eq!(refused, Err(CredentialsError::Authority));
        let server_name = Some("no name".to_owned());
        let refused = connector(&Credentials { server_name, ..Credentials::default() });
        assert!(matches!(refused, Err(CredentialsError::ServerName(_))), "{refused:?}");
    }

    #[test]
    fn a_token_is_sent_and_never_shown() {
        let token = |token| Credentials { token: Some(token), ..Credentials::default() };
        let given = token(Token::Given("geheim\n".into()));
        let (name, value) = given.authorization().expect("a token").expect("a header");
        assert_eq!((name, value.as_bytes()), (header::AUTHORIZATION, &b"Bearer geheim"[..]));
        assert!(!format!("{given:?} {value:?}").contains("geheim"));
        let missing = token(Token::File("/nowhere/token".into()));
        assert!(
            matches!(missing.authorization(), Err(Failure::Unreachable(words)) if words.contains("nowhere"))
        );
    }
}
