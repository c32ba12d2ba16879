use std::{
    fs::File,
    io::{BufWriter, Write},
};

use rusqlite::{Connection, params};

use super::{
    event::with_version,
    faults::Faults,
    work::{Work, damaged},
};
use crate::exit::Failure;

/// As [`write_lines`]; forgets events that cannot be imported as they are.
pub(crate) fn write_or_forget(work: &Work, first: Option<u64>, renumber: bool) -> Result<(), Failure> {
    let written = write_lines(work, first, renumber);
    // they may be corrected, or mapped otherwise; after anything else, like a full disk, what was read is still good
    if matches!(written, Err(Failure::Usage(_))) {
        work.clear()?;
    }
    written
}

/// Checks ids and versions of all events that were read, and writes their lines in an order in which every stream's
/// versions rise; by position, where the source has one, and otherwise by time.
///
/// `first` is the version of a stream's first event, if that was said. With `renumber` versions only give the order.
fn write_lines(work: &Work, first: Option<u64>, renumber: bool) -> Result<(), Failure> {
    let database = &work.database;
    let mut faults = Faults::new();
    let mut order = || -> rusqlite::Result<()> {
        database.execute_batch(
            "CREATE INDEX IF NOT EXISTS by_id ON events (id);
             CREATE INDEX IF NOT EXISTS by_stream ON events (stream, version, position, time, number);
             DROP TABLE IF EXISTS places;
             CREATE TABLE places (number INTEGER PRIMARY KEY, place INTEGER NOT NULL, version INTEGER NOT NULL);",
        )?;
        doubled_ids(database, &mut faults)?;
        place(database, first, renumber, &mut faults)?;
        database.execute_batch("CREATE INDEX by_place ON places (place, version, number);")
    };
    order().map_err(damaged)?;
    faults.check()?;
    let lines = work.lines();
    let draft = lines.with_extension("draft");
    let mut file = BufWriter::with_capacity(256 << 10, File::create(&draft)?);
    let select = "SELECT e.line, p.version FROM places p JOIN events e USING (number) ORDER BY p.place, p.version, p.number";
    let mut statement = database.prepare(select).map_err(damaged)?;
    let mut rows = statement.query([]).map_err(damaged)?;
    while let Some(row) = rows.next().map_err(damaged)? {
        let line: String = row.get(0).map_err(damaged)?;
        let version: i64 = row.get(1).map_err(damaged)?;
        file.write_all(with_version(&line, version.cast_unsigned()).as_bytes())?;
        file.write_all(b"\n")?;
    }
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(std::fs::rename(draft, lines)?)
}

fn doubled_ids(database: &Connection, faults: &mut Faults) -> rusqlite::Result<()> {
    let select = "SELECT id, count(*), min(stream), max(stream) FROM events GROUP BY id HAVING count(*) > 1";
    let mut statement = database.prepare(select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, count): ([u8; 16], i64) = (row.get(0)?, row.get(1)?);
        let (one, other): (String, String) = (row.get(2)?, row.get(3)?);
        let id = uuid::Uuid::from_bytes(id);
        let streams = if one == other { format!("stream {one}") } else { format!("streams {one}, {other}") };
        faults.add(|| format!("{count} events have the id {id} ({streams})"));
    }
    Ok(())
}

/// Gives every event its version in the store and its place among all.
fn place(
    database: &Connection,
    first: Option<u64>,
    renumber: bool,
    faults: &mut Faults,
) -> rusqlite::Result<()> {
    let least: Option<i64> = database.query_row("SELECT min(version) FROM events", [], |row| row.get(0))?;
    // streams begin at 0 or at 1, all of them alike
    let first = first.unwrap_or(if least == Some(0) { 0 } else { 1 });
    let unplaced: bool =
        database
            .query_row("SELECT EXISTS (SELECT 1 FROM events WHERE position IS NULL)", [], |row| row.get(0))?;
    let key = if unplaced { "time" } else { "position" };
    let select = format!(
        "SELECT number, stream, version, {key} FROM events ORDER BY stream, version, position, time, number"
    );
    let transaction = database.unchecked_transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO places VALUES (?, ?, ?)")?;
        let mut statement = transaction.prepare(&select)?;
        let mut rows = statement.query([])?;
        let mut walk = Walk::new((!renumber).then_some(first));
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let version: Option<i64> = row.get(2)?;
            let step = walk.step(row.get_ref(1)?.as_str()?, version.map(i64::cast_unsigned), row.get(3)?);
            if let Some(fault) = step.fault {
                faults.add(|| fault);
            }
            insert.execute(params![number, step.place, step.version.cast_signed()])?;
        }
    }
    transaction.commit()
}

