use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use serde::{Deserialize, Serialize};

/// Clocks of this process and of the API server may differ by as much.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A key or a certificate could not be made: the system gives no randomness, or what the Secret holds was changed by
/// others. Delete the Secret's data; it is made anew.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate: {0}")]
pub(crate) struct IssueError(#[from] rcgen::Error);

/// A certificate with its key, both PEM. Shown without the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issued {
    /// The common name.
    pub(super) name: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, not_before, not_after, .. } = self;
        write!(f, "{name} from {not_before} to {not_after}")
    }
}

impl Issued {
    /// Whether two thirds of its time are over.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let life = self.not_after.duration_since(self.not_before);
        now >= self.not_before + life * 2 / 3
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.not_after
    }
}

/// A new authority, valid from now on.
pub(super) fn authority(now: Timestamp, lifetime: SignedDuration) -> Result<Issued, IssueError> {
    let key = KeyPair::generate()?;
    let name = format!("polylog operator authority {}", now.as_second());
    let certificate = authority_params(&name, now, lifetime).self_signed(&key)?.pem();
    Ok(issued(name, certificate, &key, now, lifetime))
}

fn authority_params(name: &str, now: Timestamp, lifetime: SignedDuration) -> CertificateParams {
    let mut params = params(name, now, lifetime);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

/// A new certificate for these DNS names and addresses, signed by `authority`, which it does not outlive.
pub(super) fn serving(
    authority: &Issued,
    hosts: &[String],
    now: Timestamp,
    lifetime: SignedDuration,
) -> Result<Issued, IssueError> {
    let left = authority.not_after.duration_since(now);
    let lifetime = lifetime.min(left);
    let key = KeyPair::generate()?;
    let name = "polylog".to_owned();
    let mut params = params(&name, now, lifetime);
    params.subject_alt_names = hosts
        .iter()
        .map(|host| {
            Ok(match host.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.as_str().try_into()?),
            })
        })
        .collect::<Result<_, rcgen::Error>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let authority_key = KeyPair::from_pem(&authority.key)?;
    // an issuer is its name and its key: these are the same as when it was made
    let authority_params = authority_params(&authority.name, now, lifetime);
    let issuer = Issuer::from_params(&authority_params, &authority_key);
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(issued(name, certificate, &key, now, lifetime))
}

fn params(name: &str, now: Timestamp, lifetime: SignedDuration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.not_before = time(now - SKEW);
    params.not_after = time(now + lifetime);
    params
}

fn issued(
    name: String,
    certificate: String,
    key: &KeyPair,
    now: Timestamp,
    lifetime: SignedDuration,
) -> Issued {
    Issued { name, certificate, key: key.serialize_pem(), not_before: now, not_after: now + lifetime }
}

fn time(at: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(at.as_second())
        .expect("a timestamp lies between the years -9999 and 9999, as those of `time` do")
}
