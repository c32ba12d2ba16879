use std::io::{self, BufWriter, Stdout, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use polylog_api::ReceivedEvent;
use serde::Serialize;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Ndjson,
}

/// Standard output, buffered.
pub(crate) struct Output {
    out: BufWriter<Stdout>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self { out: BufWriter::with_capacity(64 << 10, io::stdout()) }
    }

    pub(crate) fn line(&mut self, line: &[u8]) -> io::Result<()> {
        self.out.write_all(line)?;
        self.out.write_all(b"\n")
    }

    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Prints a document: on several lines as `json`, on one as `ndjson`.
    pub(crate) fn document(&mut self, document: &impl Serialize, format: Format) -> io::Result<()> {
        match format {
            Format::Ndjson => serde_json::to_writer(&mut self.out, document)?,
            _ => serde_json::to_writer_pretty(&mut self.out, document)?,
        }
        self.out.write_all(b"\n")
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A table without lines, as wide as the terminal.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    table
}

/// A table as text, with a line break at its end.
pub(crate) fn rendered(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Columns of events.
pub(crate) const EVENT_COLUMNS: &[&str] = &["POSITION", "STREAM", "VERSION", "TYPE", "TIME", "DATA"];

/// Most characters of data in a table.
const SHOWN: usize = 60;

/// An event's cells.
pub(crate) fn event_cells(event: &ReceivedEvent) -> [String; 6] {
    let data = match (&event.data, &event.data_base64) {
        (Some(data), _) => shortened(data.get()),
        (None, Some(base64)) => format!("<{}, {} bytes>", event.content_type, decoded_length(base64)),
        (None, None) => format!("<{:?}>", event.data_state).to_lowercase(),
    };
    [
        event.position.to_string(),
        event.stream.clone(),
        event.version.to_string(),
        event.event_type.clone(),
        event.time.to_string(),
        data,
    ]
}

/// One line of at most so many characters.
fn shortened(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

fn decoded_length(base64: &str) -> usize {
    base64.len() / 4 * 3 - base64.bytes().rev().take_while(|byte| *byte == b'=').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_data_is_cut_and_stays_on_its_line() {
        assert_eq!(shortened("{\n\"a\":1}"), "{ \"a\":1}");
        assert_eq!(shortened(&"é".repeat(60)), "é".repeat(60));
        assert_eq!(shortened(&"é".repeat(61)), "é".repeat(59) + "…");
        assert_eq!([decoded_length("AA=="), decoded_length("AAA="), decoded_length("AAAA")], [1, 2, 3]);
    }

    #[test]
    fn tables_have_no_lines_and_no_trailing_spaces() {
        let mut table = table(&["A", "B"]);
        table.add_row(vec!["1", "x"]);
        assert_eq!(rendered(&table), " A  B\n 1  x\n");
    }
}
