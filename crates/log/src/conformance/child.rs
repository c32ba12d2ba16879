//! Real processes that write to a database until they are killed.

use std::{future::Future, io::Write, process::Stdio, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
use uuid::Uuid;

use super::{
    Processes, Violation,
    events::stream,
    subject::{Checked, under},
};
use crate::{Commit, EventId, EventType, Expected, Identity, NewEvent, Source, StreamAppend, Verdict};

const TASK: &str = "POLYLOG_CONFORMANCE_CHILD";

/// The body of the test that [`Processes::child_test`] names: does nothing, unless the kit started this process.
///
/// `open` opens the database that a locator names. Returns when the kit closes the pipe; usually the kit kills it.
pub async fn child<F, Opening>(open: F) -> Result<(), Violation>
where
    F: FnOnce(String, Identity) -> Opening,
    Opening: Future<Output = Result<Arc<dyn Source>, Violation>>,
{
    let Ok(task) = std::env::var(TASK) else { return Ok(()) };
    let task: Task = serde_json::from_str(&task).map_err(Violation::new)?;
    let identity = task.identity;
    let source = open(task.locator.clone(), identity).await?;
    for number in 0.. {
        if say(&format!("sent {number}")).is_err() {
            break;
        }
        let at = write(&*source, &identity, &task.commit(number)).await?;
        if say(&format!("acknowledged {number} {at}")).is_err() {
            break;
        }
    }
    Ok(())
}

/// Writes past the test runner, which may hold back what tests print.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{TASK} {line} .")?;
    out.flush()
}

/// Sends one commit until it is answered.
async fn write(source: &dyn Source, of: &Identity, commit: &Commit) -> Checked<u64> {
    loop {
        let Ok(head) = source.head().await else { continue };
        let Ok(appended) = source.append(of, under(&head, vec![commit.clone()])).await else { continue };
        match &appended.verdicts[..] {
            [Verdict::Committed(receipt) | Verdict::Duplicate(receipt)] => return Ok(receipt.first.get()),
            other => return Err(Violation::new(format_args!("neither written nor known: {other:?}"))),
        }
    }
}

/// What a child does: appends commits that follow from the writer's id, one after the other.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Task {
    pub(super) locator: String,
    pub(super) identity: Identity,
    pub(super) writer: Uuid,
}

impl Task {
    /// The commit of a number: the same in every life of this writer.
    pub(super) fn commit(&self, number: u64) -> Commit {
        let event = |index: u64| {
            let id = Uuid::new_v5(&self.writer, format!("{number}/{index}").as_bytes());
            NewEvent::json(EventId::new(id), EventType::recorded("Written"), format!("[{number}, {index}]"))
        };
        let own = StreamAppend::new(
            stream(&format!("own-{}", self.writer)),
            Expected::Any,
            vec![event(0), event(1)],
        );
        let shared = StreamAppend::new(stream("shared"), Expected::Any, vec![event(2)]);
        Commit::new(self.identity.log, vec![own, shared])
    }

    /// Starts a child.
    pub(super) fn start(&self, processes: &Processes) -> Checked<Running> {
        let task = serde_json::to_string(self).map_err(Violation::new)?;
        let binary = std::env::current_exe().map_err(Violation::new)?;
        let mut child = Command::new(binary)
            .args(["--exact", processes.child_test, "--nocapture", "--test-threads=1"])
            .env(TASK, task)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Violation::new(error).during("start of a child process"))?;
        let out = child.stdout.take().ok_or_else(|| Violation::new("a child without a pipe"))?;
        Ok(Running { child, lines: BufReader::new(out).lines() })
    }
}

/// What a child said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It is about to append the commit of this number.
    Sent(u64),
    /// The commit of this number stands at this position.
    Acknowledged(u64, u64),
}

/// A child at work.
pub(super) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// The next thing that it said; `None` = it is gone.
    pub(super) async fn hear(&mut self) -> Checked<Option<Said>> {
        while let Some(line) = self.lines.next_line().await.map_err(Violation::new)? {
            let mut words = line.split_whitespace();
            if words.next() != Some(TASK) {
                continue;
            }
            let kind = words.next();
            if words.clone().next_back() != Some(".") {
                return Ok(None); // the line that the kill cut off
            }
            let mut number = || words.next().and_then(|word| word.parse().ok());
            return Ok(match (kind, number(), number()) {
                (Some("sent"), Some(commit), None) => Some(Said::Sent(commit)),
                (Some("acknowledged"), Some(commit), Some(at)) => Some(Said::Acknowledged(commit, at)),
                _ => return Err(Violation::new(format_args!("a child said {line:?}"))),
            });
        }
        Ok(None)
    }

    /// Kills it with SIGKILL. What it said before can still be heard.
    pub(super) async fn kill(&mut self) -> Checked {
        self.child.kill().await.map_err(Violation::new)
    }
}
