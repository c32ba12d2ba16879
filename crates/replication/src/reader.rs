//! Where a store reads from: one source, or those of several that hold what may be shown.

mod capped;
mod choice;
mod from;
mod joined;
mod who;

use std::{sync::Arc, time::Duration};

use polylog_log::{
    CategoryPage, Chain, Count, Counted, EventId, Failure, Find, Findings, FoundEvent, Head, Identity,
    LogPage, Position, ReadCategory, ReadLog, ReadStream, Select, Selected, Source, SourceName, StreamPage,
    Tallied, Tally,
};

use crate::TokenPoint;

pub(crate) use capped::Capped;
pub(crate) use joined::Data;
pub(crate) use who::{Near, Who};

/// The source side of reading.
#[derive(Clone)]
pub(crate) enum Reader {
    One(Arc<dyn Source>),
    Many(Arc<Capped>),
}

/// What one source shows is the log's as long as it votes alone: beside others a failover may take it back.
fn alone<T>(shown: Result<T, Failure>, head: impl Fn(&T) -> &Head) -> Result<T, Failure> {
    let shown = shown?;
    let config = &head(&shown).config.config;
    if head(&shown).is_sole_voter() {
        return Ok(shown);
    }
    let names: Vec<&str> = config.voters.iter().map(|voter| voter.name.as_str()).collect();
    let names = names.join(", ");
    Err(Failure::Unreachable(format!("the log's voters are {names}, and this process knows one source")))
}

impl Reader {
    pub(crate) async fn head(&self) -> Result<Head, Failure> {
        match self {
            Reader::One(source) => alone(source.head().await, |head| head),
            Reader::Many(capped) => capped.head(),
        }
    }

    /// The head as whoever is asked first would show it.
    pub(crate) async fn head_of(&self, who: Who<'_>) -> Result<Head, Failure> {
        match self {
            Reader::One(source) => alone(source.head().await, |head| head),
            Reader::Many(capped) => capped.head_of(who),
        }
    }

    pub(crate) async fn read_log(&self, who: Who<'_>, read: ReadLog, data: Data) -> Result<LogPage, Failure> {
        match self {
            Reader::One(source) => alone(source.read_log(read).await, |page| &page.head),
            Reader::Many(capped) => capped.read_log(who, read, data).await,
        }
    }

    pub(crate) async fn read_stream(&self, who: Who<'_>, read: ReadStream) -> Result<StreamPage, Failure> {
        match self {
            Reader::One(source) => alone(source.read_stream(read).await, |page| &page.head),
            Reader::Many(capped) => capped.read_stream(who, read).await,
        }
    }

    pub(crate) async fn read_category(
        &self,
        who: Who<'_>,
        read: ReadCategory,
    ) -> Result<CategoryPage, Failure> {
        match self {
            Reader::One(source) => alone(source.read_category(read).await, |page| &page.head),
            Reader::Many(capped) => capped.read_category(who, read).await,
        }
    }

    pub(crate) async fn select(&self, who: Who<'_>, select: Select) -> Result<Selected, Failure> {
        match self {
            Reader::One(source) => alone(source.select(select).await, |selected| &selected.head),
            Reader::Many(capped) => capped.select(who, select).await,
        }
    }

    pub(crate) async fn tally(&self, who: Who<'_>, tally: Tally) -> Result<Tallied, Failure> {
        match self {
            Reader::One(source) => alone(source.tally(tally).await, |tallied| &tallied.head),
            Reader::Many(capped) => capped.tally(who, tally).await,
        }
    }

    /// The source whose own index may be asked; the outer `None` = there is none. `only` = that source alone.
    pub(crate) fn index(&self, only: Option<&SourceName>) -> Option<Option<SourceName>> {
        match self {
            Reader::One(source) => source.has_index().then_some(None),
            Reader::Many(capped) => capped.index(only).map(Some),
        }
    }

    /// Waits until a source may show everything up to a position; `false` = it does not come so far soon.
    pub(crate) async fn reaches(&self, source: Option<&SourceName>, to: Position, at_most: Duration) -> bool {
        match (self, source) {
            (Reader::Many(capped), Some(source)) => capped.reaches(source, to, at_most).await,
            _ => true,
        }
    }

    pub(crate) async fn find_by_index(
        &self,
        only: Option<&SourceName>,
        find: Find,
    ) -> Result<Option<Findings>, Failure> {
        match self {
            Reader::One(source) => {
                let found = source.find_by_index(find).await?;
                found.map(|found| alone(Ok(found), |found| &found.head)).transpose()
            }
            Reader::Many(capped) => capped.find_by_index(only, find).await,
        }
    }

    pub(crate) async fn count_by_index(
        &self,
        only: Option<&SourceName>,
        count: Count,
    ) -> Result<Option<Counted>, Failure> {
        match self {
            Reader::One(source) => {
                let counted = source.count_by_index(count).await?;
                counted.map(|counted| alone(Ok(counted), |counted| &counted.head)).transpose()
            }
            Reader::Many(capped) => capped.count_by_index(only, count).await,
        }
    }

    pub(crate) async fn find(&self, who: Who<'_>, id: EventId) -> Result<FoundEvent, Failure> {
        match self {
            Reader::One(source) => alone(source.find(id).await, |found| &found.head),
            Reader::Many(capped) => capped.find(who, id).await,
        }
    }

    /// The chain at a token's position; `None` = nobody shows so much.
    pub(crate) async fn chain_at(&self, token: TokenPoint) -> Result<Option<Chain>, Failure> {
        let at = token.position;
        match self {
            Reader::One(source) => Ok(source.digests(at..=at).await?.chain),
            Reader::Many(capped) => capped.chain_at(token).await,
        }
    }

    /// Returns when there may be events after `after`, or when `at_most` has passed.
    pub(crate) async fn wait(&self, after: Position, at_most: Duration) {
        match self {
            Reader::One(source) => source.wait(after, at_most).await,
            Reader::Many(capped) => capped.wait(after, at_most).await,
        }
    }

    /// The name of the source that a head belongs to.
    pub(crate) fn name_of(&self, own: (&Identity, &SourceName), identity: &Identity) -> Option<SourceName> {
        match self {
            Reader::One(_) => (own.0 == identity).then(|| own.1.clone()),
            Reader::Many(capped) => capped.name_of(identity),
        }
    }

    /// Asks the primary first, however slow it is; or whoever is likely to answer soonest.
    pub(crate) fn prefer_primary(&self, is_preferred: bool) {
        if let Reader::Many(capped) = self {
            capped.prefer_primary(is_preferred);
        }
    }

    /// Whether there is a source of this name.
    pub(crate) fn has(&self, own: &SourceName, name: &SourceName) -> bool {
        match self {
            Reader::One(_) => own == name,
            Reader::Many(capped) => capped.has(name),
        }
    }
}
