use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use crate::mounted::EntranceFiles;

/// What connections of other pods speak.
pub(crate) enum Transport {
    /// Nothing beneath HTTP.
    Plain,
    /// TLS, with a certificate that is mounted.
    Tls {
        acceptor: TlsAcceptor,
        /// Certificate and key as they were mounted.
        files: (Vec<u8>, Vec<u8>),
    },
}

impl Transport {
    /// # Errors
    /// What is wrong with which file.
    pub(super) fn of(files: &EntranceFiles, wants_tls: bool) -> Result<Self, String> {
        if !wants_tls {
            return Ok(Self::Plain);
        }
        let missing = |name: &str| format!("other pods come in over TLS, and store/{name} is not mounted");
        let certificate = files.certificate.as_ref().ok_or_else(|| missing("tls.crt"))?;
        let key = files.key.as_ref().ok_or_else(|| missing("tls.key"))?;
        let config = config(certificate, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self::Tls { acceptor, files: (certificate.clone(), key.clone()) })
    }

    /// Whether it was made of these.
    pub(super) fn is_of(&self, files: &EntranceFiles, wants_tls: bool) -> bool {
        match self {
            Self::Plain => !wants_tls,
            Self::Tls { files: (certificate, key), .. } => {
                wants_tls
                    && files.certificate.as_ref() == Some(certificate)
                    && files.key.as_ref() == Some(key)
            }
        }
    }
}

fn config(certificate: &[u8], key: &[u8]) -> Result<ServerConfig, String> {
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or("store/tls.crt holds no certificate in PEM")?;
    // the parser's words could repeat a part of the key
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "store/tls.key holds no private key in PEM")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("store/tls.crt and store/tls.key cannot be used: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> (Vec<u8>, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes())
    }

    #[test]
    fn what_cannot_be_used_says_which_file_and_nothing_of_it() {
        let ((certificate, key), (_, other_key)) = (made("a"), made("b"));
        let files = |certificate: &[u8], key: &[u8]| EntranceFiles {
            certificate: Some(certificate.into()),
            key: Some(key.into()),
            ..EntranceFiles::default()
        };
        let good = files(&certificate, &key);
        let transport = Transport::of(&good, true).expect("usable");
        assert!(transport.is_of(&good, true) && !transport.is_of(&good, false));
        assert!(matches!(Transport::of(&good, false), Ok(Transport::Plain)), "it was not asked for");
        for (bad, word) in [
            (EntranceFiles::default(), "tls.crt is not mounted"),
            (EntranceFiles { key: None, ..good.clone() }, "tls.key is not mounted"),
            (files(b"geheim", &key), "tls.crt"),
            (files(&certificate, b"geheim"), "tls.key"),
            (files(&certificate, &other_key), "cannot be used"),
        ] {
            let reason = Transport::of(&bad, true).err().expect(word);
            assert!(reason.contains(word) && !reason.contains("geheim"), "{reason}");
            assert!(!transport.is_of(&bad, true));
        }
    }
}
