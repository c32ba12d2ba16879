use std::time::{Duration, Instant};

use polylog_log::{Position, SourceName};

use crate::replicated::{Behind, Place};

/// Who may answer a read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    /// This source alone.
    pub(crate) only: Option<&'a SourceName>,
    /// Also one that lacks some of what may be shown, where none answers that lacks nothing.
    behind: Option<Near>,
}

/// What a source must show that is behind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Near {
    /// Everything up to here.
    pub(crate) to: Position,
    /// It lacks at most this many events that are known of.
    pub(crate) max_lag_events: Option<u64>,
    /// It lacks none that came longer ago.
    pub(crate) max_lag: Option<Duration>,
}

impl<'a> Who<'a> {
    /// Those that are known to hold all that may be shown.
    pub(crate) fn level(only: Option<&'a SourceName>) -> Self {
        Self { only, behind: None }
    }

    /// Also those that are as near as this.
    pub(crate) fn near(only: Option<&'a SourceName>, near: Near) -> Self {
        Self { only, behind: Some(near) }
    }

    /// Any that shows everything up to a position.
    pub(crate) fn reaching(to: Position) -> Self {
        Self::near(None, Near { to, ..Near::default() })
    }

    /// The same, and if one is named it alone.
    #[must_use]
    pub(crate) fn named<'b>(self, only: Option<&'b SourceName>) -> Who<'b> {
        Who { only, behind: self.behind }
    }

    /// The same, and each shows everything up to this position.
    #[must_use]
    pub(crate) fn and_reaching(self, to: Position) -> Self {
        let behind = self.behind.map(|near| Near { to: near.to.max(to), ..near });
        Self { behind, ..self }
    }

    /// Whether a source that is behind may answer.
    pub(super) fn admits(&self, behind: &Behind, place: &Place, now: Instant) -> bool {
        let Some(near) = self.behind.filter(|_| self.only.is_none()) else { return false };
        let shown = behind.settled.cap.position;
        let lag_events = place.cap.position.get().saturating_sub(shown.get());
        shown >= near.to
            && near.max_lag_events.is_none_or(|most| lag_events <= most)
            && near.max_lag.is_none_or(|most| behind.lag(now) <= most)
    }
}
