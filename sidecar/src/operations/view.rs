use std::{borrow::Cow, sync::Arc};

use polylog_api::{DataState, Framing, Problem, write_event, write_structured};
use polylog_log::{Category, EventType, Narrow, RecordedEvent, Sought};

use crate::{
    entrance::expired,
    filter::Filter,
    hosted::Hosted,
    identity::Peer,
    pipeline::Reader,
    policy::{Policy, Verb},
};

/// What a caller sees of a store: access, then the filter, then redaction; a filter's expression looks at what is left,
/// so that nobody can guess at what is hidden from them.
pub(crate) struct View {
    hosted: Arc<Hosted>,
    policy: Arc<Policy>,
    peer: Arc<Peer>,
    verb: Verb,
    reader: Reader,
    filter: Filter,
}

impl View {
    /// Refuses a caller who may not do this on any category.
    pub(crate) fn new(
        hosted: Arc<Hosted>,
        policy: Arc<Policy>,
        peer: Arc<Peer>,
        verb: Verb,
        filter: Filter,
    ) -> Result<Self, Problem> {
        let reader = Reader::new(&policy, &peer.subject, verb)?;
        Ok(Self { hosted, policy, peer, verb, reader, filter })
    }

    /// Takes over a policy that came into force meanwhile; refuses a caller who is not known any more.
    pub(crate) fn refresh(&mut self) -> Result<(), Problem> {
        if !self.peer.is_good() {
            return Err(expired());
        }
        let policy = self.hosted.policy();
        if !Arc::ptr_eq(&policy, &self.policy) {
            self.reader = Reader::new(&policy, &self.peer.subject, self.verb)?;
            self.policy = policy;
        }
        Ok(())
    }

    pub(crate) fn hosted(&self) -> &Arc<Hosted> {
        &self.hosted
    }

    /// What a source may leave out: the rest is looked at by [`Self::show`].
    pub(crate) fn narrow(&self) -> Narrow {
        self.filter.narrow()
    }

    /// Whether type, category and time say all of whether an event is shown.
    pub(crate) fn looks_only_at_kinds(&self) -> bool {
        self.filter.looks_only_at_kinds()
    }

    /// What an index is asked so that it finds what is shown, if every condition is one that it has. With patterns the
    /// kinds are still to be named.
    pub(crate) fn sought(&self) -> Option<Sought> {
        let Filter { streams, correlation_id, when, .. } = &self.filter;
        let (narrow, streams, correlation_id) = (self.narrow(), streams.clone(), correlation_id.clone());
        when.is_none().then(|| Sought { narrow, streams, correlation_id, ..Sought::default() })
    }

    /// Whether kinds are shown by patterns.
    pub(crate) fn looks_at_patterns(&self) -> bool {
        !self.reader.may_see_all() || self.filter.has_patterns()
    }

    /// Whether events of this kind may be shown.
    pub(crate) fn may_show(&self, event_type: &EventType, category: &Category) -> bool {
        self.reader.may_see_category(category) && self.filter.holds_kind(event_type, category)
    }

    /// Whether events of these categories are shown as they are; `None` = of all.
    pub(crate) fn shows_whole(&self, categories: Option<&[&Category]>) -> bool {
        match categories {
            None => self.reader.shows_all_whole(&self.policy),
            Some(some) => some.iter().all(|category| self.reader.shows_whole(&self.policy, category)),
        }
    }

    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The event as the caller sees it; `None` = it does not.
    pub(crate) fn show<'e>(
        &self,
        recorded: &'e RecordedEvent,
    ) -> Option<(Cow<'e, RecordedEvent>, DataState)> {
        if !self.reader.may_see(&recorded.event) || !self.filter.holds(&recorded.event) {
            return None;
        }
        let (shown, state) = self.reader.show(&self.policy, &recorded.event).apply(recorded);
        match self.filter.when() {
            Some(when) if !when.holds(&shown.event) => None,
            _ => Some((shown, state)),
        }
    }

    /// Appends an event's JSON, if the caller sees the event; says whether it does.
    pub(crate) fn write(&self, out: &mut Vec<u8>, recorded: &RecordedEvent, framing: Framing) -> bool {
        let shown = self.show(recorded);
        if let Some((event, state)) = &shown {
            write_event(out, event, *state, framing);
        }
        shown.is_some()
    }

    /// Appends an event as a CloudEvent, if the caller sees the event; says whether it does.
    pub(crate) fn write_cloud_event(
        &self,
        out: &mut Vec<u8>,
        recorded: &RecordedEvent,
        source: &str,
    ) -> bool {
        let shown = self.show(recorded);
        if let Some((event, _)) = &shown {
            write_structured(out, event, source, Framing::Document);
        }
        shown.is_some()
    }
}
