use std::time::Duration;

use polylog_api::{Code, Frame, Mark, Problem, Token, write_frame, write_heartbeat, write_retry};
use polylog_client::{ClientError, Filter, Received, Start, SubscribeOptions, Subscription};
use polylog_log::{Chain, LogId, Position, Term};

use crate::{
    read::event,
    server::{Ending, Reply, Server},
};

fn token(position: u64) -> Token {
    Token::new(LogId::from_bytes([1; 16]), Position::new(position), Term::FIRST, Chain::from_bytes([2; 16]))
}

/// Frames of these events, as the server writes them.
fn events(positions: &[u64]) -> Vec<String> {
    let mut out = Vec::new();
    write_retry(&mut out, Duration::from_millis(10));
    for position in positions {
        write_heartbeat(&mut out);
        write_frame(&mut out, Frame::Event, Some(token(*position)), event(*position).as_bytes());
    }
    vec![String::from_utf8(out).expect("UTF-8")]
}

fn frame(frame: Frame, position: u64, data: &str) -> String {
    let mut out = Vec::new();
    write_frame(&mut out, frame, Some(token(position)), data.as_bytes());
    String::from_utf8(out).expect("UTF-8")
}

fn mark(position: u64) -> String {
    let mark = Mark { position: Position::new(position), head: Position::new(9), token: token(position) };
    serde_json::to_string(&mark).expect("serialises")
}

fn answer(pieces: Vec<String>, ending: Ending) -> Reply {
    Reply::Pieces("text/event-stream", pieces, ending)
}

async fn subscribe(server: &Server) -> Result<Subscription, ClientError> {
    let filter = Filter { types: vec!["t".into()], ..Filter::default() };
    let options =
        SubscribeOptions { start: Start::Beginning, filter, give_up_after: Some(Duration::from_secs(2)) };
    server.client.subscribe(options).await
}

/// Positions received until the end or an error.
async fn collect(mut subscription: Subscription) -> (Vec<u64>, Option<ClientError>) {
    let mut positions = Vec::new();
    while let Some(next) = subscription.next().await {
        match next {
            Ok(Received::Event(line, id)) => {
                let position = line.read().expect("an event").position;
                assert_eq!(id, Some(token(position.get())));
                positions.push(position.get());
            }
            Ok(_) => {}
            Err(error) => return (positions, Some(error)),
        }
    }
    (positions, None)
}

fn last_ids(server: &Server) -> Vec<Option<String>> {
    let id = |headers: &http::HeaderMap| Some(headers.get("last-event-id")?.to_str().ok()?.to_owned());
    server.seen().iter().map(|seen| id(&seen.headers)).collect()
}

#[tokio::test]
async fn each_event_comes_once_across_cuts() {
    let half = frame(Frame::Event, 3, &event(3));
    let mut second = events(&[2]);
    second.push(half[..half.len() - 1].into());
    let end = frame(Frame::Checkpoint, 7, &mark(7)) + &frame(Frame::End, 7, &mark(7));
    let server = Server::start(vec![
        answer(events(&[1]), Ending::Cut),
        answer(second, Ending::Cut),
        Reply::Lost,
        answer(events(&[3, 4]), Ending::Proper),
        answer(vec![end], Ending::Proper),
    ])
    .await;
    let subscription = subscribe(&server).await.expect("it connects");
    assert!(matches!(collect(subscription).await, (positions, None) if positions == [1, 2, 3, 4]));
    let id = |position| Some(token(position).to_string());
    assert_eq!(last_ids(&server), [None, id(1), id(2), id(2), id(4)]);
    assert_eq!(server.seen()[4].path, "/v1/subscribe?from=beginning&types=t");
    assert_eq!(server.seen()[0].headers["accept"], "text/event-stream");
}

#[tokio::test]
async fn a_server_without_more_ends_it() {
    let server =
        Server::start(vec![answer(events(&[1]), Ending::Proper), Reply::Json(204, String::new())]).await;
    let subscription = subscribe(&server).await.expect("it connects");
    assert!(matches!(collect(subscription).await, (positions, None) if positions == [1]));
}

#[tokio::test]
async fn marks_go_on_too() {
    let pieces = vec![frame(Frame::CaughtUp, 5, &mark(5)), frame(Frame::FellBehind, 6, &mark(6))];
    let server = Server::start(vec![answer(pieces, Ending::Cut), Reply::Json(204, String::new())]).await;
    let mut subscription = subscribe(&server).await.expect("it connects");
    assert!(
        matches!(subscription.next().await, Some(Ok(Received::CaughtUp(mark))) if mark.position.get() == 5)
    );
    assert!(
        matches!(subscription.next().await, Some(Ok(Received::FellBehind(mark))) if mark.head.get() == 9)
    );
    assert!(matches!(subscription.next().await, Some(Ok(Received::Interrupted(_)))));
    assert!(subscription.next().await.is_none() && subscription.next().await.is_none());
    assert_eq!(last_ids(&server)[1], Some(token(6).to_string()));
}

#[tokio::test]
async fn errors_that_may_pass_are_waited_out_and_others_told() {
    let problem = |code| serde_json::to_string(&Problem::new(code, "x")).expect("serialises");
    let error = |code| {
        let mut pieces = events(&[1]);
        let mut out = Vec::new();
        write_frame(&mut out, Frame::Error, None, problem(code).as_bytes());
        pieces.push(String::from_utf8(out).expect("UTF-8"));
        answer(pieces, Ending::Proper)
    };
    let server = Server::start(vec![
        error(Code::Draining),
        answer(events(&[2]), Ending::Proper),
        error(Code::HistoryForked),
    ])
    .await;
    let (positions, error) = collect(subscribe(&server).await.expect("it connects")).await;
    assert_eq!(positions, [1, 2, 1]);
    assert!(matches!(error, Some(ClientError::Refused(problem)) if problem.code == Code::HistoryForked));
}

#[tokio::test]
async fn silence_is_a_lost_connection() {
    let server = Server::start(vec![
        answer(events(&[1]), Ending::Open),
        Reply::Silence,
        Reply::Json(204, String::new()),
    ])
    .await;
    let subscription = subscribe(&server).await.expect("it connects");
    let all = tokio::time::timeout(Duration::from_secs(4), collect(subscription)).await;
    assert!(matches!(all, Ok((positions, None)) if positions == [1]), "the stalled connection was not left");
}

#[tokio::test]
async fn the_first_connection_must_succeed() {
    let refusal = Reply::Problem(Problem::new(Code::StoreNotFound, "x"), None);
    let server = Server::start(vec![refusal]).await;
    assert!(matches!(subscribe(&server).await, Err(ClientError::Refused(_))));
}

#[tokio::test]
async fn a_server_that_stays_away_is_given_up() {
    let server = Server::start(
        vec![answer(events(&[1]), Ending::Cut)].into_iter().chain((0..99).map(|_| Reply::Lost)).collect(),
    )
    .await;
    let mut subscription = subscribe(&server).await.expect("it connects");
    let mut last = None;
    while let Some(next) = subscription.next().await {
        last = Some(next);
    }
    // the last try has only the time that is left
    assert!(matches!(last, Some(Err(ClientError::Cut(_) | ClientError::Timeout(_)))), "{last:?}");
}
