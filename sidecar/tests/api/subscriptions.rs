//! A subscriber sees every event once and in order, also over lost connections, and is told when it ends.

use std::time::Duration;

use futures::StreamExt;
use http::Method;
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use serde_json::Value;

use super::Sidecar;

/// One frame of server-sent events.
#[derive(Debug, Clone, Default)]
struct Frame {
    id: Option<String>,
    event: String,
    data: String,
    comment: bool,
}

impl Frame {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }
}

/// A reader of frames, as a browser's would be.
struct Reader {
    body: BodyDataStream<Incoming>,
    text: String,
}

impl Reader {
    async fn open(sidecar: &Sidecar, path: &str, last_id: Option<&str>) -> Self {
        let headers: Vec<_> = last_id.iter().map(|id| ("last-event-id", *id)).collect();
        let request = sidecar.client.request(Method::GET, path, &headers, "");
        let answer = sidecar.client.open(request).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Self { body: BodyDataStream::new(answer.into_body()), text: String::new() }
    }

    /// The next frame; `None` once the connection is closed.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((raw, rest)) = self.text.split_once("\n\n") {
                let frame = parse(raw);
                self.text = rest.to_owned();
                if frame.event.is_empty() && !frame.comment {
                    continue;
                }
                return Some(frame);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.body.next());
            let chunk = chunk.await.expect("a frame in time")?;
            self.text.push_str(std::str::from_utf8(&chunk.ok()?).expect("UTF-8"));
        }
    }

    /// The next frame of this kind, past others.
    async fn next_of(&mut self, event: &str) -> Frame {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("closed before {event}"));
            if frame.event == event {
                return frame;
            }
        }
    }
}

fn parse(raw: &str) -> Frame {
    let mut frame = Frame::default();
    for line in raw.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => frame.id = Some(id.into()),
            Some(("event", event)) => frame.event = event.into(),
            Some(("data", data)) => frame.data.push_str(data),
            Some(("", _)) => frame.comment = true,
            _ => {}
        }
    }
    frame
}

async fn append(sidecar: &Sidecar, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let kind = if number % 2 == 0 { "Even" } else { "Odd" };
        sidecar.client.append("S-1", kind, &format!(r#"{{"n":{number}}}"#)).await;
    }
}

fn number(frame: &Frame) -> u64 {
    frame.json()["data"]["n"].as_u64().expect("a number")
}

#[tokio::test]
async fn events_come_as_they_are_appended() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..3).await;
    let mut reader = Reader::open(&sidecar, "/v1/subscribe?from=beginning", None).await;
    for expected in 0..3 {
        assert_eq!(number(&reader.next_of("event").await), expected);
    }
    let caught_up = reader.next().await.expect("a frame");
    assert_eq!(caught_up.event, "caught-up");
    assert_eq!(caught_up.json()["token"].as_str(), caught_up.id.as_deref());
    append(&sidecar, 3..4).await;
    assert_eq!(number(&reader.next_of("event").await), 3);

    let mut later = Reader::open(&sidecar, "/v1/subscribe?from=now", None).await;
    later.next_of("caught-up").await;
    append(&sidecar, 4..5).await;
    assert_eq!(number(&later.next_of("event").await), 4);
}

#[tokio::test]
async fn a_reader_goes_on_after_its_last_id() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..5).await;
    let mut reader = Reader::open(&sidecar, "/v1/subscribe", None).await;
    let mut last = None;
    for expected in 0..3 {
        let frame = reader.next_of("event").await;
        assert_eq!(number(&frame), expected);
        last = frame.id;
    }
    drop(reader);
    // the id wins over what the address says
    let mut again = Reader::open(&sidecar, "/v1/subscribe?from=beginning", last.as_deref()).await;
    assert_eq!(number(&again.next_of("event").await), 3);
    let token = last.expect("an id");
    let mut by_query = Reader::open(&sidecar, &format!("/v1/subscribe?token={token}"), None).await;
    assert_eq!(number(&by_query.next_of("event").await), 3);
    let position = by_query.next_of("event").await.json()["position"].as_u64().expect("a position");
    let mut after = Reader::open(&sidecar, &format!("/v1/subscribe?after={}", position - 1), None).await;
    assert_eq!(number(&after.next_of("event").await), 4);
}

