//! Whether a server looks at what is asked of a write.

use std::future::IntoFuture;

use mongodb::{
    Collection,
    bson::{Document, doc},
    error::ErrorKind,
    options::{Acknowledgment, WriteConcern},
};
use polylog_log::{Failure, RefusedReason};

use crate::{connection::Handle, error::EngineError};

/// A write concern that no server can have.
const NO_SUCH_MODE: &str = "polylog-no-such-mode";

/// What is wrong with a server that takes it.
pub(crate) const UNHEEDED: &str = "it does not look at write concerns (it took one that does not exist)";

impl Handle {
    /// Whether a write concern that does not exist is refused: else one that asks for a majority means nothing, either.
    /// Writes nothing: the update finds no document.
    pub(crate) async fn heeds_write_concerns(
        &self,
        collection: &Collection<Document>,
    ) -> Result<bool, EngineError> {
        let mut nonsense = WriteConcern::majority();
        nonsense.w = Some(Acknowledgment::Custom(NO_SUCH_MODE.into()));
        nonsense.w_timeout = Some(self.config.request_timeout);
        let update = collection
            .update_one(doc! { "_id": NO_SUCH_MODE }, doc! { "$set": { "never": true } })
            .write_concern(nonsense);
        match self.patiently(update.into_future()).await {
            Ok(_) => Ok(false),
            // somebody who may not write here learns nothing
            Err(error) if matches!(error.failure(), Failure::Refused { reason, .. } if reason != RefusedReason::Unsuitable) => {
                Err(error)
            }
            // on whichever way it says that there is no such thing
            Err(EngineError::Driver(error))
                if matches!(*error.kind, ErrorKind::Command(_) | ErrorKind::Write(_)) =>
            {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses a server whose acknowledgements mean nothing, unless that is allowed.
    pub(crate) async fn check_durability(&self) -> Result<(), EngineError> {
        if self.config.allow_unsafe_durability
            || self.heeds_write_concerns(&self.connected().await?.leases).await?
        {
            return Ok(());
        }
        Err(unsuitable(format!("{UNHEEDED}, so that what it acknowledges may be lost")))
    }
}

/// The server lacks something that a log needs.
pub(crate) fn unsuitable(what: impl std::fmt::Display) -> EngineError {
    let message = format!("the server cannot hold a log: {what}");
    Failure::Refused { reason: RefusedReason::Unsuitable, message }.into()
}
