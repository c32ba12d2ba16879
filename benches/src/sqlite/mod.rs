//! Over HTTP on SQLite, against raw inserts into a copy of the file.

mod append;
mod raw;

use anyhow::Result;
use polylog_whole_tests::sidecar::SidecarArgs;

use crate::load::Load;

#[derive(clap::Args)]
pub struct Args {
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

pub fn run(args: &Args) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("polylog-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = append::run(args, &folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}
