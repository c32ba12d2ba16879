//! A read over gRPC shows what a read over HTTP shows: in both directions, under the same rules.

use polylog_api::proto::polylog::{
    admin::v1::{
        FailoverRequest, GetStatusRequest, ListQuarantineRequest, PlanRequest, SwitchRequest, VerifyRequest,
    },
    v1::{self, read_frame::Frame},
};
use polylog_sidecar::{
    identity::Subject,
    policy::{AccessRule, Account, PolicyDocument, Verb},
};
use tonic::Code;

use super::{Setup, Sidecar};
use crate::support::remote::{commit, failed};

fn data(events: &[v1::Event]) -> Vec<String> {
    events.iter().map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect()
}

fn of_stream(stream: &str) -> v1::ReadStreamRequest {
    v1::ReadStreamRequest { stream: stream.into(), ..Default::default() }
}

async fn five() -> Sidecar {
    let sidecar = Sidecar::start().await;
    for number in 1..=5 {
        let kind = if number % 2 == 0 { "Even" } else { "Odd" };
        sidecar.remote.append_one("S-1", kind, &number.to_string()).await;
    }
    sidecar
}

#[tokio::test]
async fn a_stream_is_read_in_both_directions_and_in_parts() {
    let sidecar = five().await;
    let read = async |change: fn(&mut v1::ReadStreamRequest)| {
        let mut request = of_stream("S-1");
        change(&mut request);
        let (_, events, end) = sidecar.remote.read_stream(request).await.expect("a read");
        (data(&events).join(""), end.next_from, end.at_end)
    };
    let is = |text: &str, next_from, at_end| (text.to_owned(), next_from, at_end);
    assert_eq!(read(|_| ()).await, is("12345", 6, true));
    assert_eq!(read(|request| request.limit = 2).await, is("12", 3, false));
    assert_eq!(read(|request| (request.from, request.limit) = (3, 2)).await, is("34", 5, false));
    assert_eq!(read(|request| request.from = 4).await, is("45", 6, true));
    assert_eq!(read(|request| request.from = 9).await.0, "");
    assert_eq!(read(|request| request.backward = true).await, is("54321", 0, true));
    assert_eq!(read(|request| (request.backward, request.limit) = (true, 2)).await, is("54", 3, false));
    assert_eq!(read(|request| (request.backward, request.from) = (true, 2)).await, is("21", 0, true));
    let odd = |request: &mut v1::ReadStreamRequest| {
        request.filter = Some(v1::Filter { types: vec!["Odd".into()], ..Default::default() });
        request.limit = 2;
    };
    assert_eq!(read(odd).await, is("13", 4, false));
    let missing = sidecar.remote.read_stream(of_stream("S-2")).await;
    assert_eq!(failed(missing, Code::NotFound, "stream_not_found").facts["stream"], "S-2");
    failed(sidecar.remote.read_stream(of_stream("$own")).await, Code::InvalidArgument, "invalid_request");
    let (_, own, _) = sidecar.remote.read_stream(of_stream("$term")).await.expect("one of the log's own");
    assert_eq!(own[0].r#type, "$term");
}

#[tokio::test]
async fn the_log_is_read_in_both_directions_and_filtered() {
    let sidecar = five().await;
    sidecar.remote.append_one("T-1", "Other", r#"{"n":6}"#).await;
    let read = async |request: v1::ReadLogRequest| {
        let (served, events, end) = sidecar.remote.read_log(request).await.expect("a read");
        (data(&events).join(""), end, served)
    };
    let all = read(v1::ReadLogRequest::default()).await;
    assert_eq!((&*all.0, all.1.at_end), ("12345{\"n\":6}", true));
    assert_eq!((all.1.next_from, all.2.lag_events), (all.2.position + 1, 0));
    let back = read(v1::ReadLogRequest { backward: true, limit: 2, ..Default::default() }).await;
    assert_eq!(back.0, "{\"n\":6}5");
    let rest = v1::ReadLogRequest { backward: true, from: back.1.next_from, ..Default::default() };
    assert_eq!(read(rest).await.0, "4321");
    let filtered = async |filter: v1::Filter| {
        read(v1::ReadLogRequest { filter: Some(filter), ..Default::default() }).await.0
    };
    let text = |text: &str| vec![text.to_owned()];
    assert_eq!(filtered(v1::Filter { types: text("Even"), ..Default::default() }).await, "24");
    assert_eq!(filtered(v1::Filter { type_prefixes: text("O"), ..Default::default() }).await, "135{\"n\":6}");
    assert_eq!(filtered(v1::Filter { categories: text("T"), ..Default::default() }).await, "{\"n\":6}");
    assert_eq!(filtered(v1::Filter { streams: text("S-1"), ..Default::default() }).await, "12345");
    let when = "event.data.n > 5".to_owned();
    assert_eq!(filtered(v1::Filter { when, ..Default::default() }).await, "{\"n\":6}");
    let future = Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 });
    assert_eq!(filtered(v1::Filter { since: future, ..Default::default() }).await, "");
    assert_eq!(filtered(v1::Filter { until: future, ..Default::default() }).await, "12345{\"n\":6}");
    let own = v1::Filter { include_system: true, ..Default::default() };
    let with_own = v1::ReadLogRequest { filter: Some(own), ..Default::default() };
    assert_eq!(sidecar.remote.read_log(with_own).await.expect("a read").1[0].stream, "$term");
}

