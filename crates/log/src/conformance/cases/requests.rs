//! A log on three sources, with proposers and clients that reach them over bad wires.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::task::JoinSet;

use crate::{
    Commit, CommitId, CommitReceipt, Entry, Expected, Head, Identity, Nonce, Open, Point, Position, Source,
    SourceName, Term, Truncate, Verdict,
    conformance::{
        Kit, Violation,
        subject::{Checked, Subject, apply, entries_after, under},
        violation::{ensure, ensure_eq},
        wire::Wire,
    },
};

const LOGS: usize = 3;
const SOURCES: usize = 3;
const MAJORITY: usize = 2;
const CLIENTS: usize = 3;
const COMMITS: usize = 5;
const ELECTIONS: usize = 6;

/// A source as a proposer or client knows it.
#[derive(Clone)]
struct Remote {
    source: Arc<dyn Source>,
    of: Identity,
    name: SourceName,
}

type Acknowledged = Vec<(CommitId, CommitReceipt)>;

/// Proposers take the log from each other and clients write to it, over wires that lose, delay and repeat every kind of
/// request. Afterwards one more proposer, over good wires, levels all sources: they agree, and everything that a majority
/// acknowledged stands where its answer says, once.
pub(super) async fn lost_late_and_repeated_requests_are_harmless(kit: Kit) -> Checked {
    for number in 0..LOGS {
        run(&kit).await.map_err(|found| found.during(format_args!("log {number}")))?;
    }
    Ok(())
}

async fn run(kit: &Kit) -> Checked {
    let subjects = Subject::three(kit).await?;
    let [a, b, c] = &subjects;
    b.follow(a, 1).await?;
    c.follow(a, 1).await?;
    let wires: Vec<_> = subjects.iter().map(|subject| Wire::new(subject.source.clone(), kit)).collect();
    let remotes: Vec<_> = subjects
        .iter()
        .zip(&wires)
        .map(|(subject, wire)| remote(subject, wire.clone()))
        .collect();
    let at_work = Arc::new(AtomicUsize::new(CLIENTS));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (remotes, kit, at_work) = (remotes.clone(), kit.clone(), at_work.clone());
        clients.spawn(async move {
            let acknowledged = write(&remotes, &kit, client).await;
            at_work.fetch_sub(1, Ordering::AcqRel);
            acknowledged
        });
    }
    let mut proposers = JoinSet::new();
    for _ in 0..2 {
        let (remotes, kit, at_work) = (remotes.clone(), kit.clone(), at_work.clone());
        proposers.spawn(async move {
            for _ in 0..ELECTIONS {
                // an election that fails is one of which nothing is known: the next one starts from the beginning
                drop(elect(&remotes, &kit).await?);
                rest(&kit).await;
            }
            // without a primary the clients would wait for ever
            while at_work.load(Ordering::Acquire) > 0 {
                if !has_primary(&remotes).await {
                    drop(elect(&remotes, &kit).await?);
                }
                rest(&kit).await;
            }
            Ok::<_, Violation>(())
        });
    }
    let mut acknowledged = Acknowledged::new();
    while let Some(client) = clients.join_next().await {
        acknowledged.extend(client??);
    }
    while let Some(proposer) = proposers.join_next().await {
        proposer??;
    }
    for wire in &wires {
        wire.settle().await?;
    }
    agree(kit, &subjects, &acknowledged).await
}

fn remote(subject: &Subject, source: Arc<dyn Source>) -> Remote {
    Remote { source, of: subject.identity, name: subject.name.clone() }
}

async fn rest(kit: &Kit) {
    for _ in 0..kit.below(200) {
        tokio::task::yield_now().await;
    }
}

async fn has_primary(remotes: &[Remote]) -> bool {
    let mut heads = Vec::new();
    for remote in remotes {
        heads.extend(remote.source.head().await.ok());
    }
    let highest = heads.iter().map(|head| head.term).max();
    heads.iter().any(|head| Some(head.term) == highest && head.is_primary())
}

