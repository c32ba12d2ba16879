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
pub(crate) struct PageSize {
    documents: usize,
    /// Bytes of the largest document so far.
    largest: usize,
}

/// Most documents of one page.
const MOST: usize = 500;
/// From so many bytes on a page is made smaller.
const LARGE: usize = 16 << 20;
/// No page is larger than this while no document is larger than those before.
const LARGEST: usize = 4 * LARGE;

impl PageSize {
    pub(crate) fn new() -> Self {
        Self { documents: 20, largest: 1 }
    }

    pub(crate) fn get(&self) -> usize {
        self.documents.min(LARGEST / self.largest).max(1)
    }

    /// Learns from a page: its bytes, and those of its largest document.
    pub(crate) fn had(&mut self, bytes: usize, largest: usize) {
        self.largest = self.largest.max(largest);
        if bytes > LARGE {
            self.documents = (self.documents / 2).max(1);
        } else if bytes < LARGE / 4 {
            self.documents = (self.documents * 2).min(MOST);
        }
    }
}

/// Whether a page that is read one document at a time ends here.
pub(crate) fn is_full(documents: usize, bytes: usize) -> bool {
    documents >= MOST || bytes >= LARGE
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_documents_as_large_as_those_before_is_bounded() {
        let mut size = PageSize::new();
        assert!(size.get() < 100, "nothing is known yet");
        for _ in 0..10 {
            size.had(1 << 10, 1 << 10);
        }
        assert_eq!(size.get(), MOST);
        // one large document among small ones
        size.had(1 << 20, 1 << 20);
        assert_eq!(size.get(), LARGEST >> 20);
        for _ in 0..10 {
            size.had(1 << 10, 1 << 10);
        }
        assert_eq!(size.get(), LARGEST >> 20, "it is remembered");
        size.had(LARGE, LARGE);
        assert_eq!(size.get(), 4);
        size.had(2 * LARGEST, 2 * LARGEST);
        assert_eq!(size.get(), 1);
    }

    #[test]
    fn a_page_ends_with_a_number_of_documents_or_bytes() {
        assert!(!is_full(MOST - 1, LARGE - 1));
        assert!(is_full(MOST, 0) && is_full(1, LARGE));
    }
}
