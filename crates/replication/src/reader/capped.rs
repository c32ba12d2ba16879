//! Reads of a log over several sources: nothing beyond the cap is shown.
//!
//! What a majority holds is the same in every source that holds it, and stays: the one that is likely to answer soonest is
//! asked, the primary where they are alike, and the others when it fails. Below a majority the primary of the term alone
//! holds all that may be shown. Where nobody answers who holds it, a read that may lack some of it is answered by those
//! that are behind, as far as a majority holds what they have.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use polylog_log::{
    CategoryPage, Chain, Count, Counted, EventId, Failure, Find, Findings, FoundEvent, Head, Identity,
    LogPage, Point, Position, ReadCategory, ReadLog, ReadStream, RecordedEvent, Select, Selected, Source,
    SourceName, StreamPage, Tallied, Tally, Version,
};
use tokio::time::timeout;

use super::{
    choice::{Choice, Pages, Question},
    from::{From, shown},
    joined::{self, Data},
    who::Who,
};
use crate::{
    TokenPoint,
    caught::caught,
    quorum::Settled,
    replicated::{Handle, Place, Replica, View},
};

/// How long a source may take to answer a read before the next one is asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// A source that lacks more events is not waited for.
const FAR: u64 = 20_000;

/// Events of a stream that are looked at in one step for its last one below the cap.
const BACK: usize = 64;

pub(crate) struct Capped {
    handle: Handle,
    sources: BTreeMap<SourceName, (Arc<dyn Source>, Identity)>,
    choice: Choice,
    /// Whether the primary is asked first, however slow it is.
    prefers_primary: AtomicBool,
}

/// Who may be asked, and how far it may be shown.
struct Candidate {
    name: SourceName,
    cap: Point,
    settled: Option<Settled>,
}

impl Capped {
    pub(crate) fn new(handle: Handle, replicas: Vec<Replica>) -> Self {
        let sources =
            replicas.into_iter().map(|replica| (replica.name, (replica.source, replica.identity))).collect();
        Self { handle, sources, choice: Choice::default(), prefers_primary: AtomicBool::new(false) }
    }

    fn prefers_primary(&self) -> bool {
        self.prefers_primary.load(Ordering::Relaxed)
    }

    pub(crate) fn prefer_primary(&self, is_preferred: bool) {
        self.prefers_primary.store(is_preferred, Ordering::Relaxed);
    }

    pub(crate) fn head(&self) -> Result<Head, Failure> {
        let view = self.handle.view();
        let place = view.place.as_ref().ok_or_else(unknown)?;
        Ok(place.shown(view.number))
    }

    pub(crate) fn head_of(&self, who: Who<'_>) -> Result<Head, Failure> {
        let view = self.handle.view();
        let place = view.place.as_ref().ok_or_else(unknown)?;
        let first = self.candidates(&view, place, who).into_iter().next().ok_or_else(unknown)?;
        if who.only.is_none() && first.settled.is_none() {
            return Ok(place.shown(view.number));
        }
        let (_, identity) = self.sources.get(&first.name).ok_or_else(unknown)?;
        Ok(shown(place, view.number, *identity, first.cap))
    }

    /// The head, if nothing from a position on is shown: then no source has to be asked, and none has answered.
    fn ends_before(&self, only: Option<&SourceName>, from: Position) -> Result<Option<Head>, Failure> {
        let head = self.head_of(Who::level(only))?;
        Ok((from > head.tail.position).then_some(head))
    }

    pub(crate) fn has(&self, name: &SourceName) -> bool {
        self.sources.contains_key(name)
    }

    pub(crate) fn name_of(&self, identity: &Identity) -> Option<SourceName> {
        let mut sources = self.sources.iter();
        sources.find(|(_, (_, of))| of == identity).map(|(name, _)| name.clone())
    }

