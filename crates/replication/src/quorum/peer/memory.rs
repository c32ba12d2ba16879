//! What the sources keep of each other, for a process that never saw them before: nothing is written, and nobody obeyed, until
//! a majority said how far they saw the others.

use std::time::{Duration, Instant};

use polylog_log::{Config, Failover, LeaseAnswer, OperationError, SourceName};

use super::{Peer, Purpose};
use crate::quorum::{
    memory,
    request::{Operation, Request},
    rules::Rule,
};

/// Longest time between two moments at which the sources are told how far the others were seen.
const LONGEST_LAPSE: Duration = Duration::from_secs(2);

impl<T> Peer<T> {
    /// Asks those that answer what they keep, and has it kept up to date.
    pub(super) fn step_memory(&mut self, now: Instant, requests: &mut Vec<Request>) {
        self.learn_enough(now);
        let lapse = self.lapse();
        let is_due = |name: &SourceName| {
            let reminds =
                || self.options.has_duties && self.is_enough && self.sources.is_old(name, now, lapse);
            let is_one = |purpose: &Purpose| matches!(purpose, Purpose::Ask | Purpose::Remind);
            let is_busy = || self.is_under_way(|one| one.source == *name && is_one(&one.purpose));
            (!self.sources.is_told(name, true) || reminds())
                && self.sources.answers(name)
                && self.sources.is_ready_to_try(name, now)
                && !is_busy()
        };
        let due: Vec<SourceName> = self.sources.names().filter(|name| is_due(name)).cloned().collect();
        for name in due {
            requests.extend(match self.sources.is_told(&name, true) {
                true => self.remind(name, now),
                false => self.request(name, Purpose::Ask, Operation::Lease(memory::ask())),
            });
        }
    }

    /// A source that does not answer for as long as this is not waited for, and one that does is brought up to date.
    fn lapse(&self) -> Duration {
        self.options.failover_after.min(LONGEST_LAPSE)
    }

    fn remind(&mut self, name: SourceName, now: Instant) -> Option<Request> {
        if !self.sources.is_ready_to_write(&name, now) {
            return None;
        }
        let lease = self.sources.get(&name)?.keeps.lease.clone();
        let config = self.newest_config()?;
        let swap = self.sources.memory(&config.voters).swap(lease.as_ref())?;
        self.sources.tells(&name, now);
        self.request(name, Purpose::Remind, Operation::Lease(swap))
    }

    /// Takes what a source keeps. Whoever shows less than was seen of it is looked at again before its word counts.
    pub(super) fn told(
        &mut self,
        source: &SourceName,
        result: Result<LeaseAnswer, OperationError>,
        now: Instant,
    ) {
        let Ok(LeaseAnswer { lease, .. }) = result else { return };
        // nothing was written to it before: what it refused until now were these questions. Later, one that has room for
        // leases alone takes them, and no events
        if !self.sources.is_told(source, false) {
            self.sources.took_write(source);
        }
        let learns = self.options.rules.on(Rule::Remembered);
        for doubted in self.sources.told(source, lease, learns) {
            self.looked_at.remove(&doubted);
            if let Some(lead) = self.lead.as_mut().filter(|lead| *lead.evidence.primary() != doubted) {
                lead.evidence.forget(&doubted);
            }
        }
        self.learn_enough(now);
    }

    /// Whether a majority said what it keeps, so that whoever went back is known to have done so: from then on.
    fn learn_enough(&mut self, now: Instant) {
        if self.is_enough {
            return;
        }
        let Some(config) = self.newest_config() else { return };
        let lapse = self.lapse();
        // whoever takes no writes cannot say it, and takes part in nothing either
        let is_told = |name: &SourceName| {
            self.sources.is_told(name, false) || self.sources.refuses_writes(name, now, lapse)
        };
        // one that is just not up yet may know more
        let is_asked = |name: &SourceName| is_told(name) || self.sources.is_silent(name, now, lapse);
        let counts =
            |name: &SourceName| self.sources.answers(name) && is_told(name) && self.sources.is_vouched(name);
        let is_enough = self.reaches_majority(&config, counts)
            || self.goes_on_alone(&config) && self.sources.names().all(is_asked);
        if !is_enough {
            return;
        }
        self.is_enough = true;
        let seen = self.sources.heads().filter(|(name, _)| self.sources.is_vouched(name));
        let seen: Vec<_> = seen.map(|(name, head)| (name.clone(), head.clone())).collect();
        seen.iter().for_each(|(name, head)| self.saw(name, head, now));
    }

    /// Whether appends are acknowledged by a primary that reaches nobody else.
    pub(super) fn goes_on_alone(&self, config: &Config) -> bool {
        config.is_lossy() && (config.failover != Failover::Automatic || self.orders.opens_minority)
    }
}
