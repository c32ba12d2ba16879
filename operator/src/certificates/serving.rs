use std::sync::Arc;

use parking_lot::RwLock;
use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::contents::Contents;

/// The certificate that the webhook shows; changes while it runs, for connections that begin from then on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Serving(Arc<RwLock<Option<Arc<CertifiedKey>>>>);

/// What a Secret holds is no certificate with its key. Delete its data; it is made anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidCertificate {
    /// Not PEM.
    #[error("the certificate or its key is no PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// A key that cannot sign.
    #[error("the key cannot be used: {0}")]
    Key(#[from] rustls::Error),
}

impl Serving {
    /// Shows this from now on.
    pub(super) fn show(&self, contents: &Contents) -> Result<(), InvalidCertificate> {
        let chain = CertificateDer::pem_slice_iter(contents.serving.certificate.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(contents.serving.key.as_bytes())?;
        let certified = CertifiedKey::new(chain, any_supported_type(&key)?);
        *self.0.write() = Some(Arc::new(certified));
        Ok(())
    }

    /// Whether there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.0.read().is_some()
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().clone()
    }
}
