use std::{fmt::Display, str::FromStr};

use polylog_api::{Code, Problem};

use super::path::decode;
use crate::filter::LONGEST_LIST;

/// The parameters of a request's query, taken one by one; what nobody takes is an error.
#[derive(Debug)]
pub(crate) struct Query {
    parameters: Vec<Parameter>,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    value: String,
    /// The value's parts between commas; an encoded comma belongs to its part.
    parts: Vec<String>,
}

impl Query {
    /// Decodes a raw query. A parameter that stands twice is refused: one of the two would be ignored silently.
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, Problem> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(&name.replace('+', " "), "query")?;
            let value = value.replace('+', " ");
            let parts = value.split(',').map(|part| decode(part, &name)).collect::<Result<Vec<_>, _>>()?;
            let value = parts.join(",");
            if parameters.iter().any(|seen| seen.name == name) {
                return Err(invalid(&name, "it is given twice"));
            }
            parameters.push(Parameter { name, value, parts });
        }
        Ok(Self { parameters })
    }

    /// Takes a parameter as text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|parameter| parameter.value)
    }

    fn take(&mut self, name: &str) -> Option<Parameter> {
        let index = self.parameters.iter().position(|given| given.name == name)?;
        Some(self.parameters.swap_remove(index))
    }

    /// Takes a parameter and parses it.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        self.with(name, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// Takes a parameter and reads it with a function that says what is wrong.
    pub(crate) fn with<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| read(&text).map_err(|reason| invalid(name, reason))).transpose()
    }

    /// Takes a whole number from `least` to `most`.
    pub(crate) fn number(&mut self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Problem> {
        self.with(name, |text| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = is_number.then(|| text.parse::<u64>().ok()).flatten();
            number
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| format!("it must be a whole number from {least} to {most}"))
        })
    }

    /// Takes `true` or `false`; absent = false.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        let read = |text: &str| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("it must be true or false".to_owned()),
        };
        Ok(self.with(name, read)?.unwrap_or(false))
    }

    /// Takes all parameters whose names begin so, by the rest of their names.
    pub(crate) fn with_prefix(&mut self, prefix: &str) -> Vec<(String, String)> {
        let is_taken =
            |parameter: &Parameter| parameter.name.len() > prefix.len() && parameter.name.starts_with(prefix);
        let (taken, left) = std::mem::take(&mut self.parameters).into_iter().partition::<Vec<_>, _>(is_taken);
        self.parameters = left;
        taken.into_iter().map(|taken| (taken.name[prefix.len()..].to_owned(), taken.value)).collect()
    }

    /// What is asked for, but for these names, in an order and a form of its own.
    pub(crate) fn canonical(&self, without: &[&str]) -> String {
        let asked = self.parameters.iter().filter(|parameter| !without.contains(&parameter.name.as_str()));
        let mut parts: Vec<String> =
            asked.map(|asked| format!("{:?}={:?}", asked.name, asked.parts)).collect();
        parts.sort();
        parts.join("&")
    }

    /// Takes a list separated by commas; absent = empty. An encoded comma is part of a value.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Problem> {
        let parts = self.take(name).map(|parameter| parameter.parts).unwrap_or_default();
        if parts.len() > LONGEST_LIST {
            return Err(invalid(name, format_args!("it may hold at most {LONGEST_LIST} values")));
        }
        let list: Result<Vec<T>, String> = parts.iter().map(|part| read(part)).collect();
        list.map_err(|reason| invalid(name, reason))
    }

    /// Refuses what was not taken.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.parameters.first() {
            Some(Parameter { name, .. }) => Err(invalid(name, "there is no such parameter here")),
            None => Ok(()),
        }
    }
}

/// An `invalid_request` that names a parameter.
pub(crate) fn invalid(name: &str, reason: impl Display) -> Problem {
    let name: String = name.chars().take(100).collect();
    Problem::new(Code::InvalidRequest, format_args!("query parameter {name:?}: {reason}"))
        .next_step("correct the query and send it again")
        .fact("parameter", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_once() {
        let mut query = Query::parse(Some("from=7&types=a%5Cb,c+d&&backward=true&empty")).expect("good");
        assert_eq!(query.number("from", 0, 10).expect("a number"), Some(7));
        assert_eq!(query.list("types", |text| Ok(text.to_owned())).expect("a list"), ["a\\b", "c d"]);
        assert!(query.flag("backward").expect("a flag"));
        assert_eq!(query.text("empty").as_deref(), Some(""));
        query.finish().expect("all taken");
    }

    #[test]
    fn an_encoded_comma_is_part_of_a_value() {
        let mut query = Query::parse(Some("streams=a%2Cb,c%2c+d&filter=x%2Cy,z")).expect("good");
        assert_eq!(query.list("streams", |text| Ok(text.to_owned())).expect("a list"), ["a,b", "c, d"]);
        assert_eq!(query.text("filter").as_deref(), Some("x,y,z"));
    }

    #[test]
    fn what_is_asked_for_has_one_form() {
        let query = |raw| Query::parse(Some(raw)).expect("good");
        let canonical = |raw| query(raw).canonical(&["page"]);
        assert_eq!(canonical("a=1&b=x%2Cy&page=9"), canonical("b=x%2cy&a=1"));
        assert_ne!(canonical("b=x%2Cy"), canonical("b=x,y"), "one value is not two");
        assert_ne!(canonical("a=1&b=2"), canonical("a=1%22&b=2"));
        let mut query = query("metadata.a=1&metadata.b.c=2&metadata.=3&q=x");
        let taken = query.with_prefix("metadata.");
        assert_eq!(taken, [("a".to_owned(), "1".to_owned()), ("b.c".to_owned(), "2".to_owned())]);
        assert_eq!(query.finish().expect_err("left").facts["parameter"], "metadata.");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let parameter = |problem: Problem| problem.facts["parameter"].clone();
        assert_eq!(parameter(Query::parse(Some("a=1&a=2")).expect_err("twice")), "a");
        let query = |raw| Query::parse(Some(raw)).expect("parses");
        assert_eq!(parameter(query("x=1").finish().expect_err("unknown")), "x");
        for bad in ["n=", "n=-1", "n=11", "n=+1", "n=1.5", "n=99999999999999999999"] {
            assert!(query(bad).number("n", 0, 10).is_err(), "{bad}");
        }
        assert!(query("f=yes").flag("f").is_err());
        assert!(Query::parse(Some("a=%")).is_err());
    }
}
