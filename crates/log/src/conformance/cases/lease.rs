use tokio::task::JoinSet;

use crate::{
    Lease, LeaseAnswer, LeaseSwap,
    conformance::{
        Kit, Violation,
        subject::{Checked, Subject},
        violation::{ensure, ensure_eq},
    },
};

fn held(holder: &str, beat: u64) -> Option<Lease> {
    Some(Lease { holder: holder.into(), beat })
}

impl Subject {
    async fn swap(&self, name: &str, expect: Option<Lease>, set: Option<Lease>) -> Checked<LeaseAnswer> {
        Ok(self.source.lease(&self.identity, LeaseSwap { name: name.into(), expect, set }).await?)
    }
}

pub(super) async fn a_lease_is_compared_before_it_is_swapped(kit: Kit) -> Checked {
    let mut subject = Subject::primary(&kit).await?;
    let head = subject.head().await?;
    let steps = [
        ("push", held("a", 1), held("b", 1), false, None),
        ("push", None, held("a", 1), true, held("a", 1)),
        ("push", None, held("b", 1), false, held("a", 1)),
        ("push", held("a", 2), held("b", 1), false, held("a", 1)),
        ("push", held("A", 1), held("b", 1), false, held("a", 1)),
        ("pull", None, held("b", 7), true, held("b", 7)),
        ("push", held("a", 1), held("a", 2), true, held("a", 2)),
        ("push", held("a", 2), held("c", 9), true, held("c", 9)),
        ("push", held("a", 2), None, false, held("c", 9)),
        ("push", held("c", 9), None, true, None),
        ("push", None, held("a", 1 << 52), true, held("a", 1 << 52)),
    ];
    for (index, (name, expect, set, swapped, lease)) in steps.into_iter().enumerate() {
        let answer = subject.swap(name, expect, set).await?;
        ensure_eq!(answer, LeaseAnswer { swapped, lease }, "the answer of step {index}");
    }
    ensure_eq!(subject.leased("push").await?, held("a", 1 << 52), "the lease that was swapped last");
    ensure_eq!(subject.leased("pull").await?, held("b", 7), "another lease");
    ensure_eq!(subject.head().await?.tail, head.tail, "the tail after leases changed");
    subject.crash().await?;
    subject.audit().await.map(|_| ())
}

/// Many raise the same counter by compare-and-swap: none gets lost.
pub(super) async fn one_of_many_swaps_at_a_time(kit: Kit) -> Checked {
    const EACH: u64 = 4;
    const HOLDERS: u64 = 6;
    let subject = Subject::primary(&kit).await?;
    let mut holders = JoinSet::new();
    for holder in 0..HOLDERS {
        let (source, of) = (subject.database.open().await?, subject.identity);
        holders.spawn(async move {
            let (mut seen, mut wins) = (None::<Lease>, 0);
            while wins < EACH {
                let beat = seen.as_ref().map_or(0, |lease| lease.beat) + 1;
                let set = Some(Lease { holder: format!("holder-{holder}"), beat });
                let swap = LeaseSwap { name: "x".into(), expect: seen.clone(), set };
                let answer = source.lease(&of, swap).await?;
                seen = answer.lease;
                wins += u64::from(answer.swapped);
                tokio::task::yield_now().await;
            }
            Ok::<_, Violation>(())
        });
    }
    while let Some(holder) = holders.join_next().await {
        holder??;
    }
    let beat = subject.leased("x").await?.map(|lease| lease.beat);
    ensure!(beat == Some(EACH * HOLDERS), "after {} swaps the counter is {beat:?}", EACH * HOLDERS);
    Ok(())
}
