//! Commits that the log holds, put together from their events.

use std::collections::HashMap;

use polylog_log::{
    Chain, CommitId, CommitReceipt, EventId, Failure, Fingerprint, Position, RecordedCommit, StreamHead,
    StreamName, StreamReceipt, Term,
};

/// An event as far as facts need it.
pub struct Part {
    /// Where it stands.
    pub position: Position,
    /// Where its entry ends.
    pub last: Position,
    /// Its entry's.
    pub term: Term,
    /// Its own.
    pub id: EventId,
    /// Its commit's.
    pub commit: CommitId,
    /// Its stream.
    pub stream: StreamName,
    /// The stream as it leaves it.
    pub head: StreamHead,
    /// On the first event of an entry.
    pub fingerprint: Option<Fingerprint>,
    /// Up to its entry.
    pub chain: Chain,
}

/// The commits of these events, which are whole commits in any order.
///
/// # Errors
/// `Damaged` when one is not whole.
pub fn commits(mut parts: Vec<Part>) -> Result<HashMap<CommitId, RecordedCommit>, Failure> {
    parts.sort_by_key(|part| part.position);
    let whole = parts.chunk_by(|a, b| a.commit == b.commit);
    whole.map(|commit| Ok((commit[0].commit, recorded(commit)?))).collect()
}

/// A commit put together from its events, which stand in order.
fn recorded(parts: &[Part]) -> Result<RecordedCommit, Failure> {
    let (first, last) = (&parts[0], &parts[parts.len() - 1]);
    let damaged = || Failure::Damaged(format!("the entry at position {} is not whole", first.position));
    if last.position != first.last {
        return Err(damaged());
    }
    let mut streams: Vec<StreamReceipt> = Vec::new();
    for part in parts {
        let (version, position) = (part.head.version, part.position);
        match streams.last_mut().filter(|receipt| receipt.stream == part.stream) {
            Some(receipt) => (receipt.last_version, receipt.last_position) = (version, position),
            None => streams.push(StreamReceipt {
                stream: part.stream.clone(),
                first_version: version,
                last_version: version,
                first_position: position,
                last_position: position,
            }),
        }
    }
    let (term, chain) = (first.term, first.chain);
    Ok(RecordedCommit {
        receipt: CommitReceipt { first: first.position, last: last.position, term, chain, streams },
        fingerprint: first.fingerprint.ok_or_else(damaged)?,
        first_event: first.id,
    })
}
