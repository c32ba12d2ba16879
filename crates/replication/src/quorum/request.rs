use polylog_log::{
    Append, Appended, Apply, Failure, Head, Identity, LeaseAnswer, LeaseSwap, LogPage, Nonce, Open,
    OperationError, ReadLog, SourceName, Strip, Term, Truncate,
};

/// One operation for one source.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Grows; the answer names it.
    pub(crate) id: u64,
    pub(crate) source: SourceName,
    pub(crate) of: Identity,
    pub(crate) operation: Operation,
}

#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Head,
    Promise(Term, Nonce),
    Open(Open),
    Append(Append),
    Apply(Apply),
    Truncate(Truncate),
    Strip(Strip),
    ReadLog(ReadLog),
    Lease(LeaseSwap),
}

impl Operation {
    /// Whether it changes the source.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Operation::Head | Operation::ReadLog(_) => false,
            Operation::Promise(..)
            | Operation::Open(_)
            | Operation::Append(_)
            | Operation::Apply(_)
            | Operation::Truncate(_)
            | Operation::Strip(_)
            | Operation::Lease(_) => true,
        }
    }
}

/// What a source answered. A lost answer is an unknown outcome.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// To [`Operation::Head`].
    Head(Result<Head, Failure>),
    /// To promise, open, apply, truncate and strip.
    Changed(Result<Head, OperationError>),
    /// To [`Operation::Append`].
    Appended(Result<Appended, OperationError>),
    /// To [`Operation::ReadLog`].
    Page(Result<LogPage, Failure>),
    /// To [`Operation::Lease`].
    Leased(Result<LeaseAnswer, OperationError>),
}

impl Answer {
    /// The head that it brings.
    pub(crate) fn head(&self) -> Option<&Head> {
        match self {
            Answer::Head(Ok(head)) | Answer::Changed(Ok(head)) => Some(head),
            Answer::Appended(Ok(appended)) => Some(&appended.head),
            Answer::Page(Ok(page)) => Some(&page.head),
            Answer::Changed(Err(OperationError::Refused { head, .. }))
            | Answer::Appended(Err(OperationError::Refused { head, .. }))
            | Answer::Leased(Err(OperationError::Refused { head, .. })) => Some(head),
            Answer::Head(Err(_))
            | Answer::Changed(Err(_))
            | Answer::Appended(Err(_))
            | Answer::Page(Err(_))
            | Answer::Leased(_) => None,
        }
    }

    /// Why the source did not do its work; a refusal is work done.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Answer::Head(Err(failure))
            | Answer::Page(Err(failure))
            | Answer::Changed(Err(OperationError::Failed(failure) | OperationError::Unknown(failure)))
            | Answer::Appended(Err(OperationError::Failed(failure) | OperationError::Unknown(failure)))
            | Answer::Leased(Err(OperationError::Failed(failure) | OperationError::Unknown(failure))) => {
                Some(failure)
            }
            Answer::Head(Ok(_))
            | Answer::Page(Ok(_))
            | Answer::Changed(_)
            | Answer::Appended(_)
            | Answer::Leased(_) => None,
        }
    }
}
