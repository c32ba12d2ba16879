//! Rules that seeds find.

use polylog_log::Rule as Of;

use crate::quorum::{
    Rule,
    simulation::{plan::Plan, runs::outcome},
};

/// How many runs it takes to notice that rules are off.
fn missed(name: &str, plan: &Plan, most: u64) {
    let found = (0..most).find_map(|seed| outcome(seed, plan.clone(), false).1.err().map(|broken| (seed + 1, broken)));
    match found {
        Some((runs, broken)) => println!("{name}: missed after {runs} runs: {broken}"),
        None => panic!("nobody misses {name} in {most} runs"),
    }
}

fn process(rule: Rule, plan: Plan, most: u64) {
    missed(&format!("{rule:?}"), &Plan { off: Some(rule), ..plan }, most);
}

fn sources(rules: &[Of], off: Option<Rule>, plan: Plan, most: u64) {
    let sources_without = polylog_log::Rules::without_all(rules);
    missed(&format!("{rules:?} {off:?}"), &Plan { off, sources_without, ..plan }, most);
}

#[test]
fn each_rule_of_processes_is_missed() {
    process(Rule::BestByTerm, Plan::fierce(), 2_000);
    process(Rule::MajorityPromises, Plan::fierce(), 400);
    process(Rule::DuplicatesWait, Plan::fierce(), 1_000);
    process(Rule::FreshProof, Plan::fierce(), 400);
    process(Rule::FreshNonce, Plan::fierce(), 2_000);
    process(Rule::WentBack, Plan::restored(), 400);
    process(Rule::LearnersLast, Plan::learners(), 400);
}

#[test]
fn each_rule_of_sources_is_missed() {
    sources(&[Of::AppendNeedsLead], None, Plan::fierce(), 400);
    sources(&[Of::PromiseOnce], None, Plan::fierce(), 1_000);
    sources(&[Of::ApplyRaisesTerm], None, Plan::fierce(), 400);
    sources(&[Of::ApplyFenced], None, Plan::fierce(), 400);
    sources(&[Of::ApplyNeedsPrevious, Of::ApplyChains], None, Plan::fierce(), 400);
    sources(&[Of::TruncateNeedsTail, Of::TruncateOldTermsOnly, Of::TruncateAboveStable], None, Plan::fierce(), 2_000);
    sources(&[Of::OpenNeedsTail], Some(Rule::Levelled), Plan::fierce(), 400);
    sources(&[Of::ApplyTermBound], Some(Rule::CopiedFromPrimary), Plan::fierce(), 1_000);
    sources(&[Of::WatermarkBounded], None, Plan::fierce(), 400);
    sources(&[Of::CommitLookup, Of::EventIdUnique], None, Plan::fierce(), 400);
    sources(&[Of::RecordedAtRises], None, Plan::fierce(), 400);
    sources(&[Of::BackPressure], None, Plan::pressure(), 400);
}
