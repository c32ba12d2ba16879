use std::fmt::Write as _;

use polylog_log::{Head, Identity, Rules, Strip};

use crate::{
    error::EngineError,
    operation::{Stopped, Writer},
    script::Script,
    tables::Statement,
};

/// The positions follow, and then the pairs.
const STRIP: Statement =
    Statement("UPDATE polylog_events SET data = NULL WHERE type NOT LIKE '$%' AND position IN (");

/// See [`polylog_log::Source::strip`].
pub(crate) async fn strip(writer: &mut Writer, of: &Identity, strip: &Strip) -> Result<Head, Stopped> {
    let mut transaction = writer.begin().await?;
    let head = transaction.head.clone();
    if let Err(reason) = head.admit_strip(of, Rules::ALL) {
        return Err(transaction.refuse(reason).await?);
    }
    if !strip.events.is_empty() {
        let session = transaction.session()?;
        let statement = statement(session.statements.sql(STRIP).as_str(), strip);
        Script::default().then(statement).run(&mut session.connection).await.map_err(EngineError::from)?;
    }
    transaction.commit().await?;
    Ok(head)
}

/// One statement, so that the head's lock is held for one round trip. Only numbers and hexadecimal digits are put into it.
fn statement(begin: &str, strip: &Strip) -> String {
    let (mut positions, mut pairs) = (String::new(), String::new());
    for (position, digest) in &strip.events {
        let comma = if positions.is_empty() { "" } else { ", " };
        let _ = write!(positions, "{comma}{position}");
        let _ = write!(pairs, "{comma}({position}, x'{digest}')");
    }
    format!("{begin}{positions}) AND (position, digest) IN ({pairs})")
}
