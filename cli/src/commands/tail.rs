use clap::Args;
use polylog_client::{Client, Received, Start, SubscribeOptions};
use polylog_log::{Position, Timestamp};

use crate::{
    args::FilterArgs,
    exit::{Failure, Outcome},
    output::{Format, Output, event_cells},
};

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Where to begin: beginning, now, a position to begin after, a time, or a token
    #[arg(long, default_value = "now", value_parser = start)]
    from: Start,
    /// Stop when everything there is was shown
    #[arg(long)]
    until_caught_up: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

fn start(text: &str) -> Result<Start, String> {
    let number = || Some(Position::try_from(text.parse::<u64>().ok()?).ok()).flatten();
    match text {
        "beginning" => Ok(Start::Beginning),
        "now" => Ok(Start::Now),
        _ => number()
            .map(Start::After)
            .or_else(|| text.parse().ok().map(Start::Token))
            .or_else(|| Timestamp::parse(text).ok().map(Start::At))
            .ok_or_else(|| "beginning, now, a position, a time or a token".to_owned()),
    }
}

/// Prints events as they come.
pub(crate) async fn run(client: &Client, args: TailArgs, format: Format) -> Outcome {
    let options = SubscribeOptions {
        start: args.from,
        filter: args.filter.into_filter(None, None),
        give_up_after: None,
    };
    let mut subscription = client.subscribe(options).await?;
    let mut out = Output::new();
    let mut is_live = false;
    while let Some(next) = subscription.next().await {
        match next? {
            Received::Event(line, _) => {
                match format {
                    Format::Table => {
                        let event = line.read().map_err(|error| Failure::Failed(error.into()))?;
                        let [position, stream, version, event_type, _, data] = event_cells(&event);
                        out.text(&format!("{position:>8}  {stream} {version}  {event_type}  {data}\n"))?;
                    }
                    _ => out.line(line.as_bytes())?,
                }
                // what is old comes fast and is written in large pieces
                if is_live {
                    out.flush()?;
                }
            }
            Received::CaughtUp(_) => {
                out.flush()?;
                is_live = true;
                if args.until_caught_up {
                    return Ok(());
                }
            }
            Received::FellBehind(_) => is_live = false,
            Received::Checkpoint(_) => out.flush()?,
            Received::Interrupted(reason) => {
                out.flush()?;
                eprintln!("connecting again: {reason}");
            }
        }
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_word_a_position_a_time_or_a_token() {
        assert_eq!(start("beginning"), Ok(Start::Beginning));
        assert_eq!(start("now"), Ok(Start::Now));
        assert_eq!(start("7"), Ok(Start::After(Position::new(7))));
        assert!(matches!(start("2026-11-21T10:00:00Z"), Ok(Start::At(_))));
        assert!(matches!(start("AQGY8sAAAAAAAAACz5MAAAAAAAAAA6ChoqOkpaan"), Ok(Start::Token(_))));
        for bad in ["", "-1", "9007199254740992", "end", "2026-11-21"] {
            assert!(start(bad).is_err(), "{bad}");
        }
    }
}
