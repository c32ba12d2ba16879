//! Scripts: what happens in which order, so that one rule alone stands between the log and its loss. Each is played twice.

mod configurations;
mod restored;
mod routes;

use polylog_log::{Acks, Config, Expected, Failover, Position, StreamName};

use crate::quorum::{
    Operation, Peer, Rule, SeenSource,
    simulation::{
        clients::says_nothing_was_written,
        plan::Plan,
        stage::{Played, Stage, Stop, copies, three},
        world::{World, name},
    },
};

/// With the rule a script does no harm; without it a promise is broken.
fn needs(rule: Rule, script: fn(&mut Stage) -> Played) {
    needs_in(rule, Plan { page: 1, ..Plan::majority() }, script);
}

fn needs_in(rule: Rule, plan: Plan, script: fn(&mut Stage) -> Played) {
    needs_of(rule, &[], plan, script);
}

/// The same, together with rules of sources.
fn needs_of(rule: Rule, of: &[polylog_log::Rule], plan: Plan, script: fn(&mut Stage) -> Played) {
    let play = |off: Option<Rule>| {
        let sources_without = polylog_log::Rules::without_all(if off.is_some() { of } else { &[] });
        let mut stage = Stage::new(Plan { off, sources_without, ..plan.clone() });
        let played = script(&mut stage);
        let steps = stage.world.steps;
        (stage, played, steps)
    };
    let (stage, with, _) = play(None);
    if let Err(Stop::Broken(broken)) = with {
        stage.world.said.iter().for_each(|line| println!("{line}"));
        panic!("with {rule:?}: {broken}");
    }
    let (stage, without, steps) = play(Some(rule));
    match without {
        Err(Stop::Broken(broken)) => println!("{rule:?} {of:?}: missed after {steps} steps: {broken}"),
        other => {
            stage.world.said.iter().for_each(|line| println!("{line}"));
            panic!("nobody misses {rule:?}: {other:?}");
        }
    }
}

fn broken_if(is_so: bool, what: &str) -> Played {
    if is_so { Err(Stop::Broken(what.into())) } else { Ok(()) }
}

/// Until the second term: a commit is in the first source alone, and another was opened without it.
fn two_histories(stage: &mut Stage) -> Played {
    stage.open()?;
    stage.lines(&[(0, 0)]);
    let before = stage.world.tail_of(0);
    stage.append(0, 0)?;
    stage.until("the commit is in the first source", move |world| world.tail_of(0) > before)?;
    stage.pass(|peer, source, operation| peer == 1 && source != 0 && !copies(operation));
    stage.until("the second source is opened", |world| world.leads(1, 2))
}

/// A majority holds an entry of an earlier term, and no later entry of this one.
#[test]
fn an_entry_of_an_earlier_term_is_committed_only_together_with_one_of_this() {
    needs(Rule::CommitOwnTerm, |stage| {
        two_histories(stage)?;
        stage.lines(&[(0, 0), (0, 2)]);
        stage.until("the first source is opened again", |world| world.leads(0, 3))?;
        let held = stage.world.tail_of(0) - 1;
        stage.until("the third holds the commit", move |world| world.tail_of(2) >= held)?;
        stage.pass(|peer, source, operation| peer == 0 && source != 1 && !copies(operation));
        stage.wait(400)?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.until("the second source is opened again", |world| world.leads(1, 4))?;
        stage.until("the third follows it", |world| {
            world.sources[&name(2)].head.tail == world.sources[&name(1)].head.tail
        })
    });
}

