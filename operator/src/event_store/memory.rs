//! What this process remembers of each store, so that a look at an unchanged one asks nobody anything.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use polylog_crds::{event_store::EventStoreStatus, manifests::ObjectKey};
use polylog_log::LogId;

use super::{gateway::Seen, status::Judged};

/// How often a store is looked at.
pub(crate) const EVERY: Duration = Duration::from_secs(30);
/// How often a status is written at most, unless a condition changes.
pub(crate) const STATUS_EVERY: Duration = Duration::from_secs(30);
/// The first wait after something stood in the way; it doubles each time.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);

/// What a look at a store depended on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Another object of the same name has another.
    pub(crate) uid: String,
    pub(crate) generation: Option<i64>,
    pub(crate) approval: Option<String>,
}

/// What is remembered of a store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remembered {
    pub(crate) inputs: Option<Inputs>,
    pub(crate) judged: Option<Judged>,
    /// When its databases are looked at again.
    pub(crate) next: Option<Instant>,
    /// How often in a row something stood in the way.
    pub(crate) failures: u32,
    pub(crate) gateway: Option<(Instant, Seen)>,
    /// What was written last, and when.
    pub(crate) status: Option<(Instant, EventStoreStatus)>,
    /// The log that was found in a database.
    pub(crate) log: Option<LogId>,
    /// The plan whose waiting was told.
    pub(crate) told: Option<String>,
}

impl Remembered {
    /// Whether it is time to look at everything again.
    pub(crate) fn is_due(&self, inputs: &Inputs, now: Instant) -> bool {
        self.inputs.as_ref() != Some(inputs)
            || self.judged.is_none()
            || self.next.is_none_or(|next| now >= next)
    }
}

/// How long to wait after so many failures in a row; `share` from 0 to 1 spreads it.
pub(crate) fn back_off(failures: u32, share: f64) -> Duration {
    let doubled = SHORTEST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    spread(doubled.min(LONGEST), share)
}

/// A time give or take a tenth.
pub(crate) fn spread(time: Duration, share: f64) -> Duration {
    time.mul_f64(0.9 + 0.2 * share.clamp(0.0, 1.0))
}

/// What is remembered of every store.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<ObjectKey, Remembered>>);

impl Memory {
    pub(crate) fn get(&self, key: &ObjectKey) -> Remembered {
        self.0.lock().get(key).cloned().unwrap_or_default()
    }

    pub(crate) fn put(&self, key: ObjectKey, remembered: Remembered) {
        self.0.lock().insert(key, remembered);
    }

    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes() {
        let waits: Vec<u64> = [1, 2, 3, 9, 10, 40, u32::MAX].map(|n| back_off(n, 0.5).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 256, 300, 300, 300]);
        assert_eq!(back_off(1, 0.0), Duration::from_millis(900));
        assert_eq!(back_off(1, 1.0), Duration::from_millis(1100));
    }

    #[test]
    fn a_look_is_due_when_something_changed_or_its_time_has_come() {
        let now = Instant::now();
        let inputs = |generation| Inputs { uid: "1".into(), generation: Some(generation), approval: None };
        let refusal = super::super::refusal::Refusal::new(super::super::refusal::Reason::Unreachable, "");
        let remembered = Remembered {
            inputs: Some(inputs(1)),
            judged: Some(Judged::Refused(refusal)),
            next: Some(now + EVERY),
            ..Remembered::default()
        };
        assert!(!remembered.is_due(&inputs(1), now));
        assert!(remembered.is_due(&inputs(2), now));
        assert!(remembered.is_due(&inputs(1), now + EVERY));
        assert!(Remembered::default().is_due(&inputs(1), now));
    }
}
