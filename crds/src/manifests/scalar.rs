//! What unquoted YAML text means, by YAML 1.1 (kubectl, Helm, Argo CD) and by YAML 1.2.

use std::sync::LazyLock;

use regex::Regex;

/// The meaning of unquoted text.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A number with a fraction or exponent.
    Float(f64),
    /// Text.
    Text,
    /// Something that only YAML 1.1 has, by name.
    Special(&'static str),
}

/// Text that the two versions of YAML take for different things.
#[derive(Debug, Clone, PartialEq)]
pub struct Ambiguity {
    /// What YAML 1.1 takes it for.
    pub yaml_1_1: Scalar,
    /// What YAML 1.2 takes it for.
    pub yaml_1_2: Scalar,
}

impl Scalar {
    fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => format!("the boolean {value}"),
            Self::Integer(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Text => "text".to_owned(),
            Self::Special(what) => (*what).to_owned(),
        }
    }
}

impl Ambiguity {
    /// A sentence about `text`, which is ambiguous in this way.
    pub fn describe(&self, text: &str) -> String {
        format!(
            "`{text}` is {} in YAML 1.1 (kubectl, Helm) and {} in YAML 1.2: write it in quotes, or in a form that \
             both read alike",
            self.yaml_1_1.describe(),
            self.yaml_1_2.describe()
        )
    }
}

/// What unquoted `text` means in both versions of YAML.
///
/// # Errors
/// Where they differ.
pub fn read_plain(text: &str) -> Result<Scalar, Ambiguity> {
    let (yaml_1_1, yaml_1_2) = (read_1_1(text), read_1_2(text));
    if yaml_1_1 == yaml_1_2 { Ok(yaml_1_2) } else { Err(Ambiguity { yaml_1_1, yaml_1_2 }) }
}

macro_rules! pattern {
    ($name:ident, $pattern:literal) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a constant pattern, compiled by the tests"));
    };
}

// The core schema of YAML 1.2.2, section 10.3.2.
pattern!(INTEGER_1_2, r"^[-+]?[0-9]+$");
pattern!(FLOAT_1_2, r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$");

// YAML 1.1's type repository, as PyYAML implements it.
pattern!(BINARY_1_1, r"^[-+]?0b[0-1_]+$");
pattern!(OCTAL_1_1, r"^[-+]?0[0-7_]+$");
pattern!(DECIMAL_1_1, r"^[-+]?(0|[1-9][0-9_]*)$");
pattern!(HEXADECIMAL_1_1, r"^[-+]?0x[0-9a-fA-F_]+$");
pattern!(SEXAGESIMAL_1_1, r"^[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+$");
pattern!(FLOAT_1_1, r"^([-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?)$");
pattern!(SEXAGESIMAL_FLOAT_1_1, r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*$");
pattern!(
    TIMESTAMP_1_1,
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?)$"
);

fn read_both(text: &str) -> Option<Scalar> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Scalar::Special("not a number"),
        _ => return None,
    })
}

fn read_1_2(text: &str) -> Scalar {
    if let Some(scalar) = read_both(text) {
        return scalar;
    }
    if let Some(digits) = text.strip_prefix("0o").filter(|digits| !digits.starts_with(['+', '-'])) {
        return i128::from_str_radix(digits, 8).map_or(Scalar::Text, Scalar::Integer);
    }
    if let Some(digits) = text.strip_prefix("0x").filter(|digits| !digits.starts_with(['+', '-'])) {
        return i128::from_str_radix(digits, 16).map_or(Scalar::Text, Scalar::Integer);
    }
    if INTEGER_1_2.is_match(text) {
        return text.parse().map_or(Scalar::Special("a number of more than 128 bits"), Scalar::Integer);
    }
    if FLOAT_1_2.is_match(text) {
        return text.parse().map_or(Scalar::Text, Scalar::Float);
    }
    Scalar::Text
}

fn read_1_1(text: &str) -> Scalar {
    if let Some(scalar) = read_both(text) {
        return scalar;
    }
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Scalar::Bool(false),
        "<<" => return Scalar::Special("a merge key"),
        "=" => return Scalar::Special("a default value"),
        _ => {}
    }
    let too_long = Scalar::Special("a number of more than 128 bits");
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let unsigned = unsigned.replace('_', "");
    let signed = |number: i128| Scalar::Integer(if negative { -number } else { number });
    let radix = |digits: &str, radix| i128::from_str_radix(digits, radix).map_or(too_long.clone(), signed);
    if BINARY_1_1.is_match(text) {
        radix(unsigned.trim_start_matches("0b"), 2)
    } else if HEXADECIMAL_1_1.is_match(text) {
        radix(unsigned.trim_start_matches("0x"), 16)
    } else if DECIMAL_1_1.is_match(text) {
        radix(&unsigned, 10)
    } else if OCTAL_1_1.is_match(text) {
        radix(&unsigned, 8)
    } else if SEXAGESIMAL_1_1.is_match(text) {
        let parts = unsigned.split(':').map(str::parse::<i128>);
        let sum =
            parts.into_iter().try_fold(0_i128, |sum, part| sum.checked_mul(60)?.checked_add(part.ok()?));
        sum.map_or(too_long.clone(), signed)
    } else if FLOAT_1_1.is_match(text) {
        let number: f64 = unsigned.parse().unwrap_or(f64::NAN);
        Scalar::Float(if negative { -number } else { number })
    } else if SEXAGESIMAL_FLOAT_1_1.is_match(text) {
        Scalar::Special("a number in base 60")
    } else if TIMESTAMP_1_1.is_match(text) {
        Scalar::Special("a point in time")
    } else {
        Scalar::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_in_both() {
        for (text, scalar) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("true", Scalar::Bool(true)),
            ("False", Scalar::Bool(false)),
            ("0", Scalar::Integer(0)),
            ("00", Scalar::Integer(0)),
            ("-12", Scalar::Integer(-12)),
            ("+12", Scalar::Integer(12)),
            ("0x1F", Scalar::Integer(31)),
            ("1.5", Scalar::Float(1.5)),
            ("1.", Scalar::Float(1.0)),
            (".5", Scalar::Float(0.5)),
            ("1.5e+3", Scalar::Float(1500.0)),
            ("256Ki", Scalar::Text),
            ("5s", Scalar::Text),
            ("0.4.1", Scalar::Text),
            ("Never", Scalar::Text),
            ("event.aggregateId", Scalar::Text),
            ("https://search:9200", Scalar::Text),
        ] {
            assert_eq!(read_plain(text), Ok(scalar), "{text:?}");
        }
    }

    #[test]
    fn different_in_both() {
        for text in [
            "on",
            "off",
            "yes",
            "No",
            "y",
            "N",
            "0123",
            "08",
            "1_000",
            "0b101",
            "0o17",
            "12:30:45",
            "1:30",
            "1e3",
            "1.5e3",
            "-.5",
            "-0x1F",
            "0x1_F",
            "2026-11-21",
            "2026-11-21T10:00:00Z",
            "<<",
            "=",
            "1:30.5",
            "1_0.5",
        ] {
            assert!(read_plain(text).is_err(), "{text:?} is read alike");
        }
        let message = read_plain("on").map_err(|ambiguity| ambiguity.describe("on"));
        assert_eq!(
            message.expect_err("both differ"),
            "`on` is the boolean true in YAML 1.1 (kubectl, Helm) and text in YAML 1.2: write it in quotes, or in a \
             form that both read alike"
        );
    }
}
