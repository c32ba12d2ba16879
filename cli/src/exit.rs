use std::{io, process::ExitCode};

use polylog_api::Problem;
use polylog_client::ClientError;

use crate::output::Format;

/// What a command ends with.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The call did not succeed.
    Client(ClientError),
    /// The arguments or the manifests are wrong.
    Usage(String),
    /// A database did not answer.
    NoAnswer(String),
    /// Something else went wrong.
    Failed(anyhow::Error),
    /// Everything was said already.
    Told(u8),
    /// Ctrl-C.
    Interrupted,
    /// Whoever reads the output has gone away: nothing is wrong.
    OutputClosed,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(error.into()),
        }
    }
}

/// Tells a failure on stderr, and gives the exit code: 0 done, 1 refused or failed, 2 wrong arguments or manifests,
/// 3 unreachable or no answer, 4 unknown whether it was written, 130 interrupted.
pub(crate) fn code(outcome: Outcome, format: Format) -> ExitCode {
    let Err(failure) = outcome else { return ExitCode::SUCCESS };
    ExitCode::from(match failure {
        Failure::OutputClosed => 0,
        Failure::Told(code) => code,
        Failure::Interrupted => 130,
        Failure::Usage(message) => {
            eprintln!("error: {message}");
            2
        }
        Failure::NoAnswer(message) => {
            eprintln!("error: {message}");
            3
        }
        Failure::Failed(error) => {
            eprintln!("error: {error:#}");
            1
        }
        Failure::Client(error) => {
            tell(&error, format);
            code_of(&error)
        }
    })
}

fn code_of(error: &ClientError) -> u8 {
    match error {
        ClientError::Refused(_) | ClientError::Unintelligible { .. } => 1,
        ClientError::Unreachable { .. } | ClientError::Timeout(_) | ClientError::Cut(_) => 3,
        ClientError::OutcomeUnknown { .. } => 4,
    }
}

fn tell(error: &ClientError, format: Format) {
    match (error.problem(), format) {
        (Some(problem), Format::Json | Format::Ndjson) => {
            let json = serde_json::to_string(problem).unwrap_or_else(|_| problem.to_string());
            eprintln!("{json}");
        }
        _ => eprint!("{}", text(error)),
    }
}

/// An error for people: the code, what was wrong, what was written, what to do next.
fn text(error: &ClientError) -> String {
    let mut text = format!("error: {error}\n");
    let next = match error {
        ClientError::Refused(problem) => {
            text.push_str(&details(problem));
            problem.next_step.clone()
        }
        ClientError::Unreachable { .. } => {
            "start one with `polylog dev`, or say where it is with --url or POLYLOG_URL".into()
        }
        ClientError::Timeout(_) | ClientError::Cut(_) => "try again, or give it longer with --timeout".into(),
        ClientError::OutcomeUnknown { problem, .. } => {
            text.push_str(&problem.as_deref().map(details).unwrap_or_default());
            "send the same event ids again to learn what became of them; nothing is written twice".into()
        }
        ClientError::Unintelligible { .. } => "check the address".into(),
    };
    if !next.is_empty() {
        text.push_str(&format!("  next:    {next}\n"));
    }
    text
}

fn details(problem: &Problem) -> String {
    let written = match problem.written {
        polylog_api::Written::Nothing => "nothing",
        polylog_api::Written::Unknown => "not known",
        polylog_api::Written::PrimaryOnly => "in the primary alone",
    };
    let mut text = format!("  written: {written}\n");
    for conflict in &problem.conflicts {
        let (stream, expected, actual) = (&conflict.stream, conflict.expected, conflict.actual);
        text.push_str(&format!("  stream:  {stream} expected {expected}, is at {actual}\n"));
        for event in &conflict.missed {
            text.push_str(&format!("  missed:  {}\n", event.as_str()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use polylog_api::Code;

    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_code() {
        let problem = || Box::new(Problem::new(Code::AcksTimeout, "x"));
        let cases = [
            (ClientError::Refused(problem()), 1),
            (ClientError::Unreachable { address: "a".into(), reason: "b".into() }, 3),
            (ClientError::Timeout(Duration::ZERO), 3),
            (ClientError::Cut("x".into()), 3),
            (ClientError::OutcomeUnknown { reason: "x".into(), problem: Some(problem()) }, 4),
        ];
        for (error, expected) in cases {
            assert_eq!(code_of(&error), expected, "{error}");
        }
    }

    #[test]
    fn people_read_code_cause_and_next_step() {
        let problem = Problem::new(Code::VersionConflict, "stream s is at version 5, expected 3")
            .next_step("read from version 4 and decide again");
        let text = text(&ClientError::Refused(Box::new(problem)));
        assert_eq!(
            text,
            "error: version_conflict: stream s is at version 5, expected 3\n  written: nothing\n  \
             next:    read from version 4 and decide again\n"
        );
    }
}