#[tokio::test]
async fn filtered_events_move_the_id_on() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..6).await;
    let mut reader =
        Reader::open(&sidecar, "/v1/subscribe?types=Odd&filter=event.data.n%20%3C%204", None).await;
    assert_eq!(number(&reader.next_of("event").await), 1);
    assert_eq!(number(&reader.next_of("event").await), 3);
    let end = reader.next().await.expect("a frame");
    assert_eq!((end.event.as_str(), &end.json()["position"]), ("caught-up", &end.json()["head"]));
    append(&sidecar, 6..7).await;
    let checkpoint = reader.next_of("checkpoint").await;
    let mut again = Reader::open(&sidecar, "/v1/subscribe", checkpoint.id.as_deref()).await;
    assert_eq!(again.next().await.expect("a frame").event, "caught-up");
}

#[tokio::test]
async fn an_end_ends_for_good() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..4).await;
    let page = sidecar.client.get("/v1/events").await.json();
    let second = &page["events"][1];
    for until in
        [second["position"].to_string(), page["events"][2]["recordedAt"].as_str().expect("a time").to_owned()]
    {
        let path = format!("/v1/subscribe?until={until}");
        let mut reader = Reader::open(&sidecar, &path, None).await;
        let mut seen = Vec::new();
        let end = loop {
            let frame = reader.next().await.expect("a frame");
            match frame.event.as_str() {
                "event" => seen.push(number(&frame)),
                "end" => break frame,
                _ => {}
            }
        };
        assert_eq!(seen, [0, 1], "{until}");
        assert!(reader.next().await.is_none());
        let last = [("last-event-id", end.id.as_deref().expect("an id"))];
        let again = sidecar.client.send(Method::GET, &path, &last, "").await;
        assert_eq!(again.status, 204, "{until} {}", again.text());
    }
}

/// The end's id must not pass over events that nobody was shown: a reader may go on from it, without an end.
#[tokio::test]
async fn an_end_before_its_beginning_passes_over_nothing() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..4).await;
    let page = sidecar.client.get("/v1/events").await.json();
    let first = page["events"][0]["position"].as_u64().expect("a position");
    for path in [format!("/v1/subscribe?after={first}&until=1"), "/v1/subscribe?until=0".to_owned()] {
        let mut reader = Reader::open(&sidecar, &path, None).await;
        let end = reader.next_of("end").await;
        assert!(end.json()["position"].as_u64() <= Some(first), "{path}: {}", end.data);
        let mut on = Reader::open(&sidecar, "/v1/subscribe", end.id.as_deref()).await;
        let next = if path.contains("after") { 1 } else { 0 };
        assert_eq!(number(&on.next_of("event").await), next, "{path}");
    }
}

#[tokio::test]
async fn a_past_end_at_the_logs_end_is_over_on_reconnect() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..2).await;
    let until = timestamp(Duration::ZERO);
    let path = format!("/v1/subscribe?until={until}");
    let mut reader = Reader::open(&sidecar, &path, None).await;
    let end = reader.next_of("end").await;
    let last = [("last-event-id", end.id.as_deref().expect("an id"))];
    let again = sidecar.client.send(Method::GET, &path, &last, "");
    let again = tokio::time::timeout(Duration::from_secs(5), again).await.expect("in time");
    assert_eq!(again.status, 204, "{}", again.text());
}

