use std::{
    fs::File,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use polylog_api::{Code, ReceivedEvent};
use polylog_client::{Client, ClientError, Lines, ReadOptions};
use polylog_log::{Position, Timestamp};

use crate::{
    args::{FilterArgs, Place, time},
    exit::{Failure, Outcome},
    output::Output,
    progress,
};

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Where to; a file that holds the beginning of this export is continued. `-` = standard output
    #[arg(default_value = "-")]
    file: Place,
    /// The first position
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// Only events that happened at or after this time
    #[arg(long, value_parser = time, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only events that happened before this time
    #[arg(long, value_parser = time, value_name = "TIME")]
    until: Option<Timestamp>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Writes the log, one event a line.
pub(crate) async fn run(client: &Client, args: ExportArgs) -> Outcome {
    let from = args.from.map(Position::try_from).transpose();
    let mut from = from.map_err(|error| Failure::Usage(format!("--from: {error}")))?;
    let filter = args.filter.into_filter(args.since, args.until);
    match args.file {
        Place::Standard => {
            let lines = client.log_lines(ReadOptions { from, filter, ..ReadOptions::default() });
            let mut out = Output::new();
            copy(lines, None, |line| out.line(line)).await?;
            Ok(out.flush()?)
        }
        Place::File(path) => {
            let (mut file, last) = continued(&path)?;
            let mut done = None;
            if let Some(last) = last {
                check_same_log(client, &path, &last).await?;
                from = Some(last.position.next());
                done = Some(last.position);
            }
            let total = end(client).await?.zip(done.or(Some(Position::ZERO)));
            let total = total.map(|(end, done)| end.get().saturating_sub(done.get()));
            let lines = client.log_lines(ReadOptions { from, filter, ..ReadOptions::default() });
            let mut out = BufWriter::with_capacity(256 << 10, &mut file);
            let count = copy(lines, total, |line| {
                out.write_all(line)?;
                out.write_all(b"\n")
            })
            .await?;
            out.flush()?;
            drop(out);
            file.sync_all()?;
            let what = if done.is_some() { "further events" } else { "events" };
            eprintln!("{count} {what} written to {}", path.display());
            Ok(())
        }
    }
}

async fn copy(
    mut lines: Lines,
    total: Option<u64>,
    mut write: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<u64, Failure> {
    let bar = progress::bar(total);
    let mut count = 0;
    while let Some(line) = lines.next().await {
        write(line?.as_bytes())?;
        count += 1;
        if count % 1_000 == 0 {
            bar.set_position(count);
        }
    }
    bar.finish_and_clear();
    Ok(count)
}

/// The end of the log, for the progress bar; unknown where several stores could be meant.
async fn end(client: &Client) -> Result<Option<Position>, ClientError> {
    let store = match client.address().store() {
        Some(store) => Some(client.status(store).await?),
        None => client.stores().await?.stores.into_iter().next(),
    };
    Ok(store.and_then(|store| store.positions.first().copied()))
}

/// Opens a file to write to its end, and finds the last event in it. A line that was only half written is removed.
fn continued(path: &Path) -> Result<(File, Option<ReceivedEvent>), Failure> {
    let failed = |error: std::io::Error| Failure::Usage(format!("{}: {error}", path.display()));
    let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = options.map_err(failed)?;
    let (whole, last) = last_line(&mut file).map_err(failed)?;
    let last = last.map(|line| serde_json::from_slice(&line)).transpose().map_err(|error| {
        Failure::Usage(format!("{} is not an export, and is left as it is: {error}", path.display()))
    })?;
    file.set_len(whole).map_err(failed)?;
    file.seek(SeekFrom::Start(whole)).map_err(failed)?;
    Ok((file, last))
}

/// The length of the whole lines of a file, and the last of them.
fn last_line(file: &mut File) -> std::io::Result<(u64, Option<Vec<u8>>)> {
    let length = file.metadata()?.len();
    let mut tail: Vec<u8> = Vec::new();
    let mut from = length;
    while from > 0 {
        let piece = from.min(64 << 10);
        from -= piece;
        let mut bytes = vec![0; piece as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut bytes)?;
        bytes.extend_from_slice(&tail);
        tail = bytes;
        let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else { continue };
        let start = tail[..end].iter().rposition(|byte| *byte == b'\n').map(|before| before + 1);
        if start.is_some() || from == 0 {
            let line = tail[start.unwrap_or(0)..end].to_vec();
            return Ok((from + end as u64 + 1, Some(line)));
        }
    }
    Ok((0, None))
}

/// Checks that the store's log holds the file's last event, at its position: else the file is of another history.
async fn check_same_log(client: &Client, path: &PathBuf, last: &ReceivedEvent) -> Outcome {
    let same = match client.event(last.id).await {
        Ok(found) => found.position == last.position && found.digest == last.digest,
        Err(ClientError::Refused(problem)) if problem.code == Code::EventNotFound => false,
        Err(error) => return Err(error.into()),
    };
    if same {
        return Ok(());
    }
    let (path, position) = (path.display(), last.position);
    Err(Failure::Usage(format!(
        "{path} ends with an event that this store does not have at position {position}: export to another file"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_is_found() {
        let long = "x".repeat(200_000);
        let cases = [
            ("", 0, None),
            ("half", 0, None),
            ("a\n", 2, Some("a")),
            ("a\nb\nhalf", 4, Some("b")),
            (&format!("a\n{long}\n"), 200_003, Some(long.as_str())),
            (&format!("a\n{long}"), 2, Some("a")),
            (&format!("{long}\nb"), 200_001, Some(long.as_str())),
        ];
        for (text, whole, line) in cases {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(text.as_bytes()).expect("it is written");
            let (found, last) = last_line(&mut file).expect("it is read");
            assert_eq!((found, last.as_deref()), (whole, line.map(str::as_bytes)), "{:.20}", text);
        }
    }
}
