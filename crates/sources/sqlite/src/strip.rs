use polylog_log::{Head, Identity, OperationError, Rules, Strip};

use crate::{connection::Slot, head, operation::transact};

const STRIP: &str =
    "UPDATE polylog_events SET data = NULL WHERE position = ?1 AND digest = ?2 AND type NOT LIKE '$%'";

/// See [`polylog_log::Source::strip`].
pub(crate) fn strip(slot: &mut Slot, of: &Identity, strip: &Strip) -> Result<Head, OperationError> {
    let outcome = transact(slot, |connection, _| {
        let head = head::load(connection)?;
        if let Err(reason) = head.admit_strip(of, Rules::ALL) {
            return Ok(Err((reason, Box::new(head))));
        }
        let mut update = connection.prepare_cached(STRIP)?;
        for (position, digest) in &strip.events {
            update.execute(rusqlite::params![position.get().cast_signed(), digest.as_bytes()])?;
        }
        Ok(Ok(head))
    })?;
    outcome.map_err(|(reason, head)| OperationError::Refused { reason, head })
}