#[tokio::test]
async fn a_long_log_comes_whole_and_once() {
    let sidecar = Sidecar::start().await;
    for batch in 0..8 {
        let data: Vec<String> = (0..400).map(|index| (batch * 400 + index).to_string()).collect();
        let events: Vec<(&str, &str)> = data.iter().map(|text| ("T", text.as_str())).collect();
        let commit = commit("S-1", v1::expected::Kind::Any(true), &events);
        sidecar.remote.append(commit).await.expect("appended");
    }
    let expected: Vec<String> = (0..3_200).map(|number| number.to_string()).collect();
    let (served, events, end) = sidecar.remote.read_log(v1::ReadLogRequest::default()).await.expect("a read");
    assert_eq!((data(&events), end.next_from, end.at_end), (expected.clone(), served.position + 1, true));
    let (_, events, end) = sidecar.remote.read_stream(of_stream("S-1")).await.expect("a read");
    assert_eq!((data(&events), end.next_from), (expected.clone(), 3_201));
    let limited = v1::ReadLogRequest { limit: 2_500, ..Default::default() };
    let (_, events, end) = sidecar.remote.read_log(limited).await.expect("a read");
    assert_eq!((data(&events), end.at_end), (expected[..2_500].to_vec(), false));
    assert_eq!(end.next_from, events[2_499].position + 1);
}

#[tokio::test]
async fn a_reader_that_leaves_stops_the_read() {
    let bounds = polylog_sidecar::http::Bounds { streams: 1, ..Default::default() };
    let sidecar = Sidecar::with(Setup { bounds, ..Setup::default() }).await;
    let large = format!("{:?}", "x".repeat(200_000));
    for _ in 0..20 {
        sidecar.remote.append_one("S-1", "T", &large).await;
    }
    let mut open = sidecar.remote.events().read_log(v1::ReadLogRequest::default()).await.expect("a read");
    let first = open.get_mut().message().await.expect("a frame").and_then(|frame| frame.frame);
    assert!(matches!(first, Some(Frame::Served(_))));
    let other = sidecar.remote.read_log(v1::ReadLogRequest { limit: 1, ..Default::default() }).await;
    failed(other, Code::ResourceExhausted, "overloaded");
    drop(open);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while sidecar.remote.read_stream(of_stream("S-1")).await.is_err() {
        assert!(std::time::Instant::now() < deadline, "the place is free once the reader has left");
    }
}

