use std::cmp::Reverse;

use crate::{
    bounds::Rule,
    contract::{Place, Source},
    histories::InForce,
    protocol::Step,
    state::{Broken, Lead},
};

impl Step<'_> {
    /// What a majority holds, together with an entry of the term that is counted.
    fn settled(&self, lead: &Lead) -> Option<Place> {
        let histories = &self.contract.histories;
        let voters = self.config(lead).voters;
        let mut held: Vec<Place> = voters.sources().map(|source| lead.held[source]).collect();
        held.sort_by_key(|place| Reverse(histories.position(*place)));
        let place = held[voters.majority() - 1];
        let is_own = histories.term(place) == lead.term || !self.is_on(Rule::CommitOwnTerm);
        (is_own && place != histories.start()).then_some(place)
    }

    /// The configuration that counts: that of the primary's log.
    pub fn config(&self, lead: &Lead) -> InForce {
        self.contract.histories.config(lead.tail)
    }

    pub fn settled_position(&self, lead: &Lead) -> u8 {
        self.settled(lead).map_or(0, |place| self.contract.histories.position(place))
    }

    /// Tells who waits, once enough is held.
    pub fn settle(&mut self, process: usize) -> Option<()> {
        let lead = self.lead(process)?.clone();
        let Some(place) = self.settled(&lead) else { return Some(()) };
        let histories = &self.contract.histories;
        let settled = self.state.told.settled;
        if !histories.agree(place, settled) {
            self.broken(Broken::SettledTwice);
        } else if histories.holds(place, settled) && place != settled {
            (self.state.told.settled, self.state.told.settled_by) = (place, lead.term);
        }
        let is_held = |waiting: &Place| self.contract.histories.holds(place, *waiting);
        if let Some(waiting) = lead.waiting.filter(is_held) {
            self.lead(process)?.waiting = None;
            self.answer(waiting, lead.term);
        }
        Some(())
    }

    /// Tells a client that its commit stands, on the evidence of a term.
    pub fn answer(&mut self, end: Place, term: u8) {
        let histories = &self.contract.histories;
        match self.state.told.answered {
            Some((before, _)) if !histories.agree(end, before) => self.broken(Broken::AnsweredTwice),
            Some((before, _)) if histories.holds(before, end) => {}
            _ => self.state.told.answered = Some((end, term)),
        }
    }

    /// Compares what a source showed with what it shows.
    pub fn compare(&mut self, before: Source, after: Source) {
        let histories = &self.contract.histories;
        let shown = |source: Source| histories.up_to(source.tail, source.stable);
        let (is_kept, is_shown) =
            (histories.holds(after.tail, before.tail), histories.holds(shown(after), shown(before)));
        self.state.told.is_removed |= !is_kept;
        if !is_shown {
            self.broken(Broken::Hidden);
        }
    }

    pub fn broken(&mut self, what: Broken) {
        self.state.told.broken.get_or_insert(what);
    }
}
