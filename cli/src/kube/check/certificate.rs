//! Until when certificates are good: the one field of X.509 that is of use here.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The ends of the certificates in a PEM text, in their order; `None` where one is not to be read.
pub(super) fn ends(pem: &str) -> Option<Vec<Timestamp>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let certificate = |text: &str| {
        let base64: String = text.split_once(END)?.0.split_whitespace().collect();
        end(&STANDARD.decode(base64).ok()?)
    };
    pem.split(BEGIN).skip(1).map(certificate).collect()
}

/// The end of a certificate in DER.
fn end(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut fields, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    if element(fields)?.0 == VERSION {
        fields = element(fields)?.2;
    }
    // serial number, algorithm, issuer
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, _, rest) = element(validity)?;
    let (tag, time, _) = element(rest)?;
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let text = match tag {
        // years of two digits end in 2049
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp())
}

/// The first element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        length @ 0..=127 => (usize::from(*length), rest),
        count @ 0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(count & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl req -x509 -newkey ed25519 -nodes -subj /CN=x -days 3650`, and one of 9000 days.
    const PEM: &str = include_str!("certificates.pem");

    #[test]
    fn both_forms_of_a_time_are_read() {
        let ends = ends(PEM).expect("certificates");
        let wanted = ["2036-11-19T19:40:37Z", "2051-07-14T19:40:37Z"];
        assert_eq!(ends.iter().map(ToString::to_string).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert_eq!(ends(""), Some(vec![]));
        let whole = ends(PEM).expect("certificates").len();
        assert_eq!(whole, 2);
        for wrong in [
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nMI",
        ] {
            assert_eq!(ends(wrong), None);
        }
        // no length leads beyond the end
        let der = STANDARD
            .decode(PEM.lines().skip(1).take_while(|line| !line.starts_with('-')).collect::<String>());
        let der = der.expect("base64");
        for length in 0..der.len() {
            let _ = end(&der[..length]);
        }
        assert_eq!(element(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
