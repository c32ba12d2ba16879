use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
};

use futures::{StreamExt, stream::FuturesUnordered};
use hyper::rt::Executor;
use parking_lot::Mutex;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes the calls of one HTTP/2 connection, for [`drive`] to run them in the connection's own task.
///
/// In tasks of their own each answer would wake the connection and be written by itself; a batch of appends answers many
/// calls at the same moment, and a write costs more than the answer. A connection's calls are as many as its streams at
/// most.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<Vec<Call>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Calls {
    fn execute(&self, call: F) {
        self.0.lock().push(Box::pin(call));
    }
}

/// Runs a connection and its calls. Those that are not done when the connection ends are dropped: nobody is there to
/// hear their answer.
pub(super) async fn drive<T>(connection: impl Future<Output = T>, calls: Calls) -> T {
    let mut connection = std::pin::pin!(connection);
    let mut running = FuturesUnordered::new();
    poll_fn(move |context| {
        loop {
            // first everything that can be answered now, then the connection, which writes all of it
            while let Poll::Ready(Some(())) = running.poll_next_unpin(context) {}
            let ended = connection.as_mut().poll(context);
            let new = mem::take(&mut *calls.0.lock());
            if new.is_empty() || ended.is_ready() {
                return Poll::Ready(ready!(ended));
            }
            running.extend(new);
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    /// Long after everything should have been answered.
    const DEADLINE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn calls_run_until_the_connection_ends() {
        let calls = Calls::default();
        let (answer, answered) = oneshot::channel();
        let connection = async {
            calls.execute(async move { answer.send(1).expect("somebody who listens") });
            let answered = answered.await;
            calls.execute(std::future::pending());
            tokio::task::yield_now().await;
            answered
        };
        let ended = tokio::time::timeout(DEADLINE, drive(connection, calls.clone())).await;
        assert_eq!(ended.expect("an end"), Ok(1));
    }

    #[tokio::test]
    async fn many_calls_at_once_are_all_answered() {
        let calls = Calls::default();
        let (answers, mut answered) = tokio::sync::mpsc::channel(1_000);
        let connection = async {
            for number in 0..1_000 {
                let answers = answers.clone();
                calls.execute(async move {
                    tokio::task::yield_now().await;
                    answers.send(number).await.expect("somebody who listens");
                });
            }
            let mut sum = 0;
            for _ in 0..1_000 {
                sum += answered.recv().await.expect("an answer");
            }
            sum
        };
        let ended = tokio::time::timeout(DEADLINE, drive(connection, calls.clone())).await;
        assert_eq!(ended.expect("an end"), 499_500);
    }
}
