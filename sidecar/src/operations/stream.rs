use polylog_api::{Code, Problem, RequestError};
use polylog_log::{Category, StreamName};

use super::{Call, View};
use crate::{pipeline::denied, policy::Verb};

/// The name of a stream to be read: also one of the log's own.
pub(crate) fn readable_name(name: &str) -> Result<StreamName, Problem> {
    if [polylog_log::TERM, polylog_log::CONFIG, polylog_log::POLICY].contains(&name) {
        return Ok(StreamName::recorded(name));
    }
    StreamName::parse(name).map_err(|error| RequestError::from(error).within("stream").into())
}

/// Refuses a stream of a category that the caller may not read, and one that does not exist.
pub(crate) fn check_stream(
    call: &Call,
    view: &View,
    stream: &StreamName,
    recorded: Option<&Category>,
) -> Result<(), Problem> {
    let category = recorded.cloned().unwrap_or_else(|| stream.default_category());
    if !view.reader().may_see_category(&category) {
        let verb = if category.is_system() { Verb::Admin } else { Verb::Read };
        return Err(denied(&call.caller.peer.subject, verb, Some(category.as_str())));
    }
    if recorded.is_some() {
        return Ok(());
    }
    Err(Problem::new(Code::StreamNotFound, format_args!("stream {stream} has no events"))
        .next_step("check the name; a stream begins with its first append")
        .fact("stream", stream))
}
