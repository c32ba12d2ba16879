use crate::{
    bounds::Rule,
    contract::{Answer, Place, Request, Source},
    members::Set,
    protocol::Step,
    state::{Broken, Lead},
};

impl Step<'_> {
    pub fn append(&mut self, process: usize, commit: u8, is_late: bool) -> Option<()> {
        let lead = self.lead(process)?.clone();
        let (config, stable) = (self.config(&lead).version, self.settled_position(&lead));
        let request = Request::Append { term: lead.term, config, commit, stable };
        let Some((head, answer)) = self.send(lead.primary, request, is_late) else {
            return is_late.then_some(());
        };
        let (Answer::Committed(end) | Answer::Duplicate(end)) = answer else { return None };
        self.knows(process, head.tail)?;
        let is_told_at_once = matches!(answer, Answer::Duplicate(_)) && !self.is_on(Rule::DuplicatesWait);
        match is_told_at_once {
            true => self.answer(end, lead.term),
            false => self.lead(process)?.waiting = Some(end),
        }
        self.settle(process)
    }

    /// Changes who votes.
    pub fn configure(&mut self, process: usize, voters: Set) -> Option<()> {
        let lead = self.lead(process)?.clone();
        let (config, stable) = (self.config(&lead), self.settled_position(&lead));
        let is_before_settled = self.state.sources[lead.primary].stable.max(stable) >= config.position;
        let is_one = voters.differs(config.voters) == 1;
        if self.is_on(Rule::OneVoter) && !(is_one && is_before_settled) {
            return None;
        }
        if self.is_on(Rule::ConfigUnderTerm) && stable == 0 {
            return None;
        }
        let request = Request::Configure { term: lead.term, config: config.version, voters, stable };
        let (head, answer) = self.send(lead.primary, request, false)?;
        let Answer::Committed(_) = answer else { return None };
        self.knows(process, head.tail)?;
        self.settle(process)
    }

    /// Reads the primary's log, and the head with it.
    pub fn look(&mut self, process: usize) -> Option<()> {
        let Lead { term, primary, .. } = *self.lead(process)?;
        let head = self.state.sources[primary];
        let is_primary = head.term == term && (head.lead == term || !self.is_on(Rule::Opened));
        if !is_primary && self.is_on(Rule::CopiedFromPrimary) {
            return None;
        }
        self.knows(process, head.tail)?;
        self.settle(process)
    }

    fn knows(&mut self, process: usize, tail: Place) -> Option<()> {
        let lead = self.lead(process)?;
        lead.tail = tail;
        lead.held[lead.primary] = tail;
        Some(())
    }

    /// Copies the next entry, or has removed what diverges.
    pub fn push(&mut self, process: usize, source: usize, is_late: bool) -> Option<()> {
        let lead = self.lead(process)?.clone();
        let tail = self.state.sources[source].tail;
        let histories = &self.contract.histories;
        let fork = histories.fork(tail, lead.tail);
        let request = match fork == tail {
            true => {
                let last = histories.up_to(lead.tail, histories.position(tail) + 1);
                Request::Apply { term: lead.term, previous: tail, last, stable: self.settled_position(&lead) }
            }
            false => Request::Truncate { term: lead.term, keep: fork, tail },
        };
        let Some((head, answer)) = self.send(source, request, is_late) else {
            return is_late.then_some(());
        };
        if answer == Answer::Refused {
            return None;
        }
        self.holds(process, source, head)
    }

    /// Reads a head, and counts it if it stands under the term.
    pub fn count(&mut self, process: usize, source: usize) -> Option<()> {
        let term = self.lead(process)?.term;
        let head = self.state.sources[source];
        if head.term != term && self.is_on(Rule::CountUnderTerm) {
            return None;
        }
        self.holds(process, source, head)
    }

    fn holds(&mut self, process: usize, source: usize, head: Source) -> Option<()> {
        let (tail, held) = (self.lead(process)?.tail, self.lead(process)?.held[source]);
        let histories = &self.contract.histories;
        if histories.holds(tail, head.tail) && histories.position(head.tail) > histories.position(held) {
            self.lead(process)?.held[source] = head.tail;
        }
        self.settle(process)
    }

    /// A strong read, whose answers all come after it began.
    pub fn read(&mut self, process: usize) -> Option<()> {
        let Lead { term, primary, .. } = *self.lead(process)?;
        let head = self.state.sources[primary];
        if (head.term, head.lead) != (term, term) {
            return None;
        }
        let histories = &self.contract.histories;
        let voters = histories.config(head.tail).voters;
        let holds = |source: &usize| {
            (self.state.sources[*source].term, self.state.sources[*source].tail) == (term, head.tail)
        };
        let is_proven = voters.sources().filter(holds).count() >= voters.majority();
        let shown = match self.is_on(Rule::FreshProof) {
            true if !is_proven => return None,
            true => head.tail,
            false => histories.up_to(head.tail, head.stable),
        };
        let (answered, _) = self.state.told.answered?;
        if histories.holds(shown, answered) {
            return None;
        }
        self.broken(Broken::Missed);
        Some(())
    }

    pub fn lead(&mut self, process: usize) -> Option<&mut Lead> {
        self.state.processes[process].lead.as_mut()
    }
}
