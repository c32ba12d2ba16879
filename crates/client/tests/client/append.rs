use std::time::{Duration, Instant};

use polylog_api::{
    AppendAnswer, AppendBody, Code, CommitsBody, Conflict, IdempotencyKey, NewEventBody, Problem,
    StreamAppendBody, Written,
};
use polylog_client::{Address, AppendOptions, Client, ClientError, Credentials, Timing};
use polylog_log::{EventType, Expected, StreamName, Version};
use serde_json::Value;

use crate::server::{Reply, Server};

const ANSWER: &str = r#"{"stream":"s","firstVersion":1,"lastVersion":2,"firstPosition":4,"lastPosition":5,"term":1,
    "acks":["ledger"],"repeated":true,"token":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

fn ok() -> Reply {
    Reply::Json(201, ANSWER.into())
}

fn problem(code: Code) -> Reply {
    Reply::Problem(Problem::new(code, "as the test says"), None)
}

fn body() -> AppendBody {
    let event = || NewEventBody::new(EventType::parse("t").expect("a good type"));
    AppendBody {
        expected_version: Some(polylog_api::ExpectedVersion(Expected::Any)),
        events: vec![event(), event()],
        category: None,
        aggregate_id: None,
    }
}

async fn append(server: &Server, options: AppendOptions) -> Result<AppendAnswer, ClientError> {
    server.client.append(&StreamName::parse("s").expect("a good name"), body(), &options).await
}

fn within(millis: u64) -> AppendOptions {
    AppendOptions { deadline: Some(Duration::from_millis(millis)), ..AppendOptions::default() }
}

/// Ids of the events of each request that the server saw.
fn ids(server: &Server) -> Vec<Vec<Value>> {
    let ids = |body: &str| {
        let body: Value = serde_json::from_str(body).expect("JSON");
        body["events"].as_array().expect("events").iter().map(|event| event["id"].clone()).collect()
    };
    server.seen().iter().map(|seen| ids(&seen.body)).collect()
}

#[tokio::test]
async fn what_may_be_written_is_sent_again_with_the_same_ids() {
    let cases = [
        vec![Reply::Lost],
        vec![Reply::Silence],
        vec![problem(Code::OutcomeUnknown)],
        vec![problem(Code::AcksTimeout)],
        vec![problem(Code::NoPrimary), problem(Code::Overloaded)],
        vec![Reply::Json(502, "bad gateway".into()), Reply::Json(503, String::new())],
        vec![Reply::Lost, Reply::Lost, problem(Code::Draining), Reply::Silence, Reply::Lost],
    ];
    for mut replies in cases {
        let tries = replies.len() + 1;
        replies.push(ok());
        let server = Server::start(replies).await;
        let answer = append(&server, AppendOptions::default()).await.expect("at last");
        assert!(answer.repeated);
        let ids = ids(&server);
        assert_eq!(ids.len(), tries);
        assert!(ids.iter().all(|again| *again == ids[0]), "{ids:?}");
        assert!(ids[0].iter().all(Value::is_string) && ids[0][0] != ids[0][1]);
    }
}

#[tokio::test]
async fn a_refusal_is_told_at_once() {
    for code in [
        Code::VersionConflict,
        Code::InvalidRequest,
        Code::AccessDenied,
        Code::SourceRefused,
        Code::NotSupported,
    ] {
        let server = Server::start(vec![problem(code)]).await;
        let error = append(&server, AppendOptions::default()).await.expect_err("refused");
        assert!(matches!(&error, ClientError::Refused(problem) if problem.code == code), "{error}");
        assert_eq!((error.written(), server.seen().len()), (Written::Nothing, 1));
    }
}

