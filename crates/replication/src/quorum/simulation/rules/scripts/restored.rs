//! Sources that forgot what they had said.

use super::*;

/// A source that forgot takes part no more, until it is adopted again.
#[test]
fn a_source_that_forgot_is_noticed() {
    let mut stage = Stage::new(three(None));
    let script = |stage: &mut Stage| {
        stage.open()?;
        let backup = stage.world.sources[&name(2)].clone();
        stage.pass(|_, _, _| true);
        stage.append(0, 0)?;
        stage.until("all hold a commit, and know it", |world| {
            world.is_told(0) && (0..3).all(|index| world.is_settled(index) && world.tail_of(index) > 1)
        })?;
        stage.wait(500)?;
        stage.world.sources.insert(name(2), backup);
        stage.until("all know", |world| {
            let gone = |seen: &SeenSource| seen.name == name(2) && seen.went_back;
            world.peers.iter().all(|peer| peer.seen().sources.iter().any(gone))
        })
    };
    assert_eq!(script(&mut stage), Ok(()), "{:#?}", stage.world.said);
}

/// A voter forgets, while no process runs, that it holds a commit; who held it with that one is away when processes begin.
#[test]
fn a_source_that_forgot_while_nobody_ran_is_noticed() {
    needs(Rule::Remembered, |stage| {
        stage.open()?;
        let backup = stage.world.sources[&name(1)].clone();
        let (of, revision) = (backup.head.identity, backup.head.revision);
        stage.pass(|_, _, _| true);
        stage.append(0, 0)?;
        stage.until("the third source keeps more of the second than its backup shows", move |world| {
            world.is_told(0) && world.sources[&name(2)].keeps_of(&of) > revision
        })?;
        stage.lines(&[(0, 0), (0, 1)]);
        stage.append(0, 1)?;
        stage.until("a commit is acknowledged", |world| world.is_told(1))?;
        stage.world.sources.insert(name(1), backup);
        (0..3).for_each(|peer| stage.world.kill(peer));
        stage.pass(|_, source, _| source != 0);
        stage.wait(3_000)?;
        let all_know = |world: &World| {
            let knows = |peer: &Peer<u64>| {
                let gone = |seen: &SeenSource| seen.name == name(1) && seen.went_back;
                peer.seen().sources.iter().any(gone)
            };
            world.peers.iter().all(knows)
        };
        stage.until("all know", all_know)?;
        // with the first source the log goes on, and the second counts no more
        stage.pass(|_, _, _| true);
        stage.append(0, 2)?;
        stage.until("a commit is acknowledged", |world| world.is_told(2))?;
        broken_if(stage.world.tail_of(1) > stage.world.tail_of(0), "the one that forgot is written to")
    });
}
