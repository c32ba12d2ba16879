use polylog_log::Failure as Source;

use super::{document::Document, mapping::Mapping};
use crate::exit::Failure;

/// Reads all events of a foreign database, in an order of its own.
pub(crate) trait Reader {
    /// The fields that there are.
    async fn fields(&mut self) -> Result<Fields, Failure>;

    /// What goes without saying for this source.
    fn assume(&self, _mapping: &mut Mapping) {}

    /// Begins behind a page's cursor, or at the beginning. Tells how many events there are in all.
    async fn begin(&mut self, mapping: &Mapping, after: Option<&str>) -> Result<u64, Failure>;

    /// The next ones; none at the end.
    async fn page(&mut self) -> Result<Page, Failure>;

    /// Gives back what the server keeps for this.
    async fn end(&mut self);
}

/// Names of fields.
pub(crate) struct Fields {
    pub(crate) names: Vec<String>,
    /// Whether there can be no others.
    pub(crate) all: bool,
}

/// A part of what is read.
pub(crate) struct Page {
    pub(crate) documents: Vec<Document>,
    /// From where another run can go on; none where the source has nothing to go on from.
    pub(crate) cursor: Option<String>,
}

impl Page {
    pub(crate) fn empty() -> Self {
        Self { documents: Vec::new(), cursor: None }
    }
}

/// How many documents are asked for at once, by how large they turn out to be.
pub(crate) struct PageSize(usize);

/// Most documents of one page.
const MOST: usize = 500;
/// From so many bytes on a page is made smaller.
const LARGE: usize = 16 << 20;

impl PageSize {
    pub(crate) fn new() -> Self {
        Self(100)
    }

    pub(crate) fn get(&self) -> usize {
        self.0
    }

    /// Learns from a page.
    pub(crate) fn had(&mut self, bytes: usize) {
        if bytes > LARGE {
            self.0 = (self.0 / 2).max(1);
        } else if bytes < LARGE / 4 {
            self.0 = (self.0 * 2).min(MOST);
        }
    }
}

/// An error of a source, for the exit code.
pub(crate) fn told(place: &str, failure: &Source) -> Failure {
    let message = format!("{place}: {failure}");
    match failure {
        Source::Unreachable(_) | Source::Timeout(_) => Failure::NoAnswer(message),
        Source::NotProvisioned(_) => Failure::Usage(message),
        _ => Failure::Failed(anyhow::Error::msg(message)),
    }
}
