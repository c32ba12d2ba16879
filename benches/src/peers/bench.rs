//! What every piece begins with: a server, sidecars on it, and the others.

use std::{path::Path, rc::Rc, time::Duration};

use anyhow::{Context, Result};
use polylog_whole_tests::sidecar::Sidecar;

use super::{
    Args,
    grpc::Method,
    message_db::MessageDb,
    messages,
    meter::{Watched, Who, Window},
    piece::Engine,
    results::Side,
    servers::{Mariadb, Postgres, Raw, Server},
};
use crate::{
    load::{Load, Measured, STREAMS},
    observed::{batches, position},
    process::resident,
};

/// Events in the log that each round on a small log begins with.
pub const FEW: u64 = 10_000;
/// How long everything runs before it is measured.
pub const WARM_UP: f64 = 0.3;
/// What fills a log.
const FILL: Load = Load { clients: 8, events: 50 };
/// What shows the sidecar each of the streams: a process is measured that has been at work for a while.
const SHOW: Load = Load { clients: 64, events: 1 };
const APPEND: &str = "/polylog.v1.Events/Append";

/// A server and what runs on it.
pub struct Bench<'a> {
    pub args: &'a Args,
    pub folder: &'a Path,
    pub server: Rc<dyn Server>,
    /// The peer that lives on the same server.
    pub message_db: Option<MessageDb>,
    /// The program of the peer that has a file of its own. It takes part once: beside PostgreSQL.
    pub umadb: Option<&'a Path>,
}

impl<'a> Bench<'a> {
    pub fn start(args: &'a Args, folder: &'a Path, engine: Engine) -> Result<Self> {
        let (server, message_db): (Rc<dyn Server>, _) = match engine {
            Engine::Postgres => {
                let server = Rc::new(Postgres::start());
                let package = args.message_db.as_deref();
                let message_db = package.map(|package| MessageDb::new(package, folder, server.clone()));
                (server, message_db.transpose()?)
            }
            Engine::Mariadb => (Rc::new(Mariadb::start()), None),
        };
        let umadb = args.umadb.as_deref().filter(|_| engine == Engine::Postgres);
        Ok(Self { args, folder, server, message_db, umadb })
    }

    /// A log of so many events that nobody uses any more, with its raw table.
    pub fn prepare(&self, database: &str, events: u64) -> Result<()> {
        self.server.create(database);
        let mut sidecar = self.sidecar(database)?;
        fill(&sidecar, events)?;
        sidecar.kill()?;
        self.server.prepare_raw(database);
        Ok(())
    }

    /// A process on a database.
    pub fn sidecar(&self, database: &str) -> Result<Sidecar> {
        let data = self.folder.join(database);
        let mut sidecar = Sidecar::new(&self.args.sidecar, &data)?
            .at(&self.server.address(database))
            .telling(&data.join("said"))?;
        sidecar.start().context("the sidecar")?;
        Ok(sidecar)
    }

    /// A log that is being written: a sidecar, and the raw table beside its own.
    pub fn log(&self, database: &str) -> Result<Log> {
        Ok(Log {
            sidecar: self.sidecar(database)?,
            raw: self.server.raw(database)?,
            database: Watched { who: Who::Database, pid: self.server.pid()? },
        })
    }

    pub fn window(&self) -> Duration {
        Duration::from_secs_f64(self.args.window)
    }
}

/// A log that is being written.
pub struct Log {
    pub sidecar: Sidecar,
    raw: Box<dyn Raw>,
    database: Watched,
}

impl Log {
    /// Shows the sidecar each of the streams.
    pub fn show_streams(&self) -> Result<()> {
        let shown = self.position()? + STREAMS as u64;
        while self.position()? < shown {
            append(&self.sidecar, SHOW, Duration::from_millis(200))?;
        }
        Ok(())
    }

    /// Runs a load that is not measured, and brings the raw table to where the log is.
    pub fn warm_up(&mut self, load: Load) -> Result<()> {
        append(&self.sidecar, load, Duration::from_secs_f64(WARM_UP))?;
        self.raw.catch_up(100)?;
        Ok(())
    }

    /// The tail of the log.
    pub fn position(&self) -> Result<u64> {
        position(self.sidecar.port)
    }

    /// A window over gRPC, and the rows of it once more, raw, in transactions as large as the sidecar's own.
    pub fn pair(&mut self, load: Load, window: Duration) -> Result<[Side; 2]> {
        let before = batches(self.sidecar.health_port)?;
        let ours = Window::of(&self.watched()?, || append(&self.sidecar, load, window))?;
        let after = batches(self.sidecar.health_port)?;
        let batch = (after.0 - before.0) / (after.1 - before.1);
        let raw = Window::of(&[self.database], || self.raw.catch_up(batch.round() as usize))?;
        let resident = Some(resident(self.sidecar.pid()?)?);
        let in_a_transaction = Some(batch);
        Ok([
            Side { in_a_transaction, resident, ..Side::of(&ours) },
            Side { in_a_transaction: Some(batch.round()), ..Side::of(&raw) },
        ])
    }

    /// A window over HTTP. The raw table does not follow.
    pub fn over_http(&self, load: Load, window: Duration) -> Result<Side> {
        let before = batches(self.sidecar.health_port)?;
        let ours = Window::of(&self.watched()?, || load.run(self.sidecar.port, window))?;
        let after = batches(self.sidecar.health_port)?;
        let in_a_transaction = Some((after.0 - before.0) / (after.1 - before.1));
        let resident = Some(resident(self.sidecar.pid()?)?);
        Ok(Side { in_a_transaction, resident, ..Side::of(&ours) })
    }

    /// Whose processor time counts.
    pub fn watched(&self) -> Result<[Watched; 3]> {
        let sidecar = Watched { who: Who::Sidecar, pid: self.sidecar.pid()? };
        Ok([sidecar, self.database, Watched::client()])
    }
}

/// Appends over gRPC.
pub fn append(sidecar: &Sidecar, load: Load, window: Duration) -> Result<Measured> {
    let method = Method { port: sidecar.port, path: APPEND };
    method.load(load, &messages::polylog(load.events), window)
}

/// As [`append`], to the first stream alone, until it has so many events more.
pub fn lengthen_stream(sidecar: &Sidecar, events: u64) -> Result<()> {
    let method = Method { port: sidecar.port, path: APPEND };
    let mut written = 0;
    while written < events {
        let window = Duration::from_millis(500);
        written += method.load_streams(FILL, &messages::polylog(FILL.events), window, 1)?.events;
    }
    Ok(())
}

/// Appends until the log holds `events`.
pub fn fill(sidecar: &Sidecar, events: u64) -> Result<()> {
    let window = Duration::from_millis(if events > 100_000 { 1_000 } else { 50 });
    while position(sidecar.port)? < events {
        append(sidecar, FILL, window)?;
    }
    Ok(())
}
