use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use polylog_log::{Position, ReadLog, Select, Selected, SourceName, Tally, TallyRow};

use crate::{ReadError, ReadOptions, Served, TokenPoint, caught::caught, reader::Data, shared::Shared};

/// No log comes so far.
const BEYOND: Position = Position::new((1 << 53) - 1);

/// A search of the log up to a position that does not move while it lasts.
pub struct Search {
    shared: Arc<Shared>,
    served: Served,
    /// The end of what is searched.
    end: TokenPoint,
    only: Option<SourceName>,
}

impl Search {
    pub(crate) async fn new(
        shared: Arc<Shared>,
        to: Option<TokenPoint>,
        options: &ReadOptions,
    ) -> Result<Self, ReadError> {
        if let Some(to) = to {
            shared.check_token(to, options.wait).await?;
        }
        let wanted = shared.check(options).await?;
        let asked = shared.heads.ask();
        let head = match &options.source {
            None => caught(shared.reader.head()).await??,
            // a page of nothing says how far this one is
            only => {
                let (from, to) = (BEYOND, BEYOND);
                let nothing = ReadLog { from, to, max_events: 1, max_bytes: 1 };
                caught(shared.reader.read_log(only.as_ref(), nothing, Data::AsKept)).await??.head
            }
        };
        shared.heads.publish(&head, asked);
        let served = shared.served(&head, options, wanted)?;
        let end = to.unwrap_or_else(|| TokenPoint::new(shared.identity.log, served.point));
        let tail = head.tail.position;
        if end.position > tail {
            return Err(ReadError::NotCaughtUp { wanted: end.position, tail });
        }
        Ok(Self { shared, served, end, only: options.source.clone() })
    }

    /// What it is served from.
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// The end of what is searched: a further page of the same search takes it as its own.
    pub fn end(&self) -> TokenPoint {
        self.end
    }

    /// The positions that are searched from one on, at most `most` of them; `None` = there are none.
    pub fn window(&self, from: Position, most: u64) -> Option<RangeInclusive<Position>> {
        let from = from.max(Position::FIRST);
        let last = from.get().saturating_add(most.max(1) - 1);
        (from <= self.end.position).then(|| from..=Position::new(last).min(self.end.position))
    }

    /// Events of a window.
    pub async fn select(&self, select: Select) -> Result<Selected, ReadError> {
        Ok(caught(self.shared.reader.select(self.only.as_ref(), select)).await??)
    }

    /// Counts of a window.
    pub async fn tally(&self, tally: Tally) -> Result<Vec<TallyRow>, ReadError> {
        Ok(caught(self.shared.reader.tally(self.only.as_ref(), tally)).await??.rows)
    }

    /// Checks, once everything was looked at, that the log is still the one that the search began with: a page of it says
    /// nothing of the one before.
    pub async fn confirm(&self) -> Result<(), ReadError> {
        self.shared.check_token(self.end, Duration::ZERO).await
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("served", &self.served).field("end", &self.end).finish_non_exhaustive()
    }
}
