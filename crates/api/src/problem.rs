use std::{collections::BTreeMap, time::Duration};

use polylog_log::{StreamName, Version};
use serde::{Deserialize, Serialize};

use crate::{Code, CommitsAnswer, EventJson, ExpectedVersion, Written};

/// Where each code has its page.
const TYPES: &str = "https://polylog.dev/errors/";

/// A refused or failed request, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Address of the code's page.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code's title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, for programs.
    pub code: Code,
    /// What was wrong with this very request or system.
    pub detail: String,
    /// What it left in the log.
    pub written: Written,
    /// Whether the same request, with the same ids, may succeed later.
    pub retry: bool,
    /// What to do now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next_step: String,
    /// Not to be tried again before this has passed; like `250ms`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::durations::optional")]
    pub retry_after: Option<Duration>,
    /// Of `version_conflict`: each stream that was not as expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Details by name, for programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// Of `acks_timeout`: where the events stand in the primary's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisional: Option<Box<CommitsAnswer>>,
}

/// A stream that was not as expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The stream.
    pub stream: StreamName,
    /// What the caller expected.
    pub expected: ExpectedVersion,
    /// The version it has; zero = it does not exist.
    pub actual: Version,
    /// The events after the expected version, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<EventJson>,
    /// Whether there are more than these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missed_truncated: bool,
}

impl Problem {
    /// A problem with its code's defaults.
    pub fn new(code: Code, detail: impl ToString) -> Self {
        Self {
            kind: format!("{TYPES}{code}"),
            title: code.title().into(),
            status: code.status(),
            code,
            detail: detail.to_string(),
            written: code.written(),
            retry: code.retry(),
            next_step: String::new(),
            retry_after: None,
            conflicts: Vec::new(),
            facts: BTreeMap::new(),
            provisional: None,
        }
    }

    /// Says what to do now.
    #[must_use]
    pub fn next_step(mut self, step: impl Into<String>) -> Self {
        self.next_step = step.into();
        self
    }

    /// Says how long to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.facts.insert(name.into(), value.to_string());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use polylog_log::Expected;

    use super::*;

    #[test]
    fn has_the_published_form_and_reads_back() {
        let mut problem =
            Problem::new(Code::VersionConflict, "stream Payment-p1 is at version 5, expected 3")
                .next_step("read from version 4 and decide again")
                .retry_after(Duration::from_millis(250))
                .fact("stream", "Payment-p1");
        problem.conflicts.push(Conflict {
            stream: StreamName::parse("Payment-p1").expect("a good name"),
            expected: ExpectedVersion(Expected::Version(Version::new(3))),
            actual: Version::new(5),
            missed: vec![EventJson::new(b"{\"version\":4, \"data\":1e400}".to_vec()).expect("JSON")],
            missed_truncated: true,
        });
        let json = serde_json::to_string(&problem).expect("serialises");
        assert_eq!(
            json,
            concat!(
                r#"{"type":"https://polylog.dev/errors/version_conflict","title":"the stream is not at the expected version","#,
                r#""status":409,"code":"version_conflict","detail":"stream Payment-p1 is at version 5, expected 3","#,
                r#""written":"nothing","retry":false,"nextStep":"read from version 4 and decide again","retryAfter":"250ms","#,
                r#""conflicts":[{"stream":"Payment-p1","expected":3,"actual":5,"missed":[{"version":4, "data":1e400}],"#,
                r#""missedTruncated":true}],"facts":{"stream":"Payment-p1"}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Problem>(&json).expect("reads back"), problem);
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let json = serde_json::to_value(Problem::new(Code::NoPrimary, "x")).expect("serialises");
        let keys: Vec<_> = json.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(keys, ["code", "detail", "retry", "status", "title", "type", "written"]);
    }
}
