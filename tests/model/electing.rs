use crate::{
    bounds::Rule,
    contract::{Answer, Request},
    members::Set,
    protocol::Step,
    state::{Attempt, Lead, SOURCES},
};

impl Step<'_> {
    pub fn elect(&mut self, process: usize, term: u8) {
        let lives = if self.is_on(Rule::FreshNonce) { self.state.processes[process].lives } else { 0 };
        // the log began with nonce 1
        let nonce = 2 + 16 * lives + process as u8;
        let seen = self.state.sources.map(|source| source.tail);
        let seen = (!self.is_on(Rule::TailOfGrant)).then_some(seen);
        let process = &mut self.state.processes[process];
        process.asked = term;
        process.attempt = Some(Attempt { term, nonce, grants: [None; SOURCES], seen, chosen: None });
    }

    pub fn ask(&mut self, process: usize, source: usize, is_late: bool) -> Option<()> {
        let Attempt { term, nonce, .. } = *self.attempt(process)?;
        let answered = self.send(source, Request::Promise { term, nonce }, is_late);
        let Some((head, Answer::Done)) = answered else { return is_late.then_some(()) };
        let attempt = self.attempt(process)?;
        attempt.grants[source] = Some(attempt.seen.map_or(head.tail, |seen| seen[source]));
        Some(())
    }

    pub fn choose(&mut self, process: usize, primary: usize) -> Option<()> {
        let grants = self.attempt(process)?.grants;
        let (histories, by_term) = (&self.contract.histories, self.is_on(Rule::BestByTerm));
        let rank = |place| match (histories.term(place), histories.position(place)) {
            (term, position) if by_term => (term, position),
            (term, position) => (position, term),
        };
        let best = grants.iter().flatten().copied().max_by_key(|place| rank(*place))?;
        let configs = grants.iter().flatten().map(|place| histories.config(*place));
        let voters = match self.is_on(Rule::ConfigOfBest) {
            true => histories.config(best).voters,
            false => configs.min_by_key(|config| config.version)?.voters,
        };
        let granted = voters.sources().filter(|source| grants[*source].is_some()).count();
        let is_enough = granted >= voters.majority() || !self.is_on(Rule::MajorityPromises);
        let first = voters.sources().find(|source| grants[*source].is_some());
        let is_next = !self.protocol.bounds.by_order || first == Some(primary);
        if !is_enough || !voters.has(primary) || !is_next {
            return None;
        }
        let own = grants[primary]?;
        let best = if self.is_on(Rule::Levelled) { best } else { own };
        self.attempt(process)?.chosen = Some((primary, best));
        Some(())
    }

    pub fn level(&mut self, process: usize, is_late: bool) -> Option<()> {
        let Attempt { term, chosen, .. } = *self.attempt(process)?;
        let (primary, best) = chosen?;
        let tail = self.state.sources[primary].tail;
        let fork = self.contract.histories.fork(tail, best);
        let request = match fork == tail {
            true => Request::Apply { term, previous: tail, last: best, stable: 0 },
            false => Request::Truncate { term, keep: fork, tail },
        };
        let answered = self.send(primary, request, is_late);
        (is_late || answered?.1 == Answer::Done).then_some(())
    }

    pub fn open(&mut self, process: usize, is_late: bool) -> Option<()> {
        let Attempt { term, nonce, chosen, .. } = *self.attempt(process)?;
        let (primary, best) = chosen?;
        let answered = self.send(primary, Request::Open { term, nonce, tail: best }, is_late);
        // after a refusal it tries another time
        self.state.processes[process].attempt = None;
        if let Some((_, Answer::Done)) = answered {
            self.obey(process, primary);
        }
        Some(())
    }

    pub fn elect_at_once(&mut self, process: usize, term: u8, asked: Set, primary: usize) -> Option<()> {
        self.elect(process, term);
        for source in asked.sources() {
            self.ask(process, source, false)?;
        }
        self.choose(process, primary)?;
        let best = self.attempt(process)?.chosen?.1;
        while self.is_on(Rule::Levelled) && self.state.sources[primary].tail != best {
            self.level(process, false)?;
        }
        self.open(process, false)
    }

    /// Takes a source for the primary of its term. Nobody else counts yet.
    pub fn obey(&mut self, process: usize, source: usize) {
        let head = self.state.sources[source];
        let mut held = [self.contract.histories.start(); SOURCES];
        held[source] = head.tail;
        let lead = Lead { term: head.term, primary: source, tail: head.tail, held, waiting: None };
        self.state.processes[process].lead = Some(lead);
        // where it is the only voter, that is enough
        self.settle(process);
    }

    fn attempt(&mut self, process: usize) -> Option<&mut Attempt> {
        self.state.processes[process].attempt.as_mut()
    }
}
