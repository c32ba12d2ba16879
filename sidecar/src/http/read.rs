use axum::response::Response;
use http::StatusCode;
use polylog_api::{BATCH, Framing, Problem, headers};
use polylog_replication::{ReadOptions, Served};
use tokio::time::Instant;

use super::{
    context::Context,
    lines,
    negotiate::{self, Format},
    respond::{self, Answer},
};
use crate::{
    filter::Filter,
    operations::{LARGEST, PAGE_BYTES, Page, Scan, Target, View, check_stream, readable_name},
    policy::Verb,
};

/// Events in one answer, unless it is streamed.
const MOST_EVENTS: u64 = 1_000;
const DEFAULT_EVENTS: u64 = 100;
/// Events that one answer looks at when few match, so that it comes in time.
const MOST_SCANNED: usize = 20_000;
/// Events of one page of the store while a filter is at work.
const SCAN_PAGE: usize = 500;

/// `GET events`
pub(crate) async fn log(mut context: Context) -> Answer {
    let format = negotiate::choose(&context.headers, OFFERS)?;
    context.lane()?;
    let filter = Filter::take(&mut context.query)?.with_times(&mut context.query)?;
    let target = filter.only_category().map_or(Target::Log, Target::Category);
    let include_system = context.query.flag("includeSystem")?;
    let (scan, limit) = scan(&mut context, target, include_system, format)?;
    let view = context.view(Verb::Read, filter)?;
    let first = scan.page(&view.hosted().store, first_limit(limit)).await?;
    answer(context, view, scan, limit, format, first).await
}

/// `GET streams/{stream}`
pub(crate) async fn stream(mut context: Context, name: &str) -> Answer {
    let format = negotiate::choose(&context.headers, OFFERS)?;
    let filter = Filter::take_of_stream(&mut context.query)?;
    let stream = readable_name(name)?;
    let (scan, limit) = scan(&mut context, Target::Stream(stream.clone()), true, format)?;
    let view = context.view(Verb::Read, filter)?;
    let first = scan.page(&view.hosted().store, first_limit(limit)).await?;
    check_stream(&context.call, &view, &stream, first.stream.as_ref().map(|head| &head.category))?;
    answer(context, view, scan, limit, format, first).await
}

const OFFERS: &[Format] = &[Format::Json, Format::Ndjson, Format::CloudEvents, Format::CloudEvent];

fn scan(
    context: &mut Context,
    target: Target,
    include_system: bool,
    format: Format,
) -> Result<(Scan, Option<u64>), Problem> {
    let options: ReadOptions = context.read_options()?;
    let from = context.query.number("from", 0, LARGEST)?;
    let backward = context.is_backward()?;
    let limit = match format {
        Format::Ndjson => context.query.number("limit", 1, LARGEST)?,
        _ => Some(context.query.number("limit", 1, MOST_EVENTS)?.unwrap_or(DEFAULT_EVENTS)),
    };
    Ok((Scan { target, from, backward, include_system, options }, limit))
}

fn first_limit(limit: Option<u64>) -> usize {
    limit.map_or(SCAN_PAGE, |limit| usize::try_from(limit).unwrap_or(usize::MAX).min(MOST_EVENTS as usize))
}

async fn answer(
    context: Context,
    view: View,
    scan: Scan,
    limit: Option<u64>,
    format: Format,
    first: Page,
) -> Answer {
    if format == Format::Ndjson {
        let place = context.call.server.room().stream()?;
        return lines::answer(view, scan, limit, first, place).await;
    }
    let limit = limit.unwrap_or(DEFAULT_EVENTS) as usize;
    let is_json = format == Format::Json;
    let mut gathered = Gathered { body: Vec::with_capacity(8 << 10), count: 0, scanned: 0, is_json };
    gathered.body.extend_from_slice(if is_json { b"{\"events\":[" } else { b"[" });
    let (next_from, at_end, served) = gather(&context, &view, scan, limit, first, &mut gathered).await?;
    let Gathered { mut body, .. } = gathered;
    body.push(b']');
    if is_json {
        let served = polylog_api::Served {
            source: served.source.clone(),
            position: served.position,
            lag: served.lag_events,
        };
        let served = serde_json::to_string(&served).expect("a plain struct serialises into memory");
        body.extend_from_slice(
            format!(",\"nextFrom\":{next_from},\"atEnd\":{at_end},\"served\":{served}}}").as_bytes(),
        );
    }
    let media_type = if is_json { Format::Json.media_type() } else { BATCH };
    let mut response = respond::full(StatusCode::OK, media_type, body);
    if !is_json {
        respond::set(&mut response, "polylog-next-from", &next_from.to_string());
        respond::set(&mut response, "polylog-at-end", &at_end.to_string());
    }
    stamp(&mut response, &view, &served);
    Ok(response)
}

struct Gathered {
    body: Vec<u8>,
    count: usize,
    scanned: usize,
    is_json: bool,
}

/// Reads page after page until enough matched, all was looked at, or so much that the caller should not wait on.
async fn gather(
    context: &Context,
    view: &View,
    mut scan: Scan,
    limit: usize,
    first: Page,
    gathered: &mut Gathered,
) -> Result<(u64, bool, Served), Problem> {
    let source = view.hosted().cloud_event_source();
    let enough_time = context.call.deadline - (context.call.deadline - Instant::now()) / 2;
    let mut page = first;
    loop {
        gathered.scanned += page.events.len();
        let last = page.events.len().saturating_sub(1);
        for (index, recorded) in page.events.iter().enumerate() {
            let before = gathered.body.len();
            if gathered.count > 0 {
                gathered.body.push(b',');
            }
            let is_shown = match gathered.is_json {
                true => view.write(&mut gathered.body, recorded, Framing::Document),
                false => view.write_cloud_event(&mut gathered.body, recorded, &source),
            };
            if !is_shown {
                gathered.body.truncate(before);
                continue;
            }
            gathered.count += 1;
            if gathered.count == limit || gathered.body.len() >= PAGE_BYTES {
                let is_all = index == last;
                let next_from = if is_all { page.next_from } else { scan.after(recorded) };
                return Ok((next_from, is_all && page.at_end, page.served));
            }
        }
        if page.at_end || gathered.scanned >= MOST_SCANNED || Instant::now() >= enough_time {
            return Ok((page.next_from, page.at_end, page.served));
        }
        scan.go_on(page.next_from);
        page = scan.page(&view.hosted().store, SCAN_PAGE).await?;
    }
}

/// Says in headers where the answer came from.
pub(crate) fn stamp(response: &mut Response, view: &View, served: &Served) {
    respond::set(response, headers::SOURCE, served.source.as_str());
    respond::set(response, headers::POSITION, &served.position.to_string());
    respond::set(response, headers::LAG, &served.lag_events.to_string());
    respond::set(response, headers::TOKEN, &view.hosted().token_at(served.point).to_string());
}