    pub(crate) async fn read_log(&self, who: Who<'_>, read: ReadLog, data: Data) -> Result<LogPage, Failure> {
        let mut page = self.page(who, read).await?;
        joined::entries(&self.sources, &mut page.entries, read.max_bytes, data).await?;
        Ok(page)
    }

    async fn page(&self, who: Who<'_>, read: ReadLog) -> Result<LogPage, Failure> {
        if let Some(head) = self.ends_before(who.only, read.from)? {
            return Ok(LogPage { entries: Vec::new(), head });
        }
        self.answer(Question::Log(Pages::of(read.max_events)), who, |from| async move {
            if read.from > from.cap.position {
                return Ok(LogPage { entries: Vec::new(), head: from.shown() });
            }
            let read = ReadLog { to: read.to.min(from.cap.position), ..read };
            let page = from.source.read_log(read).await?;
            from.check(&page.head)?;
            Ok(LogPage { entries: page.entries, head: from.shown() })
        })
        .await
    }

    pub(crate) async fn read_category(
        &self,
        who: Who<'_>,
        read: ReadCategory,
    ) -> Result<CategoryPage, Failure> {
        let mut page = self.category_page(who, &read).await?;
        let whole = self.joined(&mut page.events, read.max_bytes, Data::IfThere).await?;
        page.is_complete &= whole;
        Ok(page)
    }

    async fn category_page(&self, who: Who<'_>, read: &ReadCategory) -> Result<CategoryPage, Failure> {
        if let Some(head) = self.ends_before(who.only, *read.range.start())? {
            return Ok(CategoryPage { events: Vec::new(), is_complete: true, head });
        }
        self.answer(Question::Category(Pages::of(read.max_events)), who, |from| async move {
            let to = (*read.range.end()).min(from.cap.position);
            if *read.range.start() > to {
                return Ok(CategoryPage { events: Vec::new(), is_complete: true, head: from.shown() });
            }
            let read = ReadCategory { range: *read.range.start()..=to, ..read.clone() };
            let page = from.source.read_category(read).await?;
            from.check(&page.head)?;
            Ok(CategoryPage { head: from.shown(), ..page })
        })
        .await
    }

    pub(crate) async fn select(&self, who: Who<'_>, select: Select) -> Result<Selected, Failure> {
        let mut selected = self.selected(who, &select).await?;
        if !self.joined(&mut selected.events, select.max_bytes, Data::Whole).await?
            && let Some(last) = selected.events.last()
        {
            selected.looked_to = last.event.position;
        }
        Ok(selected)
    }

    async fn selected(&self, who: Who<'_>, select: &Select) -> Result<Selected, Failure> {
        self.answer(Question::Select, who, |from| async move {
            from.check_reach(*select.range.end())?;
            let selected = from.source.select(select.clone()).await?;
            from.check(&selected.head)?;
            Ok(Selected { head: from.shown(), ..selected })
        })
        .await
    }

    pub(crate) async fn tally(&self, who: Who<'_>, tally: Tally) -> Result<Tallied, Failure> {
        let tally = &tally;
        self.answer(Question::Tally, who, |from| async move {
            from.check_reach(*tally.range.end())?;
            let tallied = from.source.tally(tally.clone()).await?;
            from.check(&tallied.head)?;
            Ok(Tallied { head: from.shown(), ..tallied })
        })
        .await
    }

    /// The source whose own index may be asked, that answers.
    pub(crate) fn index(&self, only: Option<&SourceName>) -> Option<SourceName> {
        let view = self.handle.view();
        let mut sources = self.sources.iter();
        let has_index = |(name, (source, _)): &(&SourceName, &(Arc<dyn Source>, Identity))| {
            only.is_none_or(|only| only == *name) && source.has_index() && !is_failing(&view, name)
        };
        sources.find(has_index).map(|(name, _)| name.clone())
    }

