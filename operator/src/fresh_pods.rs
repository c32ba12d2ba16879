//! Pods that were not seen before, in the order in which they came.

use std::{collections::VecDeque, time::Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// More at once are not looked at: they are of few stores.
const MOST: usize = 20_000;

/// A pod that was not seen before, or wants another store now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FreshPod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The store that it wants.
    pub(crate) store: String,
    pub(crate) uid: String,
    pub(crate) seen: Instant,
}

/// Those that nobody looked at yet.
#[derive(Debug, Default)]
pub(crate) struct FreshPods {
    waiting: Mutex<VecDeque<FreshPod>>,
    added: Notify,
}

impl FreshPods {
    pub(crate) fn put(&self, pod: FreshPod) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < MOST {
            waiting.push_back(pod);
            self.added.notify_one();
        }
    }

    /// The next one, as soon as there is one.
    pub(crate) async fn next(&self) -> FreshPod {
        loop {
            if let Some(pod) = self.take() {
                return pod;
            }
            self.added.notified().await;
        }
    }

    fn take(&self) -> Option<FreshPod> {
        let mut waiting = self.waiting.lock();
        let next = waiting.pop_front();
        if waiting.is_empty() {
            waiting.shrink_to_fit();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_come_in_order_and_no_more_than_can_be_kept() {
        let pods = FreshPods::default();
        let pod = |name: usize| FreshPod {
            namespace: "shop".into(),
            name: name.to_string(),
            store: "payments".into(),
            uid: String::new(),
            seen: Instant::now(),
        };
        for name in 0..=MOST {
            pods.put(pod(name));
        }
        assert_eq!(pods.next().await.name, "0");
        assert_eq!(pods.next().await.name, "1");
        assert_eq!(pods.waiting.lock().len(), MOST - 2, "one was one too many");
    }
}