/// Goes through all streams, in the order of their versions.
struct Walk {
    /// The version of a stream's first event; none where versions are given anew.
    first: Option<u64>,
    stream: String,
    /// The last version as the source counts.
    before: Option<u64>,
    /// Events of the stream.
    count: u64,
    place: i64,
}

/// What becomes of an event.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// Its version in the store.
    version: u64,
    /// Never before that of an earlier event of its stream.
    place: i64,
    fault: Option<String>,
}

impl Walk {
    fn new(first: Option<u64>) -> Self {
        Self { first, stream: String::new(), before: None, count: 0, place: i64::MIN }
    }

    /// `key` is where the event stands by itself.
    fn step(&mut self, stream: &str, version: Option<u64>, key: i64) -> Step {
        if self.count == 0 || self.stream != stream {
            *self = Self { stream: stream.to_owned(), ..Self::new(self.first) };
        }
        self.count += 1;
        self.place = self.place.max(key);
        let fault = self.first.zip(version).and_then(|(first, version)| self.fault(first, version));
        self.before = version;
        Step { version: self.count, place: self.place, fault }
    }

    fn fault(&self, first: u64, version: u64) -> Option<String> {
        let stream = &self.stream;
        match self.before {
            None if version == first => None,
            None => Some(format!("stream {stream} begins with version {version}, not {first}")),
            Some(before) if version == before + 1 => None,
            Some(before) if version == before => Some(format!("stream {stream} has version {version} twice")),
            Some(before) if version == before + 2 => {
                Some(format!("stream {stream} has no version {}", before + 1))
            }
            Some(before) => {
                Some(format!("stream {stream} has no versions {} to {}", before + 1, version - 1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::from::{
        event::Found,
        work::{Begun, Work},
    };
    use polylog_log::Timestamp;
    use uuid::Uuid;

    /// Stream, version, position and time of events; each has the id of its number.
    type Row = (&'static str, Option<u64>, Option<i64>, i64);

    fn found(number: u128, (stream, version, position, time): Row) -> Found {
        let line = format!("{{\"stream\":\"{stream}\",\"n\":{number}}}");
        let (id, stream) = (Uuid::from_u128(number), stream.to_owned());
        Found { id, stream, version, position, time: Timestamp::from_micros(time), line }
    }

    fn work(folder: &tempfile::TempDir, rows: &[Row]) -> Work {
        let mut work = Work::open(folder.path()).expect("a new folder");
        let events: Vec<_> = rows.iter().enumerate().map(|(n, row)| found(n as u128, *row)).collect();
        work.add(&events, None).expect("they are written");
        work
    }

    /// The number and version of each line, or what is told.
    fn sorted(rows: &[Row], first: Option<u64>, renumber: bool) -> Result<Vec<(u64, u64)>, String> {
        let folder = tempfile::TempDir::new().expect("a folder");
        let work = work(&folder, rows);
        match write_lines(&work, first, renumber) {
            Err(Failure::Usage(told)) => {
                assert!(!work.lines().exists(), "nothing to be imported");
                return Err(told);
            }
            other => other.expect("it is written"),
        }
        let text = std::fs::read_to_string(work.lines()).expect("lines");
        let number = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            (line["n"].as_u64().expect("a number"), line["version"].as_u64().expect("a version"))
        };
        Ok(text.lines().map(number).collect())
    }

    #[test]
    fn lines_stand_by_time_and_each_streams_versions_rise() {
        let rows = [
            ("b", Some(2), None, 10),
            ("a", Some(1), None, 30),
            // its clock was behind
            ("a", Some(2), None, 5),
            ("b", Some(1), None, 20),
            ("c", Some(1), None, 25),
        ];
        assert_eq!(sorted(&rows, None, false), Ok(vec![(3, 1), (0, 2), (4, 1), (1, 1), (2, 2)]));
    }

    #[test]
    fn positions_come_before_times_where_every_event_has_one() {
        let rows = [("a", Some(0), Some(2), 1), ("b", Some(0), Some(1), 2), ("b", Some(1), Some(3), 0)];
        assert_eq!(sorted(&rows, None, false), Ok(vec![(1, 1), (0, 1), (2, 2)]));
        let some = [("a", Some(0), Some(2), 1), ("b", Some(0), None, 0)];
        assert_eq!(sorted(&some, None, false), Ok(vec![(1, 1), (0, 1)]));
    }

    #[test]
    fn gaps_and_doubles_are_told_and_nothing_is_to_be_imported() {
        let at = |stream: &'static str, version| (stream, Some(version), None, 0);
        let told = |rows: &[Row], first| sorted(rows, first, false).expect_err("refused");
        for (rows, first, words) in [
            (vec![at("a", 1), at("a", 3)], None, "stream a has no version 2"),
            (vec![at("a", 0), at("a", 4)], None, "stream a has no versions 1 to 3"),
            (vec![at("a", 1), at("a", 2), at("a", 2)], None, "stream a has version 2 twice"),
            (vec![at("a", 0), at("b", 1)], None, "stream b begins with version 1, not 0"),
            (vec![at("a", 5)], None, "stream a begins with version 5, not 1"),
            (vec![at("a", 1)], Some(0), "stream a begins with version 1, not 0"),
        ] {
            let told = told(&rows, first);
            assert!(told.contains(words) && told.contains("nothing was imported"), "{told}");
        }
        assert_eq!(sorted(&[at("a", 5), at("a", 6)], Some(5), false), Ok(vec![(0, 1), (1, 2)]));
        let many: Vec<Row> = (0..100).map(|version| at("a", version * 2)).collect();
        let told = told(&many, None);
        assert!(told.contains("and 79 more") && told.lines().count() < 30, "{told}");
    }

    #[test]
    fn renumbered_streams_keep_their_order() {
        let rows = [
            ("a", Some(7), None, 3),
            ("a", Some(3), None, 1),
            ("a", Some(7), None, 2),
            ("b", None, None, 9),
            ("b", None, None, 8),
        ];
        assert_eq!(sorted(&rows, None, true), Ok(vec![(1, 1), (2, 2), (0, 3), (4, 1), (3, 2)]));
    }

    #[test]
    fn an_id_that_two_events_have_is_told() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let mut work = work(&folder, &[("a", Some(1), None, 0)]);
        work.add(&[found(0, ("b", Some(1), None, 0))], None).expect("written");
        let Err(Failure::Usage(told)) = write_lines(&work, None, false) else { panic!("refused") };
        assert!(told.contains("2 events have the id 00000000-0000-0000-0000-000000000000"), "{told}");
    }

    #[test]
    fn what_was_read_is_forgotten_only_for_faults_of_its_own() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let mut work = work(&folder, &[("a", Some(1), None, 0)]);
        work.now_read().expect("it is told");
        let draft = work.lines().with_extension("draft");
        std::fs::create_dir(&draft).expect("a folder in the way");
        let Err(Failure::Failed(_)) = write_or_forget(&work, None, false) else { panic!("not written") };
        assert_eq!((work.count().expect("a number"), work.is_read().expect("known")), (1, true));
        std::fs::remove_dir(&draft).expect("it is out of the way");
        write_or_forget(&work, None, false).expect("the same goes on from there");

        work.add(&[found(1, ("a", Some(3), None, 0))], None).expect("written");
        let Err(Failure::Usage(_)) = write_or_forget(&work, None, false) else { panic!("a gap") };
        assert_eq!((work.count().expect("a number"), work.is_read().expect("known")), (0, false));
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let begun =
            |source: &str| Begun { source: source.into(), mapping: Default::default(), renumber: false };
        let mut work = Work::open(folder.path()).expect("a new folder");
        work.begin(&begun("nothing was read of this")).expect("it begins");
        work.begin(&begun("one")).expect("it begins");
        work.add(&[found(0, ("a", Some(1), None, 0))], None).expect("written");
        let Err(Failure::Usage(told)) = Work::open(folder.path()).map(drop) else { panic!("in use") };
        assert!(told.contains("another import is at work"), "{told}");
        drop(work);
        let work = Work::open(folder.path()).expect("again");
        work.begin(&begun("one")).expect("the same");
        let Err(Failure::Usage(told)) = work.begin(&begun("two")) else { panic!("another source") };
        assert!(told.contains("another source: one"), "{told}");
        let renumbered = Begun { renumber: true, ..begun("one") };
        assert!(work.begin(&renumbered).is_err());
        let strange = tempfile::TempDir::new().expect("a folder");
        std::fs::write(strange.path().join("letter.txt"), "dear").expect("written");
        let Err(Failure::Usage(told)) = Work::open(strange.path()).map(drop) else { panic!("not ours") };
        assert!(told.contains("something else"), "{told}");
    }
}
