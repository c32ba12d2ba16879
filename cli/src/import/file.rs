use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Stdin},
    path::Path,
};

use polylog_log::{EventId, LogId};
use ring::digest::{Context, SHA256};
use uuid::Uuid;

use super::line::{Item, Parsed, parse};
use crate::{args::Place, exit::Failure};

/// Longest line.
const LONGEST: u64 = 64 << 20;
/// Lines that are cut into appends together.
const WINDOW_LINES: usize = 20_000;
/// Bytes that are cut into appends together.
const WINDOW_BYTES: usize = 32 << 20;

/// What a first reading of a file found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Events.
    pub(crate) events: u64,
    /// Events of the other log's own, which are left out.
    pub(crate) system: u64,
    /// Events without an id.
    pub(crate) without_id: u64,
    /// SHA-256 of the whole.
    pub(crate) hash: [u8; 32],
}

/// Reads a file from beginning to end, so that nothing is appended if any of its lines is wrong.
pub(crate) fn survey(path: &Path) -> Result<Survey, Failure> {
    let file = File::open(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    if !file.metadata()?.is_file() {
        return Err(Failure::Usage(format!("{} is not a file; pipe it into `polylog import -`", path.display())));
    }
    let mut lines = Lines::new(Input::File(BufReader::with_capacity(256 << 10, file)));
    let (mut survey, mut context) = (Survey::default(), Context::new(&SHA256));
    while let Some((number, text)) = lines.next()? {
        context.update(text);
        match checked(number, text)? {
            Parsed::Item(item) => {
                survey.events += 1;
                survey.without_id += u64::from(item.event.id.is_none());
            }
            Parsed::System => survey.system += 1,
            Parsed::Blank => {}
        }
    }
    survey.hash.copy_from_slice(context.finish().as_ref());
    Ok(survey)
}

/// A line's event, all of it checked as the sidecar will.
fn checked(number: u64, text: &[u8]) -> Result<Parsed, Failure> {
    let wrong = |error| Failure::Usage(format!("line {number}: {error}; nothing was imported"));
    let parsed = parse(number, text).map_err(wrong)?;
    if let Parsed::Item(item) = &parsed {
        item.event.clone().into_event(EventId::from_bytes([0; 16])).map_err(wrong)?;
    }
    Ok(parsed)
}

enum Input {
    File(BufReader<File>),
    Standard(BufReader<Stdin>),
}

/// Lines with their numbers, from 1; each with its line break.
struct Lines {
    input: Input,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    fn new(input: Input) -> Self {
        Self { input, number: 0, line: Vec::new() }
    }

    fn next(&mut self) -> Result<Option<(u64, &[u8])>, Failure> {
        self.line.clear();
        let read = match &mut self.input {
            Input::File(file) => file.by_ref().take(LONGEST).read_until(b'\n', &mut self.line),
            Input::Standard(input) => input.by_ref().take(LONGEST).read_until(b'\n', &mut self.line),
        };
        if read? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.len() as u64 == LONGEST {
            return Err(Failure::Usage(format!("line {} is longer than 64 MiB", self.number)));
        }
        Ok(Some((self.number, &self.line)))
    }
}

/// Events of a file or of standard input, window by window.
pub(crate) struct Windows {
    lines: Lines,
    source: Ids,
    renumber: bool,
}

/// Where events get the ids that their lines lack.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ids {
    /// From the log, the file's content and the line: the same again for the same file.
    From(LogId, [u8; 32]),
    /// Nowhere.
    Required,
}

impl Windows {
    pub(crate) fn open(place: &Place, ids: Ids, renumber: bool) -> Result<Self, Failure> {
        let input = match place {
            Place::Standard => Input::Standard(BufReader::with_capacity(256 << 10, std::io::stdin())),
            Place::File(path) => {
                let file =
                    File::open(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
                Input::File(BufReader::with_capacity(256 << 10, file))
            }
        };
        Ok(Self { lines: Lines::new(input), source: ids, renumber })
    }

    /// The next window; empty at the end.
    pub(crate) fn next(&mut self) -> Result<Vec<Item>, Failure> {
        let (mut window, mut bytes) = (Vec::new(), 0);
        while window.len() < WINDOW_LINES && bytes < WINDOW_BYTES {
            let Some((number, text)) = self.lines.next()? else { break };
            bytes += text.len();
            let parsed = parse(number, text).map_err(|error| Failure::Usage(format!("line {number}: {error}")))?;
            let Parsed::Item(mut item) = parsed else { continue };
            if item.event.id.is_none() {
                item.event.id = Some(self.source.id(number)?);
            }
            item.version = item.version.filter(|_| !self.renumber);
            window.push(*item);
        }
        Ok(window)
    }
}

impl Ids {
    fn id(self, line: u64) -> Result<EventId, Failure> {
        match self {
            Ids::From(log, hash) => {
                let name: Vec<u8> = hash.into_iter().chain(line.to_le_bytes()).collect();
                Ok(EventId::new(Uuid::new_v5(&log.uuid(), &name)))
            }
            Ids::Required => {
                let why = "has no id: standard input cannot be read again, so its lines need ids; or import a file";
                Err(Failure::Usage(format!("line {line} {why}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("it is written");
        file
    }

    const ID: &str = "00000000-0000-0000-0000-000000000007";

    fn text() -> String {
        format!("{{\"stream\":\"a\",\"type\":\"t\",\"id\":\"{ID}\"}}\n\n{{\"stream\":\"$term\",\"type\":\"$term\"}}\n{{\"stream\":\"a\",\"type\":\"t\",\"version\":9}}")
    }

    #[test]
    fn a_survey_counts_and_hashes() {
        let found = survey(file(&text()).path()).expect("good");
        assert_eq!((found.events, found.system, found.without_id), (2, 1, 1));
        assert_eq!(found.hash, *polylog_log::DataDigest::of(text().as_bytes()).as_bytes());
    }

    #[test]
    fn one_wrong_line_is_told_before_anything_is_appended() {
        let wrong = [r#"{"stream":"a","type":"t","metadata":{"a":1},"dataBase64":"*","contentType":"a/b"}"#, "{", "x"];
        for line in wrong {
            let error = survey(file(&format!("{}\n{line}\n", text())).path()).expect_err(line);
            assert!(matches!(&error, Failure::Usage(message) if message.starts_with("line 5: ")), "{error:?}");
        }
        assert!(matches!(survey(Path::new("/nonexistent")), Err(Failure::Usage(_))));
    }

    #[test]
    fn missing_ids_follow_from_log_file_and_line() {
        let windows = |log, hash, renumber| {
            let place = Place::File(file(&text()).into_temp_path().keep().expect("it is kept"));
            let ids = Ids::From(LogId::from_bytes([log; 16]), [hash; 32]);
            Windows::open(&place, ids, renumber).expect("good").next().expect("good")
        };
        let items = windows(1, 1, false);
        assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(items[0].event.id.expect("given").to_string(), ID);
        assert_eq!(items[1].event.id, windows(1, 1, true)[1].event.id);
        for (log, hash) in [(2, 1), (1, 2)] {
            assert_ne!(items[1].event.id, windows(log, hash, false)[1].event.id);
        }
        assert!(items[1].version.is_some() && windows(1, 1, true)[1].version.is_none());
        let place = Place::File(file(&text()).into_temp_path().keep().expect("it is kept"));
        let error = Windows::open(&place, Ids::Required, false).expect("good").next().expect_err("no id");
        assert!(matches!(error, Failure::Usage(message) if message.starts_with("line 4 has no id")));
    }
}
