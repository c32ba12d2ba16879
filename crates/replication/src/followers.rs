use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use polylog_log::Position;

/// The followers of a store, and where each stands.
#[derive(Default)]
pub(crate) struct Followers {
    /// The length of `places`, for those who ask often.
    count: AtomicUsize,
    numbers: AtomicU64,
    places: Mutex<BTreeMap<u64, Arc<AtomicU64>>>,
}

/// A follower's entry.
pub(crate) struct FollowerPlace {
    number: u64,
    position: Arc<AtomicU64>,
}

impl FollowerPlace {
    pub(crate) fn moved_to(&self, position: Position) {
        self.position.store(position.get(), Ordering::Relaxed);
    }
}

impl Followers {
    pub(crate) fn enter(&self, position: Position) -> FollowerPlace {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let position = Arc::new(AtomicU64::new(position.get()));
        self.places.lock().insert(number, position.clone());
        self.count.fetch_add(1, Ordering::AcqRel);
        FollowerPlace { number, position }
    }

    pub(crate) fn leave(&self, place: &FollowerPlace) {
        self.places.lock().remove(&place.number);
        self.count.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Where the one stands that is furthest behind.
    pub(crate) fn slowest(&self) -> Option<Position> {
        let places = self.places.lock();
        places.values().map(|position| Position::new(position.load(Ordering::Relaxed))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_counts_as_long_as_it_is_there() {
        let followers = Followers::default();
        assert_eq!((followers.count(), followers.slowest()), (0, None));
        let (slow, fast) = (followers.enter(Position::new(3)), followers.enter(Position::new(3)));
        fast.moved_to(Position::new(9));
        assert_eq!((followers.count(), followers.slowest()), (2, Some(Position::new(3))));
        slow.moved_to(Position::new(5));
        assert_eq!(followers.slowest(), Some(Position::new(5)));
        followers.leave(&slow);
        assert_eq!((followers.count(), followers.slowest()), (1, Some(Position::new(9))));
    }
}
