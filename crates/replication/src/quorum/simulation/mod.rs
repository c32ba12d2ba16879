//! Whole runs in virtual time: random faults, and every promise checked.

mod source;
mod world;

use super::Rule;
use world::{Plan, World};

fn run(seed: u64, plan: Plan) -> World {
    match outcome(seed, plan) {
        (world, Ok(())) => world,
        (world, Err(broken)) => {
            for line in &world.said {
                println!("{line}");
            }
            panic!("seed {seed}: {broken}");
        }
    }
}

fn outcome(seed: u64, plan: Plan) -> (World, Result<(), String>) {
    let mut world = World::new(seed, plan);
    let outcome = world.run();
    (world, outcome)
}

/// `POLYLOG_SIMULATION_SEEDS` says how many, `POLYLOG_SIMULATION_SEED` which one alone.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("POLYLOG_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("POLYLOG_SIMULATION_SEEDS").unwrap_or(20),
    }
}

fn many(plan: &Plan) {
    let (mut acked, mut terms, mut proofs, mut removed) = (0, 0, 0, 0);
    let seeds = seeds();
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let world = run(seed, plan.clone());
        acked += world.acked.len();
        terms += world.terms.len();
        proofs += world.proofs;
        removed += world.sources.values().map(|source| source.removed.len()).sum::<usize>();
    }
    println!("{count} runs: {acked} commits acknowledged, {terms} terms, {proofs} strong reads, {removed} entries cut");
}

#[test]
fn nothing_acknowledged_is_lost_whatever_fails() {
    many(&Plan::majority());
}

#[test]
fn nor_where_everything_fails_all_the_time() {
    many(&Plan::fierce());
}

/// How many runs it takes to notice that a rule is off.
fn caught(plan: &Plan, most: u64) -> Option<(u64, String)> {
    (0..most).find_map(|seed| outcome(seed, plan.clone()).1.err().map(|broken| (seed + 1, broken)))
}

#[test]
fn each_rule_is_missed() {
    let most = 400;
    let mut unnoticed = Vec::new();
    let processes = [
        Rule::CountUnderTerm,
        Rule::CommitOwnTerm,
        Rule::BestByTerm,
        Rule::MajorityPromises,
        Rule::DuplicatesWait,
        Rule::FreshProof,
        Rule::FreshNonce,
        Rule::CopiedFromPrimary,
    ];
    let mut plans: Vec<(String, Plan)> = processes
        .into_iter()
        .map(|rule| (format!("{rule:?}"), Plan { off: Some(rule), ..Plan::fierce() }))
        .collect();
    let of_sources = [
        &[polylog_log::Rule::AppendNeedsLead][..],
        &[polylog_log::Rule::PromiseOnce],
        &[polylog_log::Rule::ApplyRaisesTerm],
        &[polylog_log::Rule::ApplyFenced],
        &[polylog_log::Rule::ApplyNeedsPrevious],
        &[polylog_log::Rule::TruncateNeedsTail, polylog_log::Rule::TruncateOldTermsOnly],
    ];
    for rules in of_sources {
        let sources_without = polylog_log::Rules::without_all(rules);
        plans.push((format!("{rules:?}"), Plan { sources_without, ..Plan::fierce() }));
    }
    plans.push((
        "Levelled, OpenNeedsTail".into(),
        Plan {
            off: Some(Rule::Levelled),
            sources_without: polylog_log::Rules::without(polylog_log::Rule::OpenNeedsTail),
            ..Plan::fierce()
        },
    ));
    for (name, plan) in plans {
        match caught(&plan, most) {
            Some((runs, broken)) => println!("{name}: after {runs} runs: {broken}"),
            None => unnoticed.push(name),
        }
    }
    assert!(unnoticed.is_empty(), "nobody misses {unnoticed:?}");
}
