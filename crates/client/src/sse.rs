use std::time::Duration;

/// Longest frame that is taken.
const LONGEST: usize = 64 << 20;

/// A frame of server-sent events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawFrame {
    /// The last id given in it or before it.
    pub(crate) id: Option<String>,
    /// Its name; `message` where none was given.
    pub(crate) event: String,
    /// Its data, lines joined by `\n`.
    pub(crate) data: Vec<u8>,
}

/// Reads server-sent events that come in pieces (WHATWG HTML, section "Server-sent events").
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    after_carriage_return: bool,
    event: String,
    data: Vec<u8>,
    has_data: bool,
    given_id: Option<String>,
    /// The last id of a whole frame: where to go on.
    pub(crate) last_id: Option<String>,
    /// How long to wait before connecting again, as the server asked.
    pub(crate) retry: Option<Duration>,
    frames: std::collections::VecDeque<RawFrame>,
}

impl Parser {
    /// Forgets what a broken connection left half done. The last id stays.
    pub(crate) fn restart(&mut self) {
        let (last_id, retry) = (self.last_id.take(), self.retry);
        *self = Self { given_id: last_id.clone(), last_id, retry, ..Self::default() };
    }

    /// Takes a piece; false when a frame grows beyond all bounds.
    pub(crate) fn push(&mut self, piece: &[u8]) -> bool {
        for &byte in piece {
            let ends_pair = byte == b'\n' && std::mem::take(&mut self.after_carriage_return);
            match byte {
                _ if ends_pair => {}
                b'\n' | b'\r' => {
                    self.after_carriage_return = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    self.end_line(&line);
                }
                _ => {
                    self.after_carriage_return = false;
                    self.line.push(byte);
                }
            }
        }
        self.line.len() + self.data.len() <= LONGEST
    }

    /// The next whole frame.
    pub(crate) fn frame(&mut self) -> Option<RawFrame> {
        self.frames.pop_front()
    }

    fn end_line(&mut self, line: &[u8]) {
        if line.is_empty() {
            return self.end_frame();
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"id" if !value.contains(&0) => self.given_id = Some(String::from_utf8_lossy(value).into_owned()),
            b"retry" => {
                let millis = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                self.retry = millis.map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
    }

    /// Only now does an id count: had the connection broken before, its event would not have been received.
    fn end_frame(&mut self) {
        self.last_id.clone_from(&self.given_id);
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        if std::mem::take(&mut self.has_data) {
            let event = if event.is_empty() { "message".to_owned() } else { event };
            self.frames.push_back(RawFrame { id: self.last_id.clone(), event, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: &str, event: &str, data: &str) -> RawFrame {
        RawFrame { id: Some(id.into()), event: event.into(), data: data.as_bytes().to_vec() }
    }

    #[test]
    fn frames_come_whole_however_the_pieces_are_cut() {
        let text = "retry: 1500\n\n: hb\n\nid: a\nevent: event\ndata: {\"x\":\ndata:  1}\n\nid:b\r\nevent:checkpoint\r\ndata:{}\r\n\r\n\
                    data\rfoo: bar\r\revent: gone\n\nid: c\n\nid: d\n";
        for size in 1..=text.len() {
            let mut parser = Parser::default();
            let mut frames = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                assert!(parser.push(piece));
                frames.extend(std::iter::from_fn(|| parser.frame()));
            }
            let expected = [
                frame("a", "event", "{\"x\":\n 1}"),
                frame("b", "checkpoint", "{}"),
                frame("b", "message", ""),
            ];
            assert_eq!(frames, expected, "pieces of {size}");
            assert_eq!(parser.retry, Some(Duration::from_millis(1500)));
            assert_eq!(parser.last_id.as_deref(), Some("c"));
        }
    }

    #[test]
    fn half_a_frame_is_forgotten_with_its_connection() {
        let mut parser = Parser::default();
        parser.push(b"id: a\ndata: 1\n\nid: b\nevent: event\ndata: {\"ha\ndata: l");
        assert_eq!(parser.frame(), Some(frame("a", "message", "1")));
        assert_eq!(parser.last_id.as_deref(), Some("a"), "the event of b did not come");
        parser.restart();
        parser.push(b"data: 2\n\n");
        assert_eq!(parser.frame(), Some(frame("a", "message", "2")));
    }
}