#[tokio::test]
async fn freshness_is_as_over_http() {
    let sidecar = five().await;
    let read = async |options: v1::ReadOptions| {
        let request = v1::ReadLogRequest { options: Some(options), ..Default::default() };
        sidecar.remote.read_log(request).await
    };
    let consistency = |consistency: v1::Consistency| v1::ReadOptions {
        consistency: consistency as i32,
        ..Default::default()
    };
    use v1::Consistency::{Bounded, Eventual, Session, Strong, Unspecified};
    for good in [Strong, Session, Eventual, Unspecified] {
        assert_eq!(read(consistency(good)).await.expect("a read").1.len(), 5);
    }
    assert_eq!(
        failed(read(consistency(Bounded)).await, Code::InvalidArgument, "invalid_request").facts["path"],
        "options.max_lag"
    );
    let lag = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    read(v1::ReadOptions { max_lag: lag, ..consistency(Bounded) }).await.expect("a read");
    read(v1::ReadOptions { max_lag_events: 10, ..consistency(Bounded) }).await.expect("a read");
    let unknown = v1::ReadOptions { consistency: 77, ..Default::default() };
    failed(read(unknown).await, Code::InvalidArgument, "invalid_request");
    let source = v1::ReadOptions { source: "archive".into(), ..Default::default() };
    failed(read(source).await, Code::InvalidArgument, "invalid_request");
    let token = |token: &str| v1::ReadOptions { token: token.into(), ..Default::default() };
    failed(read(token("x")).await, Code::InvalidArgument, "invalid_request");
    let other = Sidecar::start().await.remote.append_one("S-1", "T", "1").await.token;
    failed(read(token(&other)).await, Code::FailedPrecondition, "wrong_store");
    let own = sidecar.remote.append_one("S-1", "T", "6").await.token;
    assert_eq!(read(token(&own)).await.expect("a read").1.len(), 6);
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let sidecar = five().await;
    type Change = fn(&mut v1::ReadLogRequest);
    let cases: &[(&str, &str, Change)] = &[
        ("lane", "invalid_request", |request| request.lane = 1),
        ("from", "invalid_request", |request| request.from = 1 << 53),
        ("filter.types[1]", "invalid_request", |request| {
            request.filter = Some(v1::Filter { types: vec!["a".into(), " ".into()], ..Default::default() });
        }),
        ("filter.streams", "invalid_request", |request| {
            request.filter = Some(v1::Filter { streams: vec!["a".into(); 101], ..Default::default() });
        }),
        ("filter.when", "invalid_filter", |request| {
            request.filter = Some(v1::Filter { when: "nonsense".into(), ..Default::default() });
        }),
        ("filter.until", "invalid_request", |request| {
            let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
            request.filter = Some(v1::Filter { since: at(2), until: at(1), ..Default::default() });
        }),
    ];
    for (path, code, change) in cases {
        let mut request = v1::ReadLogRequest::default();
        change(&mut request);
        let detail = failed(sidecar.remote.read_log(request).await, Code::InvalidArgument, code);
        assert_eq!(detail.facts["path"], *path);
    }
    let by = |by| v1::GetEventRequest { by, ..Default::default() };
    use v1::get_event_request::By;
    let get = async |request| sidecar.remote.events().get_event(request).await;
    failed(get(by(None)).await, Code::InvalidArgument, "invalid_request");
    failed(get(by(Some(By::Id("7".into())))).await, Code::InvalidArgument, "invalid_request");
    failed(get(by(Some(By::Position(7_000)))).await, Code::NotFound, "event_not_found");
    let absent = "00000000-0000-4000-8000-000000000000".to_owned();
    failed(get(by(Some(By::Id(absent)))).await, Code::NotFound, "event_not_found");
    let first = sidecar.remote.read_log(v1::ReadLogRequest::default()).await.expect("a read").1.remove(0);
    let located = sidecar.remote.events().locate_event(by(Some(By::Id(first.id)))).await;
    let located = located.expect("located").into_inner();
    let location = &located.locations[0];
    assert_eq!((located.position, location.present, &*location.source), (first.position, true, "ledger"));
    assert_eq!((location.term, &location.digest), (first.term, &first.digest));
}

