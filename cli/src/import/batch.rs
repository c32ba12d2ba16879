use std::collections::HashMap;

use polylog_api::{AppendBody, ExpectedVersion};
use polylog_log::{Expected, StreamName, Version};

use super::line::Item;

/// Most events of one append; the default limit of a store.
const EVENTS: usize = 500;
/// Most bytes of one append, below the default limit of a store.
const BYTES: usize = 768 << 10;

/// A line whose version does not follow that of the line before it in the same stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: version {version} of stream {stream} does not follow {before}; --renumber ignores versions")]
pub(crate) struct Gap {
    line: u64,
    stream: StreamName,
    version: Version,
    before: Version,
}

/// Events of one stream for one append.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// One or more, of one stream.
    pub(crate) items: Vec<Item>,
}

impl Batch {
    pub(crate) fn stream(&self) -> &StreamName {
        &self.items[0].stream
    }

    /// Numbers of its first and last line.
    pub(crate) fn lines(&self) -> (u64, u64) {
        (self.items[0].line, self.items[self.items.len() - 1].line)
    }

    /// The append; a version on the first line is what the stream must be before.
    pub(crate) fn body(&self) -> AppendBody {
        let first = &self.items[0];
        let expected = match first.version {
            None => Expected::Any,
            Some(version) if version <= Version::FIRST => Expected::NoStream,
            Some(version) => Expected::Version(version.previous()),
        };
        AppendBody {
            expected_version: Some(ExpectedVersion(expected)),
            events: self.items.iter().map(|item| item.event.clone()).collect(),
            category: first.category.clone(),
            aggregate_id: first.aggregate_id.clone(),
        }
    }

    /// Both halves, of a batch of two or more.
    pub(crate) fn halves(mut self) -> (Self, Self) {
        let second = self.items.split_off(self.items.len() / 2);
        (self, Self { items: second })
    }
}

/// Cuts a window of lines into appends: streams in the order in which they come, and each stream's appends in its own
/// order. The same lines give the same appends, so that what an interrupted run wrote is recognised by the next.
pub(crate) fn batches(window: Vec<Item>) -> Result<Vec<Vec<Batch>>, Gap> {
    let mut streams: Vec<Vec<Batch>> = Vec::new();
    let mut places: HashMap<StreamName, usize> = HashMap::new();
    let mut sizes: Vec<usize> = Vec::new();
    for item in window {
        let place = *places.entry(item.stream.clone()).or_insert_with(|| {
            streams.push(Vec::new());
            sizes.push(0);
            streams.len() - 1
        });
        let batch = streams[place].last_mut();
        let last = batch.as_ref().map(|batch| &batch.items[batch.items.len() - 1]);
        check_version(last, &item)?;
        let fits = last.is_some_and(|last| is_alike(last, &item)) && sizes[place] + item.size <= BYTES;
        match batch.filter(|batch| fits && batch.items.len() < EVENTS) {
            Some(batch) => {
                sizes[place] += item.size;
                batch.items.push(item);
            }
            None => {
                sizes[place] = item.size;
                streams[place].push(Batch { items: vec![item] });
            }
        }
    }
    Ok(streams)
}

fn check_version(last: Option<&Item>, item: &Item) -> Result<(), Gap> {
    let before = last.and_then(|last| last.version);
    let expected = before.map_or(Version::FIRST, Version::next);
    match (before, item.version) {
        (Some(before), Some(version)) if version != expected => {
            Err(Gap { line: item.line, stream: item.stream.clone(), version, before })
        }
        _ => Ok(()),
    }
}

/// Whether two lines can stand in one append.
fn is_alike(last: &Item, item: &Item) -> bool {
    let attributes = |item: &Item| (item.category.clone(), item.aggregate_id.clone(), item.version.is_some());
    attributes(last) == attributes(item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::line::{Parsed, parse};

    fn items(lines: &[&str]) -> Vec<Item> {
        let parse = |(index, line): (usize, &&str)| match parse(index as u64 + 1, line.as_bytes()) {
            Ok(Parsed::Item(item)) => *item,
            other => panic!("{line}: {other:?}"),
        };
        lines.iter().enumerate().map(parse).collect()
    }

    fn line(stream: &str, more: &str) -> String {
        format!(r#"{{"stream":"{stream}","type":"t"{more}}}"#)
    }

    /// Lines of each batch, by stream.
    fn cut(lines: &[String]) -> Vec<Vec<Vec<u64>>> {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let streams = batches(items(&lines)).expect("no gap");
        let lines = |batch: &Batch| batch.items.iter().map(|item| item.line).collect();
        streams.iter().map(|batches| batches.iter().map(lines).collect()).collect()
    }

    #[test]
    fn each_stream_keeps_its_order() {
        let lines = ["a", "b", "a", "c", "b", "a"].map(|stream| line(stream, ""));
        assert_eq!(cut(&lines), [vec![vec![1, 3, 6]], vec![vec![2, 5]], vec![vec![4]]]);
    }

    #[test]
    fn appends_stay_below_the_limits_of_a_store() {
        let many: Vec<String> = (0..1_100).map(|_| line("a", "")).collect();
        let sizes: Vec<usize> = cut(&many)[0].iter().map(Vec::len).collect();
        assert_eq!(sizes, [500, 500, 100]);
        let large = format!(r#","data":"{}""#, "x".repeat(300 << 10));
        assert_eq!(cut(&[line("a", &large), line("a", &large), line("a", &large)]), [vec![vec![1, 2], vec![3]]]);
    }

    #[test]
    fn versions_become_what_the_stream_must_be_before() {
        let expected = |more: &str| {
            let streams = batches(items(&[&line("a", more)])).expect("no gap");
            streams[0][0].body().expected_version.expect("always set").0
        };
        assert_eq!(expected(""), Expected::Any);
        assert_eq!(expected(r#","version":1"#), Expected::NoStream);
        assert_eq!(expected(r#","version":5"#), Expected::Version(Version::new(4)));
        let lines = [line("a", r#","version":4"#), line("b", ""), line("a", r#","version":6"#)];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let gap = batches(items(&lines)).expect_err("a gap");
        assert_eq!((gap.line, gap.version, gap.before), (3, Version::new(6), Version::new(4)));
    }

    #[test]
    fn lines_that_differ_in_what_belongs_to_the_append_are_apart() {
        let lines = [line("a", ""), line("a", r#","category":"x""#), line("a", r#","version":3"#), line("a", "")];
        assert_eq!(cut(&lines), [vec![vec![1], vec![2], vec![3], vec![4]]]);
    }

    #[test]
    fn halves_expect_what_their_first_lines_say() {
        let lines = [1, 2, 3].map(|version| line("a", &format!(r#","version":{version}"#)));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut streams = batches(items(&lines)).expect("no gap");
        let (first, second) = streams.remove(0).remove(0).halves();
        assert_eq!((first.lines(), second.lines()), ((1, 1), (2, 3)));
        assert_eq!(second.body().expected_version.expect("set").0, Expected::Version(Version::FIRST));
    }
}
