use polylog_api::{Code, Problem};
use polylog_client::{ClientError, Lines, ReadOptions};
use polylog_log::{Position, StreamName, Version};

use crate::server::{Ending, Reply, Server};

pub(crate) fn event(position: u64) -> String {
    format!(
        r#"{{"position":{position},"lane":0,"term":1,"stream":"s","category":"s","aggregateId":"s","version":{},"id":"00000000-0000-0000-0000-000000000007","type":"t","data":{{"a": -0}},"contentType":"application/json","time":"2026-11-21T10:00:00Z","recordedAt":"2026-11-21T10:00:00Z","digest":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","dataState":"PRESENT"}}"#,
        position * 10
    )
}

fn lines(pieces: &[&str], ending: Ending) -> Reply {
    Reply::Pieces("application/x-ndjson", pieces.iter().map(ToString::to_string).collect(), ending)
}

async fn collect(mut lines: Lines) -> (Vec<u64>, Option<ClientError>) {
    let mut positions = Vec::new();
    while let Some(next) = lines.next().await {
        match next {
            Ok(line) => positions.push(line.read().expect("an event").position.get()),
            Err(error) => return (positions, Some(error)),
        }
    }
    (positions, None)
}

#[tokio::test]
async fn a_read_goes_on_where_it_was_cut_off() {
    let [one, two, three] = [1, 2, 3].map(|position| event(position) + "\n");
    let server = Server::start(vec![
        lines(&[&one, &two[..40]], Ending::Cut),
        Reply::Lost,
        lines(&[&two, &three[..100]], Ending::Proper),
        lines(&[&three], Ending::Proper),
    ])
    .await;
    let options = ReadOptions { limit: Some(7), ..ReadOptions::default() };
    assert!(
        matches!(collect(server.client.log_lines(options)).await, (positions, None) if positions == [1, 2, 3])
    );
    let paths: Vec<_> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        paths,
        [
            "/v1/events?limit=7",
            "/v1/events?from=2&limit=6",
            "/v1/events?from=2&limit=6",
            "/v1/events?from=3&limit=5",
        ]
    );
    assert_eq!(server.seen()[0].headers["accept"], "application/x-ndjson");
}

#[tokio::test]
async fn streams_go_on_by_version_and_backward() {
    let line = event(2) + "\n";
    let replies = vec![lines(&[&line], Ending::Cut), lines(&[], Ending::Proper)];
    let server = Server::start(replies).await;
    let options = ReadOptions { backward: true, ..ReadOptions::default() };
    let stream = StreamName::parse("s").expect("a good name");
    assert!(
        matches!(collect(server.client.stream_lines(&stream, options)).await, (positions, None) if positions == [2])
    );
    assert_eq!(server.seen()[1].path, "/v1/streams/s?from=19&direction=backward");

    let server = Server::start(vec![lines(&[&(event(1) + "\n")], Ending::Cut)]).await;
    let options = ReadOptions { backward: true, ..ReadOptions::default() };
    assert!(matches!(collect(server.client.log_lines(options)).await, (positions, None) if positions == [1]));
    assert_eq!(server.seen().len(), 1, "there is nothing before the first event");
}

#[tokio::test]
async fn a_problem_within_an_answer_ends_it() {
    let line = event(1) + "\n";
    let problem = |code| serde_json::to_string(&Problem::new(code, "x")).expect("serialises") + "\n";
    let server = Server::start(vec![lines(&[&line, &problem(Code::HistoryForked)], Ending::Proper)]).await;
    let (positions, error) = collect(server.client.log_lines(ReadOptions::default())).await;
    assert_eq!(positions, [1]);
    assert!(matches!(error, Some(ClientError::Refused(problem)) if problem.code == Code::HistoryForked));

    let replies = vec![
        lines(&[&line, &problem(Code::Draining)], Ending::Proper),
        lines(&[&(event(2) + "\n")], Ending::Proper),
    ];
    let server = Server::start(replies).await;
    assert!(
        matches!(collect(server.client.log_lines(ReadOptions::default())).await, (positions, None) if positions == [1, 2])
    );
}

#[tokio::test]
async fn a_read_that_gets_nowhere_ends() {
    let server = Server::start((0..20).map(|_| lines(&["{\"pos"], Ending::Cut)).collect()).await;
    let (positions, error) = collect(server.client.log_lines(ReadOptions::default())).await;
    assert!(positions.is_empty() && matches!(error, Some(ClientError::Cut(_))));
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn pages_and_events_are_read_again_after_a_cut() {
    let page = format!(
        r#"{{"events":[{}],"nextFrom":5,"atEnd":true,"served":{{"source":"ledger","position":9,"lag":0}}}}"#,
        event(4)
    );
    let busy = || Reply::Problem(Problem::new(Code::SourceUnavailable, "x"), None);
    let server =
        Server::start(vec![Reply::Lost, busy(), Reply::Json(200, page.clone()), Reply::Json(200, page)])
            .await;
    let options = ReadOptions { from: Some(Position::new(4)), ..ReadOptions::default() };
    let page = server.client.read_log(&options).await.expect("at last");
    assert_eq!((page.events.len(), page.next_from, page.at_end), (1, Position::new(5), true));
    assert_eq!(page.events[0].data.as_ref().expect("data").get(), r#"{"a": -0}"#);
    let stream = StreamName::parse("s").expect("a good name");
    let page = server.client.read_stream(&stream, &ReadOptions::default()).await.expect("a page");
    assert_eq!(page.next_from, Version::new(5));
    let missing = server.client.read_stream(&stream, &ReadOptions::default()).await;
    assert!(matches!(missing, Err(ClientError::Refused(_))));
}
