use std::{collections::HashMap, sync::Arc};

use tokio::task::JoinSet;

use crate::{
    Commit, CommitId, CommitReceipt, Entry, Expected, Fault, Identity, Source, StreamAppend, Verdict,
    Version,
    conformance::{
        Kit, Violation,
        events::stream,
        subject::{Checked, Subject, under},
        violation::{ensure, ensure_eq},
    },
};

const WRITERS: usize = 16;
const HANDLES: usize = 4;

/// What one writer got acknowledged.
type Acknowledged = Vec<(CommitId, CommitReceipt)>;

impl Subject {
    async fn handles(&self) -> Checked<Vec<Arc<dyn Source>>> {
        let mut handles = Vec::new();
        for _ in 0..HANDLES {
            handles.push(self.database.open().await?);
        }
        Ok(handles)
    }
}

/// Each writer has a stream of its own, and all share two.
pub(super) async fn many_writers_lose_and_double_nothing(kit: Kit) -> Checked {
    const COMMITS: usize = 6;
    let subject = Subject::primary(&kit).await?;
    let handles = subject.handles().await?;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (source, of) = (handles[writer % HANDLES].clone(), subject.identity);
        let commits: Vec<_> = (0..COMMITS).map(|number| shared(&kit, &of, writer, number)).collect();
        writers.spawn(async move {
            let mut acknowledged = Acknowledged::new();
            for commit in commits {
                for _ in 0..2 {
                    acknowledged.push((commit.id, until_answered(&*source, &of, &commit).await?));
                }
            }
            Ok::<_, Violation>(acknowledged)
        });
    }
    let acknowledged = all(writers).await?;
    let entries = subject.audit().await?;
    ensure_eq!(entries.len(), 2 + WRITERS * COMMITS, "entries");
    stand(&acknowledged, &entries)
}

fn shared(kit: &Kit, of: &Identity, writer: usize, number: usize) -> Commit {
    let append = |name: String, count| StreamAppend::new(stream(&name), Expected::Any, kit.events(count));
    let own = append(format!("own-{writer}"), 1 + number % 2);
    Commit::new(of.log, vec![own, append(format!("shared-{}", number % 2), 1)])
}

/// Every writer raises the same stream's version, each time from the version that it read.
pub(super) async fn one_of_many_wins_each_version(kit: Kit) -> Checked {
    const WINS: usize = 3;
    let subject = Subject::primary(&kit).await?;
    let handles = subject.handles().await?;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (source, of, kit) = (handles[writer % HANDLES].clone(), subject.identity, kit.clone());
        writers.spawn(async move {
            let (mut acknowledged, mut version) = (Acknowledged::new(), Version::ZERO);
            while acknowledged.len() < WINS {
                let commit = kit.commit(of.log, "counter", Expected::Version(version), 1);
                let head = source.head().await?;
                match &source.append(&of, under(&head, vec![commit.clone()])).await?.verdicts[..] {
                    [Verdict::Committed(receipt)] => {
                        version = receipt.streams[0].last_version;
                        acknowledged.push((commit.id, receipt.clone()));
                    }
                    [Verdict::VersionConflict { conflicts, .. }] => version = conflicts[0].actual,
                    other => return Err(Violation::new(format_args!("got {other:?}"))),
                }
            }
            Ok(acknowledged)
        });
    }
    let acknowledged = all(writers).await?;
    let entries = subject.audit().await?;
    ensure_eq!(entries.len(), 2 + WRITERS * WINS, "entries");
    let last = entries[entries.len() - 1].events[0].version;
    ensure_eq!(last, Version::new((WRITERS * WINS) as u64), "the version that all together reached");
    stand(&acknowledged, &entries)
}

