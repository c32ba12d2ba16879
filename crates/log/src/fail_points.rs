use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// What happens at a fail point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The step that just ended reports an error. Before the commit the operation is rolled back and answers
    /// [`Failed`](crate::OperationError::Failed); after it the outcome is [`Unknown`](crate::OperationError::Unknown).
    Error,
    /// The operation goes on to its end, but its caller hears only [`Unknown`](crate::OperationError::Unknown).
    LostReply,
    /// The process stops dead, here: nothing is rolled back or cleaned up in an orderly way, the handle answers nothing
    /// any more, the caller hears [`Unknown`](crate::OperationError::Unknown).
    Crash,
    /// The step takes long enough for others to overtake it.
    Delay,
}

impl Fault {
    /// Every kind of fault.
    pub const ALL: [Fault; 4] = [Fault::Error, Fault::LostReply, Fault::Crash, Fault::Delay];
}

/// Named places between the steps of an engine's operations, where tests make something go wrong.
///
/// An engine calls [`hit`](Self::hit) between any two steps whose order matters. In production nothing can be armed and
/// a hit costs one atomic load. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct FailPoints {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    points: &'static [&'static str],
    is_armed: AtomicBool,
    armed: Mutex<Option<Armed>>,
}

#[derive(Debug)]
struct Armed {
    point: &'static str,
    skip: u32,
    fault: Fault,
}

impl FailPoints {
    /// Fail points of these names.
    pub fn new(points: &'static [&'static str]) -> Self {
        Self { shared: Arc::new(Shared { points, ..Shared::default() }) }
    }

    /// The names of all points.
    pub fn points(&self) -> &'static [&'static str] {
        self.shared.points
    }

    /// Tells the engine what goes wrong here; almost always nothing. A fault happens once.
    pub fn hit(&self, point: &'static str) -> Option<Fault> {
        debug_assert!(
            self.shared.points.is_empty() || self.shared.points.contains(&point),
            "unlisted: {point}"
        );
        if !self.shared.is_armed.load(Ordering::Acquire) {
            return None;
        }
        self.hit_armed(point)
    }

    #[cold]
    fn hit_armed(&self, point: &'static str) -> Option<Fault> {
        let mut slot = self.shared.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let armed = slot.as_mut().filter(|armed| armed.point == point)?;
        if armed.skip > 0 {
            armed.skip -= 1;
            return None;
        }
        let fault = armed.fault;
        *slot = None;
        self.shared.is_armed.store(false, Ordering::Release);
        Some(fault)
    }

    /// Lets `fault` happen at `point`, after it was passed `skip` times. Replaces what was armed before.
    #[cfg(feature = "conformance")]
    pub fn arm(&self, point: &'static str, skip: u32, fault: Fault) {
        let mut slot = self.shared.armed.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Armed { point, skip, fault });
        self.shared.is_armed.store(true, Ordering::Release);
    }

    /// Takes back what was armed; tells whether it had happened.
    #[cfg(feature = "conformance")]
    pub fn disarm(&self) -> bool {
        let mut slot = self.shared.armed.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.is_armed.store(false, Ordering::Release);
        slot.take().is_none()
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_once_at_its_point_after_the_skipped_hits() {
        let points = FailPoints::new(&["a", "b"]);
        assert_eq!(points.hit("a"), None);
        points.arm("a", 1, Fault::Error);
        assert_eq!(points.clone().hit("b"), None);
        assert_eq!(
            [points.hit("a"), points.clone().hit("a"), points.hit("a")],
            [None, Some(Fault::Error), None]
        );
        assert!(points.disarm(), "it happened");
        points.arm("a", 0, Fault::Crash);
        assert!(!points.disarm(), "it did not happen");
        assert_eq!(points.hit("a"), None);
    }
}