#[tokio::test]
async fn nothing_recorded_before_since_is_shown() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..2).await;
    let since = timestamp(Duration::from_secs(3));
    let mut reader = Reader::open(&sidecar, &format!("/v1/subscribe?since={since}"), None).await;
    reader.next_of("caught-up").await;
    append(&sidecar, 2..3).await;
    // events go on being appended until the time has come
    let shown = async { reader.next_of("event").await };
    let appended = async {
        for number in 3.. {
            append(&sidecar, number..number + 1).await;
        }
    };
    let shown = tokio::select! { shown = shown => shown, () = appended => unreachable!() };
    let recorded = shown.json()["recordedAt"].as_str().expect("a time").to_owned();
    let recorded = polylog_log::Timestamp::parse(&recorded).expect("a time");
    assert!(recorded >= polylog_log::Timestamp::parse(&since).expect("a time"), "{recorded:?} {since}");
}

/// This long from now.
fn timestamp(from_now: Duration) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let micros = i64::try_from((now + from_now).as_micros()).expect("fits");
    polylog_log::Timestamp::from_micros(micros).to_string()
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused() {
    let sidecar = Sidecar::start().await;
    for query in ["from=end", "after=x", "from=now&after=3", "until=soon", "limit=3", "token=x", "since=1"] {
        let answer = sidecar.client.get(&format!("/v1/subscribe?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        answer.problem("invalid_request");
    }
    sidecar.client.get("/v1/subscribe?filter=(").await.problem("invalid_filter");
    sidecar.client.get_as("/v1/subscribe", "application/json").await.problem("not_acceptable");
    let bad_id = [("last-event-id", "nonsense")];
    sidecar.client.send(Method::GET, "/v1/subscribe", &bad_id, "").await.problem("invalid_request");
}

#[tokio::test]
async fn a_stalled_reader_holds_nobody_up() {
    let sidecar = Sidecar::start().await;
    let stalled = Reader::open(&sidecar, "/v1/subscribe", None).await;
    let large = format!("\"{}\"", "x".repeat(100_000));
    for _ in 0..40 {
        sidecar.client.append("Big-1", "T", &large).await;
    }
    let mut reader = Reader::open(&sidecar, "/v1/subscribe", None).await;
    for _ in 0..40 {
        reader.next_of("event").await;
    }
    let mut stalled = stalled;
    for _ in 0..40 {
        stalled.next_of("event").await;
    }
}

#[tokio::test]
async fn a_reader_that_fell_behind_is_told_and_misses_nothing() {
    const MANY: u64 = 100;
    let sidecar = Sidecar::start().await;
    let mut reader = Reader::open(&sidecar, "/v1/subscribe?from=now", None).await;
    reader.next_of("caught-up").await;
    // more than memory and the connection's buffers hold together
    let large = format!("\"{}\"", "x".repeat(240_000));
    for _ in 0..MANY {
        sidecar.client.append("Big-1", "T", &large).await;
    }
    let mut versions = Vec::new();
    let behind = loop {
        let frame = reader.next().await.expect("a frame");
        match frame.event.as_str() {
            "event" => versions.push(frame.json()["version"].as_u64().expect("a version")),
            "fell-behind" => break frame,
            other => panic!("{other} before fell-behind"),
        }
    };
    assert_eq!(behind.json()["token"].as_str(), behind.id.as_deref());
    assert!(behind.json()["position"].as_u64() < behind.json()["head"].as_u64(), "{}", behind.data);
    let caught_up = loop {
        let frame = reader.next().await.expect("a frame");
        match frame.event.as_str() {
            "event" => versions.push(frame.json()["version"].as_u64().expect("a version")),
            "caught-up" => break frame,
            other => assert_eq!(other, "checkpoint", "told once"),
        }
    };
    assert_eq!(caught_up.json()["position"], caught_up.json()["head"]);
    assert_eq!(versions, (1..=MANY).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stop_ends_subscriptions_with_a_word() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..1).await;
    let mut reader = Reader::open(&sidecar, "/v1/subscribe", None).await;
    reader.next_of("caught-up").await;
    let Sidecar { running, .. } = sidecar;
    let stopping = tokio::spawn(running.stop(Duration::from_secs(8)));
    let frame = reader.next_of("error").await;
    assert_eq!(frame.json()["code"], "draining");
    assert!(reader.next().await.is_none());
    tokio::time::timeout(Duration::from_secs(5), stopping).await.expect("in time").expect("no panic");
}
