//! Four processes of clients on two sidecars; what they did and heard must have an order.

mod check;
pub mod client;
pub mod record;
pub mod views;

use std::{
    io::{BufRead, BufReader, BufWriter, Read, Write},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};

use self::{client::Recorder, record::Record};
use crate::{
    audit,
    cluster::Cluster,
    database::Engine,
    sidecar::{SidecarArgs, pause},
    writer,
};

const PROCESSES: usize = 4;
/// In each process.
const CLIENTS: u64 = 4;

#[derive(clap::Args)]
pub struct Args {
    /// How many times something is done to the sidecars and the server while the clients work.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Nothing is done to them, in as many rounds.
    #[arg(long)]
    in_peace: bool,
    /// How many streams the clients use.
    #[arg(long, default_value_t = 1)]
    streams: u64,
    /// The server that keeps the log.
    #[arg(long, default_value = "postgres")]
    engine: Engine,
    /// Chooses moments and operations; default: the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// Succeeds only if a violation is found: for a sidecar that was broken on purpose.
    #[arg(long)]
    expect_violation: bool,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

/// What a process of clients is told.
#[derive(clap::Args)]
pub struct ProcessArgs {
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
    #[arg(long)]
    streams: u64,
    #[arg(long)]
    seed: u64,
}

/// A process of clients; it ends with this.
struct Process(Child);

pub fn run(args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(rand::random);
    println!(
        "seed {seed}, {PROCESSES} processes of {CLIENTS} clients, {} streams, {:?}",
        args.streams, args.engine
    );
    let mut cluster = Cluster::start(args.engine, &args.sidecar, &format!("history-{seed:x}"))?;
    let ports = cluster.ports();
    ensure!(ports.len() == 2, "an engine with a server, which two sidecars share");
    let began = Instant::now();
    let records = record(args, seed, &mut cluster)?;
    // behind everything that may still be under way in the server
    ports.iter().try_for_each(|port| writer::write_one(*port).map(drop))?;
    let log = audit::read_log(ports[0])?;
    let took = began.elapsed();
    match (views::check(&records, &log), args.expect_violation) {
        (Err(violation), true) => println!("found, as it must be: {violation:#}"),
        (Err(violation), false) => return Err(violation),
        (Ok(_), true) => bail!("the sidecar was broken on purpose, and nothing was noticed"),
        (Ok(checked), false) => {
            let views::Checked { streams, acknowledged, refused, unknown, written, reads } = checked;
            println!(
                "linearizable, {streams} streams and the log: {acknowledged} appends acknowledged, {refused} refused, \
                 {unknown} unknown of which {written} were written, {reads} reads; {:.1} s, checked in {:.1} s",
                took.as_secs_f64(),
                (began.elapsed() - took).as_secs_f64()
            );
        }
    }
    cluster.end()
}

/// What the clients noted.
fn record(args: &Args, seed: u64, cluster: &mut Cluster) -> Result<Vec<Record>> {
    let mut random = StdRng::seed_from_u64(seed);
    let ports = cluster.ports();
    let mut processes = (0..PROCESSES)
        .map(|_| Process::start(&ports, args.streams, random.random()))
        .collect::<Result<Vec<_>>>()?;
    let outputs = processes.iter_mut().map(Process::output).collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let records: Vec<_> = outputs
            .into_iter()
            .map(|output| {
                scope.spawn(move || -> Result<Vec<Record>> {
                    BufReader::new(output).lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect()
                })
            })
            .collect();
        let rounds = (0..args.rounds).try_for_each(|_| {
            pause(Duration::from_millis(random.random_range(200..800)));
            if args.in_peace { Ok(()) } else { disturb(cluster, &mut random) }
        });
        let ended: Vec<_> = processes.iter_mut().map(Process::end).collect();
        let records: Vec<_> = records.into_iter().map(|reader| reader.join().expect("no panic")).collect();
        rounds?;
        ended.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(records.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    })
}

/// Kills a sidecar or the server, or stops a sidecar for a while, so that what it was about to do comes late.
fn disturb(cluster: &mut Cluster, random: &mut StdRng) -> Result<()> {
    let sidecar = random.random_range(0..cluster.sidecars.len());
    match random.random_range(0..4) {
        0 => {
            cluster.sidecars[sidecar].kill()?;
            cluster.sidecars[sidecar].start()
        }
        1 => {
            let server = cluster.server.as_deref().context("an engine with a server")?;
            server.crash();
            server.start_again();
            Ok(())
        }
        _ => {
            let halted = cluster.sidecars[sidecar].stop()?;
            pause(Duration::from_millis(random.random_range(10..2_500)));
            drop(halted);
            Ok(())
        }
    }
}

impl Process {
    fn start(ports: &[u16], streams: u64, seed: u64) -> Result<Self> {
        let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["history-clients", "--ports", &ports]);
        command.args(["--streams", &streams.to_string(), "--seed", &seed.to_string()]);
        Ok(Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?))
    }

    fn output(&mut self) -> Result<std::process::ChildStdout> {
        self.0.stdout.take().context("its output is a pipe")
    }

    /// Its clients end what they are doing.
    fn end(&mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let status = self.0.wait()?;
        ensure!(status.success(), "a process of clients: {status}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // one that ended has nothing left to end
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process of clients: works until its input ends, and prints what it noted.
pub fn run_clients(args: &ProcessArgs) -> Result<()> {
    let (stop, output) = (AtomicBool::new(false), Mutex::new(BufWriter::new(std::io::stdout())));
    let note = |record: Record| -> Result<()> {
        let line = serde_json::to_string(&record)?;
        Ok(writeln!(output.lock(), "{line}")?)
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let mut recorder = Recorder::new(&args.ports, args.streams, args.seed.wrapping_add(n));
                let (stop, note) = (&stop, &note);
                scope.spawn(move || recorder.run(stop, note))
            })
            .collect();
        // nothing comes but the end
        let waited = std::io::stdin().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::Relaxed);
        let ended: Vec<_> = clients.into_iter().map(|client| client.join().expect("no panic")).collect();
        waited?;
        ended.into_iter().collect::<Result<()>>()
    })?;
    Ok(output.lock().flush()?)
}
