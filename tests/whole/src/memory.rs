use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use uuid::Uuid;

use crate::{
    database::{Engine, Server},
    http::Connection,
    pod::{self, Role},
    sidecar::{Sidecar, SidecarArgs, pause},
};

const WRITERS: usize = 128;
const SUBSCRIBERS: usize = 100;

#[derive(clap::Args)]
pub struct Args {
    /// Seconds of load.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Most MB (10^6 bytes) resident when idle.
    #[arg(long, default_value_t = 20)]
    idle: u64,
    /// Most MB (10^6 bytes) resident under load.
    #[arg(long, default_value_t = 100)]
    loaded: u64,
    /// A role of a cluster, on PostgreSQL, instead of `polylog dev` on SQLite.
    #[arg(long)]
    role: Option<Role>,
    /// The program that has the roles; default: found in PATH.
    #[arg(long, default_value = "polylog-sidecar")]
    role_binary: PathBuf,
    /// A folder in which the figures are left as JSON.
    #[arg(long)]
    figures: Option<PathBuf>,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let data = std::env::temp_dir().join(format!("polylog-memory-{}", std::process::id()));
    let (mut sidecar, server) = start(args, &data)?;
    let port = sidecar.port;
    let pid = sidecar.pid()?;
    pause(Duration::from_secs(2));
    let idle = resident(pid)?;
    println!("idle: {:.1} MB resident", megabytes(idle));

    let stop = AtomicBool::new(false);
    let (appended, received, highest) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| -> Result<()> {
        // One subscriber connects and never reads.
        let stalled =
            Connection::open(port, Duration::from_secs(60))?.stream("/v1/subscribe?from=beginning", "")?;
        let threads: Vec<_> = (0..WRITERS)
            .map(|n| {
                scope.spawn({
                    let (stop, appended) = (&stop, &appended);
                    move || append(port, n, stop, appended)
                })
            })
            .chain((1..SUBSCRIBERS).map(|_| scope.spawn(|| subscribe(port, &stop, &received))))
            .collect();
        let end = Instant::now() + Duration::from_secs(args.seconds);
        let watched = (|| {
            while Instant::now() < end {
                highest.fetch_max(resident(pid)?, Ordering::Relaxed);
                pause(Duration::from_millis(50));
            }
            anyhow::Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        drop(stalled);
        watched?;
        ended.into_iter().collect()
    })?;
    let loaded = highest.into_inner();
    let (appended, received) = (appended.into_inner(), received.into_inner());
    println!(
        "loaded: {:.1} MB resident at most, while {WRITERS} clients appended {appended} events and {SUBSCRIBERS} \
         subscribers, one of them stalled, received {received}",
        megabytes(loaded)
    );
    sidecar.kill()?;
    drop(server);
    std::fs::remove_dir_all(&data).context("the data of this run")?;
    ensure!(appended > 0 && received > 0, "nothing went through: the figures mean nothing");
    ensure!(idle <= args.idle * 1_000_000, "more than {} MB when idle", args.idle);
    ensure!(loaded <= args.loaded * 1_000_000, "more than {} MB under load", args.loaded);
    let Some(folder) = &args.figures else { return Ok(()) };
    let role = args.role.map_or("dev", Role::name);
    let figures = serde_json::json!({
        "role": role, "idle": idle, "loaded": loaded, "appended": appended, "received": received,
    });
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("memory-{role}.json")), format!("{figures:#}\n"))?;
    Ok(())
}

/// The process that is measured, and the server under it if it has one.
fn start(args: &Args, data: &Path) -> Result<(Sidecar, Option<Box<dyn Server>>)> {
    let mut sidecar = Sidecar::new(&args.sidecar, data)?;
    let Some(role) = args.role else {
        sidecar.start()?;
        return Ok((sidecar, None));
    };
    let server = Engine::Postgres.start().context("an engine with a server")?;
    let url = server.url();
    // neither role provisions; this does, and opens the log
    let mut provisioner = sidecar.at(&url);
    provisioner.start()?;
    provisioner.kill()?;
    pod::mount(data, &url)?;
    let mut sidecar = Sidecar::in_pod(&args.role_binary, role, data)?;
    sidecar.start()?;
    until_it_appends(sidecar.port)?;
    Ok((sidecar, Some(server)))
}

fn until_it_appends(port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let body = br#"{"expectedVersion":"any","events":[{"type":"Noted","data":{}}]}"#;
        let answer = Connection::open(port, Duration::from_secs(10))?.request(
            "POST",
            "/v1/streams/Payment-1",
            body,
        )?;
        if answer.status == 201 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no append: {}", String::from_utf8_lossy(&answer.body));
        pause(Duration::from_millis(100));
    }
}

fn append(port: u16, n: usize, stop: &AtomicBool, appended: &AtomicU64) -> Result<()> {
    let mut connection = Connection::open(port, Duration::from_secs(30))?;
    let path = format!("/v1/streams/Payment-m{n}");
    let note = "x".repeat(200);
    while !stop.load(Ordering::Relaxed) {
        let id = Uuid::now_v7();
        let body = format!(
            r#"{{"expectedVersion":"any","events":[{{"id":"{id}","type":"Noted","data":{{"note":"{note}"}}}}]}}"#
        );
        let answer = connection.request("POST", &path, body.as_bytes())?;
        match answer.status {
            201 => _ = appended.fetch_add(1, Ordering::Relaxed),
            429 => pause(Duration::from_millis(10)),
            status => anyhow::bail!("status {status}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
    Ok(())
}

fn subscribe(port: u16, stop: &AtomicBool, received: &AtomicU64) -> Result<()> {
    let mut stream = Connection::open(port, Duration::from_secs(30))?.stream("/v1/subscribe?from=now", "")?;
    while !stop.load(Ordering::Relaxed) {
        let Some(line) = stream.line()? else { anyhow::bail!("a subscription ended by itself") };
        if line == b"event: event" {
            received.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Resident bytes of a process.
fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
