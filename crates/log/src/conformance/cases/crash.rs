use std::{collections::HashSet, time::Duration};

use crate::{
    Fault, OperationError,
    conformance::{
        Kit, Violation,
        act::{Act, Kind},
        subject::{Checked, Subject},
        violation::ensure,
    },
};

/// Each point is met this many times at most.
const HITS: u32 = 4;

/// No operation takes longer, with whatever fault.
const LONGEST: Duration = Duration::from_secs(30);

/// Every operation, stopped by every fault at every fail point: it took effect whole or not at all, its answer is true,
/// and sending it again brings it to its end.
pub(super) async fn every_operation_is_whole_or_absent(kit: Kit) -> Checked {
    let points = Subject::fresh(&kit).await?.database.fail_points().points();
    if points.is_empty() {
        kit.not_applicable("the engine has no fail points");
    }
    let mut met = HashSet::new();
    for kind in Kind::ALL {
        for point in points {
            for fault in [Fault::Error, Fault::LostReply, Fault::Crash] {
                let mut skip = 0;
                while skip < HITS {
                    let what = format!("{kind:?}, {fault:?} at {point:?} after {skip} hits");
                    if !stopped(&kit, kind, point, skip, fault).await.map_err(|found| found.during(what))? {
                        break;
                    }
                    skip += 1;
                }
                if skip == 0 {
                    // not on this operation's way, whatever the fault
                    break;
                }
                met.insert(point);
            }
        }
    }
    let unmet: Vec<_> = points.iter().filter(|point| !met.contains(point)).collect();
    ensure!(unmet.is_empty(), "no operation came past these fail points: {unmet:?}");
    Ok(())
}

/// Returns whether the fault happened.
async fn stopped(kit: &Kit, kind: Kind, point: &'static str, skip: u32, fault: Fault) -> Checked<bool> {
    let (mut subject, act) = kind.prepare(kit).await?;
    let before = subject.state().await?;
    let fail_points = subject.database.fail_points();
    fail_points.arm(point, skip, fault);
    let answer = send(&subject, &act).await?;
    let happened = fail_points.disarm();
    if fault == Fault::Crash && happened {
        subject.crash().await?;
    } else {
        subject.source = subject.database.open().await?;
    }
    let after = subject.state().await?;
    let took_effect = act.took_effect(&before, &after)?;
    match &answer {
        Ok(()) => ensure!(took_effect, "it was answered with success, and is not there"),
        Err(OperationError::Failed(_)) => ensure!(!took_effect, "it was answered as failed, and is there"),
        Err(OperationError::Unknown(_)) => {}
        Err(refused) => return Err(Violation::new(format_args!("nothing stood against it, got {refused}"))),
    }
    ensure!(happened || answer.is_ok(), "no fault, and yet {answer:?}");
    let again = send(&subject, &act).await?;
    let at_last = subject.state().await?;
    if took_effect {
        let unchanged = !act.took_effect(&after, &at_last)?;
        // a promise and a lease that are given again are the same as before
        ensure!(unchanged, "it took effect twice; the second answer was {again:?}");
    } else {
        ensure!(again.is_ok(), "sent again, it got {again:?}");
        ensure!(act.took_effect(&before, &at_last)?, "sent again, it did not take effect");
    }
    subject.audit().await?;
    Ok(happened)
}

async fn send(subject: &Subject, act: &Act) -> Checked<Result<(), OperationError>> {
    let sent = act.send(&*subject.source, &subject.identity);
    tokio::time::timeout(LONGEST, sent).await.map_err(|_| Violation::new("no answer"))
}
