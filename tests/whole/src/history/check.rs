//! Whether a history of operations on a register that only grows is linearizable.
//!
//! Its states are the beginnings of one list, which is known at the end, and every answer names the state that it rests on.
//! So the order of the operations is given, and all that is left to find are moments: of each operation one between its
//! beginning and its end, none before that of an operation on an earlier state. Taking the earliest possible moment one
//! state after the other finds them if there are any.

use std::collections::HashMap;

use uuid::Uuid;

/// Nanoseconds of a clock that all processes share.
pub type Moment = u64;

/// An operation, and when it was under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub began: Moment,
    /// `None`: no answer came, so that it may still happen.
    pub ended: Option<Moment>,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Adds an entry; `at` is the state after it, if that was answered.
    Add { id: Uuid, expected: Option<u64>, at: Option<u64> },
    /// Was refused because the register was in state `actual`.
    Refused { id: Uuid, expected: Option<u64>, actual: u64 },
    /// The same, of a retry: its first try may still be executed.
    RetryRefused { id: Uuid, actual: u64 },
    /// Was answered, for certain, that nothing was written.
    Nothing { id: Uuid },
    /// Saw the register in a state, and perhaps the entry that led to it.
    See { state: u64, last: Option<Uuid> },
}

/// What is wrong with a history.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Violation {
    #[error("entry {0} stands twice in the list")]
    Doubled(Uuid),
    #[error("entry {id} was acknowledged as number {at}, where the list has {found:?}")]
    Lost { id: Uuid, at: u64, found: Option<Uuid> },
    #[error("entry {id} expected state {expected} and became number {at}")]
    NotExpected { id: Uuid, expected: u64, at: u64 },
    #[error("entry {0} was refused for certain, and was written all the same")]
    Written(Uuid),
    #[error("a retry of entry {id} was refused in state {actual}, when it was number {at} already")]
    Forgotten { id: Uuid, at: u64, actual: u64 },
    #[error("entry {id} was refused because state {state} was expected, and it was in that state")]
    NoReason { id: Uuid, state: u64 },
    #[error("state {state} was seen with the entry {last:?}, the list has {found:?}")]
    NotSeen { state: u64, last: Option<Uuid>, found: Option<Uuid> },
    #[error("{early:?} ended before {late:?} began, and rests on a later state, or on what that one added")]
    RealTime { early: Box<Operation>, late: Box<Operation> },
}

/// Checks a history against the list as it is at the end. Entries that no operation added are let pass.
pub fn check(list: &[Uuid], operations: &[Operation]) -> Result<(), Violation> {
    let mut numbers = HashMap::new();
    for (number, id) in (1..).zip(list) {
        if numbers.insert(*id, number).is_some() {
            return Err(Violation::Doubled(*id));
        }
    }
    let entry = |number: u64| number.checked_sub(1).and_then(|index| list.get(index as usize)).copied();
    // the operations that rest on each state: the one that led to it, and those that saw it
    let mut added: HashMap<u64, &Operation> = HashMap::new();
    let mut seen: HashMap<u64, Vec<&Operation>> = HashMap::new();
    for operation in operations {
        match operation.what {
            What::Add { id, expected, at } => {
                let number = numbers.get(&id).copied();
                if let Some(at) = at.filter(|at| number != Some(*at)) {
                    return Err(Violation::Lost { id, at, found: entry(at) });
                }
                let Some(at) = number else { continue };
                if let Some(expected) = expected.filter(|expected| expected + 1 != at) {
                    return Err(Violation::NotExpected { id, expected, at });
                }
                added.insert(at, operation);
            }
            What::Nothing { id } | What::Refused { id, .. } if numbers.contains_key(&id) => {
                return Err(Violation::Written(id));
            }
            What::Nothing { .. } => {}
            What::Refused { id, expected, actual } => {
                if expected == Some(actual) {
                    return Err(Violation::NoReason { id, state: actual });
                }
                seen.entry(actual).or_default().push(operation);
            }
            What::RetryRefused { id, actual } => {
                if let Some(at) = numbers.get(&id).copied().filter(|at| *at <= actual) {
                    return Err(Violation::Forgotten { id, at, actual });
                }
                seen.entry(actual).or_default().push(operation);
            }
            What::See { state, last } => {
                let found = entry(state);
                let exists = state <= list.len() as u64;
                if !exists || last.is_some_and(|last| found != Some(last)) {
                    return Err(Violation::NotSeen { state, last, found });
                }
                seen.entry(state).or_default().push(operation);
            }
        }
    }
    if let Some(state) = seen.keys().find(|state| **state > list.len() as u64) {
        return Err(Violation::NotSeen { state: *state, last: None, found: None });
    }
    in_real_time(list.len() as u64, &added, &seen)
}

fn in_real_time(
    states: u64,
    added: &HashMap<u64, &Operation>,
    seen: &HashMap<u64, Vec<&Operation>>,
) -> Result<(), Violation> {
    // of all operations on the states so far, the one that began last
    let mut latest: Option<&Operation> = None;
    for state in 0..=states {
        // the entry first: whoever saw it, saw it after it was added
        if let Some(operation) = added.get(&state).copied() {
            fits(latest, operation)?;
            latest = later(latest, operation);
        }
        // those that saw the same state may have done so in any order
        let before = latest;
        for operation in seen.get(&state).into_iter().flatten().copied() {
            fits(before, operation)?;
            latest = later(latest, operation);
        }
    }
    Ok(())
}

/// Whether an operation may have happened after one on an earlier state, or the one that led to its own.
fn fits(before: Option<&Operation>, operation: &Operation) -> Result<(), Violation> {
    match before {
        Some(before) if operation.ended.is_some_and(|ended| ended < before.began) => {
            let (early, late) = (Box::new(operation.clone()), Box::new(before.clone()));
            Err(Violation::RealTime { early, late })
        }
        _ => Ok(()),
    }
}

fn later<'a>(latest: Option<&'a Operation>, operation: &'a Operation) -> Option<&'a Operation> {
    match latest {
        Some(latest) if latest.began >= operation.began => Some(latest),
        _ => Some(operation),
    }
}

#[cfg(test)]
mod tests;
