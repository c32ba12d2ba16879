use parking_lot::Mutex;
use polylog_log::Head;
use tokio::sync::watch;

/// The newest head that any answer brought.
///
/// Answers overtake each other, so a head counts only if it is newer by its revision, or if it was asked for after the
/// one before it had come: then the source itself went back.
#[derive(Debug)]
pub(crate) struct Heads {
    newest: watch::Sender<Head>,
    published: Mutex<u64>,
    /// What answers bring does not count: somebody else tells how far the log goes.
    is_fed: bool,
}

/// When a head was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked(u64);

impl Heads {
    pub(crate) fn new(head: Head) -> Self {
        Self { newest: watch::Sender::new(head), published: Mutex::new(0), is_fed: false }
    }

    /// Those that change by [`Self::feed`] alone.
    pub(crate) fn fed(head: Head) -> Self {
        Self { is_fed: true, ..Self::new(head) }
    }

    /// From now on this is the newest head.
    pub(crate) fn feed(&self, head: Head) {
        self.newest.send_if_modified(|newest| {
            let is_news = *newest != head;
            *newest = head;
            is_news
        });
    }

    /// Call before the operation whose head is to be published.
    pub(crate) fn ask(&self) -> Asked {
        Asked(*self.published.lock())
    }

    pub(crate) fn publish(&self, head: &Head, asked: Asked) {
        if self.is_fed {
            return;
        }
        let mut published = self.published.lock();
        let is_latest = asked.0 == *published;
        self.newest.send_if_modified(|newest| {
            let replaces = head.revision > newest.revision || (is_latest && head != newest);
            if replaces {
                *newest = head.clone();
                *published += 1;
            }
            replaces
        });
    }

    pub(crate) fn newest(&self) -> Head {
        self.newest.borrow().clone()
    }

    /// Number of voters.
    pub(crate) fn voters(&self) -> usize {
        self.newest.borrow().config.config.voters.len()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Head> {
        self.newest.subscribe()
    }
}
