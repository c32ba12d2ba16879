use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Harness, Kit, Violation};

/// How long one case may take, in whatever build, on a busy machine, over a server that is started again by each crash.
const LONGEST_CASE: Duration = Duration::from_secs(300);

/// The seed used when the environment variable `POLYLOG_SEED` names none.
const SEED: u64 = 20_261_121;

type Checked = Pin<Box<dyn Future<Output = Result<(), Violation>> + Send>>;

/// One test of the kit.
#[derive(Clone, Copy)]
pub struct Case {
    /// Theme and what holds when it passes.
    pub name: &'static str,
    pub(super) check: fn(Kit) -> Checked,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The source kept the contract.
    Passed,
    /// It did not.
    Failed(Violation),
    /// The engine lacks what the case tests, and may.
    NotApplicable(&'static str),
}

/// Every case, in the order in which they run: simple ones first.
pub fn cases() -> Vec<Case> {
    super::cases::all()
}

/// Runs one case.
pub async fn run(case: Case, harness: Arc<dyn Harness>, seed: u64) -> Outcome {
    let kit = Kit::new(harness, seed);
    let task = tokio::spawn((case.check)(kit.clone()));
    let abort = task.abort_handle();
    match tokio::time::timeout(LONGEST_CASE, task).await {
        Ok(Ok(Ok(()))) => kit.why_not_applicable().map_or(Outcome::Passed, Outcome::NotApplicable),
        Ok(Ok(Err(violation))) => Outcome::Failed(violation),
        Ok(Err(panicked)) => Outcome::Failed(Violation::new(format_args!("panicked: {panicked}"))),
        Err(_) => {
            abort.abort();
            Outcome::Failed(Violation::new(format_args!("did not end within {LONGEST_CASE:?}")))
        }
    }
}

/// Runs every case, or those whose names hold the text of `POLYLOG_CASES`, one after the other, with the seed of
/// `POLYLOG_SEED` or a fixed one.
pub async fn run_all(harness: Arc<dyn Harness>) -> Report {
    let seed = std::env::var("POLYLOG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let chosen = std::env::var("POLYLOG_CASES").unwrap_or_default();
    let mut report = Report { seed, lines: Vec::new() };
    for case in cases().into_iter().filter(|case| case.name.contains(&chosen)) {
        let start = Instant::now();
        let outcome = run(case, harness.clone(), seed).await;
        report.lines.push((case.name, outcome, start.elapsed()));
    }
    report
}

/// How all cases ended.
#[derive(Debug)]
pub struct Report {
    /// Repeats the run.
    pub seed: u64,
    /// Name, outcome and duration of each case.
    pub lines: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// Whether there was a case, and none failed.
    pub fn is_ok(&self) -> bool {
        !self.lines.is_empty()
            && !self.lines.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "conformance, seed {} (set POLYLOG_SEED to repeat):", self.seed)?;
        for (name, outcome, took) in &self.lines {
            let took = took.as_millis();
            match outcome {
                Outcome::Passed => writeln!(f, "  passed {took:>6} ms  {name}")?,
                Outcome::NotApplicable(why) => writeln!(f, "  not applicable    {name}: {why}")?,
                Outcome::Failed(violation) => {
                    writeln!(f, "  FAILED {took:>6} ms  {name}\n      {violation}")?
                }
            }
        }
        Ok(())
    }
}
