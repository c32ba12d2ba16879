//! UmaDB: a server with a file of its own, as its Python package brings it.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{grpc::Method, messages};
use crate::load::{Load, Measured};

const APPEND: &str = "/umadb.v1.DCB/Append";
const READ: &str = "/umadb.v1.DCB/Read";

/// What fills it.
const FILL: Load = Load { clients: 8, events: 50 };

/// A server; killed with this.
pub struct Umadb {
    child: Child,
    port: u16,
}

impl Umadb {
    /// Starts the script `umadb` over a new file in the folder, and waits until it answers.
    pub fn start(program: &Path, folder: &Path) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = Command::new(program)
            .args(["--listen", &format!("127.0.0.1:{port}"), "--db-path"])
            .arg(folder.join("uma.db"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let server = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                bail!("umadb did not answer within 20 s");
            }
            polylog_whole_tests::sidecar::pause(Duration::from_millis(10));
        }
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn load(&self, load: Load, window: Duration) -> Result<Measured> {
        let method = Method { port: self.port, path: APPEND };
        method.load(load, &messages::umadb(load.events), window)
    }

    /// Appends until it holds so many events.
    pub fn fill(&self, events: u64) -> Result<()> {
        let mut stored = 0;
        while stored < events {
            stored += self.load(FILL, Duration::from_millis(100))?.events;
        }
        Ok(())
    }

    /// Appends to the first stream alone, until it has so many events more.
    pub fn lengthen_stream(&self, events: u64) -> Result<()> {
        let method = Method { port: self.port, path: APPEND };
        let mut written = 0;
        while written < events {
            let window = Duration::from_millis(500);
            written += method.load_streams(FILL, &messages::umadb(FILL.events), window, 1)?.events;
        }
        Ok(())
    }

    /// Reads everything, or one stream; gives events and seconds.
    pub fn read(&self, stream: Option<&str>) -> Result<(u64, f64)> {
        let mut events = 0;
        let method = Method { port: self.port, path: READ };
        let seconds = method
            .read(&messages::umadb_read(stream), |message| events += messages::count_field(message, 1))?;
        Ok((events, seconds))
    }

    /// The version that the script tells.
    pub fn version(program: &Path) -> Result<String> {
        let output = Command::new(program).arg("--version").output()?;
        let said = String::from_utf8(output.stdout)?;
        Ok(said.split_whitespace().last().context("a version")?.to_owned())
    }
}

impl Drop for Umadb {
    fn drop(&mut self) {
        // Nothing can be done about a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
