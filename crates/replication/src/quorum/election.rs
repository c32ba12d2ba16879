//! One attempt to open a primary: collect promises, choose the best log, level the new primary with it, open.
//!
//! An attempt is never resumed after a restart; the next one has a higher term.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use polylog_log::{
    Acks, Config, Head, Identity, LogId, LogPage, Nonce, Open, OperationError, Point, Refusal, SourceName,
    Term, Watermarks,
};

use super::{
    copying::{Copying, From, Step},
    request::Operation,
    rules::{Rule, Rules},
};

/// A source that lacks no more events than this is filled in a moment, and becomes primary if it is the first in order.
const SOON_FILLED: u64 = 2_000;

/// Who must have promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A majority of the voters.
    Majority,
    /// A majority, and the primary that is to hand over: then its log is the best, and nothing is lost. `to` may be the
    /// same source: then only the term changes, which brings voters back that stand under a later one.
    Switch { from: SourceName, to: SourceName },
    /// A majority, in place of a primary that cannot hand over.
    Replace { to: SourceName },
    /// Those voters that are there; the operator said that the others are stopped or cut off.
    Forced { absent: BTreeSet<SourceName> },
    /// Every voter that the first configuration names: nobody else can have begun another log.
    First,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The source is primary of the term.
    Opened(SourceName, Box<Head>),
    /// Somebody else has a later term, or too few promised: try another time.
    Lost,
}

#[derive(Debug)]
enum Phase {
    Promising,
    Levelling(Box<Copying>),
    Opening,
    Over(Outcome),
}

/// One attempt. At most one request per source is under way.
#[derive(Debug)]
pub(crate) struct Attempt {
    rules: Rules,
    log: LogId,
    term: Term,
    nonce: Nonce,
    mode: Mode,
    /// Until then more promises are waited for than a majority.
    patient_until: Instant,
    gives_up_at: Instant,
    /// Whether only logs that hold a `$config` count.
    is_begun: bool,
    grants: BTreeMap<SourceName, Head>,
    refused: BTreeSet<SourceName>,
    /// Those of which somebody saw more than they showed: their promises do not count, as long as that is so.
    doubted: BTreeSet<SourceName>,
    under_way: BTreeSet<SourceName>,
    phase: Phase,
    chosen: Option<Chosen>,
    is_unsure: bool,
}

/// The best log, and who becomes primary with it.
#[derive(Debug, Clone)]
struct Chosen {
    best: SourceName,
    tail: Point,
    primary: SourceName,
    missing: Vec<SourceName>,
}

impl Attempt {
    #[expect(clippy::too_many_arguments, reason = "called once")]
    pub(crate) fn new(
        log: LogId,
        term: Term,
        nonce: Nonce,
        mode: Mode,
        patient_until: Instant,
        gives_up_at: Instant,
        is_begun: bool,
        rules: Rules,
    ) -> Self {
        Self {
            rules,
            log,
            term,
            nonce,
            mode,
            patient_until,
            gives_up_at,
            is_begun,
            grants: BTreeMap::new(),
            refused: BTreeSet::new(),
            doubted: BTreeSet::new(),
            under_way: BTreeSet::new(),
            phase: Phase::Promising,
            chosen: None,
            is_unsure: false,
        }
    }

