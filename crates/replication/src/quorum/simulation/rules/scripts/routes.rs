//! Data that one source alone keeps.

use super::*;

/// A majority acknowledges what the one that keeps the data has not got.
#[test]
fn what_one_source_keeps_is_acknowledged_once_that_one_holds_it() {
    let plan = Plan { is_routed: true, ..three(None) };
    needs_in(Rule::KeeperHolds, plan, |stage| {
        stage.open()?;
        stage.lines(&[(0, 0), (0, 1)]);
        stage.append(0, 0)?;
        stage.until("the commit is acknowledged", |world| world.is_told(0))
    });
}

/// The one that keeps the data is behind, and the others drop it.
#[test]
fn data_is_dropped_once_the_source_that_keeps_it_holds_it() {
    let plan = Plan { is_routed: true, ..three(None) };
    needs_in(Rule::DroppedIfKept, plan, |stage| {
        stage.open()?;
        stage.lines(&[(0, 0), (0, 1)]);
        let before = stage.world.tail_of(0);
        stage.append(0, 0)?;
        stage.until("a majority holds the commit", move |world| {
            world.tail_of(0) > before && world.is_settled(0)
        })?;
        stage.wait(2_500)
    });
}

/// The one that keeps the data is brought to another history, and back to this one by a source that dropped it.
#[test]
fn only_of_what_is_committed_data_is_dropped() {
    let plan = Plan { voters: 5, is_routed: true, ..three(None) };
    needs_in(Rule::DroppedIfCommitted, plan, |stage| {
        stage.open()?;
        stage.lines(&[(0, 0), (0, 4)]);
        let at = stage.world.tail_of(0) + 1;
        stage.append(0, 0)?;
        stage.until("the first source dropped what the fifth keeps", move |world| {
            let event = world.sources[&name(0)].event_at(Position::new(at));
            event.is_some_and(|event| event.data.is_none())
        })?;
        stage.pass(|peer, source, operation| peer == 1 && [1, 2, 3].contains(&source) && !copies(operation));
        stage.until("the second source is opened", |world| world.leads(1, 2))?;
        stage.lines(&[(1, 1), (1, 4)]);
        stage.until("the fifth follows it", |world| {
            world.sources[&name(4)].head.tail == world.sources[&name(1)].head.tail
        })?;
        stage.lines(&[(0, 0), (0, 2), (0, 3)]);
        stage.until("the first source is opened again", |world| world.leads(0, 3))?;
        stage.lines(&[(0, 0), (0, 2), (0, 3), (0, 4)]);
        stage.until("the fifth follows again", |world| {
            world.sources[&name(4)].head.tail == world.sources[&name(0)].head.tail
        })
    });
}
