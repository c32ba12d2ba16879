use polylog_log::{Chain, EventId, StreamName, Term};
use uuid::Uuid;

use super::*;
use crate::{Framing, NewEventBody, testing::recorded};

const FULL: &str = r#"{"specversion":"1.0","id":"A-1","source":"/shop","type":"order.paid","subject":"Order-1",
    "time":"2026-11-21T10:00:00Z","dataschema":"https://x/y","correlationid":"c","causationid":"d",
    "traceparent":"00-1","plposition":"7","sampled":true,"rate":5,"data":{"a": 1e400}}"#;

fn metadata(event: &NewEventBody) -> &str {
    event.metadata.as_ref().expect("there is metadata").get()
}

#[test]
fn structured_events_keep_everything_they_say() {
    let CloudEvent { subject, event } = CloudEvent::from_structured(FULL.as_bytes()).expect("a good event");
    assert_eq!(subject.as_deref(), Some("Order-1"));
    assert_eq!(event.event_type.as_str(), "order.paid");
    assert_eq!(event.data.as_ref().expect("data").get(), r#"{"a": 1e400}"#);
    assert_eq!(event.time.expect("a time").to_string(), "2026-11-21T10:00:00Z");
    assert_eq!((event.correlation_id.as_deref(), event.causation_id.as_deref()), (Some("c"), Some("d")));
    assert_eq!(
        metadata(&event),
        r#"{"dataschema":"https://x/y","traceparent":"00-1","sampled":true,"rate":5,"ceid":"A-1","cesource":"/shop"}"#
    );
    let again = CloudEvent::from_structured(FULL.as_bytes()).expect("a good event");
    assert_eq!(event.id, again.event.id, "a retry has the same id");
    let other = FULL.replace("/shop", "/depot");
    let other = CloudEvent::from_structured(other.as_bytes()).expect("a good event");
    assert_ne!(event.id, other.event.id, "ids are unique only within their source");
}

#[test]
fn a_uuid_stays_the_id() {
    let id = Uuid::from_u128(7);
    let json = format!(r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"t"}}"#);
    let event = CloudEvent::from_structured(json.as_bytes()).expect("a good event").event;
    assert_eq!(event.id, Some(EventId::new(id)));
    assert_eq!(metadata(&event), r#"{"cesource":"s"}"#);
    assert!(event.data.is_none());
}

#[test]
fn an_attribute_that_is_null_is_not_there() {
    let json = r#"{"specversion":"1.0","id":"a","source":"s","type":"t","subject":null,"time":null,"datacontenttype":null,
        "data_base64":null,"correlationid":null,"other":null,"data":null}"#;
    let CloudEvent { subject, event } = CloudEvent::from_structured(json.as_bytes()).expect("a good event");
    assert_eq!((subject, event.time, event.correlation_id.as_deref()), (None, None, None));
    assert_eq!(event.data.as_ref().expect("null as data is data").get(), "null");
    assert_eq!(metadata(&event), r#"{"ceid":"a","cesource":"s"}"#);
    let without_id = r#"{"specversion":"1.0","id":null,"source":"s","type":"t"}"#;
    assert!(CloudEvent::from_structured(without_id.as_bytes()).is_err());
}

#[test]
fn data_in_every_form() {
    let data = |members: &str| {
        let json = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{members}}}"#);
        let event = CloudEvent::from_structured(json.as_bytes())?.event;
        let id = event.id.expect("always set");
        event.into_event(id).map(|event| (event.content_type, event.data.to_vec()))
    };
    let json = "application/json".to_owned();
    assert_eq!(data(r#""data":null"#), Ok((json.clone(), b"null".to_vec())));
    assert_eq!(data(r#""data_base64":"W10=""#), Ok((json, b"[]".to_vec())));
    assert_eq!(
        data(r#""datacontenttype":"text/plain","data":"a\nb""#),
        Ok(("text/plain".into(), b"a\nb".to_vec()))
    );
    assert_eq!(
        data(r#""datacontenttype":"image/png","data_base64":"/w==""#),
        Ok(("image/png".into(), vec![0xff]))
    );
    for bad in [
        r#""data":1,"data_base64":"W10=""#,
        r#""datacontenttype":"text/plain","data":{}"#,
        r#""data_base64":"e3s=""#,
        r#""data_base64":7"#,
        r#""datacontenttype":1,"data":{}"#,
    ] {
        assert!(data(bad).is_err(), "{bad}");
    }
}

#[test]
fn bad_events_are_refused_by_name() {
    let cases = [
        (r#"{"id":"1","source":"s","type":"t"}"#, "specversion"),
        (r#"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#, "specversion"),
        (r#"{"specversion":"1.0","id":"","source":"s","type":"t"}"#, "id"),
        (r#"{"specversion":"1.0","id":1,"source":"s","type":"t"}"#, "id"),
        (r#"{"specversion":"1.0","id":"1","type":"t"}"#, "source"),
        (r#"{"specversion":"1.0","id":"1","source":"s"}"#, "type"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"$t"}"#, "type"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","time":"now"}"#, "time"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","$by":"x"}"#, "$by"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","ext":{}}"#, "ext"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","type":"u"}"#, ""),
        (r#"{"specversion":"1.0""#, ""),
        ("[]", ""),
    ];
    for (json, path) in cases {
        let error = CloudEvent::from_structured(json.as_bytes()).expect_err(json);
        assert_eq!(error.path, path, "{json}: {error}");
    }
    let batch = format!("[{FULL},{{}}]");
    assert_eq!(CloudEvent::from_batch(batch.as_bytes()).expect_err("the second").path, "[1].specversion");
    assert_eq!(CloudEvent::from_batch(format!("[{FULL}]").as_bytes()).expect("one").len(), 1);
}

#[test]
fn binary_mode_takes_attributes_from_headers() {
    let headers = [
        ("host", "x"),
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/caf%C3%A9"),
        ("ce-type", "t"),
        ("ce-subject", "a%20b"),
    ];
    let read = |content_type, body: &[u8]| CloudEvent::from_binary(headers, content_type, body);
    let CloudEvent { subject, event } = read(Some("application/json"), b" {\"a\":-0} ").expect("good");
    assert_eq!(subject.as_deref(), Some("a b"));
    assert_eq!(event.data.expect("data").get(), "{\"a\":-0}");
    assert!(event.metadata.expect("metadata").get().contains("\"/café\""));
    let event = read(Some("image/png"), &[0xff]).expect("good").event;
    assert_eq!(event.data_base64.as_deref(), Some("/w=="));
    assert!(read(None, b"").expect("no data").event.data.is_none());
    for (content_type, body) in
        [(Some("application/json"), &b""[..]), (None, b"x"), (Some("a/b+json"), b"\"\xff\"")]
    {
        assert!(read(content_type, body).is_err(), "{content_type:?}");
    }
    let data = headers.into_iter().chain([("ce-data", "x")]);
    assert!(CloudEvent::from_binary(data, None, b"").is_err());
}

#[test]
fn what_goes_out_comes_back_the_same() {
    let mut event = recorded(br#"{"b":1,"a":-0}"#);
    event.event.stream = StreamName::parse("Päyment 100%-\"1\"").expect("a good name");
    event.event.metadata = Some(br#"{"$traceparent":"00-ab","dataschema":"https://x"}"#.to_vec().into());
    event.event.correlation_id = Some("c é".into());
    (event.term, event.chain) = (Term::FIRST, Chain::from_bytes([0; 16]));
    let mut json = Vec::new();
    write_structured(&mut json, &event, "/polylog/shop/payments", Framing::Document);
    let binary = to_binary(&event, "/polylog/shop/payments");
    let headers = binary.headers.iter().map(|(name, value)| (*name, value.as_str()));
    assert!(binary.headers.iter().all(|(_, value)| value.bytes().all(|byte| byte.is_ascii_graphic())));
    let back = [
        CloudEvent::from_structured(&json).expect("structured"),
        CloudEvent::from_binary(headers, Some(&binary.content_type), &binary.body).expect("binary"),
    ];
    for CloudEvent { subject, event: body } in back {
        assert_eq!(subject.as_deref(), Some(event.event.stream.as_str()));
        assert_eq!(
            metadata(&body),
            r#"{"dataschema":"https://x","traceparent":"00-ab","cesource":"/polylog/shop/payments"}"#
        );
        let id = body.id.expect("an id");
        let new = body.into_event(id).expect("a good event");
        assert_eq!((new.id, &new.event_type), (event.event.id, &event.event.event_type));
        assert_eq!(Some(&new.data), event.event.data.as_ref());
        assert_eq!(
            (new.time, new.correlation_id),
            (Some(event.event.time), event.event.correlation_id.clone())
        );
    }
}
