//! One request to one source, with a time after which it counts as lost.

use std::{future::Future, sync::Arc, time::Duration};

use polylog_log::{Failure, OperationError, Source, Term};
use tokio::{sync::watch, time::timeout};

use crate::{
    caught::caught,
    quorum::{Answer, Operation, Request, lost},
};

/// How long a source may take to say how it is: what it takes longer for counts against it.
const LOOK: Duration = Duration::from_secs(1);
/// How long a promise, an open or an append may take.
const CHANGE: Duration = Duration::from_secs(5);
/// How long a page may take to be read or copied, or a tail to be removed.
const COPY: Duration = Duration::from_secs(20);

/// Carries out a request. An append is given up once a later term than its own is obeyed: its outcome is unknown then, and
/// its commits are looked up under that term.
pub(super) async fn call(source: Arc<dyn Source>, request: Request, obeyed: watch::Receiver<Term>) -> Answer {
    let operation = request.operation.clone();
    match &operation {
        Operation::Append(append) => {
            let (mut obeyed, term) = (obeyed, append.term);
            let deposed = async move {
                if obeyed.wait_for(|obeyed| *obeyed > term).await.is_err() {
                    std::future::pending().await
                }
            };
            tokio::select! {
                biased;
                answer = carry_out(source, request) => answer,
                () = deposed => lost(&operation),
            }
        }
        _ => carry_out(source, request).await,
    }
}

async fn carry_out(source: Arc<dyn Source>, request: Request) -> Answer {
    let Request { of, operation, .. } = request;
    match operation {
        Operation::Head => Answer::Head(read(LOOK, source.head()).await),
        Operation::ReadLog(page) => Answer::Page(read(COPY, source.read_log(page)).await),
        Operation::Promise(term, nonce) => {
            Answer::Changed(change(CHANGE, source.promise(&of, term, nonce)).await)
        }
        Operation::Open(open) => Answer::Changed(change(CHANGE, source.open(&of, open)).await),
        Operation::Append(append) => Answer::Appended(change(CHANGE, source.append(&of, append)).await),
        Operation::Apply(apply) => Answer::Changed(change(COPY, source.apply(&of, apply)).await),
        Operation::Strip(strip) => Answer::Changed(change(COPY, source.strip(&of, strip)).await),
        Operation::Lease(swap) => Answer::Leased(change(CHANGE, source.lease(&of, swap)).await),
        Operation::Truncate(truncate) => Answer::Changed(change(COPY, source.truncate(&of, truncate)).await),
    }
}

/// A read that takes too long has failed.
pub(crate) async fn read<T>(
    at_most: Duration,
    read: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(at_most, caught(read)).await.unwrap_or(Err(Failure::Timeout(at_most)))?
}

/// What became of a change that takes too long is not known.
pub(crate) async fn change<T>(
    at_most: Duration,
    change: impl Future<Output = Result<T, OperationError>>,
) -> Result<T, OperationError> {
    match timeout(at_most, caught(change)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panicked)) => Err(OperationError::Unknown(panicked)),
        Err(_) => Err(OperationError::Unknown(Failure::Timeout(at_most))),
    }
}
