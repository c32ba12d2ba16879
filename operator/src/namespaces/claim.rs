//! The Lease by which an installation claims a namespace. Pure.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

/// Its name in each namespace.
pub(super) const NAME: &str = "polylog-installation";
/// How often a claim is renewed, while there are few.
const EVERY: Duration = Duration::from_secs(180);
/// How long each of many claims takes, so that they never are more than one call a second.
const EACH: Duration = Duration::from_secs(1);
/// After so many renewals without a word an installation counts as gone.
const MISSED: u32 = 3;

/// How often each of so many claims is renewed.
pub(super) fn every(claims: usize) -> Duration {
    EVERY.max(EACH.saturating_mul(u32::try_from(claims).unwrap_or(u32::MAX)))
}

/// How long a claim holds without being renewed.
pub(super) fn duration(claims: usize) -> Duration {
    every(claims).saturating_mul(MISSED)
}

/// Who holds a claim.
pub(super) fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// The Lease as `holder` writes it, in place of what was found.
pub(super) fn written(found: Option<Lease>, holder: &str, number: i32, lasts: Duration) -> Lease {
    let now = MicroTime(jiff::Timestamp::now());
    let before = found.as_ref().and_then(|lease| lease.spec.as_ref());
    let is_same = before.and_then(|spec| spec.holder_identity.as_deref()) == Some(holder);
    let acquired = before.filter(|_| is_same).and_then(|spec| spec.acquire_time.clone());
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: i32::try_from(lasts.as_secs()).ok(),
        lease_transitions: Some(number),
        acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
        renew_time: Some(now),
        ..LeaseSpec::default()
    };
    let new = || ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
    Lease { metadata: found.map_or_else(new, |lease| lease.metadata), spec: Some(spec) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_claims_are_renewed_more_seldom_and_hold_longer() {
        assert_eq!((every(0), every(180)), (EVERY, EVERY));
        assert_eq!(every(1000), Duration::from_secs(1000));
        assert_eq!(duration(1000), Duration::from_secs(3000));
    }

    #[test]
    fn a_renewal_keeps_when_it_was_acquired_and_another_holder_begins_anew() {
        let mut first = written(None, "ops/polylog", 1, EVERY);
        let long_ago = MicroTime(jiff::Timestamp::UNIX_EPOCH);
        first.spec.as_mut().expect("there").acquire_time = Some(long_ago.clone());
        first.metadata.resource_version = Some("7".into());
        let renewed = written(Some(first.clone()), "ops/polylog", 1, EVERY);
        assert_eq!(renewed.spec.as_ref().expect("there").acquire_time, Some(long_ago.clone()));
        assert_eq!(renewed.metadata.resource_version.as_deref(), Some("7"), "it replaces what was seen");
        let taken = written(Some(first), "other/polylog", 2, EVERY);
        assert_ne!(taken.spec.as_ref().expect("there").acquire_time, Some(long_ago));
        assert_eq!(holder(&taken), "other/polylog");
    }
}
