//! By what the log knows an append again that is sent twice.

use axum::http::HeaderMap;
use polylog_api::{AppendBody, CommitsBody, NewEventBody, headers, proto::polylog::v1};

use super::Doubt;
use crate::http::Kind;

/// By what an append is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// By what its caller gave it.
    Given,
    /// By nothing: a key makes it so.
    Missing,
    /// Some of its events have ids and others none.
    Partial,
}

impl Identity {
    fn of(ids: impl Iterator<Item = bool>) -> Self {
        let (mut with, mut without) = (false, false);
        for has_id in ids {
            with |= has_id;
            without |= !has_id;
        }
        match (with, without) {
            (true, true) => Self::Partial,
            (false, true) => Self::Missing,
            (_, false) => Self::Given,
        }
    }

    /// What a try may leave open.
    pub(crate) fn doubt(self) -> Doubt {
        match self {
            Self::Given | Self::Missing => Doubt::Settled,
            Self::Partial => Doubt::Stays,
        }
    }
}

/// Of an append over HTTP. A body that cannot be read is the gateway's to refuse; it writes nothing.
pub(crate) fn of_body(is_commit: bool, kind: Option<&Kind>, given: &HeaderMap, body: &[u8]) -> Identity {
    // events of CloudEvents always have ids
    if given.contains_key(headers::IDEMPOTENCY_KEY) || kind != Some(&Kind::Json) {
        return Identity::Given;
    }
    let has_id = |event: &NewEventBody| event.id.is_some();
    if is_commit {
        let events = CommitsBody::parse(body).map(|body| body.appends);
        let events = events.unwrap_or_default();
        Identity::of(events.iter().flat_map(|append| &append.events).map(has_id))
    } else {
        let events = AppendBody::parse(body).map(|body| body.events).unwrap_or_default();
        Identity::of(events.iter().map(has_id))
    }
}

/// Of an append over gRPC.
pub(crate) fn of_message(message: &v1::AppendRequest) -> Identity {
    if !message.idempotency_key.is_empty() {
        return Identity::Given;
    }
    let events = message.appends.iter().flat_map(|append| &append.events);
    Identity::of(events.map(|event| !event.id.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_is_known_again_by_ids_or_a_key() {
        let body = |ids: &[bool]| {
            let events = ids.iter().map(|has_id| match has_id {
                true => r#"{"id":"0198f2c0-0000-7000-8000-000000000001","type":"Paid"}"#,
                false => r#"{"type":"Paid"}"#,
            });
            format!(r#"{{"expectedVersion":"any","events":[{}]}}"#, events.collect::<Vec<_>>().join(","))
        };
        let none = HeaderMap::new();
        let of = |ids: &[bool]| of_body(false, Some(&Kind::Json), &none, body(ids).as_bytes());
        assert_eq!(of(&[true, true]), Identity::Given);
        assert_eq!(of(&[false, false]), Identity::Missing);
        assert_eq!(of(&[true, false]), Identity::Partial);
        assert_eq!(of(&[]), Identity::Given, "it writes nothing");
        let commit = body(&[false]).replacen('{', r#"{"stream":"a-1","#, 1);
        let commit = format!(r#"{{"appends":[{commit}]}}"#);
        assert_eq!(of_body(true, Some(&Kind::Json), &none, commit.as_bytes()), Identity::Missing);
        let mut keyed = HeaderMap::new();
        keyed.insert(headers::IDEMPOTENCY_KEY, "k".parse().expect("a header"));
        assert_eq!(
            of_body(false, Some(&Kind::Json), &keyed, body(&[true, false]).as_bytes()),
            Identity::Given
        );
        assert_eq!(of_body(false, Some(&Kind::CloudEvent), &none, b"?"), Identity::Given);
        assert_eq!(Identity::Partial.doubt(), Doubt::Stays);
    }
}