/// A first try is stopped at a fail point while its retry is answered through another handle.
pub(super) async fn a_retry_waits_for_its_first_try(kit: Kit) -> Checked {
    let points = Subject::fresh(&kit).await?.database.fail_points().points();
    if points.is_empty() {
        kit.not_applicable("the engine has no fail points");
    }
    for point in points {
        for fault in [Fault::Error, Fault::Crash, Fault::LostReply] {
            let mut subject = Subject::primary(&kit).await?;
            let (first, second) = (subject.source.clone(), subject.database.open().await?);
            let of = subject.identity;
            let append = under(&subject.head().await?, vec![kit.commit(of.log, "s", Expected::NoStream, 2)]);
            subject.database.fail_points().arm(point, 0, fault);
            let mut retries = JoinSet::new();
            for source in [second.clone(), second] {
                let append = append.clone();
                retries.spawn(async move {
                    tokio::task::yield_now().await;
                    source.append(&of, append).await
                });
            }
            // the answer of the first try does not matter here; the retries may meet the fault instead of it
            drop(first.append(&of, append.clone()).await);
            let mut answers = Vec::new();
            while let Some(answer) = retries.join_next().await {
                answers.extend(answer?.ok().map(|appended| appended.verdicts));
            }
            subject.database.fail_points().disarm();
            subject.crash().await?;
            let entries = subject.audit().await?;
            let what = format!("after {fault:?} at {point:?}");
            ensure!(entries.len() <= 3, "{what}: the commit stands twice");
            for verdicts in answers {
                let [Verdict::Committed(receipt) | Verdict::Duplicate(receipt)] = &verdicts[..] else {
                    return Err(Violation::new(format_args!("{what}: got {verdicts:?}")));
                };
                let recorded = entries.get(2).map(CommitReceipt::of);
                ensure_eq!(recorded.as_ref(), Some(receipt), "{what}: an answer to a retry");
            }
        }
    }
    Ok(())
}

/// A crash in the middle of the work of many; then they go on with the same commits.
pub(super) async fn a_crash_under_load_loses_and_doubles_nothing(kit: Kit) -> Checked {
    const CRASHES: usize = 6;
    let mut subject = Subject::primary(&kit).await?;
    let of = subject.identity;
    let commits: Vec<Vec<Commit>> = (0..WRITERS)
        .map(|writer| (0..CRASHES).map(|number| shared(&kit, &of, writer, number)).collect())
        .collect();
    let mut acknowledged = Acknowledged::new();
    for _ in 0..CRASHES {
        let fail_points = subject.database.fail_points();
        if !fail_points.points().is_empty() {
            fail_points.arm(kit.pick(fail_points.points()), kit.below(30) as u32, Fault::Crash);
        }
        let handles = subject.handles().await?;
        let mut writers = JoinSet::new();
        for (writer, commits) in commits.iter().enumerate() {
            let (source, commits) = (handles[writer % HANDLES].clone(), commits.clone());
            writers.spawn(async move {
                let mut acknowledged = Acknowledged::new();
                for commit in commits {
                    // the process that this writer lives in is dead: its handle answers nothing any more
                    let Ok(receipt) = until_answered(&*source, &of, &commit).await else { break };
                    acknowledged.push((commit.id, receipt));
                }
                Ok(acknowledged)
            });
        }
        acknowledged.extend(all(writers).await?);
        fail_points.disarm();
        drop(handles);
        subject.crash().await?;
        stand(&acknowledged, &subject.audit().await?)?;
    }
    Ok(())
}

/// Sends a commit until it is answered; gives up when the handle fails time and again.
async fn until_answered(source: &dyn Source, of: &Identity, commit: &Commit) -> Checked<CommitReceipt> {
    for _ in 0..20 {
        let Ok(head) = source.head().await else { continue };
        let Ok(appended) = source.append(of, under(&head, vec![commit.clone()])).await else { continue };
        return match &appended.verdicts[..] {
            [Verdict::Committed(receipt) | Verdict::Duplicate(receipt)] => Ok(receipt.clone()),
            other => Err(Violation::new(format_args!("neither written nor known: {other:?}"))),
        };
    }
    Err(Violation::new("no answer in 20 tries"))
}

async fn all(mut writers: JoinSet<Checked<Acknowledged>>) -> Checked<Acknowledged> {
    let mut acknowledged = Acknowledged::new();
    while let Some(writer) = writers.join_next().await {
        acknowledged.extend(writer??);
    }
    Ok(acknowledged)
}

/// Everything acknowledged stands where its answer says.
fn stand(acknowledged: &Acknowledged, entries: &[Entry]) -> Checked {
    let recorded: HashMap<_, _> =
        entries.iter().filter_map(|entry| Some((entry.commit_id()?, CommitReceipt::of(entry)))).collect();
    for (commit, receipt) in acknowledged {
        ensure_eq!(recorded.get(commit), Some(receipt), "an acknowledged commit in the log");
    }
    Ok(())
}
