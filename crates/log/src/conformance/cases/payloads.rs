use bytes::Bytes;

use crate::{
    Commit, Event, Expected, NewEvent, StreamAppend, Timestamp,
    conformance::{
        Kit,
        events::{stream, with_data},
        subject::{Checked, Subject},
        violation::{ensure, ensure_eq},
    },
};

/// JSON that a parser, a database's JSON type or a text type would change.
fn json() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"b": 1, "a": 2,   "c":3}"#,
        r#"{"a": 1, "a": 2}"#,
        "1e400",
        "[9007199254740993, 0.1000000000000000055511151231257827, 1E+2, 1.0, 100e-2]",
        "-0",
        "[-0.0, 0, 123456789012345678901234567890]",
        r#""\u0000""#,
        r#"{"\u0000": "a\u0000b"}"#,
        r#"["\ud800", "\udfff", "\udc00\ud800", "\ud83d\ude00"]"#,
        r#""\/ \u002f \b \u00e9 é é 😀""#,
        " \t\r\n[ ] \n",
        "null",
        "\"\"",
        r#"'; DROP TABLE events; -- \' " ` $1 ? :x %s \\"#,
    ];
    let mut all: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.push([vec![b'['; 5_000], vec![b']'; 5_000]].concat());
    all
}

/// Whatever bytes come with another content type.
fn binary() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        vec![0],
        vec![0; 64],
        b"a\0b\0".to_vec(),
        vec![0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80],
        (0..=255).collect(),
        b"line\r\nline\n\n".to_vec(),
        "é".as_bytes().to_vec(),
    ]
}

pub(super) async fn data_is_kept_byte_for_byte(kit: Kit) -> Checked {
    let json = json().into_iter().map(|data| (data, "application/json"));
    let binary = binary().into_iter().map(|data| (data, "application/octet-stream"));
    let texts = binary.clone().filter(|(data, _)| std::str::from_utf8(data).is_ok());
    let texts = texts.map(|(data, _)| (data, "text/plain; charset=utf-8"));
    let events = json.chain(binary).chain(texts).map(|(data, content_type)| {
        let content_type = content_type.into();
        NewEvent { content_type, ..with_data(kit.event(), data) }
    });
    survive(&kit, events.collect()).await
}

pub(super) async fn large_data_is_kept(kit: Kit) -> Checked {
    let subject = Subject::fresh(&kit).await?;
    let most = (1_usize << 20).min(subject.limits().event_bytes as usize).min(subject.limits().commit_bytes as usize);
    let room = most.saturating_sub(1_000);
    let noise: Vec<u8> = (0..room as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let text = format!("\"{}\"", "é".repeat(room / 2 - 1));
    let binary = NewEvent { content_type: "image/png".into(), ..with_data(kit.event(), noise) };
    survive(&kit, vec![with_data(kit.event(), text), binary]).await
}

pub(super) async fn optional_fields_are_absent_or_kept(kit: Kit) -> Checked {
    let metadata = [None, Some("{}"), Some(r#"{"b":1, "a":2, "a":3}"#), Some(r#"{"z":1e400,"\u0000":"\ud800"}"#)];
    let texts = [None, Some(""), Some("c-1"), Some("É é \\ ' \" 😀"), Some("x ")];
    let mut events = Vec::new();
    for (index, text) in texts.iter().cycle().take(20).enumerate() {
        events.push(NewEvent {
            metadata: metadata[index % 4].map(Bytes::from),
            correlation_id: text.map(String::from),
            causation_id: texts[(index / 2) % 5].map(String::from),
            ..kit.event()
        });
    }
    survive(&kit, events).await
}

pub(super) async fn times_are_kept_to_the_microsecond(kit: Kit) -> Checked {
    let times = [
        None,
        Some(0),
        Some(-1),
        Some(1),
        Some(-62_135_596_800_000_000),
        Some(-1_234_567_890_123_457),
        Some(1_763_719_200_123_456),
        Some(253_402_300_799_999_999),
        Some(999_999),
    ];
    let event = |time: Option<i64>| NewEvent { time: time.map(Timestamp::from_micros), ..kit.event() };
    survive(&kit, times.map(event).into()).await
}

/// Appends events, reads them after a crash, copies them, and compares all with what was sent.
async fn survive(kit: &Kit, events: Vec<NewEvent>) -> Checked {
    let mut subject = Subject::primary(kit).await?;
    let replica = Subject::of(kit, subject.log(), "b").await?;
    let part = |events: &[NewEvent]| StreamAppend::new(stream("s"), Expected::Any, events.to_vec());
    let batch = events.chunks(3).map(|events| Commit::new(subject.log(), vec![part(events)]));
    let head = subject.append(batch.collect()).await?.head;
    ensure_eq!(head.tail.position.get(), 2 + events.len() as u64, "the tail: nothing may be refused");
    subject.crash().await?;
    replica.follow(&subject, 1).await?;
    for source in [&subject, &replica] {
        let entries = source.audit().await?;
        let recorded = entries.iter().flat_map(|entry| &entry.events).skip(2);
        for (sent, recorded) in events.iter().zip(recorded) {
            same(sent, recorded)?;
        }
    }
    Ok(())
}

fn same(sent: &NewEvent, recorded: &Event) -> Checked {
    let data = recorded.data.as_ref();
    let shown = String::from_utf8_lossy(&sent.data).chars().take(60).collect::<String>();
    ensure!(data == Some(&sent.data), "data changed: {shown:?} became {data:?}");
    ensure_eq!(recorded.data_digest, sent.data_digest, "the digest of {shown:?}");
    ensure_eq!(recorded.content_type, sent.content_type, "the content type of {shown:?}");
    ensure_eq!(recorded.metadata, sent.metadata, "metadata");
    ensure_eq!(recorded.correlation_id, sent.correlation_id, "the correlation id");
    ensure_eq!(recorded.causation_id, sent.causation_id, "the causation id");
    ensure_eq!(recorded.time, sent.time.unwrap_or(recorded.recorded_at), "the time");
    ensure_eq!((recorded.id, &recorded.event_type), (sent.id, &sent.event_type), "id and type");
    Ok(())
}
