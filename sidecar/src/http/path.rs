use polylog_api::{Code, Problem};

/// Splits a raw path into its decoded parts. Nothing is normalised: `%2F` inside a part stays in that part, `..` is a
/// name like any other, and an empty part is one too.
pub(crate) fn parts(raw: &str) -> Result<Vec<String>, Problem> {
    raw.strip_prefix('/').unwrap_or(raw).split('/').map(|part| decode(part, "path")).collect()
}

/// Decodes percent-encoding; `place` names where it stands, for the error.
pub(crate) fn decode(encoded: &str, place: &str) -> Result<String, Problem> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => decoded.push((high * 16 + low) as u8),
            _ => return Err(invalid(place, encoded, "a '%' must be followed by two hexadecimal digits")),
        }
    }
    String::from_utf8(decoded).map_err(|_| invalid(place, encoded, "it is not UTF-8 once decoded"))
}

fn invalid(place: &str, encoded: &str, reason: &str) -> Problem {
    let shown: String = encoded.chars().take(100).collect();
    Problem::new(Code::InvalidRequest, format_args!("{place}: {shown:?}: {reason}"))
        .next_step("correct the percent-encoding")
        .fact("path", place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_decoded_one_by_one() {
        let parts = |raw| parts(raw).expect("well encoded");
        assert_eq!(parts("/v1/streams/a%2Fb%5Cc%20%C3%A9"), ["v1", "streams", "a/b\\c é"]);
        assert_eq!(parts("/v1/../x/"), ["v1", "..", "x", ""]);
        assert_eq!(parts("/"), [""]);
        assert_eq!(parts("/a+b"), ["a+b"]);
    }

    #[test]
    fn bad_encodings_are_told() {
        for bad in ["/%", "/%4", "/%zz", "/%ff", "/%+1", "/a%C3"] {
            assert_eq!(super::parts(bad).expect_err(bad).code, Code::InvalidRequest);
        }
    }
}
