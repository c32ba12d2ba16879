use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use polylog_log::{
    Count, Counted, Failure, Find, Findings, Position, ReadLog, Select, Selected, SourceName, Tally, TallyRow,
};

use crate::{
    ReadError, ReadOptions, Served, TokenPoint,
    caught::caught,
    reader::{Data, Who},
    shared::Shared,
};

/// No log comes so far.
const BEYOND: Position = Position::new((1 << 53) - 1);

/// How long a search waits for a source with an index that is behind, before it looks at the log.
const INDEX_PATIENCE: Duration = Duration::from_secs(1);

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
            None => {
                let to = to.map_or(Position::ZERO, |to| to.position);
                caught(shared.reader.head_of(wanted.of_whom(options).and_reaching(to))).await??
            }
            // a page of nothing says how far this one is
            only => {
                let (from, to) = (BEYOND, BEYOND);
                let nothing = ReadLog { from, to, max_events: 1, max_bytes: 1 };
                caught(shared.reader.read_log(Who::level(only.as_ref()), nothing, Data::AsKept)).await??.head
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

    /// All that show everything up to its end find the same.
    fn who(&self) -> Who<'_> {
        Who::reaching(self.end.position).named(self.only.as_ref())
    }

    /// Events of a window.
    pub async fn select(&self, select: Select) -> Result<Selected, ReadError> {
        Ok(caught(self.shared.reader.select(self.who(), select)).await??)
    }

    /// Counts of a window.
    pub async fn tally(&self, tally: Tally) -> Result<Vec<TallyRow>, ReadError> {
        Ok(caught(self.shared.reader.tally(self.who(), tally)).await??.rows)
    }

    /// The source whose own index is asked, if one has an index and shows what is searched, or soon does.
    async fn index(&self) -> Option<Option<SourceName>> {
        let reader = &self.shared.reader;
        let index = reader.index(self.only.as_ref())?;
        reader.reaches(index.as_ref(), self.end.position, INDEX_PATIENCE).await.then_some(index)
    }

    /// The first events of an order by the index of a source that has one; `None` = there is none that can say it, and the
    /// log has to be looked at.
    pub async fn find_by_index(&self, find: Find) -> Option<(Findings, Served)> {
        let index = self.index().await?;
        let found = caught(self.shared.reader.find_by_index(index.as_ref(), find)).await;
        Some((given(found)?, self.served_by(index)))
    }

    /// Counts by the index of a source that has one, as [`Self::find_by_index`].
    pub async fn count_by_index(&self, count: Count) -> Option<(Counted, Served)> {
        let index = self.index().await?;
        let counted = caught(self.shared.reader.count_by_index(index.as_ref(), count)).await;
        Some((given(counted)?, self.served_by(index)))
    }

    fn served_by(&self, index: Option<SourceName>) -> Served {
        let source = index.unwrap_or_else(|| self.served.source.clone());
        Served { source, ..self.served.clone() }
    }

    /// Checks, once everything was looked at, that the log is still the one that the search began with: a page of it says
    /// nothing of the one before.
    pub async fn confirm(&self) -> Result<(), ReadError> {
        self.shared.check_token(self.end, Duration::ZERO).await
    }
}

/// An index that fails is as none: other ways remain, and tell what is wrong with them.
fn given<T>(answer: Result<Result<Option<T>, Failure>, Failure>) -> Option<T> {
    match answer.and_then(|answer| answer) {
        Ok(answer) => answer,
        Err(failure) => {
            tracing::debug!(%failure, "the index of a source gives no answer");
            None
        }
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("served", &self.served).field("end", &self.end).finish_non_exhaustive()
    }
}
