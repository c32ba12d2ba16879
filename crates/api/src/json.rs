use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::RequestError;

/// Reads a JSON body. The error says at which path something is wrong, and what.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, RequestError> {
    let error = match serde_json::from_slice(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if error.is_syntax() || error.is_eof() {
        return Err(RequestError::invalid("", format_args!("malformed JSON: {error}")));
    }
    // only now, because tracking the path costs time that good requests need not spend
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(found) if found.path().iter().len() > 0 => {
            Err(RequestError::invalid(found.path().to_string(), found.inner()))
        }
        _ => Err(RequestError::invalid("", error)),
    }
}

/// Whether data of this media type is JSON: `application/json` or `…+json`, whatever its parameters.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let suffix = |text: &str, end: &str| {
        let from = text.len().checked_sub(end.len()).and_then(|from| text.get(from..));
        from.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    essence.eq_ignore_ascii_case("application/json") || suffix(essence, "+json")
}

/// Checks that bytes are one JSON text.
pub(crate) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<IgnoredAny>(bytes)?;
    // what is ignored is not checked to be UTF-8
    std::str::from_utf8(bytes).map(drop).map_err(serde::de::Error::custom)
}

/// For fields where `null` is a value and not the absence of one.
pub(crate) fn some_raw<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// A list of at most `most` in all, each element counting as much as `weight` says: no body may take many times its
/// own size in memory.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
    most: usize,
    weight: impl Fn(&T) -> usize,
) -> Result<Vec<T>, D::Error> {
    struct List<T, W>(usize, W, PhantomData<T>);
    impl<'de, T: Deserialize<'de>, W: Fn(&T) -> usize> Visitor<'de> for List<T, W> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
            let (mut list, mut sum) = (Vec::new(), 0);
            while let Some(element) = from.next_element()? {
                sum += (self.1)(&element);
                if sum > self.0 {
                    return Err(A::Error::custom(format_args!(
                        "no commit may have more than {} events",
                        self.0
                    )));
                }
                list.push(element);
            }
            Ok(list)
        }
    }
    from.deserialize_seq(List(most, weight, PhantomData))
}

/// Takes a derived `Deserialize` (made with `#[serde(remote = "Self")]`) for objects only: by itself it would also read
/// an array of the fields' values in their order, which nobody means.
macro_rules! object_only {
    ($($name:ident),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, to)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Object;
                impl<'de> serde::de::Visitor<'de> for Object {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        $name::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    }
                }
                from.deserialize_map(Object)
            }
        }
    )*};
}
pub(crate) use object_only;

/// Appends a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut clean = 0;
    let bytes = text.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[clean..index]);
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        clean = index + 1;
    }
    out.extend_from_slice(&bytes[clean..]);
    out.push(b'"');
}

/// Appends a number.
pub(crate) fn write_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn json_media_types() {
        for json in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json", "a/b+JSON"]
        {
            assert!(is_json(json), "{json}");
        }
        for other in ["", "text/plain", "application/jsonl", "json", "application/xml; x=+json", "é+jso"] {
            assert!(!is_json(other), "{other}");
        }
    }

    #[test]
    fn strings_are_escaped_as_json_asks() {
        for text in ["", "plain", "a\"b\\c", "line\nfeed\u{1}\u{1f}", "é ✔ 𝄞", "\\\\", "App\\Domain\\Paid"]
        {
            let mut out = Vec::new();
            write_string(&mut out, text);
            assert_eq!(serde_json::from_slice::<Value>(&out).expect("JSON"), Value::from(text));
        }
    }

    #[test]
    fn only_one_json_text_in_utf8_is_json() {
        for good in ["null", " {\"a\":[1e400,-0]} ", "\"\\ud800\""] {
            assert!(check(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [&b""[..], b"{", b"1 2", b"01", b"\"\xff\"", b"{\"a\":\"\xc3\"}", b"NaN", b"'a'"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
