//! Notices a log that goes back under an open source: nothing is written to it then, and nothing read.

use polylog_log::Seen;
pub(crate) use polylog_source_servers::history::History;

use crate::{connection::Handle, document::HeadDocument, error::EngineError};

impl Handle {
    /// Compares a head with what was seen `before` it was read, and looks into the log where the heads alone do not tell.
    pub(crate) async fn prove(
        &self,
        before: Option<Seen>,
        document: &HeadDocument,
    ) -> Result<(), EngineError> {
        let head = &document.head;
        if let Some(position) = self.history.question(before, head)? {
            let end = self.entry_end(document, position).await?;
            self.history.prove(before, head, end.map(|(point, _)| point.chain))?;
        }
        Ok(())
    }
}
