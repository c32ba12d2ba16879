//! gRPC beside HTTP on one port: who is answered, deadlines, the end, health, reflection, administration.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::{client::legacy, rt::TokioExecutor};
use polylog_api::{
    grpc::detail_of,
    proto::{
        grpc::{
            health::v1::{HealthCheckRequest, health_check_response::ServingStatus},
            reflection::v1::{
                ServerReflectionRequest, server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            },
        },
        polylog::{
            admin::v1 as admin,
            v1::{self, expected::Kind},
        },
    },
};
use polylog_log::IndexOptions;
use tonic::Code;

use super::{Setup, Sidecar};
use crate::support::{
    Client,
    remote::{commit, failed},
};

type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// An answer's status and code, from trailers or, where there is no message, headers.
struct Raw {
    http: u16,
    status: Option<String>,
    code: Option<String>,
    /// The encodings of messages that are read.
    accepted: Option<String>,
}

async fn raw(sidecar: &Sidecar, change: impl FnOnce(&mut Request<Body>), body: Body) -> Raw {
    let http2 = legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Body>();
    let uri = format!("http://127.0.0.1:{}/polylog.v1.Events/Append", sidecar.running.port());
    let mut request = Request::post(uri).version(Version::HTTP_2).header("content-type", "application/grpc");
    request.headers_mut().expect("good so far").insert("te", "trailers".parse().expect("a value"));
    let mut request = request.body(body).expect("a request");
    change(&mut request);
    let answer = http2.request(request).await.expect("an answer");
    let (parts, body) = answer.into_parts();
    let accepted = parts.headers.get("grpc-accept-encoding");
    let accepted = accepted.map(|value| value.to_str().expect("text").to_owned());
    let trailers = body.collect().await.expect("a body").trailers().cloned();
    let headers = trailers.unwrap_or(parts.headers);
    let text = |name: &str| headers.get(name).map(|value| value.to_str().expect("text").to_owned());
    let details = text("grpc-status-details-bin").map(|text| {
        use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
        detail_of(&STANDARD_NO_PAD.decode(text).expect("base64")).expect("a detail").code
    });
    Raw { http: parts.status.as_u16(), status: text("grpc-status"), code: details, accepted }
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

fn framed(request: &v1::AppendRequest) -> Vec<u8> {
    use prost::Message;
    let message = request.encode_to_vec();
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    framed
}

fn one() -> v1::AppendRequest {
    commit("S-1", Kind::Any(true), &[("T", "1")])
}

#[tokio::test]
async fn both_ways_share_a_port_and_even_a_connection() {
    let sidecar = Sidecar::start().await;
    let http2 = legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Body>();
    let base = format!("http://127.0.0.1:{}", sidecar.running.port());
    for _ in 0..3 {
        let call = Request::post(format!("{base}/polylog.v1.Events/Append"))
            .header("content-type", "application/grpc+proto; charset=utf-8")
            .body(whole(framed(&one())))
            .expect("a request");
        let answer = http2.request(call).await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        let trailers = answer.into_body().collect().await.expect("a body").trailers().cloned();
        assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
        let get = Request::get(format!("{base}/v1/streams/S-1/head")).body(whole("")).expect("a request");
        assert_eq!(http2.request(get).await.expect("an answer").status(), 200);
    }
    let (remote, client) = (&sidecar.remote, &sidecar.client);
    let many = (0..50)
        .map(|_| async { tokio::join!(remote.append_one("S-1", "T", "1"), client.append("S-1", "T", "2")) });
    futures::future::join_all(many).await;
    let head = client.get("/v1/streams/S-1/head").await.ok().json();
    assert_eq!(head["version"], 103);
    let admin = Client::new(sidecar.running.health_port());
    let metrics = admin.get("/metrics").await.text();
    for line in [
        "polylog_grpc_requests_total{operation=\"append\",code=\"ok\"} 53",
        "polylog_http_requests_total{operation=\"append\",status=\"201\"} 50",
        "polylog_grpc_request_duration_seconds_count{operation=\"append\"} 53",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn only_whole_calls_of_programs_are_answered() {
    let sidecar = Sidecar::start().await;
    let good = framed(&one());
    let is = async |change: fn(&mut Request<Body>), body: Body, status: &str, code: &str| {
        let answer = raw(&sidecar, change, body).await;
        assert_eq!((answer.http, answer.status.as_deref()), (200, Some(status)), "{code}");
        assert_eq!(answer.code.as_deref(), Some(code));
    };
    let origin = |request: &mut Request<Body>| {
        request.headers_mut().insert("origin", "https://evil.example".parse().expect("a value"));
    };
    is(origin, whole(good.clone()), "7", "forbidden_origin").await;
    let nowhere = |request: &mut Request<Body>| {
        let uri = request.uri().to_string().replace("Append", "Prepend");
        *request.uri_mut() = uri.parse().expect("a URI");
    };
    is(nowhere, whole(good.clone()), "12", "not_supported").await;
    let bad_timeout = |request: &mut Request<Body>| {
        request.headers_mut().insert("grpc-timeout", "soon".parse().expect("a value"));
    };
    is(bad_timeout, whole(good.clone()), "3", "invalid_request").await;
    is(|_| (), whole(""), "3", "invalid_request").await;
    is(|_| (), whole(good[..3].to_vec()), "3", "invalid_request").await;
    is(|_| (), whole(good[..good.len() - 1].to_vec()), "3", "invalid_request").await;
    is(|_| (), whole([good.clone(), good.clone()].concat()), "3", "invalid_request").await;
    is(|_| (), whole(b"\0\0\0\0\x02\xff\xff".to_vec()), "3", "invalid_request").await;
    is(|_| (), whole(b"\x01\0\0\0\0".to_vec()), "12", "not_supported").await;
    is(|_| (), whole(b"\0\xff\xff\xff\xff".to_vec()), "3", "limit_exceeded").await;
    // 2 MiB are announced, and refused before any of them is there
    is(|_| (), whole(b"\0\0\x20\0\0".to_vec()), "3", "limit_exceeded").await;
    let web = |request: &mut Request<Body>| {
        request.headers_mut().insert("content-type", "application/grpc-web".parse().expect("a value"));
    };
    assert_eq!(raw(&sidecar, web, whole(good.clone())).await.http, 404);
    // in pieces, as a network may bring it
    let pieces: Vec<_> = good.chunks(7).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    let body = StreamBody::new(futures::stream::iter(pieces)).boxed();
    assert_eq!(raw(&sidecar, |_| (), body).await.status.as_deref(), Some("0"));
    let head = sidecar.client.get("/v1/streams/S-1/head").await.ok().json();
    assert_eq!(head["version"], 1, "only the last was appended");
}

/// A client that compresses learns from the refusal how to send it.
#[tokio::test]
async fn a_compressed_message_is_refused_with_what_is_read() {
    let sidecar = Sidecar::start().await;
    let gzip = |request: &mut Request<Body>| {
        request.headers_mut().insert("grpc-encoding", "gzip".parse().expect("a value"));
    };
    let mut compressed = framed(&one());
    compressed[0] = 1;
    let refused = raw(&sidecar, gzip, whole(compressed)).await;
    assert_eq!((refused.http, refused.status.as_deref()), (200, Some("12")));
    assert_eq!(refused.code.as_deref(), Some("not_supported"));
    assert_eq!(refused.accepted.as_deref(), Some("identity"));
    // one that announces compression need not use it
    let taken = raw(&sidecar, gzip, whole(framed(&one()))).await;
    assert_eq!((taken.status.as_deref(), taken.accepted.as_deref()), (Some("0"), Some("identity")));
    // a library that compresses has it answered in the same words
    let gzip = tonic::codec::CompressionEncoding::Gzip;
    let refused = sidecar.remote.events().send_compressed(gzip).append(one()).await;
    failed(refused, Code::Unimplemented, "not_supported");
}

#[tokio::test]
async fn later_operations_say_so() {
    let sidecar = Sidecar::start().await;
    let refused = sidecar.remote.consumers().list_groups(v1::ListGroupsRequest::default()).await;
    failed(refused, Code::Unimplemented, "not_supported");
    let requests = futures::stream::iter([v1::ConsumeRequest::default()]);
    let refused = sidecar.remote.consumers().consume(requests).await;
    failed(refused, Code::Unimplemented, "not_supported");
    let refused = sidecar.remote.queries().list_models(v1::ListModelsRequest::default()).await;
    failed(refused, Code::Unimplemented, "not_supported");
}

#[tokio::test]
async fn what_provisioning_would_do_is_told_and_not_done() {
    let local = Sidecar::start().await;
    local.remote.append_one("S-1", "T", "1").await;
    let of = |source: &str| admin::PlanRequest { source: source.into(), ..Default::default() };
    let planned = async |sidecar: &Sidecar, source: &str| {
        sidecar.remote.admin().plan(of(source)).await.expect("a plan").into_inner()
    };
    assert_eq!(planned(&local, "").await, admin::PlanResponse::default(), "it is as it should be");
    let with_types = IndexOptions { event_type: true, aggregate_id: false };
    let sidecar = local.restart(Setup { wanted: with_types, ..Setup::default() }).await;
    let plan = planned(&sidecar, "").await;
    let [step] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!((&*step.source, &*step.class), ("ledger", "Additive"));
    assert!(step.summary.contains("index") && step.statement.contains("INDEX"), "{step:?}");
    assert_eq!((plan.hash.len(), &plan.hash), (16, &step.plan), "one source: its plan is the whole");
    assert_eq!(planned(&sidecar, "ledger").await, plan, "still: nothing was done");
    let unknown = sidecar.remote.admin().plan(of("mirror")).await;
    let detail = failed(unknown, Code::InvalidArgument, "invalid_request");
    assert_eq!(detail.facts["path"], "source");
}

#[tokio::test]
async fn a_deadline_ends_the_wait_and_a_retry_tells_what_became_of_it() {
    let sidecar = Sidecar::start().await;
    sidecar.remote.append_one("S-1", "T", "1").await;
    let mut request = one();
    request.appends[0].events[0].id = "00000000-0000-4000-8000-000000000001".into();
    let held = sidecar.hold_appends();
    let mut timed = tonic::Request::new(request.clone());
    timed.set_timeout(Duration::from_millis(300));
    let begin = std::time::Instant::now();
    let unknown = sidecar.remote.events().append(timed).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    let detail = failed(unknown, Code::DeadlineExceeded, "outcome_unknown");
    assert_eq!((detail.written(), detail.retry), (v1::Written::Unknown, true));
    drop(held);
    sidecar.remote.append(request.clone()).await.expect("known at last");
    assert!(sidecar.remote.append(request).await.expect("recognised").repeated_request);
    let read = sidecar.remote.read_log(v1::ReadLogRequest::default()).await.expect("a read");
    assert_eq!(read.1.len(), 2, "once");
    // a message that does not arrive does not hold its place for ever
    let silent = StreamBody::new(futures::stream::pending()).boxed();
    let soon = |request: &mut Request<Body>| {
        request.headers_mut().insert("grpc-timeout", "200m".parse().expect("a value"));
    };
    let answer = raw(&sidecar, soon, silent).await;
    assert_eq!((answer.status.as_deref(), answer.code.as_deref()), (Some("3"), Some("invalid_request")));
}

#[tokio::test]
async fn a_stop_refuses_new_calls_and_finishes_what_was_taken() {
    let sidecar = Sidecar::start().await;
    let remote = sidecar.remote.clone();
    let writer = tokio::spawn(async move {
        let mut acknowledged = 0;
        loop {
            match remote.append(one()).await {
                Ok(_) => acknowledged += 1,
                Err(refused) => return (acknowledged, refused),
            }
        }
    });
    while sidecar.client.get("/v1/streams/S-1/head").await.status != 200 {}
    let check = async || sidecar.remote.health().check(HealthCheckRequest::default()).await;
    assert_eq!(check().await.expect("answered").into_inner().status(), ServingStatus::Serving);
    sidecar.running.server().drain.begin();
    let (acknowledged, refused) =
        tokio::time::timeout(Duration::from_secs(5), writer).await.expect("in time").expect("no panic");
    let detail = failed(Err::<(), _>(refused), Code::Unavailable, "draining");
    assert!(detail.retry);
    assert_eq!(check().await.expect("answered").into_inner().status(), ServingStatus::NotServing);
    let sidecar = sidecar.restart(Setup::default()).await;
    let head = v1::GetStreamHeadRequest { stream: "S-1".into(), ..Default::default() };
    let head = sidecar.remote.events().get_stream_head(head).await.expect("a head").into_inner();
    assert_eq!(head.version, acknowledged);
}

#[tokio::test]
async fn health_is_told_and_watched() {
    let sidecar = Sidecar::start().await;
    let asked = |service: &str| HealthCheckRequest { service: service.into() };
    for service in ["", "polylog.v1.Events", "polylog.v1.Stores"] {
        let answer = sidecar.remote.health().check(asked(service)).await.expect("answered").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    failed(sidecar.remote.health().check(asked("nothing")).await, Code::NotFound, "not_found");
    let mut unknown = sidecar.remote.health().watch(asked("nothing")).await.expect("watched").into_inner();
    let first = unknown.message().await.expect("told").expect("a status");
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let mut watched = sidecar.remote.health().watch(asked("")).await.expect("watched").into_inner();
    let first = watched.message().await.expect("told").expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);
    sidecar.running.server().drain.begin();
    let second = watched.message().await.expect("told").expect("a status");
    assert_eq!(second.status(), ServingStatus::NotServing);
    assert_eq!(watched.message().await.expect("ended well"), None);
}

#[tokio::test]
async fn reflection_lists_and_describes_the_services() {
    let sidecar = Sidecar::start().await;
    let ask = async |questions: Vec<MessageRequest>| {
        let requests = questions
            .into_iter()
            .map(|question| ServerReflectionRequest { host: String::new(), message_request: Some(question) });
        let requests: Vec<_> = requests.collect();
        let mut client = sidecar.remote.reflection();
        let answers = client.server_reflection_info(futures::stream::iter(requests)).await;
        let mut answers = answers.expect("answered").into_inner();
        let mut told = Vec::new();
        while let Some(answer) = answers.message().await.expect("told") {
            told.push(answer.message_response.expect("a response"));
        }
        told
    };
    let told = ask(vec![
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("polylog.v1.Events".into()),
        MessageRequest::FileContainingSymbol("polylog.v1.Nothing".into()),
    ])
    .await;
    let MessageResponse::ListServicesResponse(list) = &told[0] else { panic!("{:?}", told[0]) };
    let mut names: Vec<&str> = list.service.iter().map(|service| &*service.name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "polylog.admin.v1.Admin",
            "polylog.v1.Consumers",
            "polylog.v1.Events",
            "polylog.v1.Queries",
            "polylog.v1.Stores",
        ]
    );
    let MessageResponse::FileDescriptorResponse(files) = &told[1] else { panic!("{:?}", told[1]) };
    assert_eq!(files.file_descriptor_proto.len(), 4, "the file and what it imports");
    let MessageResponse::ErrorResponse(error) = &told[2] else { panic!("{:?}", told[2]) };
    assert_eq!(error.error_code, Code::NotFound as i32);
}

#[tokio::test]
async fn stores_are_told_and_watched() {
    let setup = Setup { stores: vec!["payments", "orders"], ..Setup::default() };
    let sidecar = Sidecar::with(setup).await;
    let listed = sidecar.remote.stores().list_stores(v1::ListStoresRequest {}).await.expect("a list");
    let names: Vec<_> = listed.into_inner().stores.into_iter().map(|store| store.name).collect();
    assert_eq!(names, ["orders", "payments"]);
    let default = sidecar.remote.stores().get_store(v1::GetStoreRequest::default()).await;
    failed(default, Code::NotFound, "store_not_found");
    let named = v1::GetStoreRequest { store: "payments".into() };
    let store = sidecar.remote.stores().get_store(named.clone()).await.expect("a store").into_inner();
    assert_eq!((&*store.primary, &*store.sources[0].state), ("ledger", "InSync"));
    let mut watched = sidecar.remote.stores().watch_store(named).await.expect("watched").into_inner();
    assert_eq!(watched.message().await.expect("told").expect("a store"), store);
    let mut request = one();
    request.store = "payments".into();
    let position = sidecar.remote.append(request).await.expect("appended").results[0].last_position;
    let changed = tokio::time::timeout(Duration::from_secs(10), watched.message()).await.expect("in time");
    assert_eq!(changed.expect("told").expect("a store").positions, [position]);
}

#[tokio::test]
async fn administrators_change_configuration_and_policy_over_an_expected_version() {
    let sidecar = Sidecar::start().await;
    let status = async || {
        let status = sidecar.remote.admin().get_status(admin::GetStatusRequest::default()).await;
        status.expect("a status").into_inner()
    };
    let before = status().await;
    let mut config = before.config.clone().expect("a configuration");
    assert_eq!((&*config.acks, &*config.failover, config.min_in_sync), ("1", "Manual", 1));
    config.divergence = "ReplayIfClean".into();
    let put = async |config: &admin::Config, expected_version| {
        let config = Some(config.clone());
        let request = admin::PutConfigRequest { store: String::new(), expected_version, config };
        sidecar.remote.admin().put_config(request).await.map(|answer| answer.into_inner().version)
    };
    let stale = put(&config, before.config_version + 1).await;
    let detail = failed(stale, Code::Aborted, "version_conflict");
    assert_eq!(
        (&*detail.conflicts[0].stream, detail.conflicts[0].actual),
        ("$config", before.config_version)
    );
    let version = put(&config, before.config_version).await.expect("written");
    assert_eq!(version, before.config_version + 1);
    assert_eq!(put(&config, before.config_version).await.expect("in force already"), version);
    let after = status().await;
    assert_eq!((after.config, after.config_version), (Some(config.clone()), version));
    config.failover = "Automatic".into();
    failed(put(&config, version).await, Code::Unimplemented, "not_supported");
    config.failover = "perhaps".into();
    failed(put(&config, version).await, Code::InvalidArgument, "invalid_request");

    let mut policy = super::policy();
    policy.limits.event_bytes = 64;
    let put = async |policy: Vec<u8>, expected_version| {
        let request =
            admin::PutPolicyRequest { store: String::new(), expected_version, policy: policy.into() };
        sidecar.remote.admin().put_policy(request).await.map(|answer| answer.into_inner().version)
    };
    let json = serde_json::to_vec(&policy).expect("JSON");
    let stale = put(json.clone(), before.policy_version + 7).await;
    failed(stale, Code::Aborted, "version_conflict");
    for bad in [b"{}".to_vec(), serde_json::to_vec(&elsewhere()).expect("JSON")] {
        failed(put(bad, before.policy_version).await, Code::InvalidArgument, "invalid_request");
    }
    let version = put(json.clone(), before.policy_version).await.expect("written");
    let after = status().await;
    assert_eq!((after.policy_version, &after.policy[..]), (version, &json[..]));
    let large = format!("{:?}", "x".repeat(100));
    let refused = sidecar.remote.append(commit("S-1", Kind::Any(true), &[("T", &large)])).await;
    failed(refused, Code::InvalidArgument, "limit_exceeded");
    let answer = sidecar.client.send(Method::GET, "/v1/streams/$policy", &[], "").await.ok();
    assert_eq!(answer.json()["events"].as_array().expect("events").len() as u64, version);
}

fn elsewhere() -> polylog_sidecar::policy::PolicyDocument {
    polylog_sidecar::policy::PolicyDocument { namespace: "elsewhere".into(), ..super::policy() }
}
