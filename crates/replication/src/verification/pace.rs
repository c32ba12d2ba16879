use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Lets so many reads pass in a second, evenly.
pub(super) struct Pace(Interval);

impl Pace {
    pub(super) fn new(reads_per_second: u32) -> Self {
        let mut ticks = interval(Duration::from_secs(1) / reads_per_second.max(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(ticks)
    }

    pub(super) async fn pass(&mut self) {
        self.0.tick().await;
    }
}
