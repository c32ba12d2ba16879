use std::collections::BTreeMap;

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;

/// For whom a token must be made out.
pub(super) const AUDIENCE: &str = "polylog";
/// Clocks of a cluster's machines may differ by this much, in seconds.
pub(super) const LEEWAY: u64 = 30;
/// A cluster publishes its old and its new keys while it changes them.
const MOST_KEYS: usize = 64;

/// A key of the cluster, and what a token that is signed by it must say.
pub(super) struct Key {
    pub(super) key: DecodingKey,
    pub(super) validation: Validation,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<serde_json::Value>,
}

/// The published keys by their id. Keys of kinds that no token here may have are left out.
///
/// # Errors
/// What is wrong with the document.
pub(super) fn parse(document: &[u8], issuer: &str) -> Result<BTreeMap<String, Key>, String> {
    let published: Published =
        serde_json::from_slice(document).map_err(|error| format!("it is no JSON Web Key Set: {error}"))?;
    if published.keys.len() > MOST_KEYS {
        return Err(format!("it holds more than {MOST_KEYS} keys"));
    }
    let mut keys = BTreeMap::new();
    for value in published.keys {
        let Ok(jwk) = serde_json::from_value::<Jwk>(value) else { continue };
        if let Some((id, key)) = usable(&jwk, issuer) {
            keys.insert(id, key);
        }
    }
    if keys.is_empty() {
        return Err("it holds no RS256 or ES256 key with a kid".into());
    }
    Ok(keys)
}

fn usable(jwk: &Jwk, issuer: &str) -> Option<(String, Key)> {
    let common = &jwk.common;
    let id = common.key_id.clone()?;
    if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    // what a key is for is said by the key, never by the token
    let algorithm = match (&jwk.algorithm, common.key_algorithm) {
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Algorithm::RS256,
        (AlgorithmParameters::EllipticCurve(key), None | Some(KeyAlgorithm::ES256))
            if key.curve == EllipticCurve::P256 =>
        {
            Algorithm::ES256
        }
        _ => return None,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    Some((id, Key { key, validation }))
}
