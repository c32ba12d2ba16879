//! Something that takes a while to be had, and that several wait for.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use polylog_log::Failure;
use tokio::sync::watch;

/// Between two tries to get it.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A try that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(20);

/// Got with the first call that finds it there. A try goes on although whoever waits for it gives up: what takes longer
/// than anybody's patience is had all the same.
pub(crate) struct OnDemand<T> {
    state: Arc<Mutex<State<T>>>,
}

enum State<T> {
    Here(T),
    /// What the try under way will say.
    Trying(watch::Receiver<bool>),
    Failed(Failure, Instant),
}

impl<T: Clone + Send + 'static> OnDemand<T> {
    pub(crate) fn new(had: Result<T, Failure>) -> Self {
        let state = match had {
            Ok(thing) => State::Here(thing),
            Err(failure) => State::Failed(failure, now()),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// It, where it is here already.
    pub(crate) fn here(&self) -> Option<T> {
        match &*self.state.lock() {
            State::Here(thing) => Some(thing.clone()),
            State::Trying(_) | State::Failed(..) => None,
        }
    }

    /// It, or why it cannot be had now. `make` is called where a try is due.
    pub(crate) async fn get<F>(&self, make: impl FnOnce() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let mut tried = {
            let mut state = self.state.lock();
            match &*state {
                State::Here(thing) => return Ok(thing.clone()),
                State::Failed(failure, at) if now() - *at < AGAIN_AFTER => return Err(failure.clone()),
                State::Trying(tried) => tried.clone(),
                State::Failed(..) => {
                    let (ended, tried) = watch::channel(false);
                    *state = State::Trying(tried.clone());
                    let (state, making) = (self.state.clone(), make());
                    tokio::spawn(async move {
                        let made = tokio::time::timeout(LONGEST, making).await;
                        *state.lock() = match made.unwrap_or(Err(Failure::Timeout(LONGEST))) {
                            Ok(thing) => State::Here(thing),
                            Err(failure) => State::Failed(failure, now()),
                        };
                        ended.send_replace(true);
                    });
                    tried
                }
            }
        };
        // one that panicked ended too
        let _ = tried.wait_for(|ended| *ended).await;
        match &*self.state.lock() {
            State::Here(thing) => Ok(thing.clone()),
            State::Failed(failure, _) => Err(failure.clone()),
            State::Trying(_) => Err(Failure::Unreachable("it is being opened".into())),
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_longer_than_anybody_waits_is_had_all_the_same() {
        let (thing, tries) =
            (OnDemand::new(Err(Failure::Unreachable("not yet".into()))), AtomicUsize::new(0));
        let make = || {
            tries.fetch_add(1, Ordering::Relaxed);
            async {
                sleep(Duration::from_millis(2_500)).await;
                Ok(7)
            }
        };
        assert!(thing.get(make).await.is_err(), "tried just now");
        sleep(AGAIN_AFTER).await;
        for _ in 0..2 {
            timeout(Duration::from_secs(1), thing.get(make)).await.expect_err("it takes longer");
        }
        assert_eq!(timeout(Duration::from_secs(1), thing.get(make)).await, Ok(Ok(7)));
        assert_eq!((thing.here(), tries.load(Ordering::Relaxed)), (Some(7), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_had_is_tried_once_a_second() {
        let (thing, tries) =
            (OnDemand::<()>::new(Err(Failure::Unreachable("away".into()))), AtomicUsize::new(0));
        let make = || {
            tries.fetch_add(1, Ordering::Relaxed);
            async { Err(Failure::Unreachable("away".into())) }
        };
        for _ in 0..50 {
            thing.get(make).await.expect_err("away");
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(tries.load(Ordering::Relaxed), 4);
    }
}
