//! A subscriber over gRPC sees every event once and in order, also over restarts, and is told when it ends.

use std::time::Duration;

use polylog_api::proto::polylog::v1::{self, subscribe_frame::Frame, subscribe_request::Start};
use tonic::{Code, Status, Streaming};

use super::{Setup, Sidecar};
use crate::support::{Client, remote::failed};

struct Reader(Streaming<v1::SubscribeFrame>);

impl Reader {
    async fn open(sidecar: &Sidecar, start: Option<Start>) -> Self {
        Self::with(sidecar, v1::SubscribeRequest { start, ..Default::default() }).await.expect("subscribed")
    }

    async fn with(sidecar: &Sidecar, request: v1::SubscribeRequest) -> Result<Self, Status> {
        sidecar.remote.events().subscribe(request).await.map(|answer| Self(answer.into_inner()))
    }

    async fn next(&mut self) -> Result<Option<Frame>, Status> {
        let next = tokio::time::timeout(Duration::from_secs(10), self.0.message()).await;
        Ok(next.expect("a frame in time")?.and_then(|frame| frame.frame))
    }

    /// The next event's data, past marks.
    async fn event(&mut self) -> String {
        loop {
            if let Frame::Event(event) = self.next().await.expect("open").expect("a frame") {
                return String::from_utf8_lossy(&event.data).into_owned();
            }
        }
    }

    /// The next mark, past events; says which.
    async fn mark(&mut self) -> (&'static str, v1::Mark) {
        loop {
            match self.next().await.expect("open").expect("a frame") {
                Frame::Event(_) => {}
                Frame::CaughtUp(mark) => return ("caught_up", mark),
                Frame::FellBehind(mark) => return ("fell_behind", mark),
                Frame::Checkpoint(mark) => return ("checkpoint", mark),
                Frame::Heartbeat(mark) => return ("heartbeat", mark),
            }
        }
    }
}

async fn append(sidecar: &Sidecar, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let kind = if number % 2 == 0 { "Even" } else { "Odd" };
        sidecar.remote.append_one("S-1", kind, &number.to_string()).await;
    }
}

#[tokio::test]
async fn events_come_as_they_are_appended_by_either_way() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..3).await;
    let mut reader = Reader::open(&sidecar, None).await;
    for expected in 0..3 {
        assert_eq!(reader.event().await, expected.to_string());
    }
    let (kind, mark) = reader.mark().await;
    assert_eq!((kind, mark.position), ("caught_up", mark.head));
    append(&sidecar, 3..4).await;
    assert_eq!(reader.event().await, "3");
    sidecar.client.append("S-1", "T", "4").await;
    assert_eq!(reader.event().await, "4");

    let mut later = Reader::open(&sidecar, Some(Start::Now(true))).await;
    let first = later.next().await.expect("open").expect("a frame");
    assert!(matches!(first, Frame::CaughtUp(_)), "nothing of before: {first:?}");
    append(&sidecar, 5..6).await;
    assert_eq!(later.event().await, "5");
}

#[tokio::test]
async fn a_subscriber_goes_on_where_it_was_after_a_restart() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..3).await;
    let mut reader = Reader::open(&sidecar, None).await;
    let (_, mark) = reader.mark().await;
    append(&sidecar, 3..5).await;
    let sidecar = sidecar.restart(Setup::default()).await;
    append(&sidecar, 5..6).await;
    let mut again = Reader::open(&sidecar, Some(Start::Token(mark.token))).await;
    for expected in 3..6 {
        assert_eq!(again.event().await, expected.to_string());
    }
    let mut after = Reader::open(&sidecar, Some(Start::After(mark.position - 1))).await;
    assert_eq!(after.event().await, "2");
    let epoch = prost_types::Timestamp { seconds: 0, nanos: 0 };
    assert_eq!(Reader::open(&sidecar, Some(Start::At(epoch))).await.event().await, "0");
}

