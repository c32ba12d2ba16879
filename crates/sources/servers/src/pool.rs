//! Connections and the like, each used by one caller at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polylog_log::Failure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A few things that are used by one caller at a time, made when first needed.
pub struct Pool<T> {
    places: Arc<Semaphore>,
    size: u32,
    idle: Arc<Mutex<Vec<T>>>,
}

/// A thing taken out of a pool. Dropping it instead of putting it back loses the thing, not the place.
pub struct Place<T> {
    /// The thing.
    pub thing: T,
    idle: Arc<Mutex<Vec<T>>>,
    _permit: OwnedSemaphorePermit,
}

impl<T> Pool<T> {
    /// Of 1 to 64 things.
    pub fn new(size: usize) -> Self {
        let size = u32::try_from(size.clamp(1, 64)).expect("at most 64");
        Self { places: Arc::new(Semaphore::new(size as usize)), size, idle: Arc::default() }
    }

    /// Waits until one is free, in the order of the calls.
    ///
    /// # Errors
    /// `Unreachable` when the pool was closed.
    pub async fn take(&self, make: impl FnOnce() -> T) -> Result<Place<T>, Failure> {
        let closed = |_| Failure::Unreachable("the source was closed".into());
        let permit = self.places.clone().acquire_owned().await.map_err(closed)?;
        let idle = lock(&self.idle).pop();
        Ok(Place { thing: idle.unwrap_or_else(make), idle: self.idle.clone(), _permit: permit })
    }

    /// Waits until all are put back, and gives them up; whoever comes later is refused.
    pub async fn close(&self) {
        if let Ok(all) = self.places.acquire_many(self.size).await {
            self.places.close();
            drop(all);
        }
        lock(&self.idle).clear();
    }
}

impl<T> Place<T> {
    /// Gives the thing back for the next caller.
    pub fn put_back(self) {
        let Self { thing, idle, _permit } = self;
        lock(&idle).push(thing);
    }
}

fn lock<T>(idle: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    // no code between lock and unlock panics in the middle of a change
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
