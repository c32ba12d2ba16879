use clap::Args;
use polylog_api::Token;
use polylog_client::{Client, Consistency, Filter, Lines, MaxLag, ReadOptions};
use polylog_log::{CONFIG, NameError, POLICY, Position, StreamName, TERM, Timestamp, Version};

use crate::{
    args::{FilterArgs, consistency, max_lag, time},
    exit::{Failure, Outcome},
    output::{EVENT_COLUMNS, Format, Output, event_cells, rendered, table},
};

/// Rows of one table; a longer read prints several.
const ROWS: usize = 500;

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// The stream; without it, the whole log
    #[arg(value_parser = readable)]
    stream: Option<StreamName>,
    /// The first version of the stream, or position of the log
    #[arg(long, value_name = "N")]
    from: Option<u64>,
    /// From the end to the beginning
    #[arg(long)]
    backward: bool,
    /// At most so many events
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All events
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Only events that happened at or after this time
    #[arg(long, value_parser = time, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only events that happened before this time
    #[arg(long, value_parser = time, value_name = "TIME")]
    until: Option<Timestamp>,
    #[command(flatten)]
    filter: FilterArgs,
    /// strong, session or eventual; default: as the store says
    #[arg(long, value_parser = consistency)]
    consistency: Option<Consistency>,
    /// From a source that is at most so many events, or as long (2s), behind: consistency bounded
    #[arg(long, value_parser = max_lag, value_name = "LAG", conflicts_with = "consistency")]
    max_lag: Option<MaxLag>,
    /// What the answer must have seen: the token of an append or a read
    #[arg(long)]
    token: Option<Token>,
}

/// The name of a stream to be read: also one of the log's own.
fn readable(name: &str) -> Result<StreamName, NameError> {
    if [TERM, CONFIG, POLICY].contains(&name) {
        Ok(StreamName::recorded(name))
    } else {
        StreamName::parse(name)
    }
}

/// Prints events.
pub(crate) async fn run(client: &Client, args: ReadArgs, format: Format) -> Outcome {
    let mut out = Output::new();
    let limit = (!args.all).then_some(args.limit);
    let mut lines = Events { lines: lines(client, args)?, left: limit };
    match format {
        Format::Ndjson => {
            while let Some(line) = lines.next().await? {
                out.line(line.as_bytes())?;
            }
        }
        Format::Json => {
            let mut separator = "[";
            while let Some(line) = lines.next().await? {
                out.text(separator)?;
                out.text("\n")?;
                out.text(&String::from_utf8_lossy(line.as_bytes()))?;
                separator = ",";
            }
            out.text(if separator == "[" { "[]\n" } else { "\n]\n" })?;
        }
        Format::Table => print_tables(&mut out, &mut lines).await?,
    }
    out.flush()?;
    if lines.left == Some(0) && lines.lines.next().await.is_some() {
        eprintln!("there are more events: --limit or --all shows them");
    }
    Ok(())
}

async fn print_tables(out: &mut Output, lines: &mut Events) -> Outcome {
    let mut header = EVENT_COLUMNS;
    loop {
        let mut rows = table(header);
        let mut count = 0;
        while count < ROWS {
            let Some(line) = lines.next().await? else { break };
            let event = line.read().map_err(|error| Failure::Failed(error.into()))?;
            rows.add_row(event_cells(&event));
            count += 1;
        }
        if count > 0 || !header.is_empty() {
            out.text(&rendered(&rows))?;
        }
        if count < ROWS {
            return Ok(());
        }
        header = &[];
    }
}

/// Events, up to what is wanted; one more is asked for, to know whether there are more.
struct Events {
    lines: Lines,
    left: Option<u32>,
}

impl Events {
    async fn next(&mut self) -> Result<Option<polylog_client::EventLine>, Failure> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let next = self.lines.next().await.transpose()?;
        self.left = self.left.map(|left| left - u32::from(next.is_some()));
        Ok(next)
    }
}

fn lines(client: &Client, args: ReadArgs) -> Result<Lines, Failure> {
    let number = |error: polylog_log::NumberError| Failure::Usage(format!("--from: {error}"));
    let limit = (!args.all).then(|| args.limit.saturating_add(1));
    let filter = args.filter.into_filter(args.since, args.until);
    let consistency = args.max_lag.map(Consistency::Bounded).or(args.consistency);
    let (backward, token) = (args.backward, args.token);
    Ok(match args.stream {
        Some(stream) => {
            // a stream is the log's own or it is not
            let filter = Filter { include_system: false, ..filter };
            let from = args.from.map(Version::try_from).transpose().map_err(number)?;
            client.stream_lines(&stream, ReadOptions { from, backward, limit, filter, consistency, token })
        }
        None => {
            let from = args.from.map(Position::try_from).transpose().map_err(number)?;
            client.log_lines(ReadOptions { from, backward, limit, filter, consistency, token })
        }
    })
}