#[tokio::test]
async fn marks_come_while_events_flow_and_while_nothing_matches() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..4).await;
    let odd = Some(v1::Filter { types: vec!["Odd".into()], ..Default::default() });
    let request = v1::SubscribeRequest { filter: odd, ..Default::default() };
    let mut reader = Reader::with(&sidecar, request.clone()).await.expect("subscribed");
    assert_eq!((reader.event().await, reader.event().await), ("1".into(), "3".into()));
    assert_eq!(reader.mark().await.0, "caught_up");
    // an event that is shown, and one that is not, both move the place to go on from
    append(&sidecar, 5..6).await;
    assert_eq!(reader.event().await, "5");
    let (kind, mut mark) = reader.mark().await;
    assert_eq!((kind, mark.position), ("checkpoint", sidecar.store().tail().position.get()));
    append(&sidecar, 6..7).await;
    let end = sidecar.store().tail().position.get();
    while mark.position < end {
        mark = reader.mark().await.1;
    }
    append(&sidecar, 7..8).await;
    let start = Some(Start::Token(mark.token));
    let mut again = Reader::with(&sidecar, v1::SubscribeRequest { start, ..request }).await.expect("goes on");
    assert_eq!(again.event().await, "7");
}

#[tokio::test]
async fn silence_is_broken_by_heartbeats() {
    let sidecar = Sidecar::start().await;
    let every = |millis: i32| {
        let heartbeat = Some(prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 });
        v1::SubscribeRequest { heartbeat, ..Default::default() }
    };
    let mut reader = Reader::with(&sidecar, every(100)).await.expect("subscribed");
    assert_eq!(reader.mark().await.0, "caught_up");
    let (kind, mark) = reader.mark().await;
    assert_eq!((kind, mark.head), ("heartbeat", sidecar.store().tail().position.get()));
    for bad in [every(99), every(-1)] {
        let refused = Reader::with(&sidecar, bad).await.map(drop);
        assert_eq!(failed(refused, Code::InvalidArgument, "invalid_request").facts["path"], "heartbeat");
    }
}

#[tokio::test]
async fn a_start_that_cannot_be_is_refused() {
    let sidecar = Sidecar::start().await;
    let foreign = Sidecar::start().await.remote.append_one("S-1", "T", "1").await.token;
    for (start, status, code) in [
        (Start::Beginning(false), Code::InvalidArgument, "invalid_request"),
        (Start::Now(false), Code::InvalidArgument, "invalid_request"),
        (Start::Token("x".into()), Code::InvalidArgument, "invalid_request"),
        (Start::Token(String::new()), Code::InvalidArgument, "invalid_request"),
        (Start::After(1 << 53), Code::InvalidArgument, "invalid_request"),
        (Start::After(7_000), Code::Unavailable, "not_caught_up"),
        (Start::Token(foreign), Code::FailedPrecondition, "wrong_store"),
    ] {
        let request = v1::SubscribeRequest { start: Some(start), ..Default::default() };
        failed(Reader::with(&sidecar, request).await.map(drop), status, code);
    }
}

#[tokio::test]
async fn a_stop_ends_subscriptions_with_a_word() {
    let sidecar = Sidecar::start().await;
    append(&sidecar, 0..2).await;
    let mut reader = Reader::open(&sidecar, None).await;
    assert_eq!(reader.mark().await.0, "caught_up");
    let ended = tokio::spawn(async move {
        loop {
            match reader.next().await {
                Ok(Some(_)) => {}
                other => return other,
            }
        }
    });
    let sidecar = sidecar.restart(Setup::default()).await;
    let ended =
        tokio::time::timeout(Duration::from_secs(5), ended).await.expect("in time").expect("no panic");
    let detail = failed(ended, Code::Unavailable, "draining");
    assert!(detail.retry && detail.retry_after.is_some());
    drop(sidecar);
}

#[tokio::test]
async fn a_subscriber_that_leaves_is_forgotten_and_a_slow_one_costs_nothing() {
    let sidecar = Sidecar::start().await;
    let admin = Client::new(sidecar.running.health_port());
    let slow = Reader::open(&sidecar, None).await;
    let large = format!("{:?}", "x".repeat(100_000));
    for _ in 0..60 {
        sidecar.remote.append_one("S-1", "T", &large).await;
    }
    let mut quick = Reader::open(&sidecar, None).await;
    for _ in 0..60 {
        assert_eq!(quick.event().await.len(), 100_002);
    }
    drop(quick);
    let subscribers = async |count: usize| {
        let line = format!("polylog_subscribers{{store=\"payments\"}} {count}\n");
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !admin.get("/metrics").await.text().contains(&line) {
            assert!(std::time::Instant::now() < deadline, "{line}");
        }
    };
    subscribers(1).await;
    let mut slow = slow;
    for _ in 0..60 {
        assert_eq!(slow.event().await.len(), 100_002);
    }
    drop(slow);
    subscribers(0).await;
}
