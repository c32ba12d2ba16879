//! A source with a document store's atoms: a conditional update of one document, an insert if absent, reads that span no
//! two documents.
//!
//! The head is one document. It holds the batch in flight, so that one swap of it, conditional on its revision, decides
//! and records an append at once. Then the batch is *written out*, one document per event, by whoever comes along, under
//! the revision of the head it was read from; a document of a lower revision gives way. Below `base` everything is
//! written out, and only there are event documents facts.

mod documents;
mod operate;
mod reads;
mod source;
mod store;
mod swap;

use std::sync::Arc;

use polylog_log::{Failure, Head, Position};

use self::documents::{Collections, HeadDocument};
use crate::{Options, OtherData, database};

/// A database with single-document updates.
pub enum Document {}

/// A simulated document store with one log in it. Clones share it.
pub type Database = database::Database<Document>;

/// A connection to a [`Database`]: a source.
pub type Connection = database::Connection<Document>;

impl database::Kind for Document {
    type Content = Collections;
    type Shared = ();
    const FAIL_POINTS: &[&str] = store::FAIL_POINTS;

    fn damage(collections: &mut Collections, position: Position, other: Option<OtherData>) {
        let Some(document) = collections.events.remove(&position) else { return };
        if let Some(other) = other {
            let row = Arc::new(document.row.with_data(other));
            collections.events.insert(position, documents::EventDocument { row, ..document });
        }
    }

    fn content(head: Head, _: Options) -> Collections {
        Collections::new(HeadDocument::new(head))
    }
}

/// A request without an answer: it may have been executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lost;

impl From<Lost> for Failure {
    fn from(_: Lost) -> Self {
        Failure::Unreachable("a request to the document store got no answer".into())
    }
}
