use bytes::{Buf, Bytes, BytesMut};
use polylog_api::ReceivedEvent;

/// Longest line that is taken; an event is far below, unless its store's limits were raised.
const LONGEST: usize = 64 << 20;

/// One event's JSON as it was received, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLine(Bytes);

impl EventLine {
    pub(crate) fn new(json: Bytes) -> Self {
        if !json.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Self(json);
        }
        // strings have them escaped, so these stand between tokens
        let spaced = json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
        Self(spaced.collect())
    }

    /// The JSON, without a line break.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its fields.
    pub fn read(&self) -> Result<ReceivedEvent, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }
}

/// A line that does not end.
#[derive(Debug, thiserror::Error)]
#[error("a line is longer than 64 MiB")]
pub(crate) struct TooLong;

/// Cuts a body that comes in pieces into lines.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    buffer: BytesMut,
    searched: usize,
}

impl Splitter {
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), TooLong> {
        if self.buffer.len() + piece.len() > LONGEST {
            return Err(TooLong);
        }
        self.buffer.extend_from_slice(piece);
        Ok(())
    }

    /// The next whole line, without its end.
    pub(crate) fn line(&mut self) -> Option<Bytes> {
        let Some(found) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + found).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        Some(line)
    }

    /// Whether a line was begun and not ended.
    pub(crate) fn is_within_line(&self) -> bool {
        !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_pieces_are_cut() {
        let text = b"{\"a\":1}\n\n{\"b\":2}\n{\"c\"";
        for size in 1..=text.len() {
            let mut splitter = Splitter::default();
            let mut lines = Vec::new();
            for piece in text.chunks(size) {
                splitter.push(piece).expect("short");
                lines.extend(std::iter::from_fn(|| splitter.line()));
            }
            assert_eq!(lines, [&b"{\"a\":1}"[..], b"", b"{\"b\":2}"], "pieces of {size}");
            assert!(splitter.is_within_line());
        }
    }

    #[test]
    fn an_event_stands_on_one_line() {
        let line = EventLine::new(Bytes::from_static(b"{\n\"a\":\r\n\"\\n\"}"));
        assert_eq!(line.as_bytes(), b"{ \"a\":  \"\\n\"}");
    }
}