#[tokio::test]
async fn access_and_redaction_apply() {
    let local = Sidecar::start().await;
    local.remote.append_one("Secret-1", "T", "1").await;
    local.remote.append_one("Payment-1", "T", r#"{"amount":1,"iban":"x"}"#).await;
    let rule = |verb: Verb, category: &str| AccessRule {
        service_accounts: vec![Account { namespace: None, name: "checkout".into() }],
        verbs: vec![verb],
        categories: vec![category.into()],
    };
    let access = Some(vec![rule(Verb::Read, "Payment"), rule(Verb::Append, "Payment")]);
    let policy = PolicyDocument { access, redact: vec!["/iban".into()], ..super::policy() };
    let subject = Subject::ServiceAccount("shop/checkout".parse().expect("an account"));
    let sidecar = local.restart(Setup { policy, subject, ..Setup::default() }).await;
    let (_, events, _) = sidecar.remote.read_log(v1::ReadLogRequest::default()).await.expect("a read");
    assert_eq!(data(&events), [r#"{"amount":1}"#]);
    assert_eq!(events[0].data_state(), v1::DataState::Redacted);
    let secret = sidecar.remote.read_stream(of_stream("Secret-1")).await;
    let detail = failed(secret, Code::PermissionDenied, "access_denied");
    assert_eq!((&*detail.facts["verb"], &*detail.facts["category"]), ("read", "Secret"));
    let append = commit("Secret-1", v1::expected::Kind::Any(true), &[("T", "1")]);
    failed(sidecar.remote.append(append).await, Code::PermissionDenied, "access_denied");
    let subscribe = sidecar.remote.events().subscribe(v1::SubscribeRequest::default()).await;
    failed(subscribe, Code::PermissionDenied, "access_denied");
    let status = sidecar.remote.admin().get_status(GetStatusRequest::default()).await;
    failed(status, Code::PermissionDenied, "access_denied");
    let verify = sidecar.remote.admin().verify(VerifyRequest::default()).await;
    failed(verify, Code::PermissionDenied, "access_denied");
    let plan = sidecar.remote.admin().plan(PlanRequest::default()).await;
    failed(plan, Code::PermissionDenied, "access_denied");
    let store = sidecar.remote.stores().get_store(v1::GetStoreRequest::default()).await.expect("a store");
    assert_eq!(store.into_inner().verbs, ["append", "read"]);
}

#[tokio::test]
async fn administration_says_what_it_cannot_do() {
    let sidecar = five().await;
    let store = sidecar.remote.stores().get_store(v1::GetStoreRequest::default()).await.expect("a store");
    let primary = store.into_inner().primary;
    let mut admin = sidecar.remote.admin();
    let switch = |primary: &str| SwitchRequest { primary: primary.into(), ..Default::default() };
    let led = admin.switch(switch(&primary)).await.expect("it is already").into_inner();
    assert_eq!((led.primary, led.term), (primary, 1));
    failed(admin.switch(switch("other")).await, Code::InvalidArgument, "invalid_request");
    failed(admin.failover(FailoverRequest::default()).await, Code::InvalidArgument, "invalid_request");
    let page = admin.list_quarantine(ListQuarantineRequest::default()).await.expect("a page").into_inner();
    assert_eq!((page.entries.len(), &*page.next), (0, ""));
    let many = ListQuarantineRequest { limit: 1_001, ..Default::default() };
    failed(admin.list_quarantine(many).await, Code::InvalidArgument, "invalid_request");
    // the stores of these tests are not verified
    failed(admin.verify(VerifyRequest::default()).await, Code::Unimplemented, "not_supported");
}
