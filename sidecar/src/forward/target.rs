use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// Where a store's gateway is, and who vouches for it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    store: String,
    host: String,
    port: u16,
    /// PEM.
    authorities: Vec<u8>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.store, self.host, self.port)
    }
}

/// Address or authority of a gateway cannot be used. Correct what is mounted, or make the pod anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTarget {
    /// No `host:port`.
    #[error("{0:?} is no address of a gateway (host:port)")]
    Address(String),
    /// No certificate in PEM.
    #[error("the authority of the gateway {0} is no certificate in PEM")]
    Authority(String),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

impl Target {
    /// The gateway at `address`, which calls its store so; `authorities` in PEM.
    pub(crate) fn new(store: &str, address: &str, authorities: &[u8]) -> Result<Self, InvalidTarget> {
        let address = address.trim();
        let invalid = || InvalidTarget::Address(address.chars().take(200).collect());
        let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if host.is_empty() || !host.bytes().all(is_name) {
            return Err(invalid());
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
        Ok(Self { store: store.into(), host: host.into(), port, authorities: authorities.into() })
    }

    /// What its gateway calls the store.
    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn server_name(&self) -> Result<ServerName<'static>, InvalidTarget> {
        ServerName::try_from(self.host.clone()).map_err(|_| InvalidTarget::Address(self.address()))
    }

    /// Trusts this gateway's authorities and no others.
    pub(super) fn tls(&self) -> Result<ClientConfig, InvalidTarget> {
        let no_authority = || InvalidTarget::Authority(self.address());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.authorities) {
            roots.add(certificate.map_err(|_| no_authority())?).map_err(|_| no_authority())?;
        }
        if roots.is_empty() {
            return Err(no_authority());
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| InvalidTarget::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_name_and_a_port_and_an_authority_a_certificate() {
        let pem = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate").cert.pem();
        let target = Target::new("payments", "polylog-payments.shop.svc:7300\n", pem.as_bytes());
        let target = target.expect("an address");
        assert_eq!(target.address(), "polylog-payments.shop.svc:7300");
        target.tls().expect("usable");
        for bad in ["", "a", "a:", ":1", "a:0", "a:70000", "http://a:1", "a b:1", "u@a:1"] {
            assert!(Target::new("payments", bad, b"").is_err(), "{bad}");
        }
        for bad in ["", "geheim", &pem.replace("MII", "M??")] {
            let target = Target::new("payments", "a:1", bad.as_bytes()).expect("an address");
            let error = target.tls().expect_err("no certificate").to_string();
            assert!(error.contains("PEM") && !error.contains("geheim"), "{error}");
        }
    }
}
