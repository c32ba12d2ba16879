//! What is appended over gRPC is what is read by either way, or nothing is written and the status says why.

use std::time::Duration;

use polylog_api::proto::polylog::v1::{self, expected::Kind};
use tonic::Code;

use super::{Setup, Sidecar};
use crate::support::remote::{commit, failed, new_event, part};

/// How many events the log holds that are not its own.
async fn events_in(sidecar: &Sidecar) -> usize {
    sidecar.remote.read_log(v1::ReadLogRequest::default()).await.expect("a read").1.len()
}

#[tokio::test]
async fn an_append_is_answered_and_read_back_by_both_ways() {
    let sidecar = Sidecar::start().await;
    let paid = commit("Payment-p1", Kind::NoStream(true), &[("Paid", r#"{"amount" : "100.00"}"#)]);
    let answer = sidecar.remote.append(paid).await.expect("appended");
    let result = &answer.results[0];
    assert_eq!((&*result.stream, result.first_version, result.last_version), ("Payment-p1", 1, 1));
    assert_eq!(result.first_position, result.last_position);
    assert_eq!((answer.acked_by.clone(), answer.repeated_request), (vec!["ledger".to_owned()], false));

    let request = v1::ReadStreamRequest { stream: "Payment-p1".into(), ..Default::default() };
    let (served, events, end) = sidecar.remote.read_stream(request).await.expect("a read");
    assert_eq!(
        (&*served.source, served.position, &served.token),
        ("ledger", result.last_position, &answer.token)
    );
    assert_eq!((events.len(), end), (1, v1::ReadEnd { next_from: 2, at_end: true }));
    assert_eq!(&events[0].data[..], br#"{"amount" : "100.00"}"#);
    assert_eq!((&*events[0].category, &*events[0].aggregate_id), ("Payment", "p1"));

    let page = sidecar.client.get("/v1/streams/Payment-p1").await.ok();
    assert!(page.text().contains(r#""data":{"amount" : "100.00"}"#), "{}", page.text());
    assert_eq!(page.header("polylog-token"), Some(&*answer.token));
    let event = &page.json()["events"][0];
    assert_eq!(
        (event["id"].as_str(), event["digest"].as_str()),
        (Some(&*events[0].id), Some(&*hex(&events[0].digest)))
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn everything_that_an_event_says_is_kept() {
    let sidecar = Sidecar::start().await;
    let time = prost_types::Timestamp { seconds: -1, nanos: 999_999_000 };
    let event = v1::NewEvent {
        id: "0198F2C0-0000-7000-8000-000000000001".into(),
        content_type: "image/png".into(),
        data: vec![0xff, 0, 1].into(),
        metadata: r#"{ "a":1e400 }"#.into(),
        correlation_id: "c".into(),
        causation_id: "d".into(),
        time: Some(time),
        ..new_event("App\\Paid", "")
    };
    let mut append = part("S-1", Kind::Any(true), vec![event.clone()]);
    (append.category, append.aggregate_id) = ("Payment".into(), "p-7".into());
    let request = v1::AppendRequest { appends: vec![append], ..Default::default() };
    let position = sidecar.remote.append(request).await.expect("appended").results[0].first_position;
    for by in [v1::get_event_request::By::Id(event.id.clone()), v1::get_event_request::By::Position(position)]
    {
        let request = v1::GetEventRequest { by: Some(by), ..Default::default() };
        let found = sidecar.remote.events().get_event(request).await.expect("found").into_inner();
        let read = found.event.expect("an event");
        assert_eq!((read.data, read.metadata), (event.data.clone(), event.metadata.clone()));
        assert_eq!(read.id, event.id.to_lowercase());
        assert_eq!((read.r#type, read.content_type), (event.r#type.clone(), event.content_type.clone()));
        assert_eq!((&*read.correlation_id, &*read.causation_id), ("c", "d"));
        assert_eq!((&*read.category, &*read.aggregate_id, read.time), ("Payment", "p-7", Some(time)));
        assert_eq!(found.served.expect("served").source, "ledger");
    }
    let large = "x".repeat(200_000);
    sidecar.remote.append_one("L-1", "T", &format!("{large:?}")).await;
    let head = v1::GetStreamHeadRequest { stream: "L-1".into(), ..Default::default() };
    let head = sidecar.remote.events().get_stream_head(head).await.expect("a head").into_inner();
    assert_eq!((head.version, head.last.expect("an event").data.len()), (1, 200_002));
}

#[tokio::test]
async fn every_expected_version_holds_or_nothing_is_written() {
    let sidecar = Sidecar::start().await;
    sidecar.remote.append_one("S-1", "T", "1").await;
    for (kind, is_good) in [
        (Kind::NoStream(true), false),
        (Kind::Version(0), false),
        (Kind::Version(1), true),
        (Kind::Version(1), false),
        (Kind::Version(9), false),
        (Kind::Exists(true), true),
        (Kind::Any(true), true),
    ] {
        let before = events_in(&sidecar).await;
        let outcome = sidecar.remote.append(commit("S-1", kind, &[("T", "2")])).await;
        if is_good {
            outcome.expect("as expected");
        } else {
            let detail = failed(outcome, Code::Aborted, "version_conflict");
            assert_eq!(
                detail.conflicts[0].expected.and_then(|expected| expected.kind),
                Some(match kind {
                    Kind::Version(0) => Kind::NoStream(true),
                    kind => kind,
                })
            );
        }
        assert_eq!(events_in(&sidecar).await - before, usize::from(is_good), "{kind:?}");
    }
    failed(
        sidecar.remote.append(commit("S-2", Kind::Exists(true), &[("T", "1")])).await,
        Code::Aborted,
        "version_conflict",
    );
    let mut unset = commit("S-2", Kind::Any(true), &[("T", "1")]);
    unset.appends[0].expected = None;
    let detail =
        failed(sidecar.remote.append(unset).await, Code::InvalidArgument, "expected_version_required");
    assert_eq!(detail.facts["path"], "appends[0].expected");
    let check_only = sidecar.remote.append(commit("S-1", Kind::Version(4), &[])).await.expect("checked");
    assert!(check_only.results.is_empty() && !check_only.token.is_empty());
}

#[tokio::test]
async fn a_conflict_shows_what_was_missed() {
    let sidecar = Sidecar::start().await;
    for data in ["1", "2", "3"] {
        sidecar.remote.append_one("S-1", "T", data).await;
    }
    let mut request = commit("S-1", Kind::Version(1), &[("T", "4")]);
    let plain = failed(sidecar.remote.append(request.clone()).await, Code::Aborted, "version_conflict");
    assert_eq!((plain.written(), plain.retry), (v1::Written::Nothing, false));
    assert_eq!(plain.next_step, "read from version 2 and decide again");
    assert!(plain.conflicts[0].missed.is_empty());
    request.missed_limit = 1;
    let detail = failed(sidecar.remote.append(request.clone()).await, Code::Aborted, "version_conflict");
    let conflict = &detail.conflicts[0];
    assert_eq!((&*conflict.stream, conflict.actual, conflict.missed_truncated), ("S-1", 3, true));
    let (missed, read) =
        (&conflict.missed[0], v1::ReadStreamRequest { stream: "S-1".into(), ..Default::default() });
    assert_eq!(
        *missed,
        sidecar.remote.read_stream(read).await.expect("a read").1[1],
        "the event as it is read"
    );
    // what does not fit into trailers can be read afterwards
    for _ in 0..40 {
        sidecar.remote.append_one("S-1", "T", &format!("{:?}", "x".repeat(1_000))).await;
    }
    request.missed_limit = 100;
    let detail = failed(sidecar.remote.append(request.clone()).await, Code::Aborted, "version_conflict");
    assert!(detail.conflicts[0].missed_truncated && detail.conflicts[0].missed.len() >= 2);
    request.missed_limit = 101;
    failed(sidecar.remote.append(request).await, Code::InvalidArgument, "invalid_request");
}

#[tokio::test]
async fn a_retry_is_recognised_also_across_the_two_ways() {
    let sidecar = Sidecar::start().await;
    let mut by_id = commit("S-1", Kind::Version(0), &[("T", "1")]);
    by_id.appends[0].events[0].id = "00000000-0000-4000-8000-000000000001".into();
    let mut by_key = commit("S-2", Kind::Version(0), &[("T", "1"), ("T", "2")]);
    by_key.idempotency_key = "order-17".into();
    for request in [&by_id, &by_key] {
        let first = sidecar.remote.append(request.clone()).await.expect("appended");
        let again = sidecar.remote.append(request.clone()).await.expect("recognised");
        assert!(!first.repeated_request && again.repeated_request);
        assert_eq!((first.results, first.token), (again.results, again.token));
    }
    let body = r#"{"expectedVersion":0,"events":[{"type":"T","data":1},{"type":"T","data":2}]}"#;
    let headers = [("content-type", "application/json"), ("idempotency-key", "order-17")];
    let over_http = sidecar.client.send(http::Method::POST, "/v1/streams/S-2", &headers, body).await;
    assert_eq!((over_http.status.as_u16(), &over_http.json()["repeated"]), (200, &true.into()));
    assert_eq!(events_in(&sidecar).await, 3);
    for request in [&mut by_id, &mut by_key] {
        request.appends[0].events[0].data = "7".into();
        let detail = failed(sidecar.remote.append(request.clone()).await, Code::AlreadyExists, "id_conflict");
        assert_eq!(detail.written(), v1::Written::Nothing);
    }
    assert_eq!(events_in(&sidecar).await, 3);
}

#[tokio::test]
async fn a_commit_over_several_streams_is_all_or_nothing() {
    let sidecar = Sidecar::start().await;
    let both = |second: Kind| v1::AppendRequest {
        appends: vec![
            part("A-1", Kind::Any(true), vec![new_event("T", "1"), new_event("T", "2")]),
            part("B-1", second, vec![new_event("T", "3")]),
        ],
        ..Default::default()
    };
    failed(sidecar.remote.append(both(Kind::Exists(true))).await, Code::Aborted, "version_conflict");
    assert_eq!(events_in(&sidecar).await, 0);
    let answer = sidecar.remote.append(both(Kind::NoStream(true))).await.expect("appended");
    let results: Vec<_> =
        answer.results.iter().map(|r| (&*r.stream, r.first_version, r.last_version)).collect();
    assert_eq!(results, [("A-1", 1, 2), ("B-1", 1, 1)]);
    assert_eq!(answer.results[1].first_position, answer.results[0].last_position + 1);
}

#[tokio::test]
async fn wrong_input_is_named_and_nothing_is_written() {
    let sidecar = Sidecar::start().await;
    type Change = fn(&mut v1::AppendRequest);
    let cases: &[(&str, Change)] = &[
        ("appends", |request| request.appends.clear()),
        ("appends[0].stream", |request| request.appends[0].stream = "$own".into()),
        ("appends[1].stream", |request| request.appends.push(request.appends[0].clone())),
        ("appends[0].category", |request| request.appends[0].category = " x".into()),
        ("appends[0].events[0].id", |request| request.appends[0].events[0].id = "7".into()),
        ("appends[0].events[0].type", |request| request.appends[0].events[0].r#type.clear()),
        ("appends[0].events[0].data", |request| request.appends[0].events[0].data = "{".into()),
        ("appends[0].events[0].metadata", |request| {
            request.appends[0].events[0].metadata = r#"{"$by":1}"#.into();
        }),
        ("acks", |request| request.acks = "most".into()),
        ("idempotency_key", |request| request.idempotency_key = "a b".into()),
    ];
    for (path, change) in cases {
        let mut request = commit("S-1", Kind::Any(true), &[("T", "1")]);
        change(&mut request);
        let detail = failed(sidecar.remote.append(request).await, Code::InvalidArgument, "invalid_request");
        assert_eq!(detail.facts["path"], *path, "{detail:?}");
        assert_eq!(detail.written(), v1::Written::Nothing);
    }
    let mut elsewhere = commit("S-1", Kind::Any(true), &[("T", "1")]);
    elsewhere.store = "nowhere".into();
    failed(sidecar.remote.append(elsewhere).await, Code::NotFound, "store_not_found");
    let mut acks = commit("S-1", Kind::Any(true), &[("T", "1")]);
    acks.acks = "3".into();
    failed(sidecar.remote.append(acks).await, Code::Unimplemented, "not_supported");
    assert_eq!(events_in(&sidecar).await, 0);
}

#[tokio::test]
async fn sizes_are_bounded_by_the_stores_limits() {
    let mut setup = Setup::default();
    (setup.policy.limits.commit_bytes, setup.policy.limits.event_bytes) = (64 << 10, 16 << 10);
    let sidecar = Sidecar::with(setup).await;
    let text = |bytes: usize| format!("{:?}", "x".repeat(bytes));
    let event = sidecar.remote.append(commit("S-1", Kind::Any(true), &[("T", &text(17 << 10))])).await;
    let detail = failed(event, Code::InvalidArgument, "limit_exceeded");
    assert_eq!((&*detail.facts["limit"], &*detail.facts["allowed"]), ("eventBytes", "16384"));
    let data = text(12 << 10);
    let many = sidecar.remote.append(commit("S-1", Kind::Any(true), &[("T", &*data); 6])).await;
    assert_eq!(failed(many, Code::InvalidArgument, "limit_exceeded").facts["limit"], "commitBytes");
    // refused by its prefix, before it is read: 1.4 times the commit's limit and 64 KiB
    let huge = sidecar.remote.append(commit("S-1", Kind::Any(true), &[("T", &text(1 << 20))])).await;
    assert_eq!(failed(huge, Code::InvalidArgument, "limit_exceeded").facts["allowed"], "157286");
    assert_eq!(events_in(&sidecar).await, 0);
    sidecar.remote.append(commit("S-1", Kind::Any(true), &[("T", &*data); 5])).await.expect("small enough");
}

#[tokio::test]
async fn no_message_takes_many_times_its_size_in_memory() {
    let mut setup = Setup::default();
    setup.policy.limits.commit_bytes = 1 << 20;
    let sidecar = Sidecar::with(setup).await;
    let mut request = commit("S-1", Kind::Any(true), &[]);
    request.appends[0].events = vec![v1::NewEvent::default(); 10_001];
    let detail = failed(sidecar.remote.append(request).await, Code::InvalidArgument, "invalid_request");
    assert_eq!(detail.facts["path"], "appends");
    let mut request = commit("S-1", Kind::Any(true), &[]);
    request.appends = vec![v1::StreamAppend::default(); 10_001];
    let detail = failed(sidecar.remote.append(request).await, Code::InvalidArgument, "invalid_request");
    assert_eq!(detail.facts["path"], "appends");
    let mut request = commit("S-1", Kind::Any(true), &[]);
    request.appends[0].events = vec![v1::NewEvent { r#type: "T".into(), ..Default::default() }; 10_000];
    failed(sidecar.remote.append(request).await, Code::InvalidArgument, "limit_exceeded");
    let filters = v1::ReadLogRequest { store: "x".repeat(65 << 10), ..Default::default() };
    failed(sidecar.remote.read_log(filters).await.map(drop), Code::InvalidArgument, "limit_exceeded");
    assert_eq!(events_in(&sidecar).await, 0);
}

#[tokio::test]
async fn messages_in_memory_are_bounded() {
    let bounds = polylog_sidecar::http::Bounds { body_bytes: 32 << 10, ..Default::default() };
    let sidecar = Sidecar::with(Setup { bounds, ..Setup::default() }).await;
    sidecar.remote.append_one("S-1", "T", "1").await;
    let two = async || {
        let data = format!("{:?}", "x".repeat(20 << 10));
        let one = || commit("S-1", Kind::Any(true), &[("T", &data)]);
        tokio::join!(sidecar.remote.append(one()), sidecar.remote.append(one()))
    };
    let mut overloaded = None;
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while overloaded.is_none() && std::time::Instant::now() < deadline {
        let (first, second) = two().await;
        overloaded = first.err().or(second.err());
    }
    let detail = failed(
        Err::<(), _>(overloaded.expect("two at once are too many")),
        Code::ResourceExhausted,
        "overloaded",
    );
    assert!(detail.retry && detail.retry_after.is_some());
}

#[tokio::test]
async fn metadata_of_the_call_reaches_the_events() {
    let sidecar = Sidecar::start().await;
    let mut request = tonic::Request::new(commit("S-1", Kind::Any(true), &[("T", "1")]));
    request.metadata_mut().insert("polylog-correlation-id", "c-1".parse().expect("a value"));
    request.metadata_mut().insert("polylog-causation-id", "d-1".parse().expect("a value"));
    sidecar.remote.events().append(request).await.expect("appended");
    let read = sidecar.remote.read_log(v1::ReadLogRequest::default()).await.expect("a read").1;
    assert_eq!((&*read[0].correlation_id, &*read[0].causation_id), ("c-1", "d-1"));
}
