use std::{
    fs,
    sync::atomic::AtomicU64,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use super::{Decimal, register};
use crate::catalogue;

/// What the system tells of this process; 0 where it does not.
pub(super) struct ProcessMetrics {
    resident: Gauge,
    cpu: Counter<f64, AtomicU64>,
    files: Gauge,
}

impl ProcessMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let most_files = register(registry, catalogue::PROCESS_MOST_FILES, Gauge::<i64>::default());
        let most = getrlimit(Resource::Nofile).current;
        most_files.set(most.and_then(|most| i64::try_from(most).ok()).unwrap_or_default());
        let start = register(registry, catalogue::PROCESS_START, Decimal::default());
        start.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        Self {
            resident: register(registry, catalogue::PROCESS_RESIDENT, Gauge::default()),
            cpu: register(registry, catalogue::PROCESS_CPU, Counter::default()),
            files: register(registry, catalogue::PROCESS_FILES, Gauge::default()),
        }
    }

    /// Asks the system. Not for two callers at once: the processor time would be added twice.
    pub(super) fn observe(&self) {
        self.resident.set(resident_bytes().unwrap_or_default());
        self.files.set(open_files().unwrap_or_default());
        let used = clock_gettime(ClockId::ProcessCPUTime);
        let nanos = u32::try_from(used.tv_nsec).unwrap_or_default();
        let used = Duration::new(u64::try_from(used.tv_sec).unwrap_or_default(), nanos).as_secs_f64();
        self.cpu.inc_by((used - self.cpu.get()).max(0.0));
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1_024)
}

/// Without the one that the question itself takes.
fn open_files() -> Option<i64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    i64::try_from(count).ok().map(|count| count - 1)
}
