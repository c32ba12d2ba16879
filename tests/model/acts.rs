use crate::{
    bounds::Rule,
    contract::Contract,
    members::Set,
    protocol::Protocol,
    state::{Process, State},
};

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A process decides to elect.
    Elect { process: usize, term: u8 },
    /// It asks for a promise.
    Ask { process: usize, source: usize, is_late: bool },
    /// It takes the best log and a new primary.
    Choose { process: usize, primary: usize },
    /// It brings the new primary one step nearer to the best log.
    Level { process: usize, is_late: bool },
    /// It opens the new primary.
    Open { process: usize, is_late: bool },
    /// All of these at once, with the promises of some.
    ElectAtOnce { process: usize, term: u8, asked: Set, primary: usize },
    /// A process sees a primary of a later term than it knew.
    Obey { process: usize, source: usize },
    /// It sends a client's commit.
    Append { process: usize, commit: u8, is_late: bool },
    /// It changes who votes.
    Configure { process: usize, voters: Set },
    /// It reads the primary's log.
    Look { process: usize },
    /// It sends a source the next entry, or has it remove what diverges.
    Push { process: usize, source: usize, is_late: bool },
    /// It reads the head of a source.
    Count { process: usize, source: usize },
    /// It answers a strong read.
    Read { process: usize },
    /// It forgets all.
    Crash { process: usize },
    /// A late request is executed.
    Arrive { index: usize },
}

/// All that can happen in a state. What would change nothing may be among it.
pub fn acts(protocol: &Protocol, contract: &Contract, state: &State, acts: &mut Vec<Act>) {
    let may_be_late = state.late.len() < usize::from(protocol.bounds.late);
    let lates: &[bool] = if may_be_late { &[false, true] } else { &[false] };
    acts.extend((0..state.late.len()).map(|index| Act::Arrive { index }));
    for (process, of) in state.processes.iter().enumerate() {
        electing(protocol, state, process, of, lates, acts);
        obeying(protocol, state, process, of, acts);
        leading(protocol, contract, state, process, of, lates, acts);
        let knows = of.lead.is_some() || of.attempt.is_some();
        if knows && state.crashes < protocol.bounds.crashes {
            acts.push(Act::Crash { process });
        }
    }
}

fn electing(
    protocol: &Protocol,
    state: &State,
    process: usize,
    of: &Process,
    lates: &[bool],
    acts: &mut Vec<Act>,
) {
    let Some(attempt) = &of.attempt else {
        let mut terms: Vec<u8> =
            state.sources[..protocol.bounds.sources].iter().map(|source| source.term + 1).collect();
        terms.sort_unstable();
        terms.dedup();
        for term in terms.into_iter().filter(|term| *term > of.asked && *term <= protocol.bounds.terms) {
            match protocol.bounds.elects_at_once {
                true => elections(protocol, process, term, acts),
                false => acts.push(Act::Elect { process, term }),
            }
        }
        return;
    };
    match attempt.chosen {
        None => {
            for source in 0..protocol.bounds.sources {
                match attempt.grants[source] {
                    None => {
                        acts.extend(lates.iter().map(|is_late| Act::Ask {
                            process,
                            source,
                            is_late: *is_late,
                        }));
                    }
                    Some(_) => acts.push(Act::Choose { process, primary: source }),
                }
            }
        }
        Some((primary, best)) => {
            let is_level = state.sources[primary].tail == best || !protocol.is_on(Rule::Levelled);
            acts.extend(lates.iter().map(|is_late| match is_level {
                true => Act::Open { process, is_late: *is_late },
                false => Act::Level { process, is_late: *is_late },
            }));
        }
    }
}

fn elections(protocol: &Protocol, process: usize, term: u8, acts: &mut Vec<Act>) {
    let sets = (1..(1 << protocol.bounds.sources)).map(Set).filter(|set| set.count() > 1);
    for asked in sets {
        acts.extend(asked.sources().map(|primary| Act::ElectAtOnce { process, term, asked, primary }));
    }
}

fn obeying(protocol: &Protocol, state: &State, process: usize, of: &Process, acts: &mut Vec<Act>) {
    let known = of.lead.as_ref().map_or(0, |lead| lead.term);
    for (source, head) in state.sources.iter().enumerate().take(protocol.bounds.sources) {
        let is_opened = head.lead == head.term || !protocol.is_on(Rule::Opened);
        if is_opened && head.term > known {
            acts.push(Act::Obey { process, source });
        }
    }
}

fn leading(
    protocol: &Protocol,
    contract: &Contract,
    state: &State,
    process: usize,
    of: &Process,
    lates: &[bool],
    acts: &mut Vec<Act>,
) {
    let Some(lead) = &of.lead else { return };
    if lead.waiting.is_none() {
        for commit in 1..=protocol.bounds.commits {
            acts.extend(lates.iter().map(|is_late| Act::Append { process, commit, is_late: *is_late }));
        }
    }
    let voters = contract.histories.config(lead.tail).voters;
    let changes = protocol.bounds.voters.iter().filter(|to| **to != voters && to.has(lead.primary));
    acts.extend(changes.map(|to| Act::Configure { process, voters: *to }));
    if state.sources[lead.primary].tail != lead.tail {
        acts.push(Act::Look { process });
    }
    for source in (0..protocol.bounds.sources).filter(|source| *source != lead.primary) {
        let head = state.sources[source];
        if head.tail != lead.tail && !contract.histories.holds(head.tail, lead.tail) {
            acts.extend(lates.iter().map(|is_late| Act::Push { process, source, is_late: *is_late }));
        }
        if lead.held[source] != head.tail {
            acts.push(Act::Count { process, source });
        }
    }
    acts.push(Act::Read { process });
}
