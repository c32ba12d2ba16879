use jiff::{SignedDuration, Timestamp};

use super::{
    authority::{self, IssueError},
    contents::{Contents, Next, Previous},
};

/// How long certificates live. They are renewed after two thirds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of the authority.
    pub authority: SignedDuration,
    /// Of what the webhook shows.
    pub serving: SignedDuration,
    /// How long two authorities are trusted side by side, before and after the newer one begins to sign: long enough for
    /// every API server to take the new list, and for every process of ours to show the new certificate.
    pub overlap: SignedDuration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            authority: SignedDuration::from_hours(365 * 24),
            serving: SignedDuration::from_hours(90 * 24),
            overlap: SignedDuration::from_mins(10),
        }
    }
}

/// What the Secret is to hold now: `None` where it holds that already. `trusted` is what the API server trusts now.
///
/// A new authority goes through three steps: trusted beside the old one; signs, while the old one is still trusted; alone.
/// At every moment every process shows a certificate that the API server trusts.
pub(crate) fn next(
    contents: Option<&Contents>,
    hosts: &[String],
    trusted: &str,
    now: Timestamp,
    lifetimes: &Lifetimes,
) -> Result<Option<Contents>, IssueError> {
    let Some(held) = contents.filter(|held| !held.authority.is_over(now)) else {
        return new(hosts, now, lifetimes).map(Some);
    };
    let mut wanted = held.clone();
    match &mut wanted.next {
        None if held.authority.is_due(now) => {
            let authority = authority::authority(now, lifetimes.authority)?;
            wanted.next = Some(Next { authority, trusted_since: None });
        }
        None => {}
        Some(next) => {
            let is_trusted = trusted.contains(&next.authority.certificate);
            match next.trusted_since {
                None if is_trusted => next.trusted_since = Some(now),
                // somebody took it out again
                Some(_) if !is_trusted => next.trusted_since = None,
                _ => {}
            }
        }
    }
    let signs = |next: &Next| next.trusted_since.is_some_and(|since| now >= since + lifetimes.overlap);
    let old = match wanted.next.take_if(|next| signs(next)) {
        Some(next) => Some(std::mem::replace(&mut wanted.authority, next.authority)),
        None => None,
    };
    let has_switched = old.is_some();
    if let Some(old) = old {
        wanted.previous = Some(Previous { certificate: old.certificate, since: now });
    }
    wanted.previous.take_if(|previous| now >= previous.since + lifetimes.overlap);
    if has_switched || held.serving.is_due(now) || held.hosts != hosts {
        wanted.serving = authority::serving(&wanted.authority, hosts, now, lifetimes.serving)?;
        wanted.hosts = hosts.to_vec();
    }
    Ok((wanted != *held).then_some(wanted))
}

