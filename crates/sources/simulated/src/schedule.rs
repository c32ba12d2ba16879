use parking_lot::Mutex;
use polylog_log::Timestamp;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Steps that an operation gives away at most, at a fail point that delays it: others get several operations done.
const LONGEST_DELAY: usize = 800;

/// Lets concurrent operations overtake each other, and tells a time that now and then runs backwards.
pub(crate) struct Schedule {
    state: Mutex<(StdRng, i64)>,
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: Mutex::new((StdRng::seed_from_u64(seed), 1_700_000_000_000_000)) }
    }

    /// Lets others go first, sometimes.
    pub(crate) async fn step(&self) {
        let turns = match self.state.lock().0.random_range(0..16) {
            0..8 => 0,
            8..14 => 1,
            14 => 3,
            _ => 12,
        };
        give_away(turns).await;
    }

    /// Lets others go first for long.
    pub(crate) async fn delay(&self) {
        let turns = self.state.lock().0.random_range(0..LONGEST_DELAY);
        give_away(turns).await;
    }

    /// The database's clock.
    pub(crate) fn clock(&self) -> Timestamp {
        let (random, now) = &mut *self.state.lock();
        *now += random.random_range(0..2_000);
        let back = if random.random_range(0..8) == 0 { 5_000_000 } else { 0 };
        Timestamp::from_micros(*now - back)
    }
}

async fn give_away(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}
