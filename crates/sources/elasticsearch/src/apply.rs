use polylog_log::{
    Apply, Applying, Effect, Entry, Head, Identity, Operation, OperationError, Refusal, Rules,
};

use crate::{
    append::{after_others, parts},
    document::HeadDocument,
    operation::{Request, Writer},
};

/// Decides an apply.
pub(crate) fn apply(of: &Identity, head: &HeadDocument, apply: &Apply) -> Result<Effect, Refusal> {
    let Apply { term, previous, ref entries, watermarks } = *apply;
    head.head.admit(of, Operation::Apply(Applying { term, previous, entries, watermarks }), Rules::ALL)
}

/// See [`polylog_log::Source::apply`]: part by part where the entries are too large for the head.
pub(crate) async fn in_parts(
    writer: &mut Writer,
    of: &Identity,
    apply: &Apply,
) -> Result<Head, OperationError> {
    let mut head: Option<Head> = None;
    let room = writer.handle.room();
    for part in parts(&apply.entries, room, |entry: &Entry| (entry.events.len(), entry.size())) {
        let previous = head.as_ref().map_or(apply.previous, |head| head.tail);
        let request = Request::Apply(Apply { previous, entries: part.into(), ..apply.clone() });
        match writer.operate(of, &request).await {
            Ok(effect) => head = Some(effect.head),
            Err(error) => return Err(after_others(error, head.is_some())),
        }
    }
    Ok(head.expect("there is at least one part"))
}
