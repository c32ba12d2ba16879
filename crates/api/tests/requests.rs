//! What a caller may send, what becomes of it, and what is refused.

use polylog_api::{AppendBody, Code, CommitsBody, IdempotencyKey, Keyed, Problem, RequestError};
use polylog_log::{Commit, CommitId, EventId, Expected, LogId, StreamName};
use uuid::Uuid;

const ID: &str = "00000000-0000-0000-0000-000000000007";

fn log() -> LogId {
    LogId::from_bytes([9; 16])
}

fn append_keyed(body: &[u8], key: Option<Keyed<'_>>) -> Result<Commit, RequestError> {
    let mut next = 0;
    let new_id = || {
        next += 1;
        EventId::new(Uuid::from_u128(1000 + next))
    };
    let stream = StreamName::parse("Payment-p1").expect("a good name");
    AppendBody::parse(body)?.into_commit(stream, log(), key, new_id)
}

fn append(body: impl AsRef<[u8]>) -> Result<Commit, RequestError> {
    append_keyed(body.as_ref(), None)
}

fn commits(body: &str) -> Result<Commit, RequestError> {
    CommitsBody::parse(body.as_bytes())?.into_commit(log(), None, || EventId::new(Uuid::from_u128(5)))
}

fn event(members: &str) -> String {
    format!(r#"{{"expectedVersion":"any","events":[{{"type":"t"{members}}}]}}"#)
}

#[test]
fn the_documented_request_is_taken_as_it_stands() {
    let body = r#"{"expectedVersion":3,"events":[{"type":"PaymentProcessed","data":{"amount":"100.00"},
        "metadata":{"organizationId":"o1"},"time":"2026-11-21T10:00:00Z"}],"category":"Pay","aggregateId":"1"}"#;
    let commit = append(body).expect("good");
    let [append] = &commit.appends[..] else { panic!("one stream") };
    assert_eq!(append.expected, Expected::Version(polylog_log::Version::new(3)));
    assert_eq!(append.category.as_ref().map(|category| category.as_str()), Some("Pay"));
    assert_eq!(append.events[0].metadata.as_deref(), Some(&br#"{"organizationId":"o1"}"#[..]));
    assert_eq!(append.events[0].content_type, "application/json");
    assert_eq!(commit.id, CommitId::from_events([append.events[0].id].into_iter()));
}

#[test]
fn data_and_metadata_are_kept_byte_for_byte() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let cases = [
        "null",
        "1e400",
        "-0",
        "-0.0e-0",
        "9007199254740993",
        "123456789012345678901234567890",
        r#"{"b": 1, "a":2,"a":3}"#,
        r#""\ud800""#,
        r#""\u0000\/\u00e9""#,
        "[ ]",
        "{\n\t\"a\" :\r\n1}",
        "\"é✔\"",
        &deep,
    ];
    for data in cases {
        let commit = append(event(&format!(r#","data": {data} ,"metadata": {{"m":{data}}} "#))).expect(data);
        let event = &commit.appends[0].events[0];
        assert_eq!(event.data, data.as_bytes());
        assert_eq!(event.metadata.as_deref(), Some(format!("{{\"m\":{data}}}").as_bytes()));
        assert_eq!(event.data_digest, polylog_log::DataDigest::of(data.as_bytes()));
    }
    assert_eq!(append(event("")).expect("no data").appends[0].events[0].data, &b"null"[..]);
}

#[test]
fn other_content_comes_as_base64() {
    let data = |members: &str| {
        let commit = append(event(members))?;
        let event = commit.appends[0].events[0].clone();
        Ok::<_, RequestError>((event.content_type, event.data.to_vec()))
    };
    assert_eq!(
        data(r#","dataBase64":"/wA=","contentType":"image/png""#),
        Ok(("image/png".into(), vec![0xff, 0]))
    );
    let patch = "application/json-patch+json";
    assert_eq!(data(&format!(r#","data":[],"contentType":"{patch}""#)), Ok((patch.into(), b"[]".to_vec())));
    assert_eq!(
        data(&format!(r#","dataBase64":"WyBd","contentType":"{patch}""#)),
        Ok((patch.into(), b"[ ]".to_vec()))
    );
    let refused = [
        (r#","dataBase64":"/wA=""#, "contentType"),
        (r#","dataBase64":"/wA=","data":1,"contentType":"a/b""#, "dataBase64"),
        (r#","dataBase64":"/wA=","data":null,"contentType":"a/b""#, "dataBase64"),
        (r#","dataBase64":"e3s=","contentType":"application/json""#, "dataBase64"),
        (r#","dataBase64":"***","contentType":"a/b""#, "dataBase64"),
        (r#","dataBase64":"_w==","contentType":"a/b""#, "dataBase64"),
        (r#","data":"hello","contentType":"text/plain""#, "contentType"),
        (r#","contentType":"text/plain""#, "contentType"),
    ];
    for (members, field) in refused {
        let error = data(members).expect_err(members);
        assert_eq!(
            (error.code, error.path),
            (Code::InvalidRequest, format!("events[0].{field}")),
            "{members}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases: &[(&str, &str, &str)] = &[
        ("", "", "malformed JSON"),
        ("{", "", "malformed JSON"),
        ("[1]", "", "expected an object"),
        ("[1,[]]", "", "expected an object"),
        (
            r#"{"expectedVersion":1,"events":[["00000000-0000-0000-0000-000000000007","t"]]}"#,
            "events[0]",
            "expected an object",
        ),
        (r#"{"expectedVersion":1,"events":[]}x"#, "", "malformed JSON"),
        (r#"{"expectedVersion":1}"#, "", "missing field `events`"),
        (r#"{"expectedVersion":1,"events":[],"acks":2}"#, "acks", "unknown field `acks`"),
        (r#"{"expectedVersion":1,"expectedVersion":2,"events":[]}"#, "", "duplicate field `expectedVersion`"),
        (r#"{"expectedVersion":-1,"events":[]}"#, "expectedVersion", "expected a number from 0"),
        (r#"{"expectedVersion":"3","events":[]}"#, "expectedVersion", "expected a number from 0"),
        (r#"{"expectedVersion":9007199254740992,"events":[]}"#, "expectedVersion", "9007199254740992"),
        (r#"{"expectedVersion":1,"events":{}}"#, "events", "expected a sequence"),
        (r#"{"expectedVersion":1,"events":[{"data":1}]}"#, "events[0]", "missing field `type`"),
        (r#"{"expectedVersion":1,"events":[{"type":7}]}"#, "events[0].type", "expected a string"),
        (r#"{"expectedVersion":1,"events":[{"type":"$x"}]}"#, "events[0].type", "reserved"),
        (
            r#"{"expectedVersion":1,"events":[{"type":"a"},{"type":"b","typ":1}]}"#,
            "events[1].typ",
            "unknown field `typ`",
        ),
        (r#"{"expectedVersion":1,"events":[],"category":" x"}"#, "category", "space"),
        (r#"{"expectedVersion":1,"events":[{"type":"t","data":{"a":{"b":01}}}]}"#, "", "malformed JSON"),
        (r#"{"expectedVersion":1,"events":[{"type":"t","id":"7"}]}"#, "events[0].id", ""),
        (
            r#"{"expectedVersion":1,"events":[{"type":"t","time":"yesterday"}]}"#,
            "events[0].time",
            "not a time",
        ),
        (
            r#"{"expectedVersion":1,"events":[{"type":"t","metadata":[]}]}"#,
            "events[0].metadata",
            "must be a JSON object",
        ),
        (
            r#"{"expectedVersion":1,"events":[{"type":"t","metadata":{"$by":1}}]}"#,
            "events[0].metadata",
            "reserved",
        ),
        (
            r#"{"expectedVersion":1,"events":[{"type":"t","correlationId":""}]}"#,
            "events[0].correlationId",
            "empty",
        ),
        (
            r#"{"expectedVersion":1,"events":[{"type":"t","causationId":"a\u0000"}]}"#,
            "events[0].causationId",
            "control",
        ),
    ];
    for (body, path, message) in cases {
        let error = append(body).expect_err(body);
        assert_eq!((error.code, error.path.as_str()), (Code::InvalidRequest, *path), "{body}: {error}");
        assert!(error.message.contains(message), "{body}: {error}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for bad in [&b"\xff"[..], b"\xc3(", b"\xed\xa0\x80"] {
        let mut body = br#"{"expectedVersion":1,"events":[{"type":"t","data":""#.to_vec();
        body.extend_from_slice(bad);
        body.extend_from_slice(br#""}]}"#);
        assert_eq!(append(&body).expect_err("not UTF-8").code, Code::InvalidRequest);
    }
}

#[test]
fn an_expected_version_is_never_assumed() {
    for body in [r#"{"events":[]}"#, r#"{"expectedVersion":null,"events":[{"type":"t"}]}"#] {
        let error = append(body).expect_err(body);
        assert_eq!((error.code, error.path.as_str()), (Code::ExpectedVersionRequired, "expectedVersion"));
        let problem = Problem::from(error);
        assert_eq!((problem.status, problem.facts["path"].as_str()), (400, "expectedVersion"));
        assert!(problem.next_step.contains("noStream"));
    }
    let error = commits(r#"{"appends":[{"stream":"a","events":[]}]}"#).expect_err("missing");
    assert_eq!(error.path, "appends[0].expectedVersion");
}

#[test]
fn commits_over_several_streams() {
    let good = commits(
        r#"{"appends":[{"stream":"a","expectedVersion":0,"events":[{"type":"t"}]},{"stream":"b","expectedVersion":7,"events":[]}]}"#,
    )
    .expect("good");
    assert_eq!(good.appends[0].expected, Expected::NoStream);
    assert_eq!((good.event_count(), good.appends[1].events.len()), (1, 0));
    let cases = [
        (r#"{"appends":[]}"#, "appends"),
        (
            r#"{"appends":[{"stream":"a","expectedVersion":0,"events":[]},{"stream":"a","expectedVersion":1,"events":[]}]}"#,
            "appends[1].stream",
        ),
        (r#"{"appends":[{"stream":"$config","expectedVersion":0,"events":[]}]}"#, "appends[0].stream"),
        (
            r#"{"appends":[{"stream":"a","expectedVersion":0,"events":[{"type":"t","metadata":1}]}]}"#,
            "appends[0].events[0].metadata",
        ),
    ];
    for (body, path) in cases {
        let error = commits(body).expect_err(body);
        assert_eq!((error.code, error.path.as_str()), (Code::InvalidRequest, path), "{body}: {error}");
    }
}

#[test]
fn ids_are_given_for_all_events_or_none() {
    let with = |first: &str, second: &str| {
        format!(r#"{{"expectedVersion":"any","events":[{{"type":"t"{first}}},{{"type":"t"{second}}}]}}"#)
    };
    let id = format!(r#","id":"{ID}""#);
    let mixed = with(&id, "");
    assert_eq!(append(&mixed).expect_err("mixed").code, Code::InvalidRequest);
    assert_eq!(append(with(&id, &id)).expect_err("twice").code, Code::InvalidRequest);
    let none = append(with("", "")).expect("ids are made");
    assert_ne!(none.appends[0].events[0].id, none.appends[0].events[1].id);

    let key = IdempotencyKey::parse(b"k1").expect("a key");
    let keyed =
        |scope| append_keyed(mixed.as_bytes(), Some(Keyed { scope, key: &key })).expect("a key fills in");
    let (first, retry, other) = (keyed("me"), keyed("me"), keyed("you"));
    assert_eq!(first, retry);
    assert_eq!(first.appends[0].events[0].id.to_string(), ID);
    assert_ne!(first.appends[0].events[1].id, other.appends[0].events[1].id);
    assert_ne!(first.id, other.id);
}

#[test]
fn the_fingerprint_tells_other_content_under_the_same_ids() {
    let fingerprint =
        |members: &str| append(event(&format!(r#","id":"{ID}"{members}"#))).expect("good").fingerprint;
    let plain = fingerprint("");
    assert_eq!(plain, fingerprint(r#","data":null"#));
    for members in
        [r#","data":1"#, r#","metadata":{}"#, r#","correlationId":"c""#, r#","time":"2026-11-21T10:00:00Z""#]
    {
        assert_ne!(plain, fingerprint(members), "{members}");
    }
}

#[test]
fn what_a_client_builds_is_what_a_server_reads() {
    let body = r#"{"expectedVersion":"exists","events":[{"type":"t","data":{"a": -0}},{"type":"u","dataBase64":"AA==","contentType":"a/b"}]}"#;
    let read = AppendBody::parse(body.as_bytes()).expect("good");
    assert_eq!(serde_json::to_string(&read).expect("serialises"), body);
}

#[test]
fn no_body_becomes_more_events_than_a_commit_may_have() {
    let events = |count: usize| vec![r#"{"type":"T"}"#; count].join(",");
    let one = |count| AppendBody::parse(format!(r#"{{"events":[{}]}}"#, events(count)).as_bytes());
    assert_eq!(one(10_000).expect("as many as any store may allow").events.len(), 10_000);
    let error = one(10_001).expect_err("one more");
    assert!(error.message.contains("10000 events"), "{error}");

    let part = |name: &str, count| format!(r#"{{"stream":"{name}","events":[{}]}}"#, events(count));
    let two =
        |a, b| CommitsBody::parse(format!(r#"{{"appends":[{},{}]}}"#, part("A", a), part("B", b)).as_bytes());
    assert!(two(9_000, 1_000).is_ok());
    let error = two(9_000, 1_001).expect_err("one more");
    assert!(error.message.contains("10000 events") && error.path.starts_with("appends"), "{error}");
    let checks = vec![part("A", 0); 10_001].join(",");
    assert!(CommitsBody::parse(format!(r#"{{"appends":[{checks}]}}"#).as_bytes()).is_err());
}
