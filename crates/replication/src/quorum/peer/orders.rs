//! What the operator wants: other members, another primary, a log opened without those that are gone.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use polylog_log::{Append, Commit, Config, Identity, SourceName, Term};

use super::{CONFIGURE_EVERY, Peer, Purpose};
use crate::quorum::{
    changes::{self, Circumstances},
    request::{Operation, Request},
};

/// Nothing is wanted where nothing was said.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Its version does not matter.
    pub(super) config: Option<Config>,
    pub(super) primary: Option<SourceName>,
    /// Those that should not be primary, as long as another can.
    pub(super) avoided: BTreeSet<SourceName>,
    pub(super) forced: Option<Forced>,
    /// Down to one source, by itself.
    pub(super) opens_minority: bool,
    /// Not before this moment after a switch that failed.
    pub(super) switches_at: Option<Instant>,
}

/// An order to open the log without some of its voters.
#[derive(Debug, Clone)]
pub(super) struct Forced {
    pub(super) absent: BTreeSet<SourceName>,
    /// The highest term when it was given: any later one fulfils it.
    pub(super) above: Term,
}

/// Why a log is not opened without some of its voters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForceRefused {
    /// It answers, so it is neither stopped nor cut off. Let a majority decide, or stop it.
    #[error("{0} answers: it is neither stopped nor cut off")]
    Answers(SourceName),
    /// This process does not elect. Ask the gateway.
    #[error("this process does not elect")]
    NoDuties,
}

impl<T> Peer<T> {
    /// Takes a source that the manifest names now, or the adoption of it that counts now.
    pub(crate) fn know(&mut self, name: SourceName, identity: Identity) {
        if self.sources.know(name.clone(), identity) {
            // what the database before it had shown is no measure for this one
            let asked = self.under_way.values_mut().filter(|one| one.source == name);
            asked.for_each(|one| one.floor = 0);
            self.distrust(&name);
        }
    }

    /// Takes the configuration that the log should have. The process with duties brings it there, step by step.
    pub(crate) fn want_config(&mut self, config: Option<Config>) {
        self.orders.config = config;
    }

    /// From now on this process elects and copies to those that fell behind, or no longer does. An election that it began
    /// comes to its end: who promised would stand under a term that nobody opens.
    pub(crate) fn set_duties(&mut self, has_duties: bool) {
        self.options.has_duties = has_duties;
    }

    /// From now on another primary is elected after this long without a sign of life.
    pub(crate) fn set_failover_after(&mut self, failover_after: Duration) {
        self.options.failover_after = failover_after;
    }

    /// Takes the source that should be primary, whenever it can: nothing is lost by the switch at any ack level.
    pub(crate) fn want_primary(&mut self, primary: Option<SourceName>) {
        (self.orders.primary, self.orders.switches_at) = (primary, None);
    }

    /// Takes those that should not be primary as long as another can; the same switch.
    pub(crate) fn avoid_primaries(&mut self, avoided: BTreeSet<SourceName>) {
        (self.orders.avoided, self.orders.switches_at) = (avoided, None);
    }

    /// Whether this process opens the log with whatever voters it reaches, where the log's configuration fails over by itself
    /// and acknowledges what no majority holds. Both sides of a cut then write, and one of both histories ends in quarantine.
    pub(crate) fn open_minority(&mut self, opens: bool) {
        self.orders.opens_minority = opens;
    }

    /// Opens the log without these voters, of which the operator says that they are stopped or cut off.
    ///
    /// # Errors
    /// See [`ForceRefused`]; nothing was done.
    pub(crate) fn force(&mut self, absent: BTreeSet<SourceName>) -> Result<(), ForceRefused> {
        if !self.options.has_duties {
            return Err(ForceRefused::NoDuties);
        }
        if let Some(name) = absent.iter().find(|name| self.sources.answers(name)) {
            return Err(ForceRefused::Answers(name.clone()));
        }
        self.orders.forced = Some(Forced { absent, above: self.sources.highest_term() });
        Ok(())
    }

    /// Brings the configuration in the log one step nearer to the one that is wanted.
    pub(super) fn step_config(&mut self, now: Instant, requests: &mut Vec<Request>) {
        let Some(lead) = self.lead.as_ref().filter(|_| self.options.has_duties && self.attempt.is_none())
        else {
            return;
        };
        let evidence = &lead.evidence;
        let is_early = self.configured_at.is_some_and(|at| now < at + CONFIGURE_EVERY);
        if is_early || !evidence.may_configure() || self.is_under_way(|one| one.purpose == Purpose::Configure)
        {
            return;
        }
        let committed = evidence.committed();
        let is_level = |name: &SourceName| evidence.held_by(name) >= committed;
        let long = self.options.failover_after.max(Duration::from_millis(1)) * 2;
        let is_out = |name: &SourceName| self.sources.is_out(name, now, long);
        let primary = evidence.primary();
        if !self.sources.is_ready_to_write(primary, now) {
            return;
        }
        let around =
            Circumstances { rules: self.options.rules, primary, is_level: &is_level, is_out: &is_out };
        let current = evidence.config();
        let Some(next) = changes::next(&current.config, self.orders.config.as_ref(), &around) else { return };
        let append = Append {
            term: evidence.term(),
            config: current.config.version,
            batch: [Commit::configure(self.options.log, &next)].into(),
            watermarks: evidence.watermarks(),
        };
        let primary = primary.clone();
        self.configured_at = Some(now);
        requests.extend(self.request(primary, Purpose::Configure, Operation::Append(append)));
    }
}
