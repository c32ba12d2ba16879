//! A cluster that makes tokens for service accounts, and others that would like to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};

pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A key that signs tokens.
pub enum Key {
    Rs256(Box<RsaKeyPair>),
    Es256(Box<EcdsaKeyPair>),
}

impl Key {
    /// Always the same: ring makes none.
    pub fn rs256() -> Self {
        let der = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("../data/rsa-of-tests.pem")).unwrap();
        Self::Rs256(Box::new(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()))
    }

    /// Another one each time.
    pub fn es256() -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::Es256(Box::new(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap()))
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
        }
    }

    /// As a cluster publishes it.
    pub fn published(&self, id: &str) -> Value {
        match self {
            Self::Rs256(pair) => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                json!({"use": "sig", "kty": "RSA", "kid": id, "alg": "RS256", "n": encoded(n), "e": encoded(e)})
            }
            Self::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"use": "sig", "kty": "EC", "kid": id, "alg": "ES256", "crv": "P-256",
                    "x": encoded(x), "y": encoded(y)})
            }
        }
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = match self {
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().into(),
        };
        format!("{message}.{}", encoded(signature))
    }

    /// A token as a cluster makes it.
    pub fn token(&self, id: &str, account: &str) -> String {
        self.sign(&json!({"alg": self.algorithm(), "kid": id}), &claims(account))
    }
}

pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// The claims of a good token for `<namespace>/<name>`.
pub fn claims(account: &str) -> Value {
    let (namespace, name) = account.split_once('/').unwrap();
    json!({
        "aud": ["polylog"], "exp": now() + 3_600, "iat": now(), "nbf": now(), "iss": ISSUER,
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
        "kubernetes.io": {"namespace": namespace, "pod": {"name": format!("{name}-1")}},
    })
}

/// The published keys, by their ids.
pub fn published(keys: &[(&str, &Key)]) -> String {
    let keys: Vec<Value> = keys.iter().map(|(id, key)| key.published(id)).collect();
    json!({ "keys": keys }).to_string()
}

/// A message with a token.
pub fn bearing<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}
