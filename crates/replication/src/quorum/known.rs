//! What is known of each source: its newest head, and since when it does not answer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use polylog_log::{Head, Identity, SourceName, Term};

use crate::backoff::Backoff;

/// One source.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) identity: Identity,
    pub(crate) head: Option<Head>,
    /// The request that was answered last, by its number.
    answered: u64,
    /// Since when every request failed.
    pub(crate) failing_since: Option<Instant>,
    backoff: Backoff,
    /// Nothing is asked of it before this moment.
    pub(crate) rests_until: Option<Instant>,
}

/// All sources that the manifest names, by name.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    known: BTreeMap<SourceName, Known>,
}

impl Sources {
    pub(crate) fn new(sources: impl IntoIterator<Item = (SourceName, Identity)>) -> Self {
        let known = |(name, identity)| {
            let known = Known {
                identity,
                head: None,
                answered: 0,
                failing_since: None,
                backoff: Backoff::default(),
                rests_until: None,
            };
            (name, known)
        };
        Self { known: sources.into_iter().map(known).collect() }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &SourceName> {
        self.known.keys()
    }

    pub(crate) fn get(&self, name: &SourceName) -> Option<&Known> {
        self.known.get(name)
    }

    pub(crate) fn heads(&self) -> impl Iterator<Item = (&SourceName, &Head)> {
        self.known.iter().filter_map(|(name, known)| Some((name, known.head.as_ref()?)))
    }

    /// The highest term that any source was seen under.
    pub(crate) fn highest_term(&self) -> Term {
        self.heads().map(|(_, head)| head.term).max().unwrap_or(Term::ZERO)
    }

    /// Takes a head; one that another answer overtook is not taken.
    pub(crate) fn answered(&mut self, name: &SourceName, request: u64, head: &Head) {
        let Some(known) = self.known.get_mut(name) else { return };
        (known.failing_since, known.rests_until) = (None, None);
        known.backoff.succeeded();
        if head.identity != known.identity {
            known.head = None;
            return;
        }
        let is_newer = known.head.as_ref().is_none_or(|held| head.revision >= held.revision);
        if is_newer || request > known.answered {
            known.head = Some(head.clone());
        }
        known.answered = known.answered.max(request);
    }

    /// Takes that a request failed, and lets the source rest a little longer each time.
    pub(crate) fn failed(&mut self, name: &SourceName, now: Instant, random: f64) {
        let Some(known) = self.known.get_mut(name) else { return };
        known.failing_since.get_or_insert(now);
        known.rests_until = Some(now + known.backoff.failed(random));
    }

    /// Whether it may be asked now.
    pub(crate) fn is_ready(&self, name: &SourceName, now: Instant) -> bool {
        self.known.get(name).is_some_and(|known| known.rests_until.is_none_or(|until| now >= until))
    }

    /// Whether it did not answer for as long as this.
    pub(crate) fn is_silent(&self, name: &SourceName, now: Instant, long: Duration) -> bool {
        let since = self.known.get(name).and_then(|known| known.failing_since);
        since.is_some_and(|since| now.saturating_duration_since(since) >= long)
    }
}