/// One attempt to make some source the primary of a new term; `None` = it did not come to that.
async fn elect(remotes: &[Remote], kit: &Kit) -> Checked<Option<Head>> {
    let mut highest = Term::ZERO;
    for remote in remotes {
        if let Ok(head) = remote.source.head().await {
            highest = highest.max(head.term);
        }
    }
    let (term, nonce) = (highest.next(), kit.nonce());
    let mut grants = Vec::new();
    for remote in remotes {
        for _ in 0..3 {
            if let Ok(head) = remote.source.promise(&remote.of, term, nonce).await {
                grants.push((remote, head));
                break;
            }
        }
    }
    let best = grants.iter().max_by_key(|(_, head)| (head.tail.term, head.tail.position));
    let (Some((model, best)), true) = (best, grants.len() >= MAJORITY) else { return Ok(None) };
    let (primary, _) = &grants[kit.below(grants.len())];
    for _ in 0..8 {
        if let Some(head) = level(primary, model, best.tail, term).await?
            && let Some(head) = open(primary, term, nonce, head.tail).await
        {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

async fn open(primary: &Remote, term: Term, nonce: Nonce, tail: Point) -> Option<Head> {
    let open = Open { term, nonce, tail, primary: primary.name.clone(), forced: false, missing: Vec::new() };
    primary.source.open(&primary.of, open).await.ok()
}

/// Brings a source to the tail of a model, under a term; `None` = try again.
async fn level(to: &Remote, model: &Remote, tail: Point, term: Term) -> Checked<Option<Head>> {
    let (Ok(own), Ok(theirs)) = (log(&*to.source).await, log(&*model.source).await) else { return Ok(None) };
    let ((own, head), (mut theirs, their_head)) = (own, theirs);
    if their_head.term > term || head.term > term {
        return Ok(None);
    }
    theirs.retain(|entry| entry.last() <= tail.position);
    if theirs.last().is_some_and(|entry| entry.point() != tail) {
        return Ok(None);
    }
    let shared = own.iter().zip(&theirs).take_while(|(own, theirs)| own == theirs).count();
    let fork = shared.checked_sub(1).map_or(Point::start(to.of.log), |last| own[last].point());
    if shared < own.len() {
        let truncate = Truncate { term, keep: fork, tail: head.tail };
        if to.source.truncate(&to.of, truncate).await.is_err() {
            return Ok(None);
        }
    }
    let apply = apply(term.get(), fork, theirs[shared..].to_vec());
    Ok(to.source.apply(&to.of, apply).await.ok().filter(|head| head.tail == tail))
}

async fn log(source: &dyn Source) -> Checked<(Vec<Entry>, Head)> {
    let (max_events, max_bytes) = (usize::MAX, usize::MAX);
    let (from, to) = (Position::FIRST, Position::new(u64::MAX));
    let page = source.read_log(crate::ReadLog { from, to, max_events, max_bytes }).await?;
    Ok((page.entries, page.head))
}

/// Writes commits one by one; returns those that a majority held under one term.
async fn write(remotes: &[Remote], kit: &Kit, client: usize) -> Checked<Acknowledged> {
    let mut acknowledged = Acknowledged::new();
    for number in 0..COMMITS {
        let name = format!("client-{}", if number % 2 == 0 { client } else { 99 });
        let commit = kit.commit(remotes[0].of.log, &name, Expected::Any, 1 + number % 2);
        for _ in 0..400 {
            if let Some(receipt) = try_write(remotes, &commit).await? {
                acknowledged.push((commit.id, receipt));
                break;
            }
            rest(kit).await;
        }
    }
    Ok(acknowledged)
}

/// Appends at the primary of the highest term, copies to the others, and counts.
async fn try_write(remotes: &[Remote], commit: &Commit) -> Checked<Option<CommitReceipt>> {
    let mut heads = Vec::new();
    for remote in remotes {
        heads.extend(remote.source.head().await.ok().map(|head| (remote, head)));
    }
    let highest = heads.iter().map(|(_, head)| head.term).max().unwrap_or_default();
    let primary = heads.iter().find(|(_, head)| head.term == highest && head.is_primary());
    let Some((primary, head)) = primary else { return Ok(None) };
    let append = under(head, vec![commit.clone()]);
    let Ok(appended) = primary.source.append(&primary.of, append).await else { return Ok(None) };
    let [Verdict::Committed(receipt) | Verdict::Duplicate(receipt)] = &appended.verdicts[..] else {
        return Err(Violation::new(format_args!("neither written nor known: {:?}", appended.verdicts)));
    };
    let tail = appended.head.tail;
    let mut held = 1;
    for remote in remotes.iter().filter(|remote| remote.name != primary.name) {
        let copied = level(remote, primary, tail, highest).await?;
        held += usize::from(copied.is_some_and(|head| head.term == highest));
    }
    // what counts must reach beyond the entry that opened the term
    let opened = entries_after(&*primary.source, Position::ZERO).await.unwrap_or_default();
    let is_past = opened.iter().any(|entry| entry.term == highest && entry.last() <= tail.position);
    Ok((held >= MAJORITY && is_past).then(|| receipt.clone()))
}

async fn agree(kit: &Kit, subjects: &[Subject; SOURCES], acknowledged: &Acknowledged) -> Checked {
    for subject in subjects {
        subject.audit().await.map_err(|found| found.during("before the last election"))?;
    }
    let remotes: Vec<_> = subjects.iter().map(|subject| remote(subject, subject.source.clone())).collect();
    let Some(head) = elect(&remotes, kit).await? else {
        return Err(Violation::new("no primary could be made over good wires"));
    };
    let primary = subjects.iter().zip(&remotes).find(|(subject, _)| subject.identity == head.identity);
    let Some((primary, model)) = primary else { return Err(Violation::new("a primary of no known source")) };
    let entries = primary.audit().await?;
    for (subject, remote) in subjects.iter().zip(&remotes).filter(|(_, remote)| remote.name != model.name) {
        let levelled = level(remote, model, head.tail, head.term).await?;
        ensure!(levelled.is_some(), "source {} cannot be levelled", remote.name);
        ensure!(subject.audit().await? == entries, "source {} differs from the primary", remote.name);
    }
    let recorded: HashMap<_, _> =
        entries.iter().filter_map(|entry| Some((entry.commit_id()?, CommitReceipt::of(entry)))).collect();
    for (commit, receipt) in acknowledged {
        ensure_eq!(recorded.get(commit), Some(receipt), "a commit that a majority acknowledged");
    }
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged at all: the wires are too bad to test anything");
    Ok(())
}