/// A voter holds the log of an old primary, but stands under a later term already.
#[test]
fn a_voter_counts_only_under_the_term_that_is_counted() {
    needs(Rule::CountUnderTerm, |stage| {
        two_histories(stage)?;
        stage.lines(&[(1, 0), (1, 2)]);
        stage.until("the first source is opened again", |world| world.leads(0, 3))?;
        let held = stage.world.tail_of(0) - 1;
        stage.until("the third holds the commit", move |world| world.tail_of(2) >= held)?;
        // the first process still obeys the first term
        stage
            .pass(|peer, source, operation| peer == 0 && source == 2 && matches!(operation, Operation::Head));
        stage.until("it sees the third under the third term", |world| {
            let is_third = |seen: &SeenSource| {
                seen.name == name(2) && seen.head.as_ref().is_some_and(|head| head.term.get() == 3)
            };
            world.peers[0].seen().sources.iter().any(is_third)
        })?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.until("the second source is opened again", |world| world.leads(1, 4))?;
        stage.until("the third follows it", |world| {
            world.sources[&name(2)].head.tail == world.sources[&name(1)].head.tail
        })
    });
}

/// The longest log is not the latest.
#[test]
fn the_best_log_is_the_latest_then_the_longest() {
    needs(Rule::BestByTerm, |stage| {
        stage.open()?;
        stage.lines(&[(0, 0)]);
        let before = stage.world.tail_of(0);
        for client in 0..4 {
            stage.append(0, client)?;
        }
        stage.until("the first source is ahead", move |world| world.tail_of(0) > before + 3)?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.until("the second source is opened", |world| world.leads(1, 2))?;
        stage.append(1, 5)?;
        stage.until("a commit is acknowledged", |world| world.is_told(5))?;
        stage.lines(&[(0, 0), (0, 2)]);
        stage.until("another is opened", |world| world.leads(0, 3) || world.leads(2, 3))
    });
}

#[test]
fn nobody_is_opened_without_a_majority() {
    needs(Rule::MajorityPromises, |stage| {
        stage.open()?;
        stage.lines(&[(0, 0), (0, 1)]);
        stage.append(0, 0)?;
        stage.until("a commit is acknowledged", |world| world.is_told(0))?;
        // the third source alone takes part, the second only shows that it is there
        stage.pass(|peer, source, operation| {
            peer == 1 && (source == 2 || source == 1 && matches!(operation, Operation::Head))
        });
        stage.until("the third source is opened", |world| world.leads(2, 2))
    });
}

/// Two processes promise one term to overlapping majorities, as if they were one that sent its promises again.
#[test]
fn each_attempt_is_told_apart() {
    needs(Rule::FreshNonce, |stage| {
        stage.open()?;
        stage.pass(|_, _, _| true);
        stage.wait(500)?;
        // both begin before either promises anything
        stage.pass(|peer, source, operation| {
            peer != 2 && source != 0 && !matches!(operation, Operation::Promise(..))
        });
        stage.wait(1_000)?;
        stage.pass(|peer, source, operation| {
            peer == 0 && source != 0 && !matches!(operation, Operation::Open(_))
        });
        stage.until("two promised a term", |world| world.term_of(1) == 2 && world.term_of(2) == 2)?;
        stage.lines(&[(1, 0), (1, 2)]);
        stage.until("the first source is opened", |world| world.leads(0, 2))?;
        // meanwhile the first is not silent to the other process
        stage.pass(|peer, source, operation| match (peer, source) {
            (0, 1) => true,
            (0, 2) | (1, 0) => matches!(operation, Operation::Head),
            _ => false,
        });
        stage.until("and the second, in the same term", |world| world.leads(1, 2))?;
        let before = stage.world.tail_of(1);
        (0..4).try_for_each(|client| stage.append(0, client))?;
        stage.until("commits are in the second source", move |world| world.tail_of(1) > before + 3)?;
        stage.lines(&[(1, 0), (1, 2)]);
        stage.append(1, 5)?;
        stage.until("a commit is acknowledged", |world| world.is_told(5))?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.until("another is opened", |world| world.leads(1, 3))
    });
}

