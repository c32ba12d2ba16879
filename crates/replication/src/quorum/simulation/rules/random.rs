//! Rules that seeds find.

use polylog_log::Rule as Of;

use crate::quorum::{
    Rule,
    simulation::{plan::Plan, runs::outcome},
};

/// The most runs that it may take to notice that rules are off; most take a few.
const MOST: u64 = 500;

/// How many runs it takes until a promise is broken. That nothing gets on is not counted as one here.
fn missed(of: &[Of], off: Option<Rule>, plan: &Plan) -> bool {
    let plan = Plan { off, sources_without: polylog_log::Rules::without_all(of), ..plan.clone() };
    let broken =
        |seed| outcome(seed, plan.clone(), false).1.err().filter(|broken| !broken.starts_with("not well"));
    match (0..MOST).find_map(|seed| Some((seed + 1, broken(seed)?))) {
        Some((runs, broken)) => println!("{of:?} {off:?}: missed after {runs} runs: {broken}"),
        None => return false,
    }
    true
}

fn all_missed(rules: &[(&[Of], Option<Rule>, Plan)]) {
    let unnoticed = rules.iter().filter(|(of, off, plan)| !missed(of, *off, plan));
    let unnoticed: Vec<_> = unnoticed.map(|(of, off, _)| (of, off)).collect();
    assert!(unnoticed.is_empty(), "nobody misses {unnoticed:?}");
}

#[test]
fn each_rule_of_processes_is_missed() {
    all_missed(&[
        (&[], Some(Rule::BestByTerm), Plan::fierce()),
        (&[], Some(Rule::MajorityPromises), Plan::fierce()),
        (&[], Some(Rule::DuplicatesWait), Plan::fierce()),
        (&[], Some(Rule::FreshProof), Plan::fierce()),
        (&[], Some(Rule::WentBack), Plan::restored()),
        (&[], Some(Rule::LearnersLast), Plan::learners()),
        (&[], Some(Rule::KeeperHolds), Plan::routed()),
        (&[], Some(Rule::DroppedIfKept), Plan::routed()),
        (&[], Some(Rule::SettledBehind), Plan::lossy_five()),
        (&[], Some(Rule::ReadUncut), Plan::minority()),
    ]);
}

#[test]
fn each_rule_of_sources_is_missed() {
    all_missed(&[
        (&[Of::PromiseOnce], None, Plan::fierce()),
        (&[Of::ApplyRaisesTerm], None, Plan::fierce()),
        (&[Of::ApplyFenced], Some(Rule::CountUnderTerm), Plan::fierce()),
        (&[Of::ApplyNeedsPrevious, Of::ApplyChains], None, Plan::fierce()),
        (&[Of::TruncateNeedsTail, Of::TruncateOldTermsOnly, Of::TruncateAboveStable], None, Plan::fierce()),
        (&[Of::OpenNeedsTail], Some(Rule::Levelled), Plan::fierce()),
        (&[Of::WatermarkBounded], None, Plan::fierce()),
        (&[Of::CommitLookup, Of::EventIdUnique], None, Plan::fierce()),
        (&[Of::RecordedAtRises], None, Plan::fierce()),
        (&[Of::BackPressure], None, Plan::pressure()),
    ]);
}
