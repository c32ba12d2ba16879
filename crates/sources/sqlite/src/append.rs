use polylog_log::{
    Append, Appended, CommitId, CommitReceipt, Effect, Entry, EventId, Facts, Identity, Operation,
    OperationError, Position, RecordedCommit, Rules, StreamHead, StreamName, Verdict, Wanted,
};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::{
    clock,
    connection::Slot,
    error::EngineError,
    operation,
    rows::{EntryBuilder, RowReader, columns, number, text},
    schema,
    stream_heads::StreamHeads,
};

/// See [`polylog_log::Source::append`].
///
/// Nearly every batch is new, and its indexes would refuse what is not: so ids are first left to them. Only where a
/// commit would not simply be written, or where an index refused it, is everything looked up and decided again.
pub(crate) fn append(
    slot: &mut Slot,
    of: &Identity,
    append: &Append,
    tail: &watch::Sender<Position>,
) -> Result<Appended, OperationError> {
    // taken out while the tail moves: what fails half-way leaves nothing that could be trusted
    let mut known = slot.take_known();
    let effect = match decide_and_write(slot, of, append, tail, Ids::LeftToIndexes, &mut known)? {
        Ok(effect) => effect,
        Err(_clash) => decide_and_write(slot, of, append, tail, Ids::LookedUp, &mut known)?
            .map_err(|error| OperationError::Failed(error.failure(slot.patience())))?,
    };
    known.streams.wrote(&effect);
    slot.put_known(known);
    Ok(Appended { verdicts: effect.verdicts, head: effect.head, written: effect.write })
}

/// What the last append of a connection knew, and the next may use as far as it still holds.
#[derive(Default)]
pub(crate) struct Known {
    streams: StreamHeads,
    indexes: Indexes,
}

/// The version of the schema in which the unique indexes were last seen.
#[derive(Default)]
struct Indexes(Option<i64>);

impl Indexes {
    fn check(&mut self, connection: &Connection) -> Result<(), EngineError> {
        let version = schema::version(connection)?;
        if self.0 != Some(version) {
            schema::check_unique(connection)?;
            self.0 = Some(version);
        }
        Ok(())
    }
}

/// How it is found out whether ids stand in the log already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    LeftToIndexes,
    LookedUp,
}

fn decide_and_write(
    slot: &mut Slot,
    of: &Identity,
    append: &Append,
    tail: &watch::Sender<Position>,
    ids: Ids,
    Known { streams, indexes }: &mut Known,
) -> Result<Result<Effect, EngineError>, OperationError> {
    let mut wanted = Wanted::by_batch(&append.batch);
    operation::execute_or_clash(slot, tail, |connection, head| {
        #[cfg(feature = "mutants")]
        let head = &crate::mutants::numbered_by_sequence(connection, head, &append.batch)?;
        let admit = |facts: &Facts| {
            let operation = Operation::Append {
                term: append.term,
                config: append.config,
                batch: &append.batch,
                facts,
                watermarks: append.watermarks,
                clock: clock::now(),
            };
            head.admit(of, operation, Rules::ALL)
        };
        indexes.check(connection)?;
        streams.hold_at(&head.tail);
        let mut facts = Facts::default();
        for stream in std::mem::take(&mut wanted.streams) {
            if let Some(head) = streams.find(&stream, || stream_head(connection, &stream))? {
                facts.streams.insert(stream, head);
            }
        }
        if ids == Ids::LeftToIndexes {
            let decision = admit(&facts);
            if decision.as_ref().is_ok_and(|effect| effect.verdicts.iter().all(is_simple)) {
                return Ok(decision);
            }
        }
        look_up_into(connection, &wanted, &mut facts)?;
        Ok(admit(&facts))
    })
}

/// Whether a verdict is the same whatever ids are in the log, as long as the commit can be written.
fn is_simple(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Committed(_) | Verdict::Checked(_))
}

/// What the log holds of the things that are wanted.
pub(crate) fn look_up(connection: &Connection, wanted: &Wanted) -> Result<Facts, EngineError> {
    let mut facts = Facts::default();
    look_up_into(connection, wanted, &mut facts)?;
    Ok(facts)
}

fn look_up_into(connection: &Connection, wanted: &Wanted, facts: &mut Facts) -> Result<(), EngineError> {
    for &id in &wanted.commits {
        if let Some(recorded) = recorded_commit(connection, id)? {
            facts.commits.insert(id, recorded);
        }
    }
    for stream in &wanted.streams {
        if let Some(head) = stream_head(connection, stream)? {
            facts.streams.insert(stream.clone(), head);
        }
    }
    for &id in &wanted.events {
        if let Some(place) = event_place(connection, id)? {
            facts.events.insert(id, place);
        }
    }
    Ok(())
}

fn recorded_commit(connection: &Connection, id: CommitId) -> Result<Option<RecordedCommit>, EngineError> {
    let mut statement = connection
        .prepare_cached("SELECT position FROM polylog_events WHERE commit_id = ?1 AND position = first")?;
    let mut rows = statement.query([id.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let first = Position::new(number(row, 0)?);
    let entry = entry_from(connection, first)?;
    Ok(Some(RecordedCommit {
        receipt: CommitReceipt::of(&entry),
        fingerprint: entry.fingerprint,
        first_event: entry.events[0].id,
    }))
}

/// The entry that begins at a position.
fn entry_from(connection: &Connection, first: Position) -> Result<Entry, EngineError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM polylog_events WHERE position >= ?1 ORDER BY position"
    ))?;
    let mut rows = statement.query([first.get().cast_signed()])?;
    let (mut reader, mut builder) = (RowReader::default(), EntryBuilder::default());
    while let Some(row) = rows.next()? {
        if let Some(entry) = builder.push(reader.read(row, 0)?)? {
            return Ok(entry);
        }
    }
    Err(EngineError::damaged(format!("the entry at position {first} has no end")))
}

/// The last version of a stream, and its attributes.
pub(crate) fn stream_head(
    connection: &Connection,
    stream: &StreamName,
) -> Result<Option<StreamHead>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT version, category, aggregate_id FROM polylog_events WHERE stream = ?1 \
         ORDER BY version DESC LIMIT 1",
    )?;
    let mut rows = statement.query([stream.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(StreamHead {
        version: polylog_log::Version::new(number(row, 0)?),
        category: polylog_log::Category::recorded(text(row, 1)?),
        aggregate_id: polylog_log::AggregateId::recorded(text(row, 2)?),
    }))
}

fn event_place(connection: &Connection, id: EventId) -> Result<Option<(StreamName, Position)>, EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT stream, position FROM polylog_events WHERE id = ?1")?;
    let mut rows = statement.query([id.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((StreamName::recorded(text(row, 0)?), Position::new(number(row, 1)?))))
}
