use polylog_log::{
    CategoryPage, Entry, EventId, Failure, FoundEvent, Head, LogPage, Position, QuarantinePlace, Quarantined,
    ReadCategory, ReadLog, ReadStream, RecordedEvent, StreamPage,
};
use rusqlite::{Connection, params};

use crate::{
    append,
    connection::Slot,
    error::EngineError,
    head,
    rows::{self, EntryBuilder, RowReader, StoredEvent, columns, number},
};

/// Runs `work` in one read transaction: everything it reads is of one snapshot.
pub(crate) fn snapshot<T>(
    slot: &mut Slot,
    work: impl FnOnce(&Connection) -> Result<T, EngineError>,
) -> Result<T, Failure> {
    let result = attempt(slot, work);
    slot.settle(result.as_ref().err());
    result.map_err(|error| error.failure(slot.patience()))
}

fn attempt<T>(
    slot: &mut Slot,
    work: impl FnOnce(&Connection) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let connection = slot.connection()?;
    connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
    let result = work(connection);
    let ended = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    let read = result?;
    ended?;
    Ok(read)
}

/// See [`polylog_log::Source::head`].
pub(crate) fn head(slot: &mut Slot) -> Result<Head, Failure> {
    snapshot(slot, head::load)
}

/// See [`polylog_log::Source::read_log`].
pub(crate) fn log(slot: &mut Slot, read: &ReadLog) -> Result<LogPage, Failure> {
    snapshot(slot, |connection| {
        let head = head::load(connection)?;
        let entries = entries(connection, &head, read)?;
        Ok(LogPage { entries, head })
    })
}

fn entries(connection: &Connection, head: &Head, read: &ReadLog) -> Result<Vec<Entry>, EngineError> {
    let from = read.from.max(Position::FIRST);
    if from > head.tail.position {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM polylog_events \
         WHERE position >= (SELECT first FROM polylog_events WHERE position = ?1) ORDER BY position"
    ))?;
    let mut rows = statement.query([from.get().cast_signed()])?;
    let (mut reader, mut builder) = (RowReader::default(), EntryBuilder::default());
    let (mut entries, mut events, mut bytes) = (Vec::new(), 0, 0);
    let mut is_enough = false;
    while let Some(row) = rows.next()? {
        if !builder.is_open() && (is_enough || number(row, 1)? > read.to.get()) {
            return Ok(entries);
        }
        if let Some(entry) = builder.push(reader.read(row, 0)?)? {
            check_continues(entries.last(), &entry)?;
            events += entry.events.len();
            bytes += entry.size();
            is_enough = events >= read.max_events || bytes >= read.max_bytes;
            entries.push(entry);
        }
    }
    let end = entries.last().map(Entry::last);
    if builder.is_open() || end != Some(head.tail.position) {
        return Err(EngineError::damaged(format!(
            "the log has no entry that ends at its tail {}",
            head.tail.position
        )));
    }
    Ok(entries)
}

fn check_continues(before: Option<&Entry>, entry: &Entry) -> Result<(), EngineError> {
    match before {
        Some(before) if before.last().next() != entry.first() => {
            Err(EngineError::damaged(format!("a hole in the log before position {}", entry.first())))
        }
        _ => Ok(()),
    }
}

/// See [`polylog_log::Source::read_stream`].
pub(crate) fn stream(slot: &mut Slot, read: &ReadStream) -> Result<StreamPage, Failure> {
    let sql = if read.backward {
        concat!(
            "SELECT ",
            columns!(),
            " FROM polylog_events WHERE stream = ?1 AND version <= ?2 ORDER BY version DESC"
        )
    } else {
        concat!(
            "SELECT ",
            columns!(),
            " FROM polylog_events WHERE stream = ?1 AND version >= ?2 ORDER BY version"
        )
    };
    snapshot(slot, |connection| {
        let head = head::load(connection)?;
        let stream = append::stream_head(connection, &read.stream)?;
        let parameters = params![read.stream.as_str(), read.from.get().cast_signed()];
        let mut page = Page::new(read.max_events, read.max_bytes);
        page.fill(connection, sql, parameters)?;
        Ok(StreamPage { events: page.events, stream, head })
    })
}

/// See [`polylog_log::Source::read_category`].
pub(crate) fn category(slot: &mut Slot, read: &ReadCategory) -> Result<CategoryPage, Failure> {
    let sql = if read.backward {
        concat!(
            "SELECT ",
            columns!(),
            " FROM polylog_events WHERE category = ?1 AND position BETWEEN ?2 AND ?3 ORDER BY position DESC"
        )
    } else {
        concat!(
            "SELECT ",
            columns!(),
            " FROM polylog_events WHERE category = ?1 AND position BETWEEN ?2 AND ?3 ORDER BY position"
        )
    };
    snapshot(slot, |connection| {
        let head = head::load(connection)?;
        let (from, to) = (read.range.start().get().cast_signed(), read.range.end().get().cast_signed());
        let mut page = Page::new(read.max_events, read.max_bytes);
        let is_complete = page.fill(connection, sql, params![read.category.as_str(), from, to])?;
        Ok(CategoryPage { events: page.events, is_complete, head })
    })
}

/// See [`polylog_log::Source::find`].
pub(crate) fn find(slot: &mut Slot, id: EventId) -> Result<FoundEvent, Failure> {
    let sql = concat!("SELECT ", columns!(), " FROM polylog_events WHERE id = ?1");
    snapshot(slot, |connection| {
        let head = head::load(connection)?;
        let mut page = Page::new(1, usize::MAX);
        page.fill(connection, sql, [id.as_bytes()])?;
        Ok(FoundEvent { event: page.events.pop(), head })
    })
}

/// Events up to a number and a size; the first one always, however large.
pub(crate) struct Page {
    pub(crate) events: Vec<RecordedEvent>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl Page {
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: Vec::new(), bytes: 0, max_events, max_bytes }
    }

    /// Takes rows until they or the room end; tells whether the rows ended.
    pub(crate) fn fill(
        &mut self,
        connection: &Connection,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<bool, EngineError> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut reader = RowReader::default();
        while let Some(row) = rows.next()? {
            if self.events.len() >= self.max_events || self.bytes >= self.max_bytes && !self.events.is_empty()
            {
                return Ok(false);
            }
            let StoredEvent { event, term, chain, .. } = reader.read(row, 0)?;
            self.bytes += event.size();
            self.events.push(RecordedEvent { event, term, chain });
        }
        Ok(true)
    }
}

/// See [`polylog_log::Source::quarantine`].
pub(crate) fn quarantine(
    slot: &mut Slot,
    after: QuarantinePlace,
    limit: usize,
) -> Result<Vec<Quarantined>, Failure> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", cut FROM polylog_quarantine WHERE (cut, position) > (?1, ?2) ORDER BY cut, position"
    );
    snapshot(slot, |connection| {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([after.cut.cast_signed(), after.position.get().cast_signed()])?;
        let (mut reader, mut builder) = (RowReader::default(), EntryBuilder::default());
        let mut found: Vec<Quarantined> = Vec::new();
        while let Some(row) = rows.next()? {
            if found.len() >= limit {
                break;
            }
            if let Some(entry) = builder.push(reader.read(row, 0)?)? {
                let number = number(row, rows::COUNT)?;
                let cut = match found.last() {
                    Some(last) if last.cut.number == number => last.cut,
                    _ => head::cut_by_number(connection, number)?,
                };
                found.push(Quarantined { cut, entry });
            }
        }
        Ok(found)
    })
}
