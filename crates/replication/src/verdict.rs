use polylog_log::{Commit, Expected, Verdict};

/// Whether an earlier attempt of the commit, still under way, could be executed after this verdict and write it.
///
/// A refusal is final only if what refused it lasts: ids and attributes do, and versions only grow, so that an expected
/// version is lost once it was passed. But a version that is not reached yet, or a stream that does not exist yet, may
/// be there when the late attempt arrives.
pub(crate) fn may_still_land(commit: &Commit, verdict: &Verdict) -> bool {
    let Verdict::VersionConflict { conflicts, .. } = verdict else { return false };
    let can_hold_later = |expected: Expected, actual: polylog_log::Version| match expected {
        Expected::Any => true,
        Expected::NoStream => false,
        Expected::Exists => true,
        Expected::Version(version) => version > actual,
    };
    let writes = commit.event_count() > 0;
    writes && conflicts.iter().all(|conflict| can_hold_later(conflict.expected, conflict.actual))
}

#[cfg(test)]
mod tests {
    use polylog_log::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_an_expectation_that_time_cannot_meet_makes_a_refusal_final() {
        let log = LogId::new(Uuid::from_u128(1));
        let stream = StreamName::recorded("a-1");
        let id = EventId::new(Uuid::from_u128(2));
        let event = NewEvent::json(id, EventType::recorded("A"), "{}");
        let commit =
            |events| Commit::new(log, vec![StreamAppend::new(stream.clone(), Expected::Any, events)]);
        let conflict = |expected, actual| Verdict::VersionConflict {
            conflicts: vec![VersionConflict {
                stream: stream.clone(),
                expected,
                actual: Version::new(actual),
            }],
            at: Point::start(log),
        };
        let at = |version| Expected::Version(Version::new(version));
        let write = commit(vec![event]);
        assert!(!may_still_land(&write, &conflict(at(3), 5)), "version 3 was passed");
        assert!(may_still_land(&write, &conflict(at(5), 3)), "version 5 may come");
        assert!(may_still_land(&write, &conflict(Expected::Exists, 0)));
        assert!(!may_still_land(&write, &conflict(Expected::NoStream, 1)));
        assert!(!may_still_land(&commit(Vec::new()), &conflict(at(5), 3)), "it writes nothing");
    }
}
