use std::{path::PathBuf, sync::Arc};

use http::{HeaderValue, header};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::error::Failure;

/// How a client shows who it is, and knows who answers. A sidecar on the same machine needs nothing of it.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Certificates in PEM of who vouches for an `https` address; absent = the public authorities.
    pub authorities: Option<Vec<u8>>,
    /// The file with a service account's token, which is read for each request: tokens are renewed.
    pub token_file: Option<PathBuf>,
}

/// What a client was given cannot be used. Correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// No certificate in PEM.
    #[error("the authority is no certificate in PEM")]
    Authority,
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
        let Some(path) = &self.token_file else { return Ok(None) };
        let failed = |error| Failure::Unreachable(format!("the token in {}: {error}", path.display()));
        let token = std::fs::read_to_string(path).map_err(failed)?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| Failure::Unreachable("the token is none".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some((header::AUTHORIZATION, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_checked_before_anything_is_sent() {
        let connector = |authorities: Option<&[u8]>| {
            let authorities = authorities.map(<[u8]>::to_vec);
            Credentials { authorities, token_file: None }.connector(HttpConnector::new()).map(drop)
        };
        connector(None).expect("the public authorities");
        assert_eq!(connector(Some(b"geheim")), Err(CredentialsError::Authority));
    }

    #[test]
    fn a_token_is_sent_and_never_shown() {
        let path = std::env::temp_dir().join(format!("polylog-token-{}", std::process::id()));
        std::fs::write(&path, "geheim\n").expect("it is written");
        let given = Credentials { token_file: Some(path.clone()), ..Credentials::default() };
        let (name, value) = given.authorization().expect("a token").expect("a header");
        std::fs::remove_file(path).expect("it is there");
        assert_eq!((name, value.as_bytes()), (header::AUTHORIZATION, &b"Bearer geheim"[..]));
        assert!(!format!("{given:?} {value:?}").contains("geheim"));
        assert!(given.authorization().is_err_and(|error| matches!(error, Failure::Unreachable(_))));
    }
}
