//! Which commits are sent together, and when.

use std::{sync::Arc, time::Instant};

use polylog_log::Commit;

use super::{BATCH_BYTES, BATCH_EVENTS, Group, Taken, Waiting};

impl<T> Group<T> {
    /// The batch to send: the one that was taken before, without those that were refused meanwhile, or the next one.
    pub(super) fn take_batch(&mut self) -> Arc<[Commit]> {
        match &mut self.taken {
            Some(taken) => {
                if !taken.may_be_written && taken.callers.iter().any(Option::is_none) {
                    // Their callers were told that nothing is written, so they must not be sent any more.
                    let both = taken.commits.iter().zip(&taken.callers);
                    let kept = both.filter(|(_, caller)| caller.is_some()).map(|(commit, _)| commit.clone());
                    taken.commits = kept.collect();
                    taken.callers.retain(Option::is_some);
                }
                taken.commits.clone()
            }
            None => self.take_next_batch(),
        }
    }

    fn take_next_batch(&mut self) -> Arc<[Commit]> {
        let (mut commits, mut callers) = (Vec::new(), Vec::new());
        let (mut events, mut bytes) = (0, 0);
        while let Some(next) = self.waiting.front() {
            let count = next.commit.event_count().max(1);
            let is_over = events + count > BATCH_EVENTS || bytes + next.size > BATCH_BYTES;
            // Nothing travels with a system commit: what follows a `$config` was not made under it.
            let is_alone = next.commit.is_system();
            if !commits.is_empty() && (is_over || is_alone) {
                break;
            }
            let Some(Waiting { commit, size, caller }) = self.waiting.pop_front() else { break };
            self.waiting_events -= commit.event_count();
            self.waiting_bytes -= size;
            (events, bytes) = (events + count, bytes + size);
            commits.push(commit);
            callers.push(Some(caller));
            if is_alone {
                break;
            }
        }
        let commits: Arc<[Commit]> = commits.into();
        self.taken = Some(Taken { commits: commits.clone(), callers, may_be_written: false });
        commits
    }

    /// Until when to wait for callers that were just answered and are about to come back.
    pub(super) fn gathers_until(&mut self, now: Instant) -> Option<Instant> {
        let is_full = self.waiting_events >= BATCH_EVENTS || self.waiting_bytes >= BATCH_BYTES;
        if is_full || self.is_draining {
            return None;
        }
        self.pace.gathers_until(self.waiting.len(), now)
    }
}
