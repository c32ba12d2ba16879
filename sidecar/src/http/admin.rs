use std::collections::BTreeSet;

use axum::body::Body;
use http::StatusCode;
use polylog_api::{DataState, Framing, Problem, parse_json, write_event};
use polylog_log::{Quarantined, RecordedEvent, SourceName};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    body,
    context::{Addressed, Context, timeout},
    query::Query,
    respond::{self, Answer},
};
use crate::operations::admin::{self, Led, QUARANTINE_PAGE, QuarantinePage};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchBody {
    primary: SourceName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailoverBody {
    /// Each is stopped or cut off: whoever names it says so.
    stopped: BTreeSet<SourceName>,
}

/// `POST admin/verify`
pub(crate) async fn verify(mut context: Context) -> Answer {
    context.finish()?;
    admin::require_admin(&context.call)?;
    let request = admin::verify(&context.call)?;
    Ok(respond::json(StatusCode::ACCEPTED, &json!({"request": request})))
}

/// `POST admin/switch`
pub(crate) async fn switch(mut context: Context, body: Body) -> Answer {
    context.finish()?;
    admin::require_admin(&context.call)?;
    let SwitchBody { primary } = read(&context, body).await?;
    Ok(led(&admin::switch(&context.call, primary).await?))
}

/// `POST admin/failover`
pub(crate) async fn failover(request: Addressed, body: Body) -> Answer {
    let Addressed { server, peer, store, parts } = request;
    Query::parse(parts.uri.query())?.finish()?;
    let deadline = Instant::now() + timeout(&parts.headers)?;
    let leadership = admin::leadership(&server, &peer.subject, store.as_deref())?;
    body::kind(&parts.headers)?;
    let largest = server.largest_message();
    let (bytes, _place) = body::read_up_to(largest, body, &parts.headers, &server, deadline).await?;
    let FailoverBody { stopped } = parse_json(&bytes).map_err(Problem::from)?;
    Ok(led(&admin::failover(&leadership, deadline, stopped).await?))
}

/// `GET admin/quarantine`
pub(crate) async fn quarantine(mut context: Context) -> Answer {
    let (default, most) = QUARANTINE_PAGE;
    let only =
        context.query.with("source", |text| SourceName::parse(text).map_err(|error| error.to_string()))?;
    let after = context.query.parsed("after")?;
    let limit = context.query.number("limit", 1, most as u64)?.map_or(default, |limit| limit as usize);
    context.finish()?;
    admin::require_admin(&context.call)?;
    let QuarantinePage { entries, next } =
        admin::quarantine(&context.call, only.as_ref(), after, limit).await?;
    let mut body = b"{\"entries\":[".to_vec();
    for (index, (source, removed)) in entries.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        write_entry(&mut body, source, removed);
    }
    let next = next.map(|next| next.to_string());
    body.extend_from_slice(format!("],\"next\":{}}}", json!(next)).as_bytes());
    Ok(respond::full(StatusCode::OK, "application/json", body))
}

async fn read<T: serde::de::DeserializeOwned>(context: &Context, body: Body) -> Result<T, Problem> {
    body::kind(&context.headers)?;
    let (bytes, _place) = body::read(body, &context.headers, &context.call).await?;
    Ok(parse_json(&bytes)?)
}

fn led(Led { primary, term }: &Led) -> axum::response::Response {
    respond::json(StatusCode::OK, &json!({"primary": primary, "term": term}))
}

fn write_entry(to: &mut Vec<u8>, source: &SourceName, Quarantined { cut, entry }: &Quarantined) {
    let about = json!({
        "source": source,
        "cut": cut.number,
        "keptTo": cut.keep.position,
        "removedTo": cut.removed.position,
        "removedUnder": cut.term,
        "term": entry.term,
        "commitId": entry.commit_id().map(|id| id.to_string()),
    });
    let about = about.to_string();
    to.extend_from_slice(about.strip_suffix('}').unwrap_or(&about).as_bytes());
    to.extend_from_slice(b",\"events\":[");
    for (index, event) in entry.events.iter().enumerate() {
        if index > 0 {
            to.push(b',');
        }
        let recorded = RecordedEvent { event: event.clone(), term: entry.term, chain: entry.chain };
        let state = match event.data {
            Some(_) => DataState::Present,
            None => DataState::Unavailable,
        };
        write_event(to, &recorded, state, Framing::Document);
    }
    to.extend_from_slice(b"]}");
}
