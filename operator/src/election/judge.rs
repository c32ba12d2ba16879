//! What to do about a Lease. Pure: the clock is passed in.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;

use super::LEASE;

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is no Lease: create it.
    Create,
    /// It is ours: write it again.
    Renew,
    /// It is free: take it, as the leadership of this number.
    Take { number: i32 },
    /// Another one holds it.
    Wait,
}

/// What was seen of the Lease, and since when on this process's clock.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    seen: Option<(String, Instant)>,
}

impl Judge {
    /// What `me` does about the Lease that was read at `now`.
    pub(crate) fn decide(&mut self, me: &str, lease: Option<&Lease>, now: Instant) -> Step {
        let Some(lease) = lease else {
            self.seen = None;
            return Step::Create;
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => {
                self.seen = Some((version, now));
                now
            }
        };
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        let number = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        if holder == me {
            return Step::Renew;
        }
        let is_free = holder.is_empty() || now.duration_since(since) >= patience(lease);
        if is_free { Step::Take { number: number.saturating_add(1) } } else { Step::Wait }
    }
}

/// How long the holder asked others to wait; ours if it asks for less, which would let two lead at once.
fn patience(lease: &Lease) -> Duration {
    let asked = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
    LEASE.max(Duration::from_secs(u64::try_from(asked).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

    use super::*;

    fn lease(version: &str, holder: &str) -> Lease {
        let spec = LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_transitions: Some(4),
            // long ago, by a clock that is wrong
            renew_time: Some(MicroTime(jiff::Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() };
        Lease { metadata, spec: Some(spec) }
    }

    #[test]
    fn another_holder_is_gone_only_when_its_lease_stood_still_on_our_clock() {
        let (mut judge, begin) = (Judge::default(), Instant::now());
        assert_eq!(judge.decide("me", Some(&lease("1", "other")), begin), Step::Wait);
        let nearly = begin + LEASE - Duration::from_millis(1);
        assert_eq!(judge.decide("me", Some(&lease("1", "other")), nearly), Step::Wait);
        // it changed: the wait begins again
        assert_eq!(judge.decide("me", Some(&lease("2", "other")), nearly), Step::Wait);
        assert_eq!(judge.decide("me", Some(&lease("2", "other")), begin + LEASE), Step::Wait);
        assert_eq!(judge.decide("me", Some(&lease("2", "other")), nearly + LEASE), Step::Take { number: 5 });
    }

    #[test]
    fn a_longer_lease_of_another_holder_is_respected_and_a_free_one_taken_at_once() {
        let (mut judge, begin) = (Judge::default(), Instant::now());
        let mut long = lease("1", "other");
        long.spec.as_mut().expect("a spec").lease_duration_seconds = Some(60);
        assert_eq!(judge.decide("me", Some(&long), begin), Step::Wait);
        assert_eq!(judge.decide("me", Some(&long), begin + LEASE), Step::Wait);
        let later = begin + Duration::from_secs(60);
        assert_eq!(judge.decide("me", Some(&long), later), Step::Take { number: 5 });
        assert_eq!(judge.decide("me", Some(&lease("3", "")), later), Step::Take { number: 5 });
        assert_eq!(judge.decide("me", Some(&lease("4", "me")), later), Step::Renew);
        assert_eq!(judge.decide("me", None, later), Step::Create);
        assert_eq!(
            judge.decide("me", Some(&lease("4", "other")), later),
            Step::Wait,
            "a new one, not the old"
        );
    }
}
