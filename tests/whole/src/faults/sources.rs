//! The databases of one log, and the ways to them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::OpenFlags;

use super::way::Way;
use crate::{
    audit::Logged,
    database::{Engine, Server},
    sidecar::pause,
};

/// Data that another source keeps is dropped within this time after the last fault.
const DROPPED: Duration = Duration::from_secs(30);

/// The names of the sources, in the order in which they become primary.
pub const NAMES: [&str; 3] = ["ledger", "mirror", "spare"];

/// One of the sources.
pub enum Place {
    Server { engine: Engine, server: Box<dyn Server>, way: Way },
    File(PathBuf),
}

/// PostgreSQL, MariaDB, and either an SQLite file, which one process has, or another server of PostgreSQL, which several
/// share.
pub struct Sources {
    pub places: [Place; 3],
}

impl Sources {
    /// `spare` is this file, or a server without one.
    pub fn start(spare: Option<PathBuf>) -> Result<Self> {
        let spare = match spare {
            Some(file) => Place::File(file),
            None => Place::of(Engine::Postgres)?,
        };
        Ok(Self { places: [Place::of(Engine::Postgres)?, Place::of(Engine::Mariadb)?, spare] })
    }

    /// The name of MariaDB's database.
    pub fn mariadb(&self) -> Result<String> {
        let Place::Server { server, .. } = &self.places[1] else { unreachable!("it is a server") };
        let url = server.url();
        Ok(url.rsplit('/').next().context("a database in the address")?.to_owned())
    }

    /// Where each source is, by way of its way.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, String)> {
        NAMES.into_iter().zip(&self.places).map(|(name, place)| (name, place.address()))
    }

    /// Checks that all hold the same events, one by one, as the databases tell without a sidecar, and that these are the
    /// log's; returns how many.
    pub fn hold(&self, log: &[Logged]) -> Result<usize> {
        let held: Vec<Vec<String>> = self.places.iter().map(Place::events).collect::<Result<_>>()?;
        are_same(&held)?;
        is_log(&held[0], log)?;
        Ok(held[0].len())
    }

    /// Waits until each source has the data of the events that `kept` says it keeps, and of those alone; returns of how many.
    pub fn keep(&self, kept: [&str; 3]) -> Result<[u64; 3]> {
        let began = Instant::now();
        loop {
            let mut counts = [0; 3];
            let mut wrong = String::new();
            for (of, condition) in kept.into_iter().enumerate() {
                for (at, place) in self.places.iter().enumerate() {
                    let with = place.count(&format!("({condition}) AND data IS NOT NULL"))?;
                    let all = place.count(condition)?;
                    let should = if at == of { all } else { 0 };
                    if with != should {
                        wrong = format!(
                            "{} has the data of {with} of {all} events that {} keeps",
                            NAMES[at], NAMES[of]
                        );
                    }
                    counts[of] = all;
                }
            }
            match wrong.is_empty() {
                true => return Ok(counts),
                false if began.elapsed() > DROPPED => bail!("{wrong}"),
                false => pause(Duration::from_millis(200)),
            }
        }
    }
}

/// What came after the log was read was appended by nobody: the log's own events.
fn is_log(held: &[String], log: &[Logged]) -> Result<()> {
    ensure!(held.len() >= log.len(), "{} events are held, and the log had {}", held.len(), log.len());
    for (index, event) in held.iter().enumerate() {
        let words: Vec<&str> = event.split(' ').collect();
        let [position, _, stream, version, ..] = words[..] else { bail!("no event: {event}") };
        ensure!(position == (index + 1).to_string(), "{event} stands after {index} others");
        match log.get(index) {
            Some(logged) => ensure!(
                (stream, version) == (&*logged.stream, &*logged.version.to_string()),
                "{event} is held where the log has version {} of {}",
                logged.version,
                logged.stream
            ),
            None => ensure!(stream.starts_with('$'), "{event} came by itself"),
        }
    }
    Ok(())
}

fn are_same(held: &[Vec<String>]) -> Result<()> {
    for (name, events) in NAMES.into_iter().zip(held).skip(1) {
        let first = &held[0];
        let differs = first.iter().zip(events).position(|(one, other)| one != other);
        let at = differs.or((first.len() != events.len()).then_some(first.len().min(events.len())));
        ensure!(
            at.is_none(),
            "{} and {name} part after {at:?} events: {:?}, {:?}",
            NAMES[0],
            at.and_then(|at| first.get(at)),
            at.and_then(|at| events.get(at))
        );
    }
    ensure!(held.iter().all(|events| !events.is_empty()), "nothing is held");
    Ok(())
}

