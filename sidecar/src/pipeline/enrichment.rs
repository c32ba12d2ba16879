use bytes::Bytes;
use polylog_api::metadata;
use polylog_log::{Commit, NewEvent};
use serde_json::value::RawValue;

use super::Caller;
use crate::policy::EnrichWith;

/// Gives events the ids that they lack from the caller's headers, and adds what the policy asks for to their metadata.
pub(super) fn enrich(enrich: &[EnrichWith], caller: &Caller, commit: &mut Commit) {
    let more = members(enrich, caller);
    for event in commit.appends.iter_mut().flat_map(|append| &mut append.events) {
        fill_ids(event, caller);
        if !more.is_empty() {
            let members = more.iter().map(|(key, value)| (*key, &**value));
            let enriched = metadata::with_members(event.metadata.as_deref(), members);
            event.metadata = Some(Bytes::from(enriched));
        }
    }
}

fn fill_ids(event: &mut NewEvent, caller: &Caller) {
    let owned = |id: Option<&str>| id.map(str::to_owned);
    if event.correlation_id.is_none() {
        event.correlation_id = owned(caller.default_correlation());
    }
    if event.causation_id.is_none() {
        event.causation_id = owned(caller.causation_id.as_deref());
    }
}

fn members(enrich: &[EnrichWith], caller: &Caller) -> Vec<(&'static str, Box<RawValue>)> {
    let member = |enrichment: &EnrichWith| {
        let (key, value) = match enrichment {
            EnrichWith::Trace => (metadata::TRACEPARENT, caller.traceparent.clone()),
            EnrichWith::Pod => (metadata::POD, caller.peer.workload.pod.clone()),
            EnrichWith::Namespace => (metadata::NAMESPACE, caller.peer.workload.namespace.clone()),
            EnrichWith::ServiceAccount => (metadata::BY, Some(caller.peer.subject.to_string())),
        };
        Some((key, metadata::string(&value?)))
    };
    enrich.iter().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use polylog_log::{EventId, EventType, Expected, LogId, StreamAppend, StreamName};
    use uuid::Uuid;

    use super::*;
    use crate::identity::{Peer, Subject, Workload};

    fn caller() -> Caller {
        let subject = Subject::ServiceAccount("shop/checkout".parse().expect("an account"));
        let workload = Workload { pod: Some("p-0".into()), namespace: None };
        Caller {
            peer: Arc::new(Peer::always(subject, workload)),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            correlation_id: None,
            causation_id: Some("cause".into()),
        }
    }

    fn commit(metadata: Option<&str>, correlation: Option<&str>) -> Commit {
        let id = EventId::new(Uuid::from_u128(1));
        let mut event = NewEvent::json(id, EventType::recorded("Paid"), "{}");
        event.metadata = metadata.map(|text| Bytes::copy_from_slice(text.as_bytes()));
        event.correlation_id = correlation.map(Into::into);
        let stream = StreamName::recorded("s");
        Commit::new(LogId::new(Uuid::nil()), vec![StreamAppend::new(stream, Expected::Any, vec![event])])
    }

    #[test]
    fn metadata_keeps_the_callers_bytes() {
        let mut enriched = commit(Some(r#"{"a" : 1e400}"#), Some("mine"));
        let before = enriched.fingerprint;
        enrich(
            &[EnrichWith::ServiceAccount, EnrichWith::Pod, EnrichWith::Namespace],
            &caller(),
            &mut enriched,
        );
        let event = &enriched.appends[0].events[0];
        let metadata = event.metadata.as_deref().expect("metadata");
        assert_eq!(metadata, br#"{"a" : 1e400,"$by":"shop/checkout","$pod":"p-0"}"#);
        assert_eq!(
            (event.correlation_id.as_deref(), event.causation_id.as_deref()),
            (Some("mine"), Some("cause"))
        );
        assert_eq!(enriched.fingerprint, before);
    }

    #[test]
    fn nothing_asked_nothing_added() {
        let mut plain = commit(None, None);
        enrich(&[], &caller(), &mut plain);
        let event = &plain.appends[0].events[0];
        assert_eq!(event.metadata, None);
        assert_eq!(event.correlation_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    }
}
