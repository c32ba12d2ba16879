use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    bounds::{Bounds, Rule},
    members::Set,
    properties::{ACKNOWLEDGED, CHANGED, REMOVED, SHOWN, SWITCHED},
    protocol::Protocol,
};

/// An exploration: everything that can happen within the bounds in so many steps.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub bounds: Bounds,
    /// Longest order of steps that is tried; none = until nothing new comes.
    pub steps: Option<usize>,
}

const TWO_TERMS: Bounds = Bounds {
    sources: 3,
    voters: &[Set(0b111)],
    processes: 2,
    terms: 2,
    commits: 1,
    late: 0,
    crashes: 0,
    elects_at_once: false,
    by_order: false,
};

/// One switch, each of its steps apart.
pub const SWITCH: Run = Run { bounds: TWO_TERMS, steps: None };
/// Two elections, one overtaking the other.
pub const OVERTAKEN: Run = Run { bounds: Bounds { terms: 3, ..TWO_TERMS }, steps: Some(11) };
/// A candidate that forgets itself, and what it sent arrives later.
pub const FORGETFUL: Run =
    Run { bounds: Bounds { processes: 1, late: 1, crashes: 1, ..TWO_TERMS }, steps: Some(13) };
/// Three elections, each in one step.
pub const ELECTIONS: Run =
    Run { bounds: Bounds { terms: 4, elects_at_once: true, ..TWO_TERMS }, steps: Some(5) };
/// Four elections, each in one step that opens the first in order, and nothing but what they write themselves.
pub const FIVE_TERMS: Run = Run {
    bounds: Bounds { terms: 5, commits: 0, elects_at_once: true, by_order: true, ..TWO_TERMS },
    steps: Some(5),
};
/// One election in one step, and late requests.
pub const LATE: Run = Run { bounds: Bounds { late: 1, elects_at_once: true, ..TWO_TERMS }, steps: Some(7) };

/// Voters go one after the other, down to one, and come back.
pub const VOTERS: Run = Run {
    bounds: Bounds {
        voters: &[Set(0b111), Set(0b011), Set(0b001)],
        commits: 0,
        elects_at_once: true,
        ..TWO_TERMS
    },
    steps: Some(8),
};
/// Of four voters one goes, or another one.
pub const ONE_OF_FOUR: Run = Run {
    bounds: Bounds {
        sources: 4,
        voters: &[Set(0b1111), Set(0b0111), Set(0b1110)],
        terms: 3,
        commits: 0,
        elects_at_once: true,
        by_order: true,
        ..TWO_TERMS
    },
    steps: Some(7),
};

/// So many steps more than in an ordinary test.
fn deeper() -> usize {
    let asked = std::env::var("POLYLOG_MODEL_DEEPER").ok();
    asked.map_or(0, |steps| steps.parse().expect("POLYLOG_MODEL_DEEPER is a number of steps"))
}

/// With all rules nothing is lost, and what should happen does.
pub fn holds(run: Run, happens: &[&'static str]) {
    let model = Protocol::new(run.bounds, None).checker();
    let model = match run.steps {
        // a state is looked at below this depth, which counts states
        Some(steps) => model.target_max_depth(steps + deeper() + 2),
        None => model,
    };
    let checked = model.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{} states", checked.unique_state_count());
    for (property, path) in checked.discoveries() {
        let is_wanted = [ACKNOWLEDGED, SWITCHED, SHOWN, REMOVED, CHANGED].contains(&property);
        assert!(is_wanted, "not so: {property}\n{:#?}", path.into_actions());
    }
    for property in happens.iter().copied() {
        assert!(checked.discovery(property).is_some(), "never happens: {property}");
    }
}

/// Without the rule `property` is broken, in no more steps than [`holds`] tries.
pub fn missed(rule: Rule, run: Run, property: &'static str) {
    let model = Protocol::new(run.bounds, Some(rule)).checker();
    let finish = HasDiscoveries::AnyOf([property].into());
    let model = match run.steps {
        Some(steps) => model.target_max_depth(steps + 2),
        None => model,
    };
    let checked = model.finish_when(finish).spawn_bfs().join();
    let Some(path) = checked.discovery(property) else { panic!("nobody misses {rule:?}") };
    println!("without {rule:?}, after {} states, not so: {property}", checked.unique_state_count());
    path.into_actions().iter().for_each(|act| println!("    {act:?}"));
}
