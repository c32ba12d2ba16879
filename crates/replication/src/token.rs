use polylog_log::{Chain, LogId, Point, Position, RecordedEvent, Term};

/// What a token, a subscription's last id or a checkpoint says: a position, and which history it belongs to.
///
/// A position alone is not enough: after a lost tail the same number names another event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenPoint {
    /// The first bytes of the log's id.
    pub log: [u8; 4],
    /// A position; may stand inside a commit.
    pub position: Position,
    /// The term of the entry that holds it.
    pub term: Term,
    /// The first bytes of the chain at the end of the entry that holds it.
    pub chain: [u8; 8],
}

impl TokenPoint {
    /// The token of the end of an entry.
    pub fn new(log: LogId, point: Point) -> Self {
        Self {
            log: log_prefix(log),
            position: point.position,
            term: point.term,
            chain: chain_prefix(point.chain),
        }
    }

    /// The token of an event, which may stand inside its commit.
    pub fn of_event(log: LogId, event: &RecordedEvent) -> Self {
        Self {
            log: log_prefix(log),
            position: event.event.position,
            term: event.term,
            chain: chain_prefix(event.chain),
        }
    }

    /// Whether it was given out for this log.
    pub fn is_of(&self, log: LogId) -> bool {
        self.log == log_prefix(log)
    }

    /// Whether the log's chain at its position is the one it was given out for.
    pub fn matches(&self, chain: Chain) -> bool {
        self.chain == chain_prefix(chain)
    }
}

fn log_prefix(log: LogId) -> [u8; 4] {
    let [a, b, c, d, ..] = *log.as_bytes();
    [a, b, c, d]
}

fn chain_prefix(chain: Chain) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *chain.as_bytes();
    [a, b, c, d, e, f, g, h]
}
