use std::sync::Arc;

use http::HeaderMap;
use polylog_api::{Code, Problem, headers};

use crate::identity::Peer;

/// Who makes a request, and what its headers say beside the body.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Who, and where it runs.
    pub(crate) peer: Arc<Peer>,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
    /// For events that name none.
    pub(crate) correlation_id: Option<String>,
    /// For events that name none.
    pub(crate) causation_id: Option<String>,
}

/// Longest correlation or causation id, in bytes.
const LONGEST_ID: usize = 200;

impl Caller {
    /// Reads the headers.
    pub(crate) fn of(peer: Arc<Peer>, given: &HeaderMap) -> Result<Self, Problem> {
        // a trace context that is not well formed is ignored, as W3C asks
        let traceparent = given.get(headers::TRACEPARENT).and_then(|value| value.to_str().ok());
        let traceparent = traceparent.filter(|text| trace_id(text).is_some()).map(str::to_owned);
        Ok(Self {
            peer,
            traceparent,
            correlation_id: id(given, headers::CORRELATION_ID)?,
            causation_id: id(given, headers::CAUSATION_ID)?,
        })
    }

    /// What events that name no correlation id get: the header's, else the trace's id.
    pub(crate) fn default_correlation(&self) -> Option<&str> {
        self.correlation_id.as_deref().or_else(|| trace_id(self.traceparent.as_deref()?))
    }
}

fn id(given: &HeaderMap, name: &'static str) -> Result<Option<String>, Problem> {
    let bad = |reason: &str| {
        Problem::new(Code::InvalidRequest, format_args!("header {name}: {reason}"))
            .next_step("correct the header or leave it out")
            .fact("header", name)
    };
    let mut values = given.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad("it is given twice"));
    }
    let text = std::str::from_utf8(value.as_bytes()).ok();
    let is_good =
        |text: &&str| !text.is_empty() && text.len() <= LONGEST_ID && !text.chars().any(char::is_control);
    let too_long = || bad(&format!("it must be 1 to {LONGEST_ID} bytes of UTF-8"));
    text.filter(is_good).map(|text| Some(text.to_owned())).ok_or_else(too_long)
}

/// The trace id of a `traceparent` (W3C Trace Context, version 00), if it is well formed.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_well_formed = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && is_hex(flags, 2)
        && (version != "00" || parts.next().is_none())
        && traceparent.len() <= 200
        && [trace, parent].iter().all(|id| id.bytes().any(|byte| byte != b'0'));
    is_well_formed.then_some(trace)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::identity::{Subject, Workload};

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn caller(pairs: &[(&'static str, &str)]) -> Result<Caller, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a header"));
        }
        Caller::of(Arc::new(Peer::always(Subject::Local, Workload::default())), &headers)
    }

    #[test]
    fn correlation_comes_from_its_header_else_from_the_trace() {
        let with = caller(&[("traceparent", TRACE), ("polylog-correlation-id", "été")]).expect("good");
        assert_eq!(with.default_correlation(), Some("été"));
        let without = caller(&[("traceparent", TRACE)]).expect("good");
        assert_eq!(without.default_correlation(), Some("0af7651916cd43dd8448eb211c80319c"));
        for bad in
            ["", "00-1-2-3", &TRACE.replace('a', "A"), &format!("{TRACE}-x"), &TRACE.replace("00-", "ff-")]
        {
            let ignoring = caller(&[("traceparent", bad)]).expect("ignored");
            assert_eq!(ignoring.default_correlation(), None, "{bad}");
        }
        assert!(caller(&[("polylog-causation-id", "")]).is_err());
        assert!(caller(&[("polylog-correlation-id", &"x".repeat(201))]).is_err());
    }
}
