use super::*;

const ID: &str = "0198f2c0-0000-7000-8000-0000000000a1";

fn mapper(document: &Document, said: &[(&str, &str)], renumber: bool) -> Mapper {
    let said: Vec<_> = said.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let names: Vec<String> =
        Members::of_document(document).expect("an object").names().map(str::to_owned).collect();
    let mapping = Mapping::read(None, &said).expect("good").resolved(&names, false, renumber);
    Mapper::new(mapping.expect("resolved"), "test", renumber)
}

fn document(fields: &str) -> Document {
    let fields = RawValue::from_string(fields.to_owned()).expect(fields);
    Document { name: "d".into(), id: None, fields }
}

fn found(fields: &str, said: &[(&str, &str)]) -> Result<Found, String> {
    let document = document(fields);
    mapper(&document, said, false).event(&document)
}

/// A document with other fields than these defaults.
fn with(changes: &[(&str, &str)]) -> String {
    let id = format!("\"{ID}\"");
    let mut fields = vec![
        ("id", id.as_str()),
        ("stream", "\"Pay-1\""),
        ("version", "1"),
        ("type", "\"Paid\""),
        ("data", "{\"n\": 1.00}"),
        ("time", "\"2024-01-01T00:00:00Z\""),
    ];
    for change in changes {
        fields.retain(|(name, _)| *name != change.0);
        fields.push(*change);
    }
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn metadata_of(found: &Found) -> String {
    match parse(1, found.line.as_bytes()) {
        Ok(Parsed::Item(item)) => item.event.metadata.map_or("-".into(), |metadata| metadata.get().into()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_document_of_an_index_of_events_becomes_a_line() {
    let source = format!(
        r#"{{"eventId":"{ID}","aggregateId":"p1","aggregateType":"Payment","eventType":"PaymentProcessed",
                "eventData":{{"amount": 100.00,
                "big":9007199254740993}},"version":3,"timestamp":"2024-12-19T10:00:00+01:00",
                "correlationId":"c","causationId":null,"metadata":{{"userId":"u"}}}}"#
    );
    let document =
        Document { id: Some(RawValue::from_string(format!("\"{ID}\"")).expect("JSON")), ..document(&source) };
    let found = mapper(&document, &[], false).event(&document).expect("an event");
    let expected = format!(
        r#"{{"stream":"Payment-p1","category":"Payment","aggregateId":"p1","id":"{ID}","type":"PaymentProcessed","time":"2024-12-19T09:00:00Z","correlationId":"c","metadata":{{"userId":"u"}},"data":{{"amount": 100.00,                 "big":9007199254740993}}}}"#
    );
    assert_eq!(found.line, expected);
    assert_eq!((found.version, found.stream.as_str()), (Some(3), "Payment-p1"));
    assert!(with_version(&found.line, 3).ends_with(r#""version":3}"#));
}

#[test]
fn ids_that_are_none_become_some_and_are_kept() {
    let number = found(&with(&[("id", "17")]), &[]).expect("an event");
    assert_eq!(number.id.get_version_num(), 5);
    assert_eq!(metadata_of(&number), r#"{"$imported":{"id":17}}"#);
    assert_eq!(found(&with(&[("id", "17")]), &[]).expect("an event").id, number.id, "the same again");
    assert_ne!(found(&with(&[("id", "18")]), &[]).expect("an event").id, number.id);
    let object = r#"{"$oid":"507f1f77bcf86cd799439011"}"#;
    let object = found(&with(&[("id", object), ("metadata", "{\"a\":1}")]), &[]).expect("an event");
    assert_eq!(metadata_of(&object), r#"{"a":1,"$imported":{"id":{"$oid":"507f1f77bcf86cd799439011"}}}"#);
    let upper = format!("\"{}\"", ID.to_uppercase());
    let upper = found(&with(&[("id", &upper)]), &[]).expect("an event");
    assert_eq!((upper.id.to_string().as_str(), metadata_of(&upper).as_str()), (ID, "-"));
    let none = with(&[]).replace("\"id\"", "\"nothing\"");
    let none = found(&none, &[]).expect("an event");
    assert_eq!(none.id.get_version_num(), 5, "of stream and version");
}

#[test]
fn what_has_no_place_of_its_own_is_kept() {
    let more = [("tenant", "\"t1\""), ("nothing", "null"), ("number", "1e400")];
    let event = found(&with(&more), &[]).expect("an event");
    assert_eq!(metadata_of(&event), r#"{"$imported":{"tenant":"t1","number":1e400}}"#);
    let empty = found(&with(&[("metadata", "[ ]"), ("tenant", "1")]), &[]).expect("an event");
    assert_eq!(metadata_of(&empty), r#"{"$imported":{"tenant":1}}"#);
    let own = [("metadata", r#"{"$by":"x","a":1}"#), ("tenant", "2")];
    let own = found(&with(&own), &[]).expect("an event");
    assert_eq!(metadata_of(&own), r#"{"a":1,"$imported":{"$by":"x","$imported":{"tenant":2}}}"#);
    let renumbered = document(&with(&[]));
    let event = mapper(&renumbered, &[], true).event(&renumbered).expect("an event");
    assert_eq!(metadata_of(&event), r#"{"$imported":{"version":1}}"#);
}

#[test]
fn data_of_every_form() {
    let data = |value: &str, said: &[(&str, &str)]| {
        let line = found(&with(&[("data", value)]), said)?.line;
        let Ok(Parsed::Item(item)) = parse(1, line.as_bytes()) else { panic!("{line}") };
        let event = item.event.into_event(EventId::from_bytes([0; 16])).expect("good");
        Ok::<_, String>((String::from_utf8_lossy(&event.data).into_owned(), event.content_type.clone()))
    };
    let json = |text: &str| Ok((text.to_owned(), "application/json".to_owned()));
    assert_eq!(data("null", &[]), json("null"));
    assert_eq!(data("[1.0, -0]", &[]), json("[1.0, -0]"));
    assert_eq!(data(r#""text""#, &[]), json(r#""text""#));
    let quoted = r#""{\"a\": 1.0}""#;
    assert!(data(quoted, &[]).expect_err("either").contains("dataForm=parsed"));
    assert_eq!(data(quoted, &[("dataForm", "parsed")]), json(r#"{"a": 1.0}"#));
    assert_eq!(data(quoted, &[("dataForm", "value")]), json(quoted));
    assert!(data(r#""{""#, &[("dataForm", "parsed")]).is_err());
    let bytes = |text: &str, kind: &str| Ok((text.to_owned(), kind.to_owned()));
    assert_eq!(data(r#""\\x6869""#, &[("dataForm", "hex")]), bytes("hi", "application/octet-stream"));
    let png = [("dataForm", "base64"), ("contentType", "=image/png")];
    assert_eq!(data(r#""aGk=""#, &png), bytes("hi", "image/png"));
    let binary = r#"{"$binary":{"base64":"aGk=","subType":"00"}}"#;
    assert_eq!(data(binary, &png), bytes("hi", "image/png"));
    let json_bytes = [("dataForm", "base64"), ("contentType", "=application/json")];
    assert_eq!(data(r#""WzFd""#, &json_bytes), json("[1]"));
    assert!(data(r#""aGk=""#, &json_bytes).is_err(), "it is not JSON");
    assert_eq!(data(r#""<a/>""#, &[("contentType", "=text/xml")]), bytes("<a/>", "text/xml"));
}

#[test]
fn times_of_every_form() {
    let utc = TimeZone::UTC;
    let read = |text: &str, zone, unit| time(text, zone, unit).map(|time| time.to_string());
    let at = |text: &str| Ok(text.to_owned());
    assert_eq!(read("2024-01-01T01:00:00.123456+01:00", None, None), at("2024-01-01T00:00:00.123456Z"));
    assert!(read("2024-01-01T01:00:00", None, None).expect_err("no zone").contains("timeZone"));
    assert_eq!(read("2024-01-01 01:00:00.5", Some(&utc), None), at("2024-01-01T01:00:00.5Z"));
    assert_eq!(read("2024-01-01", Some(&utc), None), at("2024-01-01T00:00:00Z"));
    let paris = TimeZone::get("Europe/Paris").expect("a zone");
    assert_eq!(read("2024-07-01T12:00:00", Some(&paris), None), at("2024-07-01T10:00:00Z"));
    assert!(read("1704067200", None, None).expect_err("no unit").contains("timeUnit"));
    for (number, unit) in [
        ("1704067200", TimeUnit::Seconds),
        ("1704067200000", TimeUnit::Milliseconds),
        ("1704067200000000", TimeUnit::Microseconds),
    ] {
        assert_eq!(read(number, None, Some(unit)), at("2024-01-01T00:00:00Z"));
    }
    for bad in ["yesterday", "", "-", "9223372036854775807", "infinity"] {
        assert!(read(bad, Some(&utc), Some(TimeUnit::Seconds)).is_err(), "{bad}");
    }
    let date = r#"{"$date":{"$numberLong":"1704067200000"}}"#;
    let event = found(&with(&[("time", date)]), &[]).expect("an event");
    assert_eq!(event.time.to_string(), "2024-01-01T00:00:00Z");
}

#[test]
fn what_is_no_event_is_told() {
    let cases = [
        ("version", "\"x\"", "its version is no whole number: x"),
        ("version", "-1", "negative"),
        ("version", "null", "it has no version"),
        ("stream", "null", "it has no stream"),
        ("stream", "{\"a\":1}", "its stream is no text"),
        ("stream", "\"$mine\"", "begins with $"),
        ("stream", "\"a\\u0000b\"", "control character"),
        ("type", "null", "it has no type"),
        ("id", "null", "it has no id"),
        ("time", "null", "it has no time"),
        ("time", "\"soon\"", "its time is \"soon\""),
        ("metadata", "[1]", "its metadata is no JSON object"),
    ];
    for (field, value, words) in cases {
        let told = found(&with(&[(field, value)]), &[]).expect_err(field);
        assert!(told.contains(words), "{field} {value}: {told}");
    }
}

#[test]
fn streams_are_named_by_their_aggregates() {
    let aggregate = |kind: &str| {
        let fields = with(&[("aggregate_type", kind), ("aggregate_id", "17")]);
        fields.replace("\"stream\":\"Pay-1\",", "")
    };
    assert_eq!(found(&aggregate("\"Pay\""), &[]).expect("an event").stream, "Pay-17");
    assert!(found(&aggregate("null"), &[]).expect_err("no type").contains("aggregate_type"));
    let typed = found(&aggregate("null"), &[("aggregateType", "=Order")]).expect("an event");
    assert_eq!(typed.stream, "Order-17");
    let alone =
        aggregate("null").replace("\"aggregate_type\":null,", "").replace(",\"aggregate_type\":null", "");
    assert_eq!(found(&alone, &[]).expect("an event").stream, "17");
}
