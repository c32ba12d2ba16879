//! Notices a log that goes back under an open source: nothing is written to it then, and nothing read.

use polylog_log::{Head, Seen};
pub(crate) use polylog_source_servers::history::History;

use crate::{connection::Session, error::EngineError, records};

/// Compares a head with what was seen `before` it was read, and looks into the log where the heads alone do not tell.
pub(crate) async fn prove(
    history: &History,
    session: &mut Session,
    before: Option<Seen>,
    head: &Head,
) -> Result<(), EngineError> {
    if let Some(position) = history.question(before, head)? {
        let end = records::entry_end(session, head.identity.log, position).await?;
        history.prove(before, head, end.map(|(found, _)| found.chain))?;
    }
    Ok(())
}