    /// Waits until a source may show everything up to a position; `false` = it does not come so far soon.
    pub(crate) async fn reaches(&self, source: &SourceName, to: Position, at_most: Duration) -> bool {
        let shows = |view: &View| {
            let place = view.place.as_ref()?;
            Some(self.candidates(view, place, Who::level(Some(source))).first()?.cap.position)
        };
        let mut views = self.handle.views();
        let is_far = |view: &View| {
            let shown = shows(view).unwrap_or(Position::ZERO);
            is_failing(view, source) || to.get() - shown.get().min(to.get()) > FAR
        };
        if is_far(&self.handle.view()) {
            return false;
        }
        let reached = views.wait_for(|view| shows(view).is_some_and(|shown| shown >= to));
        timeout(at_most, reached).await.is_ok_and(|reached| reached.is_ok())
    }

    pub(crate) async fn find_by_index(
        &self,
        only: Option<&SourceName>,
        find: Find,
    ) -> Result<Option<Findings>, Failure> {
        let asked = &find;
        let found = self.answer(Question::Index, Who::level(only), |from| async move {
            from.check_reach(asked.sought.to)?;
            let Some(found) = from.source.find_by_index(asked.clone()).await? else { return Ok(None) };
            from.check(&found.head)?;
            Ok(Some(Findings { head: from.shown(), ..found }))
        });
        let Some(mut found) = found.await? else { return Ok(None) };
        found.has_more |= !self.joined(&mut found.events, find.max_bytes, Data::Whole).await?;
        Ok(Some(found))
    }

    pub(crate) async fn count_by_index(
        &self,
        only: Option<&SourceName>,
        count: Count,
    ) -> Result<Option<Counted>, Failure> {
        let count = &count;
        self.answer(Question::Index, Who::level(only), |from| async move {
            from.check_reach(count.sought.to)?;
            let Some(counted) = from.source.count_by_index(count.clone()).await? else { return Ok(None) };
            from.check(&counted.head)?;
            Ok(Some(Counted { head: from.shown(), ..counted }))
        })
        .await
    }

    pub(crate) async fn find(&self, who: Who<'_>, id: EventId) -> Result<FoundEvent, Failure> {
        let mut found = self.found(who, id).await?;
        let event = found.event.as_mut().map(|found| &mut found.event);
        joined::join(&self.sources, &mut event.into_iter().collect::<Vec<_>>(), 1, 0, Data::IfThere).await?;
        Ok(found)
    }

    async fn found(&self, who: Who<'_>, id: EventId) -> Result<FoundEvent, Failure> {
        self.answer(Question::Event, who, |from| async move {
            let found = from.source.find(id).await?;
            from.check(&found.head)?;
            let cap = from.cap.position;
            let event = found.event.filter(|event| event.event.position <= cap);
            if event.is_none() {
                from.check_absent()?;
            }
            Ok(FoundEvent { event, head: from.shown() })
        })
        .await
    }

    pub(crate) async fn read_stream(&self, who: Who<'_>, read: ReadStream) -> Result<StreamPage, Failure> {
        let mut page = self.stream_page(who, &read).await?;
        self.joined(&mut page.events, read.max_bytes, Data::IfThere).await?;
        Ok(page)
    }

    async fn stream_page(&self, who: Who<'_>, read: &ReadStream) -> Result<StreamPage, Failure> {
        self.answer(Question::Stream(Pages::of(read.max_events)), who, |from| async move {
            let page = from.source.read_stream(read.clone()).await?;
            from.check(&page.head)?;
            check_dense(&page.events)?;
            let cap = from.cap.position;
            let Some(stream) = page.stream else {
                from.check_absent()?;
                return Ok(StreamPage { events: Vec::new(), stream: None, head: from.shown() });
            };
            if page.head.tail.position <= cap {
                return Ok(StreamPage { events: page.events, stream: Some(stream), head: from.shown() });
            }
            let last = last_shown(&from, read, stream.version).await?;
            if last.is_zero() {
                from.check_absent()?;
                return Ok(StreamPage { events: Vec::new(), stream: None, head: from.shown() });
            }
            // a backward read that began with what is not shown begins again with what is
            let begins_beyond = read.backward && read.from > last && last < stream.version;
            let events = match begins_beyond {
                false => page.events,
                true => {
                    let page = from.source.read_stream(ReadStream { from: last, ..read.clone() }).await?;
                    from.check(&page.head)?;
                    check_dense(&page.events)?;
                    page.events
                }
            };
            let events = events.into_iter().filter(|event| event.event.position <= cap).collect();
            let stream = polylog_log::StreamHead { version: last, ..stream };
            Ok(StreamPage { events, stream: Some(stream), head: from.shown() })
        })
        .await
    }

