use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use jsonwebtoken::{decode, decode_header, errors::ErrorKind, get_current_timestamp};
use parking_lot::Mutex;
use polylog_api::{Code, Problem};
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use super::{
    crypto,
    keys::{self, AUDIENCE, Key, LEEWAY},
};
use crate::{
    identity::{Peer, ServiceAccount, Subject, Workload},
    mounted::{Bound, EntranceFiles},
};

/// Longest token, in bytes; those of a cluster have one to two thousand.
const LONGEST_TOKEN: usize = 8 << 10;
/// Longest that a token may be good for, in seconds.
const LONGEST_LIFE: u64 = 3_600;
/// Tokens that need not be checked again.
const MOST_KNOWN: usize = 4_096;

/// Checks tokens with the keys that a cluster publishes.
pub(super) struct Verifier {
    files: (Vec<u8>, Vec<u8>),
    keys: BTreeMap<String, Key>,
    /// By the token's hash: the tokens themselves are not kept.
    known: Mutex<HashMap<[u8; 32], Arc<Peer>>>,
}

/// Why a token is not accepted. Nothing of the token is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It is longer than any token of a cluster.
    #[error("it is longer than {LONGEST_TOKEN} bytes")]
    TooLong,
    /// It is no token at all.
    #[error("it is no token of a Kubernetes service account")]
    Form,
    /// Another cluster's, or of a key that is no longer published.
    #[error("this cluster publishes no such key as it is signed with")]
    UnknownKey,
    /// Signed in another way than its key allows.
    #[error("it is not signed as its key has it")]
    Algorithm,
    /// Somebody changed it, or made it up.
    #[error("its signature is wrong")]
    Signature,
    /// It was good before.
    #[error("it has expired")]
    Expired,
    /// It will be good later, or a clock is wrong.
    #[error("it is not valid yet")]
    NotYet,
    /// Another cluster's.
    #[error("it is of another issuer than this cluster")]
    Issuer,
    /// Made for something else.
    #[error("it is not for the audience {AUDIENCE}")]
    Audience,
    /// It would be good for too long when lost.
    #[error("it is good for longer than {LONGEST_LIFE} s")]
    TooLongLived,
    /// Of a person or a machine.
    #[error("its subject is no service account")]
    Subject,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Problem::new(Code::Unauthenticated, format_args!("the token is not accepted: {refusal}")).next_step(
            "send the pod's projected service account token for audience polylog, good for at most 3600 s, read anew \
             whenever its file changes",
        )
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iat: u64,
    exp: u64,
    #[serde(rename = "kubernetes.io", default)]
    kubernetes: Bound,
}

impl Verifier {
    /// # Errors
    /// What is wrong with which file.
    pub(super) fn of(files: &EntranceFiles) -> Result<Self, String> {
        let missing = |name: &str, other: &str| format!("store/{other} is mounted, store/{name} is not");
        let issuer = files.issuer.as_ref().ok_or_else(|| missing("issuer", "jwks.json"))?;
        let document = files.keys.as_ref().ok_or_else(|| missing("jwks.json", "issuer"))?;
        let text = std::str::from_utf8(issuer).map(str::trim).unwrap_or_default();
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("store/issuer does not hold one line of text".into());
        }
        crypto::install();
        let keys = keys::parse(document, text).map_err(|reason| format!("store/jwks.json: {reason}"))?;
        Ok(Self { files: (issuer.clone(), document.clone()), keys, known: Mutex::default() })
    }

    /// Whether it was made of these.
    pub(super) fn is_of(&self, files: &EntranceFiles) -> bool {
        let (issuer, keys) = &self.files;
        files.issuer.as_ref() == Some(issuer) && files.keys.as_ref() == Some(keys)
    }

    /// Whose token this is.
    pub(super) fn verify(&self, token: &str) -> Result<Arc<Peer>, Refusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::TooLong);
        }
        let hash = digest(&SHA256, token.as_bytes());
        let hash: [u8; 32] = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
        if let Some(peer) = self.known.lock().get(&hash).filter(|peer| peer.is_good()) {
            return Ok(peer.clone());
        }
        let peer = Arc::new(self.check(token)?);
        self.remember(hash, peer.clone());
        Ok(peer)
    }

    fn check(&self, token: &str) -> Result<Peer, Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::Form)?;
        // whatever it calls critical is unknown here
        if header.crit.is_some() {
            return Err(Refusal::Form);
        }
        let key = header.kid.and_then(|id| self.keys.get(&id)).ok_or(Refusal::UnknownKey)?;
        let claims: Claims =
            decode(token, &key.key, &key.validation).map_err(|error| refusal(error.kind()))?.claims;
        if claims.exp.saturating_sub(claims.iat) > LONGEST_LIFE {
            return Err(Refusal::TooLongLived);
        }
        if claims.iat > get_current_timestamp() + LEEWAY {
            return Err(Refusal::NotYet);
        }
        let account = ServiceAccount::of_subject(&claims.sub).ok_or(Refusal::Subject)?;
        let pod = claims.kubernetes.pod.map(|pod| pod.name);
        let workload = Workload { pod, namespace: Some(account.namespace.clone()) };
        let good_until = UNIX_EPOCH + Duration::from_secs(claims.exp + LEEWAY);
        let peer = Peer { subject: Subject::ServiceAccount(account), workload, good_until: Some(good_until) };
        // the library counts whole seconds, and would let in for one more who was just sent away
        if peer.is_good() { Ok(peer) } else { Err(Refusal::Expired) }
    }

    fn remember(&self, hash: [u8; 32], peer: Arc<Peer>) {
        let mut known = self.known.lock();
        if known.len() >= MOST_KNOWN {
            known.retain(|_, peer| peer.is_good());
        }
        if known.len() >= MOST_KNOWN {
            // they are checked again: dearer, and nothing else
            known.clear();
        }
        known.insert(hash, peer);
    }
}

fn refusal(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::ImmatureSignature => Refusal::NotYet,
        ErrorKind::InvalidIssuer => Refusal::Issuer,
        ErrorKind::InvalidAudience => Refusal::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Refusal::Algorithm,
        ErrorKind::InvalidSignature => Refusal::Signature,
        _ => Refusal::Form,
    }
}
