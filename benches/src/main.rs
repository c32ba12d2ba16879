//! Benchmarks: Polylog side by side with the raw engine, in one run.
//!
//! Absolute figures of a shared machine mean little. Every figure here is a ratio of two windows that follow each other:
//! the sidecar takes events over HTTP, then the very rows it wrote are inserted raw, into a copy of its file, in
//! transactions as large as its own were on average.

mod append;
mod cpu;
mod load;
mod raw;
mod read;

use clap::Parser;
use load::Load;
use polylog_whole_tests::sidecar::SidecarArgs;

#[derive(Parser)]
struct Args {
    /// Pairs of windows for each case.
    #[arg(long, default_value_t = 20)]
    pairs: usize,
    /// Seconds of one window.
    #[arg(long, default_value_t = 1.0)]
    window: f64,
    /// Events that are stored before the last cases; 10,000 or fewer: only the first cases, on a small log.
    #[arg(long, default_value_t = 2_000_000)]
    stored: u64,
    /// Only these cases, for example `128x1,8x50`; all of them by default.
    #[arg(long = "case", value_delimiter = ',')]
    cases: Vec<Load>,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = std::env::temp_dir().join(format!("polylog-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = append::run(&args, &folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}
