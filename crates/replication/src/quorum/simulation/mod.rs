//! Whole runs in virtual time: random faults, and every promise checked.

mod source;
mod world;

use world::{Plan, World};

fn run(seed: u64, plan: Plan) -> World {
    let mut world = World::new(seed, plan);
    if let Err(broken) = world.run() {
        for line in &world.said {
            println!("{line}");
        }
        panic!("seed {seed}: {broken}");
    }
    world
}

/// `POLYLOG_SIMULATION_SEEDS` says how many, `POLYLOG_SIMULATION_SEED` which one alone.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("POLYLOG_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("POLYLOG_SIMULATION_SEEDS").unwrap_or(50),
    }
}

#[test]
fn nothing_acknowledged_is_lost_whatever_fails() {
    let (mut acked, mut terms, mut proofs, mut removed) = (0, 0, 0, 0);
    let seeds = seeds();
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let world = run(seed, Plan::majority());
        acked += world.acked.len();
        terms += world.terms.len();
        proofs += world.proofs;
        removed += world.sources.values().map(|source| source.removed.len()).sum::<usize>();
    }
    println!("{count} runs: {acked} commits acknowledged, {terms} terms, {proofs} strong reads, {removed} entries cut");
}
