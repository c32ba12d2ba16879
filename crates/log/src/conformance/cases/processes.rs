use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Entry,
    conformance::{
        Kit,
        child::{Said, Task},
        subject::{Checked, Subject},
        violation::{ensure, ensure_eq},
    },
};

/// Three writers, each killed and started again with the same commits, all the while.
pub(super) async fn killed_processes_lose_and_double_nothing(kit: Kit) -> Checked {
    const WRITERS: usize = 3;
    const LIVES: usize = 4;
    let subject = Subject::primary(&kit).await?;
    let Some(processes) = subject.database.processes() else {
        kit.not_applicable("no other process can reach a database of this engine");
        return Ok(());
    };
    let task = || Task {
        locator: processes.locator.clone(),
        identity: subject.identity,
        writer: kit.uuid(),
    };
    let tasks: Vec<Task> = std::iter::repeat_with(task).take(WRITERS).collect();
    let mut known = vec![Known::default(); WRITERS];
    for life in 1..=LIVES {
        let mut running = Vec::new();
        for task in &tasks {
            running.push(task.start(&processes)?);
        }
        // all of them are at work before the first is killed
        for (child, known) in running.iter_mut().zip(&mut known) {
            let target = known.acknowledged.len() + 1 + kit.below(20);
            while known.acknowledged.len() < target {
                let said = child.hear().await?;
                ensure!(said.is_some(), "a writer of life {life} ended by itself");
                said.map_or(Ok(()), |said| known.note(said))?;
            }
        }
        for (child, known) in running.iter_mut().zip(&mut known) {
            child.kill().await?;
            while let Some(said) = child.hear().await? {
                known.note(said)?;
            }
        }
    }
    let entries = subject.audit().await?;
    for (task, known) in tasks.iter().zip(&known) {
        known.compare(task, &entries)?;
    }
    Ok(())
}

/// What one writer said over all its lives.
#[derive(Debug, Clone, Default)]
struct Known {
    sent: BTreeSet<u64>,
    acknowledged: BTreeMap<u64, u64>,
}

impl Known {
    fn note(&mut self, said: Said) -> Checked {
        match said {
            Said::Sent(number) => drop(self.sent.insert(number)),
            Said::Acknowledged(number, at) => {
                let first = *self.acknowledged.entry(number).or_insert(at);
                ensure_eq!(at, first, "the position of commit {number}, acknowledged again");
            }
        }
        Ok(())
    }

    fn compare(&self, task: &Task, entries: &[Entry]) -> Checked {
        let places: BTreeMap<_, _> = entries.iter().filter_map(|entry| Some((entry.commit_id()?, entry))).collect();
        for number in &self.sent {
            let commit = task.commit(*number);
            let entry = places.get(&commit.id);
            let at = entry.map(|entry| entry.first().get());
            if let Some(acknowledged) = self.acknowledged.get(number) {
                ensure_eq!(at, Some(*acknowledged), "where acknowledged commit {number} stands");
            }
            let count = entry.map_or(commit.event_count(), |entry| entry.events.len());
            ensure_eq!(count, commit.event_count(), "the events of commit {number}");
        }
        Ok(())
    }
}
