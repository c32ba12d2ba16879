use polylog_log::RecordedEvent;

use crate::{DataState, Framing, Served, json::write_number, write_event};

/// Writes the answer to a read, event by event.
#[derive(Debug)]
pub struct PageWriter {
    out: Vec<u8>,
    is_empty: bool,
}

impl Default for PageWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl PageWriter {
    /// A page without events.
    pub fn new() -> Self {
        Self { out: b"{\"events\":[".to_vec(), is_empty: true }
    }

    /// Adds an event.
    pub fn push(&mut self, event: &RecordedEvent, state: DataState) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        write_event(&mut self.out, event, state, Framing::Document);
    }

    /// Bytes so far.
    pub fn size(&self) -> usize {
        self.out.len()
    }

    /// Ends the page. `next_from` is a position in reads of the log, a version in reads of a stream.
    pub fn finish(mut self, next_from: impl Into<u64>, at_end: bool, served: &Served) -> Vec<u8> {
        self.out.extend_from_slice(b"],\"nextFrom\":");
        write_number(&mut self.out, next_from.into());
        self.out.extend_from_slice(if at_end { b",\"atEnd\":true" } else { b",\"atEnd\":false" });
        self.out.extend_from_slice(b",\"served\":");
        serde_json::to_writer(&mut self.out, served).expect("a plain struct serialises into memory");
        self.out.push(b'}');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use polylog_log::{Position, SourceName};

    use super::*;
    use crate::{ReadPage, testing::recorded};

    #[test]
    fn a_page_reads_back() {
        let position = Position::new(9);
        let served = Served { source: SourceName::recorded("ledger"), position, lag: 0 };
        for count in 0..3 {
            let mut page = PageWriter::new();
            (0..count).for_each(|_| page.push(&recorded(b"[1]"), DataState::Redacted));
            let bytes = page.finish(Position::new(10), count == 0, &served);
            let read: ReadPage<Position> = serde_json::from_slice(&bytes).expect("a page");
            assert_eq!(
                (read.events.len(), read.next_from, read.at_end),
                (count, Position::new(10), count == 0)
            );
            assert_eq!(read.served, served);
            assert!(read.events.iter().all(|event| event.data_state == DataState::Redacted));
        }
    }
}
