use std::{
    fs::{self, File},
    io::Write,
};

use polylog_log::{
    Commit, Failure, Head, Position,
    mutants::{self, Mutant},
};
use rusqlite::Connection;

use crate::error::EngineError;

/// What goes wrong when positions come from a sequence: its numbers are handed out before the commit, and nothing takes
/// them back. The sequence is a file beside the database.
pub(crate) fn numbered_by_sequence(
    connection: &Connection,
    head: &Head,
    batch: &[Commit],
) -> Result<Head, EngineError> {
    let mut head = head.clone();
    if mutants::active() != Some(Mutant::Sequence) || batch.iter().any(Commit::is_system) {
        return Ok(head);
    }
    let path = format!("{}.sequence", connection.path().unwrap_or_default());
    let last = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok());
    let last = last.unwrap_or_else(|| head.tail.position.get());
    let taken: usize = batch.iter().map(Commit::event_count).sum();
    let written = File::create(&path).and_then(|mut file| {
        write!(file, "{}", last + taken as u64)?;
        file.sync_all()
    });
    written.map_err(|error| Failure::Unreachable(error.to_string()))?;
    head.tail.position = Position::new(last);
    Ok(head)
}
