use polylog_api::{Code, Problem, ReceivedEvent};
use polylog_client::{AppendOptions, Client, ClientError};
use serde_json::value::RawValue;

use super::{
    batch::Batch,
    line::Item,
};

/// How many events an append brought into the log, and how many were there before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) written: u64,
    pub(crate) present: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.present += other.present;
    }
}

/// An append that failed, and the lines it is about.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) lines: (u64, u64),
    pub(crate) error: ClientError,
}

/// Appends a batch, unless it is in the log already; both count as done. What was done before a failure counts too.
pub(crate) async fn send(
    client: &Client,
    batch: Batch,
    options: &AppendOptions,
    counts: &mut Counts,
) -> Result<(), Failed> {
    // halves that are still to be sent, the next one last
    let mut waiting = vec![batch];
    while let Some(batch) = waiting.pop() {
        let lines = batch.lines();
        let failed = |error| Failed { lines, error };
        let events = batch.items.len() as u64;
        match client.append(batch.stream(), batch.body(), options).await {
            Ok(answer) if answer.repeated => counts.present += events,
            Ok(_) => counts.written += events,
            Err(ClientError::Refused(problem)) => match problem.code {
                Code::VersionConflict | Code::IdConflict => {
                    let rest = missing(client, batch, problem).await.map_err(failed)?;
                    counts.present += events - rest.as_ref().map_or(0, |rest| rest.items.len() as u64);
                    waiting.extend(rest);
                }
                // a smaller limit than the default, or one wrong event: halves tell which
                Code::LimitExceeded | Code::SchemaViolation | Code::InvalidRequest if events > 1 => {
                    let (first, second) = batch.halves();
                    waiting.extend([second, first]);
                }
                _ => return Err(failed(ClientError::Refused(problem))),
            },
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// What of a refused batch is not in the log yet, because an earlier run cut its appends otherwise. `problem` stands
/// where the log does not hold the beginning of the batch as it is.
async fn missing(client: &Client, mut batch: Batch, problem: Box<Problem>) -> Result<Option<Batch>, ClientError> {
    let mut present = 0;
    for item in &batch.items {
        let Some(id) = item.event.id else { break };
        match client.event(id).await {
            Ok(found) if is_same(&found, item) => present += 1,
            Ok(_) => return Err(ClientError::Refused(problem)),
            Err(ClientError::Refused(other)) if other.code == Code::EventNotFound => break,
            Err(error) => return Err(error),
        }
    }
    if present == 0 {
        return Err(ClientError::Refused(problem));
    }
    let rest = batch.items.split_off(present);
    Ok((!rest.is_empty()).then_some(Batch { items: rest }))
}

/// Whether a recorded event is the one of a line.
fn is_same(found: &ReceivedEvent, item: &Item) -> bool {
    let event = &item.event;
    let text = |data: &Option<Box<RawValue>>| data.as_ref().map(|data| on_one_line(data.get()));
    let null = event.data.is_none() && event.data_base64.is_none();
    let data = if null { Some("null".to_owned()) } else { text(&event.data) };
    found.stream == item.stream.as_str()
        && found.event_type == event.event_type.as_str()
        && text(&found.data) == data
        && found.data_base64 == event.data_base64
        && item.version.is_none_or(|version| version == found.version)
}

/// Exports write line breaks between tokens as spaces.
fn on_one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}
