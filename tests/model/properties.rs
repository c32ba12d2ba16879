use stateright::Property;

use crate::{
    contract::{BEGINNING, Contract, Place, Source},
    members::Set,
    protocol::Protocol,
    state::{Broken, State},
};

pub const ONE_PRIMARY: &str = "one primary a term";
pub const ONE_LOG: &str = "one log is settled";
pub const ONE_ANSWER: &str = "answers rest on one log";
pub const SETTLED_STAYS: &str = "a later primary holds what was settled";
pub const ANSWERED_STAYS: &str = "a later primary holds what was acknowledged";
pub const HELD: &str = "a majority holds what was settled";
pub const SHOWN_IS_SETTLED: &str = "only what is settled is shown";
pub const SHOWN_STAYS: &str = "what was shown stays";
pub const STRONG: &str = "a strong read misses nothing";
pub const SOUND: &str = "terms never fall along a log, and nothing stands in it twice";
pub const HEARD: &str = "no source holds an entry of a term that it has not heard of";
pub const IN_FORCE: &str = "a source is under the last configuration of its log";

pub const ACKNOWLEDGED: &str = "an append is acknowledged";
pub const SWITCHED: &str = "an append is acknowledged under a later term";
pub const SHOWN: &str = "a source shows what was appended";
pub const REMOVED: &str = "a tail that lost is removed";
pub const CHANGED: &str = "other voters are settled";

/// What must always hold, and what must be possible.
pub fn properties() -> Vec<Property<Protocol>> {
    vec![
        Property::always(ONE_PRIMARY, |_, state: &State| has_one_primary(state)),
        Property::always(ONE_LOG, |_, state: &State| state.told.broken != Some(Broken::SettledTwice)),
        Property::always(ONE_ANSWER, |_, state: &State| state.told.broken != Some(Broken::AnsweredTwice)),
        Property::always(SETTLED_STAYS, |model: &Protocol, state: &State| {
            let (settled, term) = (state.told.settled, state.told.settled_by);
            with(model, |contract| later_primaries_hold(contract, state, settled, term))
        }),
        Property::always(ANSWERED_STAYS, |model: &Protocol, state: &State| {
            let Some((answered, term)) = state.told.answered else { return true };
            with(model, |contract| later_primaries_hold(contract, state, answered, term))
        }),
        Property::always(HELD, |model: &Protocol, state: &State| {
            model.bounds.voters.len() > 1 || with(model, |contract| is_held(contract, state))
        }),
        Property::always(SHOWN_IS_SETTLED, |model: &Protocol, state: &State| {
            with(model, |contract| shows_settled(contract, state))
        }),
        Property::always(SHOWN_STAYS, |_, state: &State| state.told.broken != Some(Broken::Hidden)),
        Property::always(STRONG, |_, state: &State| state.told.broken != Some(Broken::Missed)),
        Property::always(SOUND, |model: &Protocol, state: &State| {
            with(model, |contract| are_sound(contract, state))
        }),
        Property::always(HEARD, |model: &Protocol, state: &State| {
            with(model, |contract| have_heard(contract, state))
        }),
        Property::always(IN_FORCE, |model: &Protocol, state: &State| {
            with(model, |contract| are_in_force(contract, state))
        }),
        Property::sometimes(ACKNOWLEDGED, |_, state: &State| state.told.answered.is_some()),
        Property::sometimes(SWITCHED, |_, state: &State| {
            state.told.answered.is_some_and(|(_, term)| term > 1)
        }),
        Property::sometimes(SHOWN, |_, state: &State| {
            state.sources.iter().any(|source| source.stable > BEGINNING)
        }),
        Property::sometimes(REMOVED, |_, state: &State| state.told.is_removed),
        Property::sometimes(CHANGED, |model: &Protocol, state: &State| {
            with(model, |contract| has_changed(contract, state, model.bounds.voters[0]))
        }),
    ]
}

fn with(model: &Protocol, holds: impl FnOnce(&Contract) -> bool) -> bool {
    holds(&model.contract.lock().expect("no step panics"))
}

fn has_one_primary(state: &State) -> bool {
    let mut leads: Vec<u8> =
        state.sources.iter().map(|source| source.lead).filter(|lead| *lead > 0).collect();
    let opened = leads.len();
    leads.sort_unstable();
    leads.dedup();
    leads.len() == opened
}

/// Whoever is primary of a later term holds it.
fn later_primaries_hold(contract: &Contract, state: &State, place: Place, term: u8) -> bool {
    let mut primaries =
        state.sources.iter().filter(|source| source.lead == source.term && source.term > term);
    primaries.all(|primary| contract.histories.holds(primary.tail, place))
}

/// While nobody comes or goes: a change is settled by those whom it names.
fn is_held(contract: &Contract, state: &State) -> bool {
    let histories = &contract.histories;
    let (settled, voters) = (state.told.settled, histories.config(state.told.settled).voters);
    let holds = |source: &usize| histories.holds(state.sources[*source].tail, settled);
    voters.sources().filter(holds).count() >= voters.majority()
}

fn has_changed(contract: &Contract, state: &State, first: Set) -> bool {
    contract.histories.config(state.told.settled).voters != first
}

fn shows_settled(contract: &Contract, state: &State) -> bool {
    let histories = &contract.histories;
    let shown = |source: &Source| histories.up_to(source.tail, source.stable);
    state.sources.iter().all(|source| histories.holds(state.told.settled, shown(source)))
}

fn are_sound(contract: &Contract, state: &State) -> bool {
    state.sources.iter().all(|source| contract.histories.is_sound(source.tail))
}

fn have_heard(contract: &Contract, state: &State) -> bool {
    state.sources.iter().all(|source| contract.histories.term(source.tail) <= source.term)
}

fn are_in_force(contract: &Contract, state: &State) -> bool {
    state.sources.iter().all(|source| contract.histories.config(source.tail).position == source.config)
}