    /// When something is to be done without an answer having come.
    pub(crate) fn wakes_at(&self, now: Instant) -> Instant {
        if now < self.patient_until { self.patient_until } else { self.gives_up_at }
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Over(outcome) => Some(outcome),
            Phase::Promising | Phase::Levelling(_) | Phase::Opening => None,
        }
    }

    /// What to send now, to whom. `ready` says who may be asked, with the identity under which it is known.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        ready: &[(SourceName, Identity)],
    ) -> Vec<(SourceName, Operation)> {
        if now >= self.gives_up_at && self.outcome().is_none() {
            self.phase = Phase::Over(Outcome::Lost);
        }
        if matches!(self.phase, Phase::Promising) {
            self.choose(now, ready);
        }
        // who rests is not asked
        let rests = !self.chosen_are_in(ready);
        let sent = match &mut self.phase {
            Phase::Promising => {
                let promise = Operation::Promise(self.term, self.nonce);
                let asked = ready.iter().map(|(name, _)| name).filter(|name| {
                    !self.grants.contains_key(*name)
                        && !self.refused.contains(*name)
                        && !self.under_way.contains(*name)
                });
                asked.map(|name| (name.clone(), promise.clone())).collect()
            }
            Phase::Levelling(_) | Phase::Opening if rests => Vec::new(),
            Phase::Levelling(_) => self.level().into_iter().collect(),
            Phase::Opening => self.open().into_iter().collect(),
            Phase::Over(_) => Vec::new(),
        };
        self.under_way.extend(sent.iter().map(|(name, _): &(SourceName, Operation)| name.clone()));
        sent
    }

    fn choose(&mut self, now: Instant, ready: &[(SourceName, Identity)]) {
        let by_term = self.rules.on(Rule::BestByTerm);
        let rank = |head: &Head| match (head.tail.term.get(), head.tail.position.get()) {
            (term, position) if by_term => (term, position),
            (term, position) => (position, term),
        };
        let best = self.granted().max_by_key(|(_, head)| rank(head));
        let Some((best, head)) = best else { return };
        let config = match self.rules.on(Rule::ConfigOfBest) {
            true => &head.config.config,
            false => self
                .granted()
                .map(|(_, head)| &head.config.config)
                .min_by_key(|config| config.version)
                .unwrap_or(&head.config.config),
        };
        if self.is_begun && config.version.0 == 0 {
            return;
        }
        let voters: Vec<&SourceName> = config.voters.iter().map(|voter| &voter.name).collect();
        let granted = |name: &&SourceName| self.is_granted(config, name);
        let grants = voters.iter().copied().filter(granted).count();
        let is_empty = head.tail.position.is_zero();
        let is_enough = match &self.mode {
            // who is missing may hold the log
            Mode::Majority | Mode::Switch { .. } | Mode::Replace { .. } | Mode::Forced { .. } if is_empty => {
                false
            }
            Mode::Majority if !self.rules.on(Rule::MajorityPromises) => grants > 0,
            Mode::Majority | Mode::Replace { .. } => grants >= Acks::Majority.required(voters.len()),
            Mode::Switch { from, .. } => {
                grants >= Acks::Majority.required(voters.len()) && self.has_promised(from)
            }
            Mode::Forced { absent } => {
                grants > 0 && voters.iter().all(|name| absent.contains(*name) || self.has_promised(name))
            }
            Mode::First => grants == voters.len(),
        };
        let all_answered =
            ready.iter().all(|(name, _)| self.grants.contains_key(name) || self.refused.contains(name));
        if !is_enough || (now < self.patient_until && !all_answered) {
            return;
        }
        let named = match &self.mode {
            Mode::Switch { to, .. } | Mode::Replace { to } => Some(to),
            Mode::Majority | Mode::Forced { .. } | Mode::First => None,
        };
        let in_order = || {
            let all = named.into_iter().chain(&config.order).chain(voters.iter().copied());
            all.filter(|name| voters.contains(name)).filter(granted)
        };
        // while one is filled there is no primary: one that is far behind waits for its time
        let lacks = |name: &&SourceName| {
            head.tail.position.get().saturating_sub(self.grants[*name].tail.position.get())
        };
        let near = |name: &&SourceName| lacks(name) <= SOON_FILLED || Some(*name) == named;
        let Some(primary) = in_order().find(near).or_else(|| in_order().min_by_key(lacks)) else { return };
        let missing = match self.mode {
            Mode::Forced { .. } => {
                voters.iter().filter(|name| !granted(name)).map(|name| (*name).clone()).collect()
            }
            Mode::Majority | Mode::Switch { .. } | Mode::Replace { .. } | Mode::First => Vec::new(),
        };
        let levels = self.rules.on(Rule::Levelled);
        let tail = if levels { head.tail } else { self.grants[primary].tail };
        let chosen = Chosen { best: best.clone(), tail, primary: primary.clone(), missing };
        self.phase = if self.grants[primary].tail == tail {
            Phase::Opening
        } else {
            let mut copying =
                Copying::new(self.log, self.term, From::Tail(head.tail), chosen.primary.clone(), self.rules);
            copying.at(&self.grants[primary]);
            Phase::Levelling(Box::new(copying))
        };
        self.chosen = Some(chosen);
    }

    fn chosen_are_in(&self, ready: &[(SourceName, Identity)]) -> bool {
        let is_ready = |name: &SourceName| ready.iter().any(|(ready, _)| ready == name);
        let is_levelling = matches!(self.phase, Phase::Levelling(_));
        self.chosen
            .as_ref()
            .is_none_or(|chosen| is_ready(&chosen.primary) && (!is_levelling || is_ready(&chosen.best)))
    }

    /// The promises that count.
    fn granted(&self) -> impl Iterator<Item = (&SourceName, &Head)> {
        self.grants.iter().filter(|(name, _)| !self.doubted.contains(*name))
    }

    fn has_promised(&self, name: &SourceName) -> bool {
        self.grants.contains_key(name) && !self.doubted.contains(name)
    }

    /// Takes of whom somebody saw more than they showed.
    pub(crate) fn doubt(&mut self, doubted: BTreeSet<SourceName>) {
        self.doubted = doubted;
    }

    /// Takes that a source forgot something: its promise is worth nothing, nor what was chosen by it.
    pub(crate) fn distrust(&mut self, source: &SourceName) {
        let had_promised = self.grants.remove(source).is_some();
        self.refused.insert(source.clone());
        if had_promised && self.chosen.is_some() && self.outcome().is_none() {
            self.phase = Phase::Over(Outcome::Lost);
        }
    }

    /// Whether the promise is that of the very database that the configuration counts.
    fn is_granted(&self, config: &Config, name: &SourceName) -> bool {
        let Some(head) = self.grants.get(name).filter(|_| self.has_promised(name)) else { return false };
        let (database, incarnation) = (head.identity.database, head.identity.incarnation);
        config.voters.iter().any(|voter| {
            voter.name == *name && voter.database == database && voter.incarnation == incarnation
        })
    }

    fn level(&mut self) -> Option<(SourceName, Operation)> {
        let Phase::Levelling(copying) = &mut self.phase else { return None };
        let chosen = self.chosen.clone()?;
        if self.under_way.contains(&chosen.primary) || self.under_way.contains(&chosen.best) {
            return None;
        }
        let step = copying.next(chosen.tail.position, Watermarks::default(), None);
        match step {
            Step::Ask => Some((chosen.primary, Operation::Head)),
            Step::ReadOrigin(read) => Some((chosen.best, Operation::ReadLog(read))),
            Step::ReadDestination(read) => Some((chosen.primary, Operation::ReadLog(read))),
            Step::Apply(apply) => Some((chosen.primary, Operation::Apply(apply))),
            Step::Truncate(truncate) => Some((chosen.primary, Operation::Truncate(truncate))),
            Step::Wait => None,
            Step::Level => {
                self.phase = Phase::Opening;
                self.open()
            }
            Step::Stop(_) => {
                self.phase = Phase::Over(Outcome::Lost);
                None
            }
        }
    }

    fn open(&mut self) -> Option<(SourceName, Operation)> {
        let chosen = self.chosen.clone()?;
        if self.under_way.contains(&chosen.primary) {
            return None;
        }
        if self.is_unsure {
            return Some((chosen.primary, Operation::Head));
        }
        let open = Open {
            term: self.term,
            nonce: self.nonce,
            tail: chosen.tail,
            primary: chosen.primary.clone(),
            forced: matches!(self.mode, Mode::Forced { .. }),
            missing: chosen.missing,
        };
        Some((chosen.primary, Operation::Open(open)))
    }

    /// Takes the answer to a promise or an open, an apply or a truncate.
    pub(crate) fn changed(&mut self, source: &SourceName, result: &Result<Head, OperationError>) {
        self.under_way.remove(source);
        match &mut self.phase {
            Phase::Promising => match result {
                Ok(head) if head.term == self.term && head.grant == Some(self.nonce) => {
                    self.grants.insert(source.clone(), head.clone());
                }
                Ok(_) | Err(OperationError::Failed(_) | OperationError::Unknown(_)) => {}
                Err(OperationError::Refused { reason: Refusal::Fenced, .. }) => {
                    // somebody is ahead: a promise of this term is worth nothing any more
                    self.phase = Phase::Over(Outcome::Lost);
                }
                Err(OperationError::Refused { .. }) => {
                    self.refused.insert(source.clone());
                }
            },
            Phase::Levelling(copying) => copying.changed(result),
            Phase::Opening => match result {
                Ok(head) => self.opened(source, head),
                Err(OperationError::Refused { head, .. }) => self.opened(source, head),
                Err(OperationError::Failed(_)) => {}
                Err(OperationError::Unknown(_)) => self.is_unsure = true,
            },
            Phase::Over(_) => {}
        }
    }

    fn opened(&mut self, source: &SourceName, head: &Head) {
        let is_mine = head.term == self.term && head.grant == Some(self.nonce);
        let outcome = match is_mine {
            true if head.lead == self.term => Outcome::Opened(source.clone(), Box::new(head.clone())),
            // not executed yet
            true if self.chosen.as_ref().is_some_and(|chosen| chosen.tail == head.tail) => {
                self.is_unsure = false;
                return;
            }
            true | false => Outcome::Lost,
        };
        self.phase = Phase::Over(outcome);
    }

    /// Takes a head that was asked for.
    pub(crate) fn head(&mut self, source: &SourceName, head: Option<&Head>) {
        self.under_way.remove(source);
        match (&mut self.phase, head) {
            (Phase::Levelling(copying), Some(head)) => copying.at(head),
            (Phase::Levelling(copying), None) => copying.failed(),
            (Phase::Opening, Some(head)) => self.opened(source, head),
            (Phase::Opening | Phase::Promising | Phase::Over(_), _) => {}
        }
    }

    /// Takes a page of the best log or of the new primary's.
    pub(crate) fn page(&mut self, source: &SourceName, page: Option<LogPage>) {
        self.under_way.remove(source);
        let Phase::Levelling(copying) = &mut self.phase else { return };
        let is_destination = source == copying.destination();
        match page {
            Some(page) if is_destination => copying.destination_page(page),
            Some(page) => copying.origin_page(page),
            None => copying.failed(),
        }
    }
}

#[cfg(test)]
mod tests;
