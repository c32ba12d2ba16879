use prost::Message;

use super::{append::from_expected, append_response, event::from_received, from_duration};
use crate::{
    Conflict, Problem, Written,
    proto::{google::rpc::Status, polylog::v1},
};

/// Most bytes of a failure's details. They travel in a trailer, in base64, and several gRPC libraries drop an answer
/// whose trailers have more than 8 KiB.
const MOST_BYTES: usize = 5 << 10;
/// Most bytes of one text within them.
const LONGEST_TEXT: usize = 1 << 10;
/// What the detail is, by the rules of `google.protobuf.Any`.
const TYPE: &str = "type.googleapis.com/polylog.v1.ErrorDetail";

/// A failure as the value of the trailer `grpc-status-details-bin` before base64: a `google.rpc.Status` with an
/// [`v1::ErrorDetail`]. Missed events, and then conflicts, are left out until it is small enough.
pub fn status_details(problem: &Problem) -> Vec<u8> {
    let detail = fitted(error_detail(problem));
    let any = prost_types::Any { type_url: TYPE.into(), value: detail.encode_to_vec() };
    Status { code: problem.code.grpc() as i32, message: detail.message, details: vec![any] }.encode_to_vec()
}

/// The failure that a trailer `grpc-status-details-bin` (after base64) tells, if it is one of ours.
pub fn detail_of(details: &[u8]) -> Option<v1::ErrorDetail> {
    let status = Status::decode(details).ok()?;
    let ours = status.details.into_iter().find(|any| any.type_url == TYPE)?;
    v1::ErrorDetail::decode(&*ours.value).ok()
}

/// A failure as a message, whole.
pub fn error_detail(problem: &Problem) -> v1::ErrorDetail {
    let written = match problem.written {
        Written::Nothing => v1::Written::Nothing,
        Written::Unknown => v1::Written::Unknown,
        Written::PrimaryOnly => v1::Written::PrimaryOnly,
    };
    v1::ErrorDetail {
        code: problem.code.text().into(),
        message: problem.detail.clone(),
        next_step: problem.next_step.clone(),
        written: written as i32,
        retry: problem.retry,
        retry_after: problem.retry_after.map(from_duration),
        conflicts: problem.conflicts.iter().map(conflict).collect(),
        facts: problem.facts.clone(),
        provisional: problem.provisional.as_deref().map(|answer| append_response(answer.clone())),
    }
}

fn conflict(conflict: &Conflict) -> v1::Conflict {
    let Conflict { stream, expected, actual, missed, missed_truncated } = conflict;
    v1::Conflict {
        stream: stream.as_str().into(),
        expected: Some(from_expected(*expected)),
        actual: actual.get(),
        // what this process wrote itself can be read
        missed: missed.iter().filter_map(|event| event.read().ok()).map(from_received).collect(),
        missed_truncated: *missed_truncated,
    }
}

fn fitted(mut detail: v1::ErrorDetail) -> v1::ErrorDetail {
    for text in [&mut detail.message, &mut detail.next_step].into_iter().chain(detail.facts.values_mut()) {
        shorten(text);
    }
    for index in (0..detail.conflicts.len()).rev() {
        while detail.encoded_len() > MOST_BYTES && detail.conflicts[index].missed.pop().is_some() {
            detail.conflicts[index].missed_truncated = true;
        }
    }
    let before = detail.conflicts.len();
    while detail.encoded_len() > MOST_BYTES && detail.conflicts.pop().is_some() {
        let left_out = before - detail.conflicts.len();
        detail.facts.insert("conflictsLeftOut".into(), left_out.to_string());
    }
    detail
}

fn shorten(text: &mut String) {
    if text.len() > LONGEST_TEXT {
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use polylog_log::{Expected, StreamName, Version};

    use super::*;
    use crate::{Code, DataState, EventJson, ExpectedVersion, Framing, testing::recorded};

    fn missed(data: &[u8]) -> EventJson {
        let mut json = Vec::new();
        crate::write_event(&mut json, &recorded(data), DataState::Present, Framing::Document);
        EventJson::new(json).expect("JSON")
    }

    fn conflict(stream: &str, missed: Vec<EventJson>) -> Conflict {
        Conflict {
            stream: StreamName::parse(stream).expect("a name"),
            expected: ExpectedVersion(Expected::Version(Version::new(3))),
            actual: Version::new(5),
            missed,
            missed_truncated: false,
        }
    }

    fn told(problem: &Problem) -> v1::ErrorDetail {
        let details = status_details(problem);
        assert!(details.len() <= MOST_BYTES + 2 * LONGEST_TEXT, "{}", details.len());
        detail_of(&details).expect("ours")
    }

    #[test]
    fn everything_that_a_problem_says_is_told() {
        let mut problem = Problem::new(Code::VersionConflict, "stream S-1 is at version 5, expected 3")
            .next_step("read from version 4 and decide again")
            .retry_after(Duration::from_millis(250))
            .fact("stream", "S-1");
        problem.conflicts.push(conflict("S-1", vec![missed(b"{\"a\": 1}")]));
        let detail = told(&problem);
        assert_eq!((&*detail.code, &*detail.message), ("version_conflict", &*problem.detail));
        assert_eq!(detail.next_step, problem.next_step);
        assert_eq!((detail.written(), detail.retry), (v1::Written::Nothing, false));
        assert_eq!(detail.retry_after, Some(prost_types::Duration { seconds: 0, nanos: 250_000_000 }));
        assert_eq!(detail.facts["stream"], "S-1");
        let told = &detail.conflicts[0];
        assert_eq!((&*told.stream, told.actual, told.missed_truncated), ("S-1", 5, false));
        assert_eq!(told.expected.and_then(|expected| expected.kind), Some(v1::expected::Kind::Version(3)));
        assert_eq!(&told.missed[0].data[..], b"{\"a\": 1}");
    }

    #[test]
    fn what_does_not_fit_into_trailers_is_left_out_and_said_so() {
        let mut problem = Problem::new(Code::VersionConflict, "é".repeat(3_000));
        problem.conflicts.push(conflict("S-1", (0..20).map(|_| missed(&[b'1'; 500])).collect()));
        let detail = told(&problem);
        assert!(detail.conflicts[0].missed_truncated);
        assert!((1..20).contains(&detail.conflicts[0].missed.len()));
        problem.conflicts =
            (0..500).map(|index| conflict(&format!("{}{index}", "x".repeat(150)), vec![])).collect();
        let detail = told(&problem);
        assert!((1..500).contains(&detail.conflicts.len()));
        assert_eq!(detail.facts["conflictsLeftOut"], (500 - detail.conflicts.len()).to_string());
    }
}
