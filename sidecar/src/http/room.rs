use std::sync::Arc;
use std::time::Duration;

use polylog_api::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much a process takes on at once; more is refused as overloaded.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Open connections; further ones wait to be accepted.
    pub connections: usize,
    /// Requests that are being answered, streams not counted.
    pub requests: usize,
    /// Subscriptions and streamed reads.
    pub streams: usize,
    /// Bytes of request bodies in memory.
    pub body_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 2_048, requests: 1_024, streams: 512, body_bytes: 24 << 20 }
    }
}

/// Searches and counts at once: each reads much of a log.
const MOST_SEARCHES: usize = 8;
/// Bodies are counted in this unit, since the number of permits is limited.
const UNIT: usize = 1 << 10;

/// What is left of the bounds.
#[derive(Debug)]
pub(crate) struct Room {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    body_units: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    bounds: Bounds,
}

/// A place that is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Room {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            requests: semaphore(bounds.requests),
            streams: semaphore(bounds.streams),
            body_units: semaphore(bounds.body_bytes.div_ceil(UNIT)),
            searches: semaphore(MOST_SEARCHES),
            bounds,
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// A place for a request.
    pub(crate) fn request(&self) -> Result<Place, Problem> {
        take(&self.requests, 1, "requests")
    }

    /// A place for a subscription or a streamed read.
    pub(crate) fn stream(&self) -> Result<Place, Problem> {
        take(&self.streams, 1, "open streams")
    }

    /// A place for a search or a count.
    pub(crate) fn search(&self) -> Result<Place, Problem> {
        take(&self.searches, 1, "searches")
    }

    /// A place for a body of up to this size. A body larger than everything there is gets all of it.
    pub(crate) fn body(&self, bytes: usize) -> Result<Place, Problem> {
        let most = self.bounds.body_bytes.div_ceil(UNIT);
        take(&self.body_units, bytes.div_ceil(UNIT).min(most), "bytes of request bodies")
    }
}

fn take(from: &Arc<Semaphore>, many: usize, what: &str) -> Result<Place, Problem> {
    let many = u32::try_from(many).unwrap_or(u32::MAX);
    from.clone().try_acquire_many_owned(many).map(Place).map_err(|_| {
        Problem::new(Code::Overloaded, format_args!("too many {what} at once"))
            .next_step("try again a little later, or with fewer requests at once")
            .retry_after(Duration::from_millis(500))
    })
}
