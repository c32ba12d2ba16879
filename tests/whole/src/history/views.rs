//! The registers that a history is about: each stream, and the log as a whole.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use uuid::Uuid;

use super::{
    check::{self, Operation},
    record::{Event, Outcome, Promise, Record, What},
};
use crate::audit::Logged;

/// What was checked.
#[derive(Debug, Default)]
pub struct Checked {
    pub streams: usize,
    pub acknowledged: usize,
    pub refused: usize,
    pub unknown: usize,
    /// Of the unknown ones those that were written.
    pub written: usize,
    pub reads: usize,
}

/// A register: its entries, and what was done to it.
#[derive(Default)]
struct Register {
    entries: Vec<Uuid>,
    operations: Vec<Operation>,
}

/// Checks what clients noted against the log as it is at the end.
pub fn check(records: &[Record], log: &[Logged]) -> Result<Checked> {
    let mut checked = Checked::default();
    let mut streams: BTreeMap<&str, Register> = BTreeMap::new();
    let mut whole = Register { entries: log.iter().map(|event| event.id).collect(), operations: Vec::new() };
    let positions: HashMap<Uuid, u64> =
        (1..).zip(log).map(|(position, event)| (event.id, position)).collect();
    for event in log {
        streams.entry(&event.stream).or_default().entries.push(event.id);
    }
    let mut sent: HashSet<Uuid> = HashSet::new();
    for record in records {
        match &record.what {
            What::Append { events, outcome } => {
                sent.extend(events.iter().map(|event| event.id));
                is_whole(events, &positions)?;
                checked.count(events, outcome, &positions);
                for (index, event) in events.iter().enumerate() {
                    let register = streams.entry(&event.stream).or_default();
                    register.operations.extend(on_stream(record, event, index, outcome));
                }
                whole.operations.extend(on_log(record, events, outcome, &positions));
            }
            What::Read { stream, version, last, position, promise } => {
                checked.reads += 1;
                let register = streams.entry(stream).or_default();
                match promise {
                    Promise::Strong => {
                        let see = check::What::See { state: *version, last: *last };
                        register.operations.push(timed(record, see));
                        let end = position.map(|state| check::What::See { state, last: None });
                        whole.operations.extend(end.map(|end| timed(record, end)));
                    }
                    Promise::Session(least) => {
                        ensure!(version >= least, "a token of version {least} was answered by {record:?}");
                        let found =
                            version.checked_sub(1).and_then(|index| register.entries.get(index as usize));
                        ensure!(found == last.as_ref(), "{record:?} shows what is not in the log: {found:?}");
                    }
                }
            }
        }
    }
    for (name, register) in &streams {
        let foreign = register.entries.iter().find(|id| name.starts_with("History-") && !sent.contains(id));
        ensure!(foreign.is_none(), "{foreign:?} in {name} was sent by nobody");
        register.check().with_context(|| format!("stream {name}"))?;
    }
    whole.check().context("the log as a whole")?;
    checked.streams = streams.keys().filter(|name| name.starts_with("History-")).count();
    Ok(checked)
}

/// A commit stands in one piece, or not at all.
fn is_whole(events: &[Event], positions: &HashMap<Uuid, u64>) -> Result<()> {
    let mut found: Vec<u64> = events.iter().filter_map(|event| positions.get(&event.id).copied()).collect();
    found.sort_unstable();
    let is_dense = found.windows(2).all(|pair| pair[1] == pair[0] + 1);
    ensure!(
        found.is_empty() || (found.len() == events.len() && is_dense),
        "a commit of {} events stands at {found:?}",
        events.len()
    );
    Ok(())
}

fn timed(record: &Record, what: check::What) -> Operation {
    Operation { began: record.began, ended: Some(record.ended), what }
}

fn without_answer(record: &Record, what: check::What) -> Operation {
    Operation { began: record.began, ended: None, what }
}

/// What the append of `events[index]` is to its stream.
fn on_stream(record: &Record, event: &Event, index: usize, outcome: &Outcome) -> Vec<Operation> {
    let Event { id, expected, .. } = *event;
    let unknown = || without_answer(record, check::What::Add { id, expected, at: None });
    match outcome {
        Outcome::Acknowledged(places) => {
            vec![timed(record, check::What::Add { id, expected, at: Some(places[index].0) })]
        }
        Outcome::Nothing => vec![timed(record, check::What::Nothing { id })],
        Outcome::Unknown => vec![unknown()],
        Outcome::Refused { tried, is_retry, actual } => {
            let actual = actual.iter().find(|(stream, _)| *stream == event.stream).map(|(_, actual)| *actual);
            let told = match (actual, is_retry) {
                (Some(actual), true) => Some(check::What::RetryRefused { id, actual }),
                (Some(actual), false) => Some(check::What::Refused { id, expected, actual }),
                (None, true) => None,
                (None, false) => Some(check::What::Nothing { id }),
            };
            let told = told.map(|what| Operation { began: *tried, ended: Some(record.ended), what });
            told.into_iter().chain(is_retry.then(unknown)).collect()
        }
    }
}

/// What an append is to the log: one step, whose end is the position of its last event.
fn on_log(
    record: &Record,
    events: &[Event],
    outcome: &Outcome,
    positions: &HashMap<Uuid, u64>,
) -> Option<Operation> {
    let add = |id, at| check::What::Add { id, expected: None, at };
    match outcome {
        Outcome::Acknowledged(places) => {
            let (event, (_, last)) = events.iter().zip(places).max_by_key(|(_, (_, position))| position)?;
            Some(timed(record, add(event.id, Some(*last))))
        }
        Outcome::Nothing | Outcome::Unknown | Outcome::Refused { .. } => {
            let last = events.iter().filter(|event| positions.contains_key(&event.id));
            let last = last.max_by_key(|event| positions[&event.id])?;
            Some(without_answer(record, add(last.id, None)))
        }
    }
}

impl Register {
    fn check(&self) -> Result<(), check::Violation> {
        check::check(&self.entries, &self.operations)
    }
}

impl Checked {
    fn count(&mut self, events: &[Event], outcome: &Outcome, positions: &HashMap<Uuid, u64>) {
        match outcome {
            Outcome::Acknowledged(_) => self.acknowledged += 1,
            Outcome::Refused { .. } => self.refused += 1,
            Outcome::Nothing => {}
            Outcome::Unknown => {
                self.unknown += 1;
                self.written += usize::from(positions.contains_key(&events[0].id));
            }
        }
    }
}
