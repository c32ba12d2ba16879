use polylog_log::Position;
use serde::{Deserialize, Serialize};

use crate::Token;

/// What a frame of a subscription says: its name in `event:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frame {
    /// An event's JSON.
    Event,
    /// A [`Mark`]: everything there is has been sent.
    CaughtUp,
    /// A [`Mark`]: the reader is so slow that it no longer follows live.
    FellBehind,
    /// A [`Mark`]: everything up to here was looked at, though nothing matched.
    Checkpoint,
    /// A [`Problem`](crate::Problem); the connection closes.
    Error,
    /// A [`Mark`]: the end that was asked for; connecting again with its id answers 204.
    End,
}

impl Frame {
    /// Every kind.
    pub const ALL: &'static [Frame] =
        &[Frame::Event, Frame::CaughtUp, Frame::FellBehind, Frame::Checkpoint, Frame::Error, Frame::End];

    /// Its name.
    pub const fn text(self) -> &'static str {
        match self {
            Frame::Event => "event",
            Frame::CaughtUp => "caught-up",
            Frame::FellBehind => "fell-behind",
            Frame::Checkpoint => "checkpoint",
            Frame::Error => "error",
            Frame::End => "end",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|frame| frame.text() == text)
    }
}

/// A place in a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Everything up to here was looked at.
    pub position: Position,
    /// The end of the log as the source had it.
    pub head: Position,
    /// The same as the frame's id.
    pub token: Token,
}

/// Appends a frame. `data` must be JSON; its line breaks come as several `data:` lines, as the format wants.
pub fn write_frame(out: &mut Vec<u8>, frame: Frame, id: Option<Token>, data: &[u8]) {
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.to_string().as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(frame.text().as_bytes());
    out.extend_from_slice(b"\ndata: ");
    for &byte in data {
        match byte {
            // a carriage return would end the line as well; JSON has it only between tokens
            b'\r' => out.push(b' '),
            b'\n' => out.extend_from_slice(b"\ndata: "),
            _ => out.push(byte),
        }
    }
    out.extend_from_slice(b"\n\n");
}

/// Appends a comment that keeps the connection open.
pub fn write_heartbeat(out: &mut Vec<u8>) {
    out.extend_from_slice(b": hb\n\n");
}

/// Appends how long a client waits before it connects again.
pub fn write_retry(out: &mut Vec<u8>, wait: std::time::Duration) {
    out.extend_from_slice(format!("retry: {}\n\n", wait.as_millis()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_form_of_server_sent_events() {
        let token: Token = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().expect("a token");
        let mut out = Vec::new();
        write_retry(&mut out, std::time::Duration::from_secs(1));
        write_frame(&mut out, Frame::Event, Some(token), b"{\"a\":\r\n1}");
        write_frame(&mut out, Frame::Error, None, b"{}");
        write_heartbeat(&mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        let expected = format!(
            "retry: 1000\n\nid: {token}\nevent: event\ndata: {{\"a\": \ndata: 1}}\n\nevent: error\ndata: {{}}\n\n: hb\n\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn every_kind_parses_back() {
        for frame in Frame::ALL {
            assert_eq!(Frame::parse(frame.text()), Some(*frame));
        }
        assert_eq!(Frame::parse("message"), None);
    }
}