#[tokio::test]
async fn a_time_to_wait_is_waited_for() {
    let told = Problem::new(Code::SourceRefused, "the disk is full");
    let server = Server::start(vec![Reply::Problem(told, Some(1)), ok()]).await;
    let started = Instant::now();
    append(&server, AppendOptions::default()).await.expect("after a second");
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn the_end_of_time_tells_what_is_known() {
    let unknown: fn(&ClientError) -> bool =
        |error: &ClientError| matches!(error, ClientError::OutcomeUnknown { .. });
    let refused: fn(&ClientError) -> bool = |error: &ClientError| matches!(error, ClientError::Refused(_));
    type IsRight = fn(&ClientError) -> bool;
    let cases: [(Vec<Reply>, IsRight); 4] = [
        ((0..20).map(|_| Reply::Lost).collect(), unknown),
        (vec![Reply::Silence, Reply::Silence, Reply::Silence], unknown),
        ((0..20).map(|_| problem(Code::NoPrimary)).collect(), refused),
        (vec![Reply::Lost, problem(Code::AccessDenied)], unknown),
    ];
    for (index, (replies, is_right)) in cases.into_iter().enumerate() {
        let server = Server::start(replies).await;
        let started = Instant::now();
        let error = append(&server, within(500)).await.expect_err("no time");
        assert!(is_right(&error), "case {index}: {error}");
        assert!(started.elapsed() < Duration::from_secs(3), "case {index}");
    }
}

#[tokio::test]
async fn a_conflict_after_a_lost_answer_is_certain() {
    let mut conflict = Problem::new(Code::VersionConflict, "as the test says");
    conflict.conflicts = vec![Conflict {
        stream: StreamName::parse("s").expect("a good name"),
        expected: polylog_api::ExpectedVersion(Expected::NoStream),
        actual: Version::new(2),
        missed: vec![],
        missed_truncated: false,
    }];
    let server = Server::start(vec![Reply::Lost, Reply::Problem(conflict, None)]).await;
    let error = append(&server, AppendOptions::default()).await.expect_err("refused");
    assert_eq!(error.problem().map(|problem| problem.code), Some(Code::VersionConflict));
    assert!(matches!(error, ClientError::Refused(_)));
}

#[tokio::test]
async fn nobody_there_means_nothing_written() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", free.local_addr().expect("it is bound"));
    drop(free);
    let client =
        Client::new(Address::parse(&url, None).expect("good"), Timing::default(), Credentials::default())
            .expect("no credentials");
    let stream = StreamName::parse("s").expect("a good name");
    let error = client.append(&stream, body(), &within(300)).await.expect_err("nobody there");
    assert!(matches!(&error, ClientError::Unreachable { address, .. } if *address == url), "{error}");
    assert_eq!(error.written(), Written::Nothing);
}

#[tokio::test]
async fn another_server_is_recognised() {
    let server = Server::start(vec![Reply::Json(404, "<html>".into())]).await;
    let error = append(&server, AppendOptions::default()).await.expect_err("not Polylog");
    assert!(matches!(error, ClientError::Unintelligible { .. }), "{error}");
    let server = Server::start(vec![Reply::Json(200, "{}".into())]).await;
    let error = append(&server, AppendOptions::default()).await.expect_err("no receipt");
    assert!(matches!(error, ClientError::OutcomeUnknown { .. }), "{error}");
}

#[tokio::test]
async fn requests_are_as_documented() {
    let commits = r#"{"results":[],"term":1,"acks":[],"repeated":false,"token":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
    let server = Server::start(vec![ok(), Reply::Json(200, commits.into())]).await;
    let options = AppendOptions {
        acks: Some("majority".parse().expect("a level")),
        missed: Some(10),
        idempotency_key: Some(IdempotencyKey::parse(b"k").expect("a key")),
        ..AppendOptions::default()
    };
    append(&server, options).await.expect("good");
    let AppendBody { expected_version, events, category, aggregate_id } = body();
    let stream = StreamName::parse("a/b").expect("a good name");
    let append = StreamAppendBody { stream, expected_version, events, category, aggregate_id };
    let body = CommitsBody { appends: vec![append] };
    server.client.commits(body, &AppendOptions::default()).await.expect("good");
    let [append, commits] = &server.seen()[..] else { panic!("two requests") };
    assert_eq!(append.path, "/v1/streams/s?acks=Majority&missed=10");
    assert_eq!(
        append.body, r#"{"expectedVersion":"any","events":[{"type":"t"},{"type":"t"}]}"#,
        "the key gives ids"
    );
    assert_eq!(append.headers["idempotency-key"], "k");
    assert_eq!(append.headers["content-type"], "application/json");
    assert_eq!(append.headers["polylog-timeout"], "270ms");
    assert_eq!(commits.path, "/v1/commits");
    let sent = CommitsBody::parse(commits.body.as_bytes()).expect("what a server reads");
    assert!(sent.appends[0].events.iter().all(|event| event.id.is_some()));
}
