use polylog_log::{
    CategoryPage, EventId, FoundEvent, LogPage, QuarantinePlace, Quarantined, ReadCategory, ReadLog,
    ReadStream, StreamPage,
};
use polylog_source_servers::page::{CategoryEvents, EventById, Guess, LogEntries, Sized, StreamEvents};

use crate::{connection::Handle, error::EngineError, page};

/// See [`polylog_log::Source::read_log`].
pub(crate) async fn log(
    handle: &Handle,
    read: &ReadLog,
    guess: Guess,
) -> Result<Sized<LogPage>, EngineError> {
    let (read, _) = page::read(handle, || LogEntries::new(read, guess)).await?;
    Ok(LogEntries::answer(read)?)
}

/// See [`polylog_log::Source::read_stream`].
pub(crate) async fn stream(
    handle: &Handle,
    read: &ReadStream,
    guess: Guess,
) -> Result<Sized<StreamPage>, EngineError> {
    for _ in 0..page::TRIES {
        let (events, head) = page::read(handle, || StreamEvents::new(read, guess)).await?;
        let end = handle.stream_head(&head, &read.stream).await?;
        if page::is_unchanged(handle, &head).await? {
            return Ok(StreamEvents::answer(events, end));
        }
    }
    Err(page::truncated())
}

/// See [`polylog_log::Source::read_category`].
pub(crate) async fn category(
    handle: &Handle,
    read: &ReadCategory,
    guess: Guess,
) -> Result<Sized<CategoryPage>, EngineError> {
    let (read, _) = page::read(handle, || CategoryEvents::new(read, guess)).await?;
    Ok(CategoryEvents::answer(read))
}

/// See [`polylog_log::Source::find`].
pub(crate) async fn find(handle: &Handle, id: EventId) -> Result<FoundEvent, EngineError> {
    let (read, _) = page::read(handle, || EventById::new(id)).await?;
    Ok(EventById::answer(read))
}

/// See [`polylog_log::Source::quarantine`].
pub(crate) async fn quarantine(
    handle: &Handle,
    (after, limit): (QuarantinePlace, usize),
) -> Result<Vec<Quarantined>, EngineError> {
    handle.quarantined(after, limit).await
}