impl Place {
    fn of(engine: Engine) -> Result<Self> {
        let server = engine.start().context("an engine with a server")?;
        let way = Way::to(server.port())?;
        Ok(Place::Server { engine, server, way })
    }

    fn address(&self) -> String {
        match self {
            Place::Server { server, way, .. } => {
                let (own, by_way) =
                    (format!("127.0.0.1:{}/", server.port()), format!("127.0.0.1:{}/", way.port));
                server.url().replace(&own, &by_way)
            }
            Place::File(file) => format!("sqlite:{}", file.display()),
        }
    }

    /// How many events fulfil this.
    fn count(&self, condition: &str) -> Result<u64> {
        let statement = format!("SELECT count(*) FROM polylog_events WHERE {condition}");
        let rows = match self {
            Place::Server { engine: Engine::Postgres, server, .. } => {
                rows(client(&**server)?, "-c", &statement.replace("FROM ", "FROM payments."))?
            }
            Place::Server { server, .. } => rows(client(&**server)?, "-e", &statement)?,
            Place::File(path) => {
                rows_of_file(path, &statement.replace("count(*)", "CAST(count(*) AS TEXT)"))?
            }
        };
        Ok(rows.first().context("a count")?.parse()?)
    }

    /// A line for each event, in the order of the log: where it stands, under which term, and what it holds.
    fn events(&self) -> Result<Vec<String>> {
        match self {
            Place::Server { engine: Engine::Postgres, server, .. } => rows(
                client(&**server)?,
                "-c",
                "SELECT position || ' ' || term || ' ' || stream || ' ' || version || ' ' || encode(digest, 'hex') || ' ' || \
                 encode(data_digest, 'hex') FROM payments.polylog_events ORDER BY position",
            ),
            Place::Server { server, .. } => rows(
                client(&**server)?,
                "-e",
                "SELECT concat(position, ' ', term, ' ', CAST(stream AS CHAR), ' ', version, ' ', lower(hex(digest)), ' ', \
                 lower(hex(data_digest))) FROM polylog_events ORDER BY position",
            ),
            Place::File(file) => rows_of_file(
                file,
                "SELECT position || ' ' || term || ' ' || stream || ' ' || version || ' ' || lower(hex(digest)) || ' ' || \
                 lower(hex(data_digest)) FROM polylog_events ORDER BY position",
            ),
        }
    }
}

/// A session of the server's own client program.
fn client(server: &dyn Server) -> Result<Command> {
    Ok(server.lock().context("the fault runs read the databases of PostgreSQL and MariaDB alone")?.client())
}

fn rows(mut client: Command, option: &str, statement: &str) -> Result<Vec<String>> {
    let output = client.args([option, statement]).output()?;
    ensure!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

fn rows_of_file(path: &Path, statement: &str) -> Result<Vec<String>> {
    let file = rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut rows = file.prepare(statement)?;
    let rows = rows.query_map([], |row| row.get::<_, String>(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_more_or_another_one_is_a_difference() {
        let held = |events: &[&str]| events.iter().map(|event| (*event).to_owned()).collect::<Vec<_>>();
        let whole = held(&["1 a", "2 b"]);
        are_same(&[whole.clone(), whole.clone(), whole.clone()]).expect("the same");
        for other in [&["1 a"][..], &["1 a", "2 c"], &["1 a", "2 b", "3 c"]] {
            are_same(&[whole.clone(), whole.clone(), held(other)]).expect_err("another");
            are_same(&[whole.clone(), held(other), whole.clone()]).expect_err("another");
        }
        are_same(&[vec![], vec![], vec![]]).expect_err("nothing");
    }

    #[test]
    fn what_is_held_is_the_log_and_nothing_that_somebody_appended_besides() {
        let logged = |stream: &str, version| Logged { id: uuid::Uuid::nil(), stream: stream.into(), version };
        let log = [logged("$term", 1), logged("a", 1)];
        let held = |events: &[&str]| events.iter().map(|event| (*event).to_owned()).collect::<Vec<_>>();
        is_log(&held(&["1 1 $term 1 d", "2 1 a 1 d"]), &log).expect("the log");
        is_log(&held(&["1 1 $term 1 d", "2 1 a 1 d", "3 2 $term 2 d"]), &log).expect("and a term");
        for other in [
            &["1 1 $term 1 d"][..],
            &["1 1 $term 1 d", "3 1 a 1 d"],
            &["1 1 $term 1 d", "2 1 a 2 d"],
            &["1 1 $term 1 d", "2 1 b 1 d"],
            &["1 1 $term 1 d", "2 1 a 1 d", "3 1 a 2 d"],
        ] {
            is_log(&held(other), &log).expect_err("another");
        }
    }
}
