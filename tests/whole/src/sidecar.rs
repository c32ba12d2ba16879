//! A process of Polylog's that can be killed and started again.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{http::Connection, pod::Role};

/// A process of Polylog's: `polylog dev` over a folder of data, or a role of a cluster.
pub struct Sidecar {
    /// Where it listens.
    pub port: u16,
    /// Where it tells its health and metrics.
    pub health_port: u16,
    command: Command,
    child: Option<Child>,
    /// Where it says what it says, if not on the standard error.
    said: Option<PathBuf>,
}

/// What is started, from which binary, with which manifests.
#[derive(Debug, Clone, clap::Args)]
pub struct SidecarArgs {
    /// The `polylog` binary; default: found in PATH.
    #[arg(long, default_value = "polylog")]
    binary: PathBuf,
    /// The manifests it serves.
    #[arg(long, default_value = "examples/payments")]
    manifests: PathBuf,
    /// Further arguments of `polylog dev`.
    #[arg(last = true)]
    further: Vec<String>,
}

impl SidecarArgs {
    /// The same with other manifests.
    pub fn with_manifests(&self, manifests: &Path) -> Self {
        Self { manifests: manifests.to_owned(), ..self.clone() }
    }
}

impl Sidecar {
    /// Prepares a process on a free port; nothing is started yet.
    pub fn new(args: &SidecarArgs, data: &Path) -> Result<Self> {
        let (port, health_port) = (free_port()?, free_port()?);
        let mut command = Command::new(&args.binary);
        command
            .arg("dev")
            .arg(&args.manifests)
            .args(["--port", &port.to_string(), "--health-port", &health_port.to_string(), "--data"])
            .arg(data)
            .args(&args.further)
            .env("POLYLOG_LOG", "warn")
            .stdin(Stdio::null());
        Ok(Self { port, health_port, command, child: None, said: None })
    }

    /// Prepares a process of a role in a cluster over what [`mount`](crate::pod::mount) wrote in the folder.
    pub fn in_pod(program: &Path, role: Role, folder: &Path) -> Result<Self> {
        let (port, health_port) = (free_port()?, free_port()?);
        let mut command = Command::new(program);
        command
            .arg(role.name())
            .args(["--port", &port.to_string(), "--health-port", &health_port.to_string(), "--config"])
            .arg(folder.join("config"))
            .arg("--token")
            .arg(folder.join("token"))
            .env("POLYLOG_LOG", "warn")
            .stdin(Stdio::null());
        Ok(Self { port, health_port, command, child: None, said: None })
    }

    /// Keeps the log of the manifests' source `ledger` at this address.
    pub fn at(self, url: &str) -> Self {
        self.with_source("ledger", url)
    }

    /// Keeps a source of the manifests at this address.
    pub fn with_source(mut self, name: &str, url: &str) -> Self {
        self.command.args(["--source", &format!("{name}={url}")]);
        self
    }

    /// Lets it say what it says in a file; what stands there belongs to the error where it does not start.
    pub fn telling(mut self, file: &Path) -> Result<Self> {
        std::fs::create_dir_all(file.parent().context("a file in a folder")?)?;
        self.command.stderr(std::fs::File::create(file)?);
        self.said = Some(file.to_owned());
        Ok(self)
    }

    /// What the next start has in its environment.
    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and waits until it answers.
    pub fn start(&mut self) -> Result<()> {
        self.child = Some(self.command.spawn().context("polylog could not be started")?);
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let answer = Connection::open(self.port, Duration::from_secs(2))
                .and_then(|mut connection| connection.request("GET", "/v1/stores", b""));
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                bail!("the sidecar ended by itself: {status}{}", self.said());
            }
            pause(Duration::from_millis(10));
        }
        bail!("the sidecar did not answer within 30 s{}", self.said())
    }

    fn said(&self) -> String {
        let said = self.said.as_deref().and_then(|file| std::fs::read_to_string(file).ok());
        said.map(|said| format!("\n{said}")).unwrap_or_default()
    }

    /// kill -9, and wait until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGSTOP: nothing of it runs, its connections stay. It goes on when the answer is dropped.
    pub fn stop(&self) -> Result<Stopped<'_>> {
        self.signal(Signal::STOP)?;
        Ok(Stopped(self))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?).context("a process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Fails if it ended by itself.
    pub fn check_running(&mut self) -> Result<()> {
        let child = self.child.as_mut().context("it was started")?;
        match child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the sidecar ended by itself: {status}"),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("it runs")?.id())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Nothing can be done about a process that is gone already.
        let _ = self.kill();
    }
}

/// A sidecar that stands still, until this is dropped.
pub struct Stopped<'a>(&'a Sidecar);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.signal(Signal::CONT).expect("a process that is stopped does not end");
    }
}

/// Lets time pass for the process under test.
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
