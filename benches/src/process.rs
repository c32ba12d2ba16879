//! What processes take, as Linux tells it.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Processor time of a process and of those that it started and that ended; `and_children`: of those at work as well.
pub fn processor_time(pid: u32, and_children: bool) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // behind the name, which may hold anything but is in parentheses: user, system, and both of those that ended
    let fields = text[text.rfind(')').context("a name")? + 2..].split(' ').skip(11).take(4);
    let ticks = fields.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let mut sum = Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    if and_children {
        for child in children(pid)? {
            // one that ended meanwhile counts with its parent
            sum += processor_time(child, false).unwrap_or_default();
        }
    }
    Ok(sum)
}

/// Resident bytes of a process and its children; what several share counts once.
pub fn resident(pid: u32) -> Result<u64> {
    let mut kilobytes = 0;
    for pid in children(pid)?.into_iter().chain([pid]) {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        let line = text.lines().find(|line| line.starts_with("Pss:")).context("Pss")?;
        kilobytes += line.split_whitespace().nth(1).context("a number")?.parse::<u64>()?;
    }
    Ok(kilobytes * 1024)
}

fn children(pid: u32) -> Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}