    pub(crate) async fn chain_at(&self, token: TokenPoint) -> Result<Option<Chain>, Failure> {
        let at = token.position;
        self.answer(Question::Digests, Who::reaching(at), |from| async move {
            let digests = from.source.digests(at..=at).await?;
            // an entry that is not shown has no chain
            let chain = digests.chain.filter(|_| at <= from.cap.position);
            match from.settled.is_some() && !chain.is_some_and(|chain| token.matches(chain)) {
                false => Ok(chain),
                // it may be this one whose history was lost
                true => Err(Failure::Unreachable("the token's history is not known here".into())),
            }
        })
        .await
    }

    pub(crate) async fn wait(&self, after: Position, at_most: Duration) {
        let mut views = self.handle.views();
        // how it ends does not matter: whoever waits asks again
        let _ = tokio::time::timeout(at_most, views.wait_for(|view| view.cap() > after)).await;
    }

    /// Puts their data into events; those beyond `budget` bytes are cut off. Whether all are left.
    async fn joined(
        &self,
        events: &mut Vec<RecordedEvent>,
        budget: usize,
        data: Data,
    ) -> Result<bool, Failure> {
        let mut mutable: Vec<_> = events.iter_mut().map(|event| &mut event.event).collect();
        let whole = joined::join(&self.sources, &mut mutable, 1, budget, data).await?;
        let are_all = whole == events.len();
        events.truncate(whole);
        Ok(are_all)
    }

    /// Asks one source after the other, the one first that is likely to answer soonest; the last one's failure is told.
    async fn answer<T, F>(
        &self,
        question: Question,
        who: Who<'_>,
        read: impl Fn(From) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let view = self.handle.view();
        let place = view.place.as_ref().ok_or_else(unknown)?;
        let mut failure = unknown();
        let mut candidates = self.candidates(&view, place, who);
        let is_among_first = |one: &Candidate| self.rank(&view, place, one) == FIRST;
        let first = candidates.partition_point(is_among_first);
        if !self.prefers_primary() {
            self.choice.order(question, &mut candidates[..first], |one| &one.name, now());
        }
        let mut candidates = candidates.into_iter().peekable();
        while let Some(Candidate { name, cap, settled }) = candidates.next() {
            let Some((source, identity)) = self.sources.get(&name).cloned() else { continue };
            let lacks = settled.is_some();
            let from = From { source, identity, place: place.clone(), cap, settled, number: view.number };
            let asked = self.choice.ask(question, &name, now());
            let answering = caught(read(from));
            let answered = match candidates.peek() {
                // the last has all the time that it takes
                None => answering.await,
                // and so has the last that lacks nothing, while it lives
                Some(next) if !lacks && next.settled.is_some() && !is_failing(&view, &name) => {
                    tokio::select! {
                        answered = answering => answered,
                        () = self.fails(&name) => Err(Failure::Unreachable("it does not answer".into())),
                    }
                }
                Some(_) => timeout(PATIENCE, answering).await.unwrap_or(Err(Failure::Timeout(PATIENCE))),
            };
            match answered {
                Ok(Ok(answer)) => {
                    asked.answered(now());
                    self.handle.answered(&name);
                    return Ok(answer);
                }
                Ok(Err(failed)) | Err(failed) => {
                    asked.failed(now());
                    failure = failed;
                }
            }
        }
        Err(failure)
    }

