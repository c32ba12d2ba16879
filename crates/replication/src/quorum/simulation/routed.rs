//! What holds of data that one source keeps alone.

use std::collections::BTreeMap;

use polylog_log::{CommitReceipt, Event, Position, SourceName};

use super::{promises::Kept, source::SimSource};
use crate::quorum::Operation;

type Sources = BTreeMap<SourceName, SimSource>;

/// Whether the source that keeps an event's data has it.
fn keeps(sources: &Sources, event: &Event) -> bool {
    let Some(keeper) = event.keeper() else { return true };
    let held = sources.get(&keeper).and_then(|source| source.event_at(event.position));
    held.is_some_and(|held| held.digest == event.digest && held.data.is_some())
}

/// After an operation of a source: what has no data there has it at its keeper, and that one gets none without.
pub(super) fn data_is_kept(name: &SourceName, sources: &Sources, operation: &Operation) -> Kept {
    let source = &sources[name];
    let touched: Vec<Position> = match operation {
        Operation::Strip(strip) => strip.events.iter().map(|(position, _)| *position).collect(),
        Operation::Apply(apply) => {
            let events = apply.entries.iter().flat_map(|entry| &entry.events);
            events.filter(|event| event.data.is_none()).map(|event| event.position).collect()
        }
        _ => return Ok(()),
    };
    let dropped = touched.iter().filter_map(|position| source.event_at(*position));
    match dropped.filter(|event| event.data.is_none()).find(|event| !keeps(sources, event)) {
        Some(event) => Err(format!("{name}: nobody keeps the data of position {}", event.position)),
        None => Ok(()),
    }
}

/// When a client is told that its commit is kept.
pub(super) fn keepers_hold(receipt: &CommitReceipt, sources: &Sources) -> Kept {
    let holder = sources
        .values()
        .find(|source| source.entry_at(receipt.last).is_some_and(|entry| entry.chain == receipt.chain));
    let entry = holder.and_then(|source| source.entry_at(receipt.last));
    match entry.into_iter().flat_map(|entry| &entry.events).find(|event| !keeps(sources, event)) {
        Some(event) => {
            Err(format!("position {} is acknowledged, and its keeper does not have it", event.position))
        }
        None => Ok(()),
    }
}

/// Whether a source dropped all that others keep.
pub(super) fn is_stripped(name: &SourceName, source: &SimSource) -> bool {
    let mut events = source.entries.iter().flat_map(|entry| &entry.events);
    events.all(|event| event.data.is_none() || event.keeper().is_none_or(|keeper| keeper == *name))
}

/// The end: every keeper has what it keeps.
pub(super) fn all_is_kept(sources: &Sources) -> Kept {
    let events = sources.values().flat_map(|source| &source.entries).flat_map(|entry| &entry.events);
    let mut without = events.filter(|event| event.data.is_none());
    match without.find(|event| !keeps(sources, event)) {
        Some(event) => Err(format!("nobody keeps the data of position {} at the end", event.position)),
        None => Ok(()),
    }
}
