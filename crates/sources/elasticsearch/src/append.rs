use polylog_log::{Append, Appended, Effect, Identity, Operation, OperationError, Refusal, Rules, Wanted};

use crate::{
    document::HeadDocument,
    error::EngineError,
    operation::{Request, Writer},
};

/// What one batch in the head holds at most, but for a single commit: the head's document ends at 16 MiB.
pub(crate) const MOST_EVENTS: usize = 2_000;
pub(crate) const MOST_BYTES: usize = 4 << 20;

/// Decides an append.
pub(crate) async fn append(
    writer: &mut Writer,
    of: &Identity,
    head: &HeadDocument,
    append: &Append,
) -> Result<Result<Effect, Refusal>, EngineError> {
    let handle = writer.handle.clone();
    let facts = &handle.facts(head, &Wanted::by_batch(&append.batch), &mut writer.memory).await?;
    let clock = writer.clock().await?;
    let Append { term, config, ref batch, watermarks } = *append;
    Ok(head.head.admit(of, Operation::Append { term, config, batch, facts, watermarks, clock }, Rules::ALL))
}

/// See [`polylog_log::Source::append`]: part by part where the batch is too large for the head.
pub(crate) async fn in_parts(
    writer: &mut Writer,
    of: &Identity,
    append: &Append,
) -> Result<Appended, OperationError> {
    let room = writer.handle.room();
    let parts = parts(&append.batch, room, |commit| (commit.event_count(), commit.size()));
    let mut verdicts = Vec::with_capacity(append.batch.len());
    let (mut head, mut written) = (None, Vec::new());
    for part in parts {
        let request = Request::Append(Append { batch: part.into(), ..append.clone() });
        match writer.operate(of, &request).await {
            Ok(effect) => {
                verdicts.extend(effect.verdicts);
                written.extend(effect.write);
                head = Some(effect.head);
            }
            Err(error) => return Err(after_others(error, head.is_some())),
        }
    }
    let head = head.expect("there is at least one part");
    Ok(Appended { verdicts, head, written })
}

/// What a refusal or failure of a part means for the whole, of which a part may have been written.
pub(crate) fn after_others(error: OperationError, is_begun: bool) -> OperationError {
    match error {
        OperationError::Failed(failure) if is_begun => OperationError::Unknown(failure),
        OperationError::Refused { reason, .. } if is_begun => {
            let what = format!("a part was written before the rest was refused: {reason}");
            OperationError::Unknown(polylog_log::Failure::Unreachable(what))
        }
        error => error,
    }
}

/// Consecutive parts that fit into the head and a request each, where one thing alone does; at least one part.
pub(crate) fn parts<T>(all: &[T], room: usize, size: impl Fn(&T) -> (usize, usize)) -> Vec<&[T]> {
    let (mut parts, mut begin, mut taken) = (Vec::new(), 0, (0, 0));
    for (index, one) in all.iter().enumerate() {
        let (events, bytes) = size(one);
        taken = (taken.0 + events, taken.1 + bytes);
        if (taken.0 > MOST_EVENTS || taken.1 > room.min(MOST_BYTES)) && index > begin {
            parts.push(&all[begin..index]);
            (begin, taken) = (index, (events, bytes));
        }
    }
    parts.push(&all[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_large_as_they_may_be_and_nothing_is_lost() {
        let cut = |sizes: &[(usize, usize)]| {
            parts(sizes, usize::MAX, |size| *size).iter().map(|part| part.len()).collect::<Vec<_>>()
        };
        assert_eq!(cut(&[]), [0]);
        assert_eq!(cut(&[(1, 1); 2_001]), [2_000, 1]);
        assert_eq!(cut(&[(1, MOST_BYTES), (1, 1), (1, 1)]), [1, 2]);
        assert_eq!(parts(&[(1, 10); 5], 25, |size| *size).len(), 3, "a server that takes little");
        assert_eq!(cut(&[(5_000, 1), (1, 2 * MOST_BYTES), (1, 1)]), [1, 1, 1]);
    }
}