/// Every voter that promised a term would take appends of that term: two histories in one term.
#[test]
fn only_a_source_that_was_opened_takes_appends() {
    needs_of(Rule::ObeyOpened, &[polylog_log::Rule::AppendNeedsLead], three(None), |stage| {
        // processes know the rule until the term is promised
        let off = stage.world.plan.off.take();
        (0..3).for_each(|peer| stage.world.kill(peer));
        stage.open()?;
        stage.pass(|peer, source, operation| {
            let asks = matches!(operation, Operation::Promise(..) | Operation::Head);
            peer == 1 && source != 0 && asks
        });
        stage.until("two promised a term", |world| {
            world.term_of(1) > 1 && world.term_of(1) == world.term_of(2)
        })?;
        stage.world.plan.off = off;
        stage.world.kill(0);
        stage.pass(|peer, source, operation| {
            peer == 0 && source != 2 && !matches!(operation, Operation::Promise(..))
        });
        stage.append(0, 0)?;
        stage.wait(1_500)
    });
}

/// A log that lost is just as long as the one before what is pushed.
#[test]
fn what_is_pushed_continues_the_log_that_it_is_pushed_to() {
    needs_of(Rule::PushContinues, &[polylog_log::Rule::ApplyChains], three(None), |stage| {
        two_histories(stage)?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.append(1, 1)?;
        stage.until("a commit is acknowledged", |world| world.is_told(1))?;
        stage.lines(&[(1, 0), (1, 1), (1, 2)]);
        stage.until("the first source follows", |world| {
            world.sources[&name(0)].head.tail == world.sources[&name(1)].head.tail
        })
    });
}

/// What a process wrote is not read back: it goes to the others from memory.
#[test]
fn what_was_just_written_reaches_the_others_without_being_read() {
    let mut stage = Stage::new(Plan { page: 500, ..three(None) });
    let script = |stage: &mut Stage| {
        stage.open()?;
        stage.wait(500)?;
        stage.pass(|_, _, operation| !matches!(operation, Operation::ReadLog(_)));
        for client in 0..3 {
            stage.append(0, client)?;
            stage.until("it is acknowledged", move |world| world.is_told(client))?;
        }
        stage.until("all hold it", |world| (1..3).all(|index| world.tail_of(index) == world.tail_of(0)))
    };
    assert_eq!(script(&mut stage), Ok(()), "{:#?}", stage.world.said);
}

/// The best log was rewritten under a later term while somebody copied it.
#[test]
fn what_is_copied_was_read_under_its_term() {
    let plan = Plan { voters: 5, ..three(None) };
    needs_of(Rule::CopiedFromPrimary, &[polylog_log::Rule::ApplyTermBound], plan, |stage| {
        stage.open()?;
        stage.pass(|peer, _, operation| peer == 0 || !matches!(operation, Operation::Promise(..)));
        stage.world.peers[0].want_primary(Some(name(4)));
        stage.until("the fifth source is opened", |world| {
            world.leads(4, 2)
                && (0..5).all(|index| world.tail_of(index) == world.tail_of(4))
                && world.is_settled(4)
        })?;
        stage.lines(&[(0, 4)]);
        let before = stage.world.tail_of(4);
        stage.append(0, 0)?;
        stage.until("the fifth is ahead", move |world| world.tail_of(4) > before)?;
        // the first process is to open the second source with the fifth's log, and cannot read that yet
        stage.world.peers[0].want_primary(Some(name(1)));
        stage.pass(|peer, source, operation| {
            peer == 0
                && [1, 2, 4].contains(&source)
                && !copies(operation)
                && !matches!(operation, Operation::ReadLog(_))
        });
        stage.until("three promised", |world| [1, 2, 4].iter().all(|index| world.term_of(*index) == 3))?;
        stage.wait(250)?;
        stage.lines(&[(1, 0), (1, 2), (1, 3)]);
        stage.until("the first source is opened", |world| world.leads(0, 4))?;
        stage.lines(&[(1, 0), (1, 2), (1, 3), (1, 4)]);
        stage.until("the fifth follows", |world| {
            world.tail_of(4) == world.tail_of(0) && world.term_of(4) == 4
        })?;
        stage.lines(&[(0, 1), (0, 4)]);
        stage.wait(1_500)
    });
}

