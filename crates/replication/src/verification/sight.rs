use std::sync::Arc;

use polylog_log::{Position, SourceName};

use crate::{heads::Heads, replicated::Handle};

/// How a store sees its sources.
pub(crate) enum Sight {
    /// The one source, and where its log ends.
    One(SourceName, Arc<Heads>),
    Many(Handle),
}

/// What is there to be verified.
pub(super) struct Seen {
    /// What may be shown of the log ends here.
    pub(super) end: Position,
    /// The primary of the term.
    pub(super) primary: SourceName,
    /// Those that answer, and how far each holds the log.
    pub(super) sources: Vec<(SourceName, Position)>,
}

impl Sight {
    /// `None` = nothing is known of the log, or another process verifies it.
    pub(super) fn look(&self) -> Option<Seen> {
        match self {
            Self::One(name, heads) => {
                let end = heads.newest().tail.position;
                Some(Seen { end, primary: name.clone(), sources: vec![(name.clone(), end)] })
            }
            Self::Many(handle) => {
                let view = handle.view();
                let (primary, _) = view.primary.clone().filter(|_| view.has_duties)?;
                let end = view.place.as_ref()?.cap.position;
                let answering = view.sources.iter().filter(|source| source.failure.is_none());
                let sources = answering.map(|source| {
                    let held = match source.seen.name == primary {
                        true => end,
                        false => source.seen.held.map_or(Position::ZERO, |held| held.position),
                    };
                    (source.seen.name.clone(), held.min(end))
                });
                let sources = sources.collect();
                Some(Seen { end, primary, sources })
            }
        }
    }
}
