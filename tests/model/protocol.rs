use std::sync::Mutex;

use polylog_log::Rules;
use stateright::{Model, Property};

use crate::{
    acts::{Act, acts},
    bounds::{Bounds, Rule},
    contract::{Answer, Contract, Request, Source},
    properties::properties,
    state::{Process, State, Told},
};

/// The model: what may happen, and with which rules.
pub struct Protocol {
    pub bounds: Bounds,
    pub off: Option<Rule>,
    pub contract: Mutex<Contract>,
    first: State,
}

impl Protocol {
    pub fn new(bounds: Bounds, off: Option<Rule>) -> Self {
        let rules = Rules::without_all(off.map_or(&[], Rule::of_sources));
        let (contract, sources) = Contract::begin(rules, bounds.sources, bounds.voters[0]);
        let settled = sources[0].tail;
        let settled_by = contract.histories.term(settled);
        let told = Told { settled, settled_by, answered: None, is_removed: false, broken: None };
        let processes = vec![Process::default(); usize::from(bounds.processes)];
        let first = State { sources, processes, late: Vec::new(), crashes: 0, told };
        Self { bounds, off, contract: Mutex::new(contract), first }
    }

    pub fn is_on(&self, rule: Rule) -> bool {
        self.off != Some(rule)
    }
}

/// A step under way.
pub struct Step<'a> {
    pub protocol: &'a Protocol,
    pub contract: &'a mut Contract,
    pub state: State,
}

impl Step<'_> {
    pub fn is_on(&self, rule: Rule) -> bool {
        self.protocol.is_on(rule)
    }

    /// Sends a request that is executed now, or one that nobody waits for: then there is no answer.
    pub fn send(&mut self, to: usize, request: Request, is_late: bool) -> Option<(Source, Answer)> {
        if is_late {
            let sent = (to, request);
            let at = self.state.late.binary_search(&sent).err()?;
            self.state.late.insert(at, sent);
            return None;
        }
        let before = self.state.sources[to];
        let (after, answer) = self.contract.execute(to, before, request);
        self.state.sources[to] = after;
        self.compare(before, after);
        Some((after, answer))
    }

    fn take(&mut self, act: Act) -> Option<()> {
        match act {
            Act::Elect { process, term } => self.elect(process, term),
            Act::Ask { process, source, is_late } => self.ask(process, source, is_late)?,
            Act::Choose { process, primary } => self.choose(process, primary)?,
            Act::Level { process, is_late } => self.level(process, is_late)?,
            Act::Open { process, is_late } => self.open(process, is_late)?,
            Act::ElectAtOnce { process, term, asked, primary } => {
                self.elect_at_once(process, term, asked, primary)?;
            }
            Act::Obey { process, source } => self.obey(process, source),
            Act::Append { process, commit, is_late } => self.append(process, commit, is_late)?,
            Act::Configure { process, voters } => self.configure(process, voters)?,
            Act::Look { process } => self.look(process)?,
            Act::Push { process, source, is_late } => self.push(process, source, is_late)?,
            Act::Count { process, source } => self.count(process, source)?,
            Act::Read { process } => self.read(process)?,
            Act::Crash { process } => {
                let lives = self.state.processes[process].lives + 1;
                self.state.processes[process] = Process { lives, ..Process::default() };
                self.state.crashes += 1;
            }
            Act::Arrive { index } => {
                let (to, request) = self.state.late.remove(index);
                self.send(to, request, false);
            }
        }
        Some(())
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![self.first.clone()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        // what is broken is not followed further
        if state.told.broken.is_none() {
            acts(self, &self.contract.lock().expect("no step panics"), state, actions);
        }
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let mut contract = self.contract.lock().expect("no step panics");
        let mut step = Step { protocol: self, contract: &mut contract, state: state.clone() };
        step.take(act)?;
        Some(step.state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }
}
