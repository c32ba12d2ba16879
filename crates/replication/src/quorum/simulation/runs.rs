//! Runs at random: none may fail with all rules on.

use super::{plan::Plan, promises::Kept, world::World};

/// The last lines of a failing run that are printed.
const PRINTED: usize = 600;

pub(super) fn outcome(seed: u64, plan: Plan, says: bool) -> (World, Kept) {
    let mut world = World::new(seed, plan, says);
    let outcome = world.run();
    (world, outcome)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The run again, word by word.
fn tell(seed: u64, plan: &Plan, broken: &str) -> ! {
    let (world, _) = outcome(seed, plan.clone(), true);
    let from = if std::env::var_os("POLYLOG_SIMULATION_SAYS").is_some() {
        0
    } else {
        world.said.len().saturating_sub(PRINTED)
    };
    world.said[from..].iter().for_each(|line| println!("{line}"));
    panic!(
        "{}: {broken}\nto see it again, whole: POLYLOG_SIMULATION_SEED={seed} POLYLOG_SIMULATION_SAYS=1",
        plan.name
    );
}

/// `POLYLOG_SIMULATION_SEEDS` says how many, `POLYLOG_SIMULATION_SEED` which one alone. Each seed runs one plan of the mix.
#[test]
fn every_promise_is_kept_whatever_fails() {
    let seeds = match number("POLYLOG_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("POLYLOG_SIMULATION_SEEDS").unwrap_or(60),
    };
    let mix = Plan::mix();
    let mut sums = vec![[0_u64; 6]; mix.len()];
    for seed in seeds {
        let of = (seed % mix.len() as u64) as usize;
        let began = std::time::Instant::now();
        let (world, kept) = outcome(seed, mix[of].clone(), false);
        if let Err(broken) = kept {
            tell(seed, &mix[of], &broken);
        }
        let removed = world.sources.values().map(|source| source.removed.len() as u64).sum();
        let run = [1, world.steps, world.promises.acked.len() as u64, world.terms.len() as u64, removed];
        sums[of].iter_mut().zip(run).for_each(|(sum, of)| *sum += of);
        sums[of][5] += began.elapsed().as_micros() as u64;
    }
    for (plan, [runs, steps, acked, terms, removed, micros]) in mix.iter().zip(sums) {
        println!(
            "{:20} {runs} runs, {steps} steps, {acked} commits acknowledged, {terms} terms, {removed} entries cut, {} ms",
            plan.name,
            micros / 1_000
        );
    }
}
