//! Appends, reads and follows payments with this crate, which gives ids, retries and resumes by itself. Copy what you need.
//!
//! ```text
//! payments pay p1 100.00        appends PaymentProcessed, if there is no such payment yet
//! payments refund p1 30.00      appends PaymentRefunded, if the payment still allows it
//! payments show p1              prints the payment's events
//! payments follow place.txt     prints every payment's events, and goes on where it ended last time
//! ```
//!
//! The same in other languages: `examples/clients`.

use std::{env, error::Error, fs, path::Path, process::ExitCode, time::Duration};

use polylog_api::{AppendAnswer, AppendBody, Code, ExpectedVersion, NewEventBody, ReceivedEvent};
use polylog_client::{
    Address, AppendOptions, Client, ClientError, Credentials, Filter, ReadOptions, Received, Start,
    SubscribeOptions, Timing,
};
use polylog_log::{EventType, Expected, StreamName, Version};
use serde_json::{json, value::to_raw_value};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Appends one event to a stream that must be as expected.
async fn append(
    client: &Client,
    stream: &StreamName,
    expected: Expected,
    event_type: &str,
    data: serde_json::Value,
) -> Outcome<AppendAnswer> {
    let mut event = NewEventBody::new(EventType::parse(event_type)?);
    event.data = Some(to_raw_value(&data)?);
    let body = AppendBody {
        expected_version: Some(ExpectedVersion(expected)),
        events: vec![event],
        category: None,
        aggregate_id: None,
    };
    Ok(client.append(stream, body, &AppendOptions::default()).await?)
}

/// All events of a stream; none if it does not exist.
async fn read(client: &Client, stream: &StreamName) -> Outcome<Vec<ReceivedEvent>> {
    let mut lines = client.stream_lines(stream, ReadOptions::default());
    let mut events = Vec::new();
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => events.push(line.read()?),
            Err(ClientError::Refused(problem)) if problem.code == Code::StreamNotFound => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(events)
}

async fn pay(client: &Client, payment: &str, amount: &str) -> Outcome<AppendAnswer> {
    let data = json!({"amount": amount, "currency": "EUR"});
    append(client, &stream_of(payment)?, Expected::NoStream, "PaymentProcessed", data).await
}

async fn refund(client: &Client, payment: &str, amount: &str) -> Outcome<AppendAnswer> {
    let stream = stream_of(payment)?;
    loop {
        let (mut left, mut version) = (0, Version::ZERO);
        for event in read(client, &stream).await? {
            version = event.version;
            let data: serde_json::Value =
                event.data.map_or(Ok(json!(null)), |data| serde_json::from_str(data.get()))?;
            left += cents(data["amount"].as_str())? - cents(data["refundAmount"].as_str())?;
        }
        if cents(Some(amount))? > left {
            return Err(format!("refused: {}.{:02} is left of the payment", left / 100, left % 100).into());
        }
        let data = json!({"refundAmount": amount});
        let error = match append(client, &stream, Expected::Version(version), "PaymentRefunded", data).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let problem = error.downcast_ref::<ClientError>().and_then(ClientError::problem);
        // It is never sent again as it is: what it was decided on has changed.
        if problem.is_none_or(|problem| problem.code != Code::VersionConflict) {
            return Err(error);
        }
        eprintln!("somebody was faster: reading again");
    }
}

async fn follow(client: &Client, file: &Path, mut count: i64) -> Outcome<()> {
    let start = match fs::read_to_string(file) {
        Ok(place) => Start::Token(place.trim().parse()?),
        Err(_) => Start::Beginning,
    };
    let filter = Filter { categories: vec!["Payment".into()], ..Filter::default() };
    let mut subscription = client.subscribe(SubscribeOptions { start, filter, give_up_after: None }).await?;
    while let Some(received) = subscription.next().await {
        let (event, place) = match received? {
            Received::Event(line, place) => (Some(line.read()?), place),
            Received::CaughtUp(mark) | Received::FellBehind(mark) | Received::Checkpoint(mark) => {
                (None, Some(mark.token))
            }
            Received::Interrupted(reason) => {
                eprintln!("{reason}: connecting again");
                continue;
            }
        };
        if let Some(event) = &event {
            println!("{} {} {} {}", event.position, event.stream, event.version, event.event_type);
        }
        // Kept after what it stands for is done: a crash in between repeats one event, none is lost. Where a database
        // takes what you derive, keep the place in the same transaction, and nothing is repeated either.
        if let Some(place) = place {
            let fresh = file.with_extension("new");
            fs::write(&fresh, place.to_string())?;
            fs::rename(&fresh, file)?;
        }
        count -= i64::from(event.is_some());
        if count == 0 {
            break;
        }
    }
    Ok(())
}

fn stream_of(payment: &str) -> Outcome<StreamName> {
    Ok(StreamName::parse(&format!("Payment-{payment}"))?)
}

/// An amount in cents; nothing is nothing.
fn cents(amount: Option<&str>) -> Outcome<i64> {
    let Some((whole, rest)) = amount.map(|amount| amount.split_once('.').unwrap_or((amount, "0"))) else {
        return Ok(0);
    };
    Ok(whole.parse::<i64>()? * 100 + format!("{rest:0<2}")[..2].parse::<i64>()?)
}

async fn run(arguments: &[&str]) -> Outcome<()> {
    let url = env::var("POLYLOG_URL").unwrap_or_else(|_| "http://127.0.0.1:7300".into());
    let mut timing = Timing::default();
    if let Ok(seconds) = env::var("POLYLOG_DEADLINE") {
        timing.deadline = Duration::from_secs(seconds.parse()?);
    }
    let client = Client::new(Address::parse(&url, None)?, timing, Credentials::default())?;
    let answer = match *arguments {
        ["pay", payment, amount] => pay(&client, payment, amount).await?,
        ["refund", payment, amount] => refund(&client, payment, amount).await?,
        ["show", payment] => {
            for event in read(&client, &stream_of(payment)?).await? {
                println!(
                    "{} {} {}",
                    event.version,
                    event.event_type,
                    event.data.map_or(String::new(), |data| data.get().into())
                );
            }
            return Ok(());
        }
        ["follow", file] => return follow(&client, Path::new(file), -1).await,
        ["follow", file, count] => return follow(&client, Path::new(file), count.parse()?).await,
        _ => return Err("pay, refund, show or follow?".into()),
    };
    let repeated = if answer.repeated { " (an earlier try had written it)" } else { "" };
    println!("version {}{repeated}", answer.last_version.unwrap_or(Version::ZERO));
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Err(error) = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await else {
        return ExitCode::SUCCESS;
    };
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::OutcomeUnknown { .. }) => {
            eprintln!("unknown: {error}");
            return ExitCode::from(4);
        }
        Some(ClientError::Refused(problem)) => eprintln!("refused: {}: {error}", problem.code),
        _ => eprintln!("{error}"),
    }
    ExitCode::FAILURE
}
