use std::io::Read;

use clap::Args;
use polylog_api::{AppendBody, ExpectedVersion, IdempotencyKey, NewEventBody, parse_json};
use polylog_client::{AppendOptions, Client};
use polylog_log::{Acks, AggregateId, Category, EventId, EventType, StreamName, Timestamp};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    args::{Place, time},
    exit::{Failure, Outcome},
    output::{Format, Output},
};

/// Largest input; a commit is smaller.
const LARGEST_INPUT: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    /// The stream
    #[arg(value_parser = StreamName::parse)]
    stream: StreamName,
    /// What the stream must be at: a number, any, noStream or exists
    #[arg(short, long, value_name = "VERSION")]
    expected_version: ExpectedVersion,
    /// Type of the event
    #[arg(short = 't', long = "type", value_parser = EventType::parse, required_unless_present = "events")]
    event_type: Option<EventType>,
    /// The event's data as JSON; `-` reads it from standard input
    #[arg(short, long, value_name = "JSON")]
    data: Option<String>,
    /// The event's metadata, a JSON object
    #[arg(short, long, value_name = "JSON")]
    metadata: Option<String>,
    /// The event's id; the same id again is the same append
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    /// When it happened
    #[arg(long, value_parser = time)]
    time: Option<Timestamp>,
    /// What it belongs to
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// What caused it
    #[arg(long, value_name = "ID")]
    causation_id: Option<String>,
    /// Several events instead: a file of lines like {"type":…,"data":…}; `-` = standard input
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["event_type", "data", "metadata", "id", "time", "correlation_id", "causation_id"]
    )]
    events: Option<Place>,
    /// The stream's category, at its first append
    #[arg(long, value_parser = Category::parse)]
    category: Option<Category>,
    /// The stream's aggregate id, at its first append
    #[arg(long, value_parser = AggregateId::parse, value_name = "ID")]
    aggregate_id: Option<AggregateId>,
    /// How many sources must have it: a number, Majority or All
    #[arg(long)]
    acks: Option<Acks>,
    /// On a version conflict, show up to this many events that were missed
    #[arg(long, value_name = "N")]
    missed: Option<u32>,
    /// The same key again is the same append
    #[arg(long, value_name = "KEY", value_parser = key)]
    idempotency_key: Option<IdempotencyKey>,
}

fn key(text: &str) -> Result<IdempotencyKey, String> {
    IdempotencyKey::parse(text.as_bytes()).map_err(|error| error.to_string())
}

/// Appends, and prints the receipt.
pub(crate) async fn run(client: &Client, args: AppendArgs, format: Format) -> Outcome {
    let body = AppendBody {
        expected_version: Some(args.expected_version),
        category: args.category.clone(),
        aggregate_id: args.aggregate_id.clone(),
        events: match &args.events {
            Some(place) => events(&read(place)?)?,
            None => vec![event(&args)?],
        },
    };
    let options = AppendOptions {
        acks: args.acks,
        missed: args.missed,
        idempotency_key: args.idempotency_key,
        ..AppendOptions::default()
    };
    let answer = client.append(&args.stream, body, &options).await?;
    let mut out = Output::new();
    match format {
        Format::Table => {
            let verb = if answer.repeated { "was appended before" } else { "appended" };
            let range = |first: Option<u64>, last: Option<u64>| match (first, last) {
                (Some(first), Some(last)) if first == last => first.to_string(),
                (Some(first), Some(last)) => format!("{first}-{last}"),
                _ => "-".into(),
            };
            let versions = range(answer.first_version.map(u64::from), answer.last_version.map(u64::from));
            let positions = range(answer.first_position.map(u64::from), answer.last_position.map(u64::from));
            match answer.first_version {
                Some(_) => out.text(&format!("{verb}: {} version {versions}, position {positions}\n", answer.stream))?,
                None => out.text(&format!("as expected: {}\n", answer.stream))?,
            }
        }
        _ => out.document(&answer, format)?,
    }
    Ok(out.flush()?)
}

fn event(args: &AppendArgs) -> Result<NewEventBody, Failure> {
    let usage = |what: &str, error: serde_json::Error| Failure::Usage(format!("{what} is not JSON: {error}"));
    let raw = |what: &str, text: String| RawValue::from_string(text).map_err(|error| usage(what, error));
    let data = match args.data.as_deref() {
        Some("-") => Some(String::from_utf8(read(&Place::Standard)?).map_err(|error| Failure::Usage(error.to_string()))?),
        data => data.map(str::to_owned),
    };
    let event_type = args.event_type.clone().ok_or_else(|| Failure::Usage("--type is missing".into()))?;
    Ok(NewEventBody {
        id: args.id.map(EventId::new),
        data: data.map(|data| raw("--data", data)).transpose()?,
        metadata: args.metadata.clone().map(|metadata| raw("--metadata", metadata)).transpose()?,
        correlation_id: args.correlation_id.clone(),
        causation_id: args.causation_id.clone(),
        time: args.time,
        ..NewEventBody::new(event_type)
    })
}

fn events(input: &[u8]) -> Result<Vec<NewEventBody>, Failure> {
    let lines = input.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let parse = |(index, line): (usize, &[u8])| {
        parse_json(line).map_err(|error| Failure::Usage(format!("line {}: {error}", index + 1)))
    };
    lines.map(parse).collect()
}

fn read(place: &Place) -> Result<Vec<u8>, Failure> {
    let mut input = Vec::new();
    let source: Box<dyn Read> = match place {
        Place::Standard => Box::new(std::io::stdin()),
        Place::File(path) => Box::new(std::fs::File::open(path).map_err(|error| {
            Failure::Usage(format!("{}: {error}", path.display()))
        })?),
    };
    source.take(LARGEST_INPUT + 1).read_to_end(&mut input)?;
    if input.len() as u64 > LARGEST_INPUT {
        return Err(Failure::Usage("the input is larger than any commit; use polylog import".into()));
    }
    Ok(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_one_a_line() {
        let good = events(b"{\"type\":\"a\",\"data\":1e400}\n\n{\"type\":\"b\"}\r\n").expect("two events");
        assert_eq!(good.len(), 2);
        assert_eq!(good[0].data.as_ref().expect("data").get(), "1e400");
        let bad = events(b"{\"type\":\"a\"}\n{\"typ\":\"b\"}").expect_err("unknown field");
        assert!(matches!(bad, Failure::Usage(message) if message.starts_with("line 2: typ: unknown field")));
    }
}
