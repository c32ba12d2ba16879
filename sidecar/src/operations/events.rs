use polylog_api::{Code, Location, LocationsAnswer, Problem};
use polylog_log::{EventId, Position, RecordedEvent, StreamName, Version};
use polylog_replication::{ReadOptions, Served};

use super::{Call, View, errors, stream};
use crate::{filter::Filter, hosted::DeclaredSource, pipeline::denied, policy::Verb};

/// What names an event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    /// Its id.
    Id(EventId),
    /// Its position.
    Position(Position),
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            By::Id(id) => id.fmt(f),
            By::Position(position) => write!(f, "at position {position}"),
        }
    }
}

/// An event that is there; whether the caller may see it is for the view to say.
pub(crate) struct Found {
    pub(crate) view: View,
    pub(crate) recorded: RecordedEvent,
    pub(crate) served: Served,
}

/// Looks an event up.
pub(crate) async fn find(call: &Call, by: By, options: &ReadOptions) -> Result<Found, Problem> {
    let view = call.view(Verb::Read, Filter::default())?;
    let store = &call.hosted.store;
    let read = match by {
        By::Id(id) => store.find(id, options).await,
        By::Position(position) => store.event_at(position, options).await,
    };
    let read = read.map_err(errors::of_read)?;
    let Some(recorded) = read.event else {
        return Err(Problem::new(Code::EventNotFound, format_args!("the log has no event {by}"))
            .next_step("check the id, and that it was appended to this store"));
    };
    Ok(Found { view, recorded, served: read.served })
}

/// Which source holds an event that was found.
pub(crate) fn locations(call: &Call, found: &Found) -> Result<LocationsAnswer, Problem> {
    let Found { view, recorded, served } = found;
    if view.show(recorded).is_none() {
        return Err(unreadable(call, recorded.event.category.as_str()));
    }
    let location = |source: &DeclaredSource| {
        let is_here = source.name == served.source;
        Location {
            source: source.name.clone(),
            present: is_here,
            term: is_here.then_some(recorded.term),
            digest: is_here.then_some(recorded.event.digest),
            note: if is_here { String::new() } else { source.unprovisioned.clone().unwrap_or_default() },
        }
    };
    let locations = view.hosted().sources.iter().map(location).collect();
    Ok(LocationsAnswer { position: recorded.event.position, locations })
}

/// The end of a stream that the caller may read.
pub(crate) async fn stream_head(
    call: &Call,
    name: &StreamName,
    options: &ReadOptions,
) -> Result<(Version, Found), Problem> {
    let view = call.view(Verb::Read, Filter::default())?;
    let read = call.hosted.store.stream_head(name, options).await.map_err(errors::of_read)?;
    stream::check_stream(call, &view, name, read.stream.as_ref().map(|head| &head.category))?;
    let version = read.stream.as_ref().map_or(Version::ZERO, |head| head.version);
    let recorded = read.last.ok_or_else(last_is_gone)?;
    Ok((version, Found { view, recorded, served: read.served }))
}

fn last_is_gone() -> Problem {
    Problem::new(Code::Internal, "the stream's last event is not there")
}

/// The caller may not see events of this category.
pub(crate) fn unreadable(call: &Call, category: &str) -> Problem {
    let verb = if category.starts_with('$') { Verb::Admin } else { Verb::Read };
    denied(&call.caller.peer.subject, verb, Some(category))
}