/// The first try's commit is in the primary alone.
#[test]
fn a_repeated_commit_waits_for_its_ack_level() {
    needs(Rule::DuplicatesWait, |stage| {
        stage.open()?;
        let commit = stage.world.commit_of(StreamName::recorded("a-1"), Expected::Any, 1);
        stage.lines(&[(0, 0), (2, 0)]);
        let before = stage.world.tail_of(0);
        stage.append_again(0, 0, commit.clone())?;
        stage.until("the commit is in the first source", move |world| world.tail_of(0) > before)?;
        stage.append_again(2, 1, commit)?;
        stage.wait(200)?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.until("the second source is opened", |world| world.leads(1, 2))
    });
}

/// A try that nobody heard of, a refusal under the next term, and then the log of the first one wins.
#[test]
fn who_had_a_try_that_nobody_heard_of_is_not_told_that_nothing_was_written() {
    needs(Rule::TriesRemembered, |stage| {
        stage.open()?;
        stage.lines(&[(0, 0)]);
        let stream = || StreamName::recorded("a-9");
        let commit = stage.world.commit_of(stream(), Expected::NoStream, 1);
        let (id, before) = (commit.id, stage.world.tail_of(0));
        let deadline = stage.world.now + std::time::Duration::from_secs(5);
        stage.world.clients.begin(0, 0, commit.clone());
        stage.world.peers[0].append(commit, None, deadline, 0);
        stage.world.work(0).map_err(Stop::Broken)?;
        // it is on its way, its answer is lost
        stage.world.cut.insert((0, name(0)));
        stage.until("the commit is in the first source", move |world| world.tail_of(0) > before)?;
        stage.pass(|peer, source, operation| peer == 1 && source != 0 && !copies(operation));
        stage.until("the second source is opened", |world| world.leads(1, 2))?;
        let (other, before) = (stage.world.commit_of(stream(), Expected::Any, 1), stage.world.tail_of(1));
        stage.append_again(1, 1, other)?;
        stage.until("another began the stream", move |world| world.tail_of(1) > before)?;
        stage.pass(|peer, source, operation| {
            peer == 0 && source != 0 && !copies(operation) && !matches!(operation, Operation::Promise(..))
        });
        stage.until("the client is told", |world| world.is_told(0))?;
        stage.world.cut.clear();
        // the third gets nothing of the other history meanwhile
        stage.pass(|peer, source, operation| peer == 0 && source != 1 && !copies(operation));
        stage.until("the first source is opened again", |world| world.leads(0, 3))?;
        let is_there =
            stage.world.sources[&name(0)].entries.iter().any(|entry| entry.commit_id() == Some(id));
        let told = says_nothing_was_written(&stage.world.clients.told[&0]);
        broken_if(is_there && told, "what was refused is in the log")
    });
}

/// A process that was cut off does not know that another primary answers.
#[test]
fn a_strong_read_rests_on_fresh_answers() {
    needs(Rule::FreshProof, |stage| {
        stage.open()?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.until("the second source is opened", |world| world.leads(1, 2))?;
        stage.append(1, 1)?;
        stage.until("a commit is acknowledged", |world| world.is_told(1))?;
        stage.lines(&[(0, 0)]);
        let deadline = stage.world.now + std::time::Duration::from_secs(2);
        stage.world.begin_read(0, deadline);
        stage.until("the read ends", |world| !world.clients.proven.is_empty())
    });
}

/// One process is cut off from the primary, the other is not.
#[test]
fn a_primary_that_others_reach_is_left_in_place() {
    needs(Rule::SignsOfLife, |stage| {
        stage.open()?;
        let term = stage.world.term_of(0);
        stage.pass(|peer, source, _| peer != 1 || source != 0);
        stage.wait(5_000)?;
        broken_if(stage.world.term_of(2) != term, "a primary that others reach was deposed")
    });
}

