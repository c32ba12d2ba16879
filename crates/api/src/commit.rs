//! From what a caller sent, by whatever surface, to a commit.

use std::collections::HashSet;

use bytes::Bytes;
use polylog_log::{
    AggregateId, Category, Commit, CommitId, DataDigest, EventId, EventType, Fingerprint, LogId, NewEvent,
    StreamAppend, StreamName, Timestamp,
};

use crate::{Code, ExpectedVersion, IdempotencyKey, RequestError, metadata};

/// What the operation is called where ids derive from an idempotency key. Every way to append is the same operation,
/// so that one key cannot write twice by two ways.
const OPERATION: &str = "append";

/// The most that `commitEvents` can allow, and streams of one commit.
pub(crate) const MOST_EVENTS: usize = 10_000;

/// An idempotency key and whose it is: two callers' keys have nothing to do with each other.
#[derive(Debug, Clone, Copy)]
pub struct Keyed<'a> {
    /// The caller's identity.
    pub scope: &'a str,
    /// The key.
    pub key: &'a IdempotencyKey,
}

/// One stream's part of a commit to be.
pub(crate) struct StreamDraft<E> {
    pub(crate) stream: StreamName,
    pub(crate) expected: Option<ExpectedVersion>,
    pub(crate) events: Vec<E>,
    pub(crate) category: Option<Category>,
    pub(crate) aggregate_id: Option<AggregateId>,
}

/// An event to be.
pub(crate) trait EventDraft {
    /// The id that its caller gave.
    fn id(&self) -> Option<EventId>;

    /// The event, under this id.
    fn into_event(self, id: EventId) -> Result<NewEvent, RequestError>;
}

/// What an event has beside its data.
pub(crate) struct EventParts {
    pub(crate) event_type: EventType,
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: Option<Bytes>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) causation_id: Option<String>,
    pub(crate) time: Option<Timestamp>,
}

impl EventParts {
    /// The event; `data` gives its data and media type, from the media type that its caller gave.
    pub(crate) fn into_event(
        self,
        id: EventId,
        data: impl FnOnce(Option<String>) -> Result<(Bytes, String), RequestError>,
    ) -> Result<NewEvent, RequestError> {
        let Self { event_type, content_type, metadata, correlation_id, causation_id, time } = self;
        if let Some(metadata) = &metadata {
            metadata::check(metadata).map_err(|error| RequestError::invalid("metadata", error))?;
        }
        check_attribute("contentType", content_type.as_deref())?;
        check_attribute("correlationId", correlation_id.as_deref())?;
        check_attribute("causationId", causation_id.as_deref())?;
        let (data, content_type) = data(content_type)?;
        let data_digest = DataDigest::of(&data);
        Ok(NewEvent {
            id,
            event_type,
            data,
            data_digest,
            content_type,
            metadata,
            correlation_id,
            causation_id,
            time,
        })
    }
}

/// Attributes travel in headers too, where control characters cannot stand. Their length is a matter of the limits.
fn check_attribute(name: &str, value: Option<&str>) -> Result<(), RequestError> {
    match value {
        Some("") => Err(RequestError::invalid(name, "must not be empty; leave it out")),
        Some(value) if value.chars().any(char::is_control) => {
            Err(RequestError::invalid(name, "must not hold control characters"))
        }
        _ => Ok(()),
    }
}

/// The commit of one stream; errors name places in its part.
pub(crate) fn of_stream<E: EventDraft>(
    draft: StreamDraft<E>,
    log: LogId,
    key: Option<Keyed<'_>>,
    new_id: impl FnMut() -> EventId,
) -> Result<Commit, RequestError> {
    let ids = Ids::of(std::slice::from_ref(&draft), log, key, new_id)?;
    commit(vec![draft], log, ids, |_| String::new())
}

