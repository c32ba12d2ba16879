//! Spans of traces through group commit. They exist only where somebody asks for their target: else they cost a look at
//! one number.
//!
//! A request's own trace shows how long its commit waited in the group and how long it was being written. What happened
//! then is the same for all commits of a batch, so it is told once, in a trace of the batch, with links in both directions.

use tracing::{Span, trace_span};

/// The target of all spans.
pub(crate) const TARGET: &str = "polylog::span";

/// The spans of one commit, children of its caller's.
pub(crate) struct CommitSpans {
    caller: Span,
    /// First the one of waiting, then the one of being written; ends when it is replaced or dropped.
    under_way: Span,
    is_sent: bool,
}

impl CommitSpans {
    /// The commit is handed in by the current span. What the store appends by itself has no caller, and no spans.
    pub(crate) fn waiting() -> Self {
        let caller = if is_on() { Span::current() } else { Span::none() };
        let under_way = match caller.is_disabled() {
            true => Span::none(),
            false => trace_span!(target: TARGET, parent: &caller, "group wait"),
        };
        Self { caller, under_way, is_sent: false }
    }

    /// Whether somebody asked for its spans.
    pub(crate) fn is_traced(&self) -> bool {
        !self.caller.is_disabled()
    }

    /// The commit is sent, or sent again, in a batch.
    pub(crate) fn sent(&mut self, batch: &Span) {
        if !self.is_traced() {
            return;
        }
        if !self.is_sent {
            self.is_sent = true;
            self.under_way = trace_span!(target: TARGET, parent: &self.caller, "commit");
        }
        batch.follows_from(&self.caller);
        self.under_way.follows_from(batch);
    }
}

/// Whether anybody asks for spans.
pub(crate) fn is_on() -> bool {
    tracing::span_enabled!(target: TARGET, tracing::Level::TRACE)
}

/// The span of a batch: the root of a trace of its own.
pub(crate) fn batch(attempt: u64, commits: usize) -> Span {
    trace_span!(target: TARGET, parent: None, "group", polylog.attempt = attempt, polylog.commits = commits)
}

/// The span of handing a batch to the source.
pub(crate) fn source_append(batch: &Span, term: polylog_log::Term) -> Span {
    trace_span!(target: TARGET, parent: batch, "source append", polylog.term = term.get())
}
