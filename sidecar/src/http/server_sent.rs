use std::time::Duration;

use polylog_api::{
    DataState, Frame, Framing, Mark, Problem, Token, write_event, write_frame, write_heartbeat, write_retry,
};
use polylog_log::RecordedEvent;

use crate::operations::Frames;

/// How long a client waits before it connects again.
const RETRY: Duration = Duration::from_secs(1);

/// Frames of a subscription as server-sent events.
#[derive(Debug, Default)]
pub(super) struct ServerSent(pub(super) Vec<u8>);

impl ServerSent {
    /// What comes before everything else.
    pub(super) fn greeting() -> Self {
        let mut out = Vec::new();
        write_retry(&mut out, RETRY);
        Self(out)
    }
}

/// The frame that says why a stream ends.
pub(super) fn problem_frame(problem: &Problem) -> Vec<u8> {
    let mut frame = Vec::new();
    let data = serde_json::to_vec(problem).expect("a plain struct serialises into memory");
    write_frame(&mut frame, Frame::Error, None, &data);
    frame
}

impl Frames for ServerSent {
    const EVENTS_HOLD_TOKENS: bool = true;

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn event(&mut self, token: Token, recorded: &RecordedEvent, state: DataState) {
        let mut json = Vec::with_capacity(1 << 10);
        write_event(&mut json, recorded, state, Framing::Line);
        write_frame(&mut self.0, Frame::Event, Some(token), &json);
    }

    fn mark(&mut self, frame: Frame, mark: &Mark) {
        let data = serde_json::to_vec(mark).expect("a plain struct serialises into memory");
        write_frame(&mut self.0, frame, Some(mark.token), &data);
    }

    fn heartbeat(&mut self, _: &Mark) {
        write_heartbeat(&mut self.0);
    }

    fn problem(&mut self, problem: Problem) {
        self.0.extend_from_slice(&problem_frame(&problem));
    }
}