/// The commit of several streams; errors name places in `appends`.
pub(crate) fn of_streams<E: EventDraft>(
    drafts: Vec<StreamDraft<E>>,
    log: LogId,
    key: Option<Keyed<'_>>,
    new_id: impl FnMut() -> EventId,
) -> Result<Commit, RequestError> {
    if drafts.is_empty() {
        return Err(RequestError::invalid("appends", "must name at least one stream"));
    }
    // most commits have one stream, and one event
    let mut seen = (drafts.len() > 1).then(HashSet::new);
    for (index, draft) in drafts.iter().enumerate() {
        if seen.as_mut().is_some_and(|seen| !seen.insert(&draft.stream)) {
            let message = format!("stream {} stands in this commit twice", draft.stream);
            return Err(RequestError::invalid(format!("appends[{index}].stream"), message));
        }
    }
    let ids = Ids::of(&drafts, log, key, new_id)?;
    commit(drafts, log, ids, |index| format!("appends[{index}]"))
}

/// The ids of a commit and of its events in their order.
struct Ids {
    commit: CommitId,
    events: Vec<EventId>,
}

impl Ids {
    fn of<E: EventDraft>(
        appends: &[StreamDraft<E>],
        log: LogId,
        key: Option<Keyed<'_>>,
        mut new_id: impl FnMut() -> EventId,
    ) -> Result<Self, RequestError> {
        let given: Vec<Option<EventId>> =
            appends.iter().flat_map(|append| &append.events).map(EventDraft::id).collect();
        let missing = given.iter().filter(|id| id.is_none()).count();
        if key.is_none() && missing > 0 && missing < given.len() {
            let message = "give every event of a commit an id, or none (or send an Idempotency-Key)";
            return Err(RequestError::invalid("", message));
        }
        let derive = |index: usize, Keyed { scope, key }: Keyed<'_>| {
            EventId::from_key(log, OPERATION, scope, key.as_str(), index as u64)
        };
        let events: Vec<EventId> = given
            .into_iter()
            .enumerate()
            .map(|(index, id)| id.unwrap_or_else(|| key.map_or_else(&mut new_id, |key| derive(index, key))))
            .collect();
        let mut seen = (events.len() > 1).then(|| HashSet::with_capacity(events.len()));
        let mut is_seen = |id: &EventId| seen.as_mut().is_some_and(|seen| !seen.insert(*id));
        if let Some(twice) = events.iter().find(|id| is_seen(id)) {
            return Err(RequestError::invalid("", format_args!("id {twice} stands in this commit twice")));
        }
        let commit = match key {
            Some(Keyed { scope, key }) => CommitId::from_key(log, OPERATION, scope, key.as_str()),
            None => CommitId::from_events(events.iter().copied()),
        };
        Ok(Self { commit, events })
    }
}

fn commit<E: EventDraft>(
    drafts: Vec<StreamDraft<E>>,
    log: LogId,
    ids: Ids,
    place: impl Fn(usize) -> String,
) -> Result<Commit, RequestError> {
    let mut event_ids = ids.events.into_iter();
    let mut appends = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        appends.push(draft.into_append(&mut event_ids).map_err(|error| match place(index) {
            place if place.is_empty() => error,
            place => error.within(&place),
        })?);
    }
    Ok(Commit { id: ids.commit, fingerprint: Fingerprint::of(log, &appends), appends })
}

impl<E: EventDraft> StreamDraft<E> {
    fn into_append(self, ids: &mut impl Iterator<Item = EventId>) -> Result<StreamAppend, RequestError> {
        let expected = self.expected.ok_or_else(|| RequestError {
            code: Code::ExpectedVersionRequired,
            path: "expectedVersion".into(),
            message: format!("an append to stream {} needs an expected version", self.stream),
        })?;
        let mut events = Vec::with_capacity(self.events.len());
        for (index, (draft, id)) in self.events.into_iter().zip(ids).enumerate() {
            events.push(draft.into_event(id).map_err(|error| error.within(&format!("events[{index}]")))?);
        }
        let (category, aggregate_id) = (self.category, self.aggregate_id);
        Ok(StreamAppend { stream: self.stream, expected: expected.0, category, aggregate_id, events })
    }
}
