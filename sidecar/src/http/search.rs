use http::StatusCode;
use jiff::tz::TimeZone;
use polylog_api::{Framing, Problem};
use polylog_log::Words;
use polylog_replication::Served;
use serde_json::{Value, json};

use super::{
    context::Context,
    query::invalid,
    read,
    respond::{self, Answer},
};
use crate::{
    filter::Filter,
    operations::{
        AskedSearch, AskedStatistics, Fingerprint, GroupBy, Interval, LARGEST_PAGE, MOST_GROUPS,
        MOST_METADATA, Statistics, TOP, View, search as run, statistics as count, zone,
    },
    policy::Verb,
};

/// What says how a search is paged and how fresh it is, not what is looked for.
const NOT_SOUGHT: &[&str] = &["page", "limit", "consistency", "token", "maxLag"];

/// `GET search`
pub(crate) async fn search(mut context: Context) -> Answer {
    let fingerprint = Fingerprint::of(context.query.canonical(NOT_SOUGHT).as_bytes());
    let query = &mut context.query;
    let filter = Filter::take(query)?.with_times(query)?;
    let words = query.with("q", |text| Words::parse(text).map_err(|error| error.to_string()))?;
    let metadata = query.with_prefix("metadata.");
    if metadata.len() > MOST_METADATA {
        return Err(invalid("metadata", format_args!("at most {MOST_METADATA} of them may be named")).into());
    }
    let asked = AskedSearch {
        words,
        metadata: metadata.into_iter().unzip(),
        sort: query.parsed("sort")?.unwrap_or_default(),
        limit: query.number("limit", 1, LARGEST_PAGE as u64)?.map(|limit| limit as usize),
        after: query.parsed("page")?,
        fingerprint,
    };
    asked.check_page().map_err(|reason| invalid("page", reason))?;
    let options = context.read_options()?;
    let view = context.view(Verb::Search, filter)?;
    let found = run(&context.call, &view, &asked, &options).await?;
    let mut body = b"{\"hits\":[".to_vec();
    for (event, score) in &found.hits {
        let before = body.len();
        body.extend_from_slice(if before > 9 { b",{\"event\":" } else { b"{\"event\":" });
        match view.write(&mut body, event, Framing::Document) {
            true => body.extend_from_slice(format!(",\"score\":{}}}", json!(score)).as_bytes()),
            false => body.truncate(before),
        }
    }
    let rest = format!(
        "],\"total\":{},\"exact\":{},\"next\":{},\"searchedTo\":{}}}",
        found.total,
        found.is_exact,
        json!(found.next.map(|next| next.to_string())),
        found.searched_to
    );
    body.extend_from_slice(rest.as_bytes());
    Ok(answer(body, &view, &found.served))
}

/// `GET statistics`
pub(crate) async fn statistics(mut context: Context) -> Answer {
    let groups = context.query.list("groupBy", |text| text.parse::<GroupBy>().map_err(str::to_owned))?;
    if groups.len() > MOST_GROUPS {
        return Err(invalid("groupBy", format_args!("it may hold at most {MOST_GROUPS} values")).into());
    }
    if groups.iter().enumerate().any(|(index, by)| groups[..index].contains(by)) {
        return Err(invalid("groupBy", "a value stands twice").into());
    }
    let top = context.query.number("top", 1, TOP.0 as u64)?.map_or(TOP.1, |top| top as usize);
    let interval = context.query.parsed("interval")?;
    let (view, asked, counted) = counted(context, interval, groups, top).await?;
    let by_interval = counted.by_interval.iter().map(|(begin, count)| bucket(&begin.to_string(), *count));
    let (mut groups, mut other) = (serde_json::Map::new(), serde_json::Map::new());
    for (by, group) in &counted.groups {
        let buckets = group.buckets.iter().map(|(key, count)| bucket(key, *count)).collect();
        groups.insert(by.to_string(), Value::Array(buckets));
        other.insert(by.to_string(), group.other.into());
    }
    let mut body = json!({
        "total": counted.total, "groups": groups, "other": other, "searchedTo": counted.searched_to.get(),
    });
    if asked.interval.is_some() {
        body["byInterval"] = by_interval.collect();
    }
    Ok(answer(body.to_string().into_bytes(), &view, &counted.served))
}

/// `GET trends`
pub(crate) async fn trends(mut context: Context) -> Answer {
    let interval = context.query.parsed("interval")?.unwrap_or(Interval::Day);
    let (view, asked, counted) = counted(context, Some(interval), Vec::new(), TOP.1).await?;
    let step =
        |(begin, count): &(_, u64)| json!({"date": interval.label(*begin, &asked.zone), "count": count});
    let trends: Vec<Value> = counted.by_interval.iter().map(step).collect();
    let body = json!({"trends": trends, "searchedTo": counted.searched_to.get()});
    Ok(answer(body.to_string().into_bytes(), &view, &counted.served))
}

async fn counted(
    mut context: Context,
    interval: Option<Interval>,
    groups: Vec<GroupBy>,
    top: usize,
) -> Result<(View, AskedStatistics, Statistics), Problem> {
    let query = &mut context.query;
    let filter = Filter::take(query)?.with_times(query)?;
    let zone = query.with("tz", |name| zone(name).map_err(str::to_owned))?.unwrap_or(TimeZone::UTC);
    let options = context.read_options()?;
    let view = context.view(Verb::Search, filter)?;
    let asked = AskedStatistics { interval, zone, groups, top };
    let counted = count(&context.call, &view, &asked, &options).await?;
    Ok((view, asked, counted))
}

fn bucket(key: &str, count: u64) -> Value {
    json!({"key": key, "count": count})
}

fn answer(body: Vec<u8>, view: &View, served: &Served) -> axum::response::Response {
    let mut response = respond::full(StatusCode::OK, "application/json", body);
    read::stamp(&mut response, view, served);
    response
}
