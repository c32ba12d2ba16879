//! What a peer sends, and why.

use std::{sync::Arc, time::Instant};

use polylog_log::{Append, Failure, OperationError, SourceName};

use super::{LOOK_CLOSELY, LOOK_EVERY, Lead, PUBLISH_AFTER, Peer, Purpose};
use crate::{
    AppendError,
    group::{Next, Primary},
    quorum::{
        request::{Operation, Request},
        rules::Rule,
    },
};

impl<T> Peer<T> {
    pub(super) fn step_appends(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let primary = self.lead.as_ref().filter(|lead| self.may_write(lead, now)).map(|lead| Primary {
            term: lead.evidence.term(),
            config: lead.evidence.config().config.version,
        });
        self.gathers_until = None;
        if primary.is_none() {
            self.group.lose_primary();
        }
        loop {
            match self.group.next(now) {
                Next::Append(batch) => {
                    let Some(lead) = &self.lead else {
                        let gone = OperationError::Failed(Failure::Unreachable("the primary is gone".into()));
                        self.group.appended(now, batch.attempt, Err(gone), 1.0);
                        continue;
                    };
                    let (source, watermarks) = (lead.evidence.primary().clone(), lead.evidence.watermarks());
                    let Primary { term, config } = batch.primary;
                    let append = Append { term, config, batch: batch.commits, watermarks };
                    let purpose = Purpose::Append { attempt: batch.attempt, term };
                    self.appended_at = Some(now);
                    requests.extend(self.request(source, purpose, Operation::Append(append)));
                }
                Next::FindPrimary => {
                    let found = primary.ok_or(AppendError::NoPrimary);
                    let is_found = found.is_ok();
                    self.group.found(now, found, 1.0);
                    if !is_found {
                        self.looked_at.clear();
                        break;
                    }
                }
                Next::Gather(until) => {
                    self.gathers_until = Some(until);
                    break;
                }
                Next::Wait(_) => break,
            }
        }
    }

    /// Whether an append can be acknowledged at all. What cannot is refused before it is written: its caller would be told
    /// only that nobody knows.
    fn may_write(&self, lead: &Lead, now: Instant) -> bool {
        let config = &lead.evidence.config().config;
        let long = self.options.failover_after;
        let reaches = |name: &SourceName| {
            let known = self.sources.get(name).is_some_and(|known| known.head.is_some());
            known && self.sources.is_told(name, false) && !self.sources.is_silent(name, now, long)
        };
        if !self.is_enough || !self.sources.is_vouched(lead.evidence.primary()) {
            return false;
        }
        self.goes_on_alone(config)
            || self.reaches_majority(config, reaches)
            || !self.options.rules.on(Rule::MajorityBeforeWrite)
    }

    pub(super) fn step_watermarks(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let Some(lead) = &self.lead else { return };
        let evidence = &lead.evidence;
        let watermarks = evidence.watermarks();
        let is_idle = self.appended_at.is_none_or(|at| now.saturating_duration_since(at) >= PUBLISH_AFTER);
        let published = self.sources.get(evidence.primary()).and_then(|known| known.head.as_ref());
        let is_news = published.is_some_and(|head| {
            head.watermarks.stable < watermarks.stable || head.watermarks.acked < watermarks.acked
        });
        let is_busy =
            self.is_under_way(|one| matches!(one.purpose, Purpose::Publish | Purpose::Append { .. }));
        if !is_idle || !is_news || is_busy || !self.sources.is_ready_to_write(evidence.primary(), now) {
            return;
        }
        let (source, term) = (evidence.primary().clone(), evidence.term());
        let config = evidence.config().config.version;
        let append = Append { term, config, batch: Arc::from([]), watermarks };
        // one that is refused is not sent again at once
        self.appended_at = Some(now);
        requests.extend(self.request(source, Purpose::Publish, Operation::Append(append)));
    }

    /// Reads heads where nothing else brings them, or where somebody waits for fresh ones.
    pub(super) fn step_looks(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let is_out = |lead: &Lead| self.sources.is_out(lead.evidence.primary(), now, LOOK_EVERY);
        let every = match self.options.has_duties && self.lead.as_ref().is_some_and(is_out) {
            true => LOOK_CLOSELY,
            false => LOOK_EVERY,
        };
        let is_due = |name: &SourceName| {
            let looked = self.looked_at.get(name);
            let was_before = |long| looked.is_none_or(|at| now.saturating_duration_since(*at) >= long);
            let is_wanted = || self.barriers.iter().any(|barrier| barrier.wants(name, self.lead.as_ref()));
            // without a primary a strong read cannot be in a hurry
            was_before(every) || (self.lead.is_some() || was_before(PUBLISH_AFTER)) && is_wanted()
        };
        let is_free = |name: &SourceName| {
            let is_busy = self.is_under_way(|one| one.purpose == Purpose::Look && one.source == *name);
            !is_busy && self.sources.is_ready(name, now)
        };
        let due = self.sources.names().filter(|name| is_due(name) && is_free(name));
        for name in due.cloned().collect::<Vec<_>>() {
            self.looked_at.insert(name.clone(), now);
            requests.extend(self.request(name, Purpose::Look, Operation::Head));
        }
    }
}
