use polylog_api::{Conflict, EventJson, ExpectedVersion, Framing, Problem, write_event};
use polylog_log::{Expected, Version, VersionConflict};
use polylog_replication::{AppendError, StreamQuery};

use super::{Call, errors};
use crate::{pipeline::Reader, policy::Verb};

/// Bytes of missed events in one conflict.
const MISSED_BYTES: usize = 256 << 10;

/// What an append's failure is to its caller, with what was missed where a version was not as expected.
pub(crate) async fn complete(call: &Call, error: AppendError, missed: usize) -> Problem {
    let AppendError::VersionConflict { conflicts, .. } = &error else { return errors::of_append(error) };
    let mut shown = Vec::with_capacity(conflicts.len());
    for conflict in conflicts {
        shown.push(with_missed(call, conflict, missed).await);
    }
    let mut problem = errors::of_append(error.clone());
    if let [VersionConflict { stream, expected, actual }] = &conflicts[..] {
        problem.detail =
            format!("stream {stream} is at version {actual}, expected {}", ExpectedVersion(*expected));
        problem.next_step = match first_missed(*expected) {
            Some(first) if first <= *actual => format!("read from version {first} and decide again"),
            _ => "the stream has less than expected: read it and decide again".into(),
        };
    }
    problem.conflicts = shown;
    problem
}

fn first_missed(expected: Expected) -> Option<Version> {
    match expected {
        Expected::Version(version) => Some(version.next()),
        Expected::NoStream => Some(Version::FIRST),
        Expected::Any | Expected::Exists => None,
    }
}

/// Adds up to `limit` events that the caller had not seen, if it may read them. Without them the conflict stands as it
/// is: what was missed can be read afterwards.
async fn with_missed(call: &Call, conflict: &VersionConflict, limit: usize) -> Conflict {
    let VersionConflict { stream, expected, actual } = conflict;
    let (missed, missed_truncated) = missed(call, conflict, limit).await.unwrap_or_default();
    Conflict {
        stream: stream.clone(),
        expected: ExpectedVersion(*expected),
        actual: *actual,
        missed,
        missed_truncated,
    }
}

async fn missed(call: &Call, conflict: &VersionConflict, limit: usize) -> Option<(Vec<EventJson>, bool)> {
    let Call { hosted, policy, caller, .. } = call;
    let from = first_missed(conflict.expected).filter(|first| limit > 0 && *first <= conflict.actual)?;
    let reader = Reader::new(policy, &caller.peer.subject, Verb::Read).ok()?;
    let query = StreamQuery {
        stream: conflict.stream.clone(),
        from: Some(from),
        backward: false,
        limit,
        max_bytes: MISSED_BYTES,
    };
    let read = hosted.store.read_stream(&query, &Default::default()).await.ok()?;
    let mut events = Vec::with_capacity(read.events.len());
    for recorded in read.events.iter().filter(|recorded| reader.may_see(&recorded.event)) {
        let (event, state) = reader.show(policy, &recorded.event).apply(recorded);
        let mut json = Vec::new();
        write_event(&mut json, &event, state, Framing::Document);
        events.push(EventJson::new(json).ok()?);
    }
    Some((events, !read.at_end))
}