#[test]
fn nobody_fails_over_where_the_operator_must() {
    let plan = Plan { failover: Failover::Manual, ..three(None) };
    needs_in(Rule::FailoverAsked, plan, |stage| {
        stage.open()?;
        stage.pass(|_, source, _| source != 0);
        stage.wait(3_000)?;
        let is_other = stage.world.leads(1, 2) || stage.world.leads(2, 2);
        broken_if(is_other, "another primary without the operator's word")
    });
}

#[test]
fn nothing_is_written_that_cannot_be_acknowledged() {
    needs(Rule::MajorityBeforeWrite, |stage| {
        stage.open()?;
        stage.lines(&[(0, 0)]);
        stage.wait(1_500)?;
        let before = stage.world.tail_of(0);
        stage.append(0, 0)?;
        stage.wait(500)?;
        broken_if(stage.world.tail_of(0) != before, "written where no majority is")
    });
}

#[test]
fn a_learner_gets_only_what_is_settled() {
    let plan = Plan { learners: 1, ..three(None) };
    needs_in(Rule::LearnersLast, plan, |stage| {
        stage.open()?;
        stage.until("the learner is level", |world| world.tail_of(3) == world.tail_of(0))?;
        stage.lines(&[(0, 0), (0, 3)]);
        stage.append(0, 0)?;
        stage.wait(300)?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.until("the second source is opened", |world| world.leads(1, 2))?;
        stage.lines(&[(1, 1), (1, 2), (1, 3)]);
        stage.until("the learner follows", |world| {
            world.sources[&name(3)].head.tail == world.sources[&name(1)].head.tail
        })
    });
}

/// What scripts of other strategies show once: nothing is lost by a switch, and a forced opening waits for its word.
#[test]
fn a_switch_loses_nothing_even_where_one_source_acknowledges() {
    let plan = Plan { acks: Acks::Count(1), failover: Failover::Never, ..three(None) };
    let mut stage = Stage::new(plan);
    let script = |stage: &mut Stage| {
        stage.open()?;
        stage.pass(|_, _, _| true);
        for client in 0..4 {
            stage.append(0, client)?;
        }
        stage.world.peers.iter_mut().for_each(|peer| peer.want_primary(Some(name(1))));
        stage.until("the second source is opened", |world| world.leads(1, 2))?;
        stage.until("all are told", |world| (0..4).all(|client| world.is_told(client)))?;
        let removed: usize = stage.world.sources.values().map(|source| source.removed.len()).sum();
        broken_if(removed > 0, "a switch cut something")
    };
    assert_eq!(script(&mut stage), Ok(()), "{:#?}", stage.world.said);
}

#[test]
fn a_log_is_opened_without_those_that_are_gone_only_on_the_operators_word() {
    let plan = Plan { voters: 2, failover: Failover::Automatic, ..three(None) };
    let mut stage = Stage::new(plan);
    let script = |stage: &mut Stage| {
        stage.open()?;
        let gone = std::collections::BTreeSet::from([name(0)]);
        assert!(stage.world.peers[0].force(gone.clone()).is_err(), "it answers");
        stage.pass(|_, source, _| source != 0);
        stage.wait(3_000)?;
        broken_if(stage.world.leads(1, 2), "opened by itself")?;
        let forced = stage.world.peers[0].force(gone);
        assert_eq!(forced, Ok(()));
        stage.until("the second source is opened", |world| world.leads(1, 2))?;
        stage.pass(|_, _, _| true);
        stage.append(1, 0)?;
        stage.until("the first follows, and a commit is acknowledged", |world| {
            world.is_told(0) && world.sources[&name(0)].head.tail == world.sources[&name(1)].head.tail
        })
    };
    assert_eq!(script(&mut stage), Ok(()), "{:#?}", stage.world.said);
}
