use axum::response::Response;
use jiff::tz::TimeZone;
use polylog_api::{Problem, grpc::write_event, proto::polylog::v1};
use polylog_log::Words;
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};

use super::{
    answer,
    fields::{self, invalid},
    message::Incoming,
};
use crate::{
    filter::Filter,
    operations::{
        AskedSearch, AskedStatistics, Fingerprint, GroupBy, Groups, LARGEST_PAGE, MOST_GROUPS, MOST_METADATA,
        Sort, TOP, search as run, statistics as count, zone,
    },
    policy::Verb,
};

/// The field of a `SearchResponse` that holds a hit, and that of a hit that holds its event.
const HIT: u32 = 1;
const EVENT: u32 = 1;

/// `Search`
pub(super) async fn search(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<v1::SearchRequest>().await?.message;
    let call = incoming.call(&request.store)?;
    let sought = v1::SearchRequest {
        store: String::new(),
        page_size: 0,
        page_token: String::new(),
        options: None,
        ..request.clone()
    };
    let fingerprint = Fingerprint::of(&sought.encode_to_vec());
    if request.page_size as usize > LARGEST_PAGE {
        return Err(invalid("page_size", format_args!("it may be at most {LARGEST_PAGE}")));
    }
    if request.metadata.len() > MOST_METADATA {
        return Err(invalid("metadata", format_args!("at most {MOST_METADATA} of them may be named")));
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let words = some(&request.text).map(|text| Words::parse(&text)).transpose();
    let sort = some(&request.sort).map(|text| text.parse::<Sort>()).transpose();
    let after = some(&request.page_token).map(|text| text.parse()).transpose();
    let asked = AskedSearch {
        words: words.map_err(|error| invalid("text", error))?,
        metadata: request.metadata.into_iter().unzip(),
        sort: sort.map_err(|reason| invalid("sort", reason))?.unwrap_or_default(),
        limit: (request.page_size > 0).then_some(request.page_size as usize),
        after: after.map_err(|reason: &str| invalid("page_token", reason))?,
        fingerprint,
    };
    asked.check_page().map_err(|reason| invalid("page_token", reason))?;
    let filter = filter(request.filter)?;
    let options = fields::read_options(&call, request.options)?;
    let view = call.view(Verb::Search, filter)?;
    let found = run(&call, &view, &asked, &options).await?;
    let mut framed = vec![0; 5];
    let mut hit = Vec::new();
    for (recorded, score) in &found.hits {
        let Some((event, state)) = view.show(recorded) else { continue };
        hit.clear();
        write_event(&mut hit, EVENT, &event, state);
        append(&mut hit, &v1::Hit { event: None, score: *score });
        encode_key(HIT, WireType::LengthDelimited, &mut framed);
        encode_varint(hit.len() as u64, &mut framed);
        framed.extend_from_slice(&hit);
    }
    let rest = v1::SearchResponse {
        hits: Vec::new(),
        total: found.total,
        total_is_exact: found.is_exact,
        next_page_token: found.next.map_or_else(String::new, |next| next.to_string()),
        searched_to: found.searched_to.get(),
        served: Some(fields::served(&call.hosted, &found.served)),
    };
    append(&mut framed, &rest);
    let length = u32::try_from(framed.len() - 5).expect("a page is smaller than 4 GiB by its limits");
    framed[1..5].copy_from_slice(&length.to_be_bytes());
    Ok(answer::whole(framed))
}

/// A message is the sum of its fields.
fn append(out: &mut Vec<u8>, fields: &impl Message) {
    fields.encode(out).expect("a vector grows as it must");
}

/// `Statistics`
pub(super) async fn statistics(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<v1::StatisticsRequest>().await?.message;
    let call = incoming.call(&request.store)?;
    if request.group_by.len() > MOST_GROUPS {
        return Err(invalid("group_by", format_args!("it may hold at most {MOST_GROUPS} values")));
    }
    let mut groups: Vec<GroupBy> = Vec::new();
    for (index, text) in request.group_by.iter().enumerate() {
        let by = text.parse().map_err(|reason: &str| invalid(&format!("group_by[{index}]"), reason))?;
        if groups.contains(&by) {
            return Err(invalid(&format!("group_by[{index}]"), "it stands twice"));
        }
        groups.push(by);
    }
    if request.top as usize > TOP.0 {
        return Err(invalid("top", format_args!("it may be at most {}", TOP.0)));
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let interval = some(&request.interval).map(|text| text.parse()).transpose();
    let given = some(&request.time_zone).map(|name| zone(&name)).transpose();
    let asked = AskedStatistics {
        interval: interval.map_err(|reason: &str| invalid("interval", reason))?,
        zone: given.map_err(|reason| invalid("time_zone", reason))?.unwrap_or(TimeZone::UTC),
        groups,
        top: if request.top == 0 { TOP.1 } else { request.top as usize },
    };
    let filter = filter(request.filter)?;
    let options = fields::read_options(&call, request.options)?;
    let view = call.view(Verb::Search, filter)?;
    let counted = count(&call, &view, &asked, &options).await?;
    let bucket = |key: String, count: u64| v1::Bucket { key, count };
    let group = |(by, groups): (GroupBy, Groups)| {
        let buckets = groups.buckets.into_iter().map(|(key, count)| bucket(key, count)).collect();
        (by.to_string(), v1::Groups { buckets, other: groups.other })
    };
    Ok(answer::one(&v1::StatisticsResponse {
        total: counted.total,
        by_interval: counted
            .by_interval
            .iter()
            .map(|(begin, count)| bucket(begin.to_string(), *count))
            .collect(),
        groups: counted.groups.into_iter().map(group).collect(),
        searched_to: counted.searched_to.get(),
        served: Some(fields::served(&call.hosted, &counted.served)),
    }))
}

/// The log's own events are not searched.
fn filter(given: Option<v1::Filter>) -> Result<Filter, Problem> {
    match fields::filter(given)? {
        (filter, false) => Ok(filter),
        (_, true) => Err(invalid("filter.include_system", "the log's own events are not searched")),
    }
}