    /// Waits until a source did not answer when it was looked at.
    async fn fails(&self, name: &SourceName) {
        let mut views = self.handle.views();
        if views.wait_for(|view| is_failing(view, name)).await.is_err() {
            // nobody looks any more
            std::future::pending().await
        }
    }

    /// Who may be asked, best first.
    fn candidates(&self, view: &View, place: &Place, who: Who<'_>) -> Vec<Candidate> {
        let now = now();
        let holders = place.holders.iter().filter(|name| who.only.is_none_or(|only| only == *name));
        let holders = holders.map(|name| Candidate { name: name.clone(), cap: place.cap, settled: None });
        let admitted = view.behind.iter().filter(|behind| who.admits(behind, place, now));
        let behind = admitted.map(|behind| {
            let settled = behind.settled;
            let cap = if settled.cap.position < place.cap.position { settled.cap } else { place.cap };
            Candidate { name: behind.name.clone(), cap, settled: Some(settled) }
        });
        let mut candidates: Vec<_> = holders.chain(behind).collect();
        candidates.sort_by_key(|one| self.rank(view, place, one));
        let Some(only) = who.only.filter(|_| candidates.is_empty()) else { return candidates };
        let seen = view.sources.iter().find(|source| source.seen.name == *only);
        let held = seen.and_then(|source| source.seen.held);
        let capped = |held: Point| if held.position < place.cap.position { held } else { place.cap };
        held.map(|held| Candidate { name: only.clone(), cap: capped(held), settled: None })
            .into_iter()
            .collect()
    }

    /// Those that did not answer last time come last, before them those that are behind, the nearest first, and before these
    /// those that are to be spared.
    fn rank(&self, view: &View, place: &Place, one: &Candidate) -> Rank {
        let Candidate { name, cap, settled } = one;
        let reads_write = || self.sources.get(name).is_some_and(|(source, _)| source.reads_write());
        let is_spared = place.spared.contains(name) || !self.prefers_primary() && reads_write();
        let reach = settled.map_or(Position::ZERO, |_| cap.position);
        (is_failing(view, name), settled.is_some(), is_spared, Reverse(reach))
    }
}

/// Whether a source is failing, behind, and to be spared, and how far it may be shown if it is behind.
type Rank = (bool, bool, bool, Reverse<Position>);
const FIRST: Rank = (false, false, false, Reverse(Position::ZERO));

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Versions of a stream have no hole: where a source shows one, a row is missing in it.
fn check_dense(events: &[RecordedEvent]) -> Result<(), Failure> {
    let follows = |pair: &[RecordedEvent]| {
        let [one, other] = [&pair[0].event, &pair[1].event].map(|event| event.version);
        one.next() == other || other.next() == one
    };
    match events.windows(2).all(follows) {
        true => Ok(()),
        false => Err(Failure::Damaged("an event of the stream is missing".into())),
    }
}

fn is_failing(view: &View, name: &SourceName) -> bool {
    view.sources.iter().any(|source| source.seen.name == *name && source.seen.failing_since.is_some())
}

/// The last version of a stream that may be shown; zero = none.
async fn last_shown(from: &From, read: &ReadStream, end: Version) -> Result<Version, Failure> {
    let mut next = end;
    while !next.is_zero() {
        let stream = read.stream.clone();
        let back = ReadStream { stream, from: next, backward: true, max_events: BACK, max_bytes: usize::MAX };
        let page = from.source.read_stream(back).await?;
        from.check(&page.head)?;
        let shown = page.events.iter().find(|event| event.event.position <= from.cap.position);
        match (shown, page.events.last()) {
            (Some(shown), _) => return Ok(shown.event.version),
            (None, Some(last)) => next = last.event.version.previous(),
            (None, None) => break,
        }
    }
    Ok(Version::ZERO)
}

fn unknown() -> Failure {
    Failure::Unreachable("how far the log may be read is not known yet".into())
}