fn new(hosts: &[String], now: Timestamp, lifetimes: &Lifetimes) -> Result<Contents, IssueError> {
    let authority = authority::authority(now, lifetimes.authority)?;
    let serving = authority::serving(&authority, hosts, now, lifetimes.serving)?;
    Ok(Contents { authority, next: None, previous: None, serving, hosts: hosts.to_vec() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    };

    use super::*;

    const HOST: &str = "polylog-webhook.ops.svc";

    fn hosts() -> Vec<String> {
        vec![HOST.to_owned()]
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(490_000 + hours)
    }

    fn lifetimes() -> Lifetimes {
        Lifetimes {
            authority: SignedDuration::from_hours(300),
            serving: SignedDuration::from_hours(90),
            overlap: SignedDuration::from_hours(2),
        }
    }

    /// Whether a client that trusts these authorities takes this certificate then.
    fn is_taken(certificate: &str, trusted: &str, now: Timestamp) -> bool {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
            roots.add(authority.expect("PEM")).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
        let name = ServerName::try_from(HOST).expect("a name");
        let seconds = u64::try_from(now.as_second()).expect("after 1970");
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        verifier.expect("roots").verify_server_cert(&certificate, &[], &name, &[], now).is_ok()
    }

    fn step(held: Option<&Contents>, trusted: &str, now: Timestamp) -> Option<Contents> {
        next(held, &hosts(), trusted, now, &lifetimes()).expect("it can be made")
    }

    #[test]
    fn the_first_is_made_and_then_nothing_changes() {
        let first = step(None, "", at(0)).expect("something new");
        assert!(is_taken(&first.serving.certificate, &first.trusted(), at(0)));
        assert!(!is_taken(&first.serving.certificate, &first.trusted(), at(91)), "it ends");
        let other = step(None, "", at(0)).expect("something new");
        assert!(!is_taken(&first.serving.certificate, &other.trusted(), at(0)), "by another authority");
        assert_eq!(step(Some(&first), &first.trusted(), at(1)), None);
        assert_eq!(Contents::read(&first.write()), Some(first));
    }

    #[test]
    fn what_is_shown_is_renewed_after_two_thirds() {
        let first = step(None, "", at(0)).expect("something new");
        assert_eq!(step(Some(&first), &first.trusted(), at(59)), None);
        let second = step(Some(&first), &first.trusted(), at(60)).expect("something new");
        assert_ne!(second.serving, first.serving);
        assert_eq!(second.trusted(), first.trusted());
        assert!(is_taken(&second.serving.certificate, &first.trusted(), at(149)));
    }

    #[test]
    fn another_name_is_another_certificate() {
        let first = step(None, "", at(0)).expect("something new");
        let hosts = [HOST.to_owned(), "other.ops.svc".to_owned()];
        let second = next(Some(&first), &hosts, &first.trusted(), at(1), &lifetimes()).expect("made");
        assert_ne!(second.expect("something new").serving, first.serving);
    }

    /// Two processes that see each other's work late, and an API server that takes a new list late, for 900 hours.
    #[test]
    fn at_every_moment_what_is_shown_is_trusted() {
        let mut held = step(None, "", at(0)).expect("something new");
        let (mut authorities, mut shown_before) = (1, held.clone());
        let mut trusted_before = held.trusted();
        for hour in 1..900 {
            let now = at(hour);
            let trusted = held.trusted();
            let shown = held.clone();
            if let Some(wanted) = step(Some(&held), &trusted, now) {
                authorities += usize::from(wanted.authority != held.authority);
                held = wanted;
            }
            // the list of an hour ago, and a process that has not read what was written since
            for certificate in [&held.serving, &shown.serving, &shown_before.serving] {
                for list in [&held.trusted(), &trusted, &trusted_before] {
                    assert!(is_taken(&certificate.certificate, list, now), "hour {hour}: {held:?}");
                }
            }
            (shown_before, trusted_before) = (shown, trusted);
        }
        assert!(authorities >= 4, "{authorities} authorities");
    }

    #[test]
    fn an_authority_signs_only_once_it_is_trusted_for_long_enough() {
        let first = step(None, "", at(0)).expect("something new");
        let announced = step(Some(&first), &first.trusted(), at(200)).expect("something new");
        assert_eq!(announced.authority, first.authority);
        let both = announced.trusted();
        assert!(both.contains(&first.authority.certificate) && both != first.trusted());
        // the API server does not know it yet, however long that takes
        let waiting = step(Some(&announced), &first.trusted(), at(260)).unwrap_or(announced.clone());
        assert_eq!(waiting.authority, first.authority);
        let known = step(Some(&announced), &both, at(201)).expect("it is noted");
        let forgotten = step(Some(&known), &first.trusted(), at(204)).expect("it is noted");
        assert_eq!(forgotten.authority, first.authority, "taken out again");
        let signs = step(Some(&known), &both, at(203)).expect("something new");
        assert_ne!(signs.authority, first.authority);
        assert!(signs.trusted().contains(&first.authority.certificate));
        let alone = step(Some(&signs), &signs.trusted(), at(205)).expect("something new");
        assert_eq!(alone.trusted(), signs.authority.certificate);
    }

    #[test]
    fn what_has_ended_is_made_anew_at_once() {
        let first = step(None, "", at(0)).expect("something new");
        let later = step(Some(&first), &first.trusted(), at(300)).expect("something new");
        assert_ne!(later.authority, first.authority);
        assert!(is_taken(&later.serving.certificate, &later.trusted(), at(300)));
    }
}
