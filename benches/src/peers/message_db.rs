//! message-db: functions in a PostgreSQL database, here driven by pgbench.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use sqlx::{Connection, Executor, PgConnection, Row};

use super::servers::{Postgres, Server};
use crate::load::{DATA, Load, METADATA, Measured};

/// Its functions lock a category each; here are so many, of five streams each.
const CATEGORIES: u32 = 1_000;
/// The stream that is read.
const STREAM: &str = "long-1";

/// A folder of the npm package, one for what pgbench reads and writes, and the server that it is installed on.
pub struct MessageDb {
    server: Rc<Postgres>,
    package: PathBuf,
    folder: PathBuf,
    pgbench: PathBuf,
}

impl MessageDb {
    pub fn new(package: &Path, folder: &Path, server: Rc<Postgres>) -> Result<Self> {
        ensure!(package.join("database/install.sh").exists(), "no message-db in {}", package.display());
        let programs = std::env::var("POLYLOG_POSTGRES_BIN").unwrap_or("/usr/lib/postgresql/15/bin".into());
        let pgbench = Path::new(&programs).join("pgbench");
        Ok(Self { server, package: package.to_path_buf(), folder: folder.to_path_buf(), pgbench })
    }

    /// Its version.
    pub fn version(&self) -> Result<String> {
        let package = fs::read_to_string(self.package.join("package.json"))?;
        let package: serde_json::Value = serde_json::from_str(&package)?;
        Ok(package["version"].as_str().context("a version")?.to_owned())
    }

    /// Installs it in a new database, with so many messages.
    pub fn install(&self, database: &str, messages: u64) -> Result<()> {
        let (folder, port) = self.server.place();
        let output = Command::new("bash")
            .arg(self.package.join("database/install.sh"))
            .env("DATABASE_NAME", database)
            .env("PGHOST", folder)
            .env("PGPORT", port.to_string())
            .env("PGUSER", "postgres")
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.server.execute(
            database,
            &format!(
                "SET search_path = message_store, public;; \
                 SELECT count(write_message(gen_random_uuid()::varchar, \
                 'c' || n % {CATEGORIES} || '-' || n / {CATEGORIES} % 5, 'PaymentNoted', '{DATA}'::jsonb, \
                 '{METADATA}'::jsonb)) FROM generate_series(1, {messages}) n;; VACUUM (ANALYZE) messages"
            ),
        );
        Ok(())
    }

    /// Writes so many messages to one stream.
    pub fn write_stream(&self, database: &str, messages: u64) -> Result<()> {
        // its functions keep the plan that was good for an empty table, until somebody looks at what there is now
        const FIRST: u64 = 1_000;
        let write = |messages| {
            format!(
                "SELECT count(write_message(gen_random_uuid()::varchar, '{STREAM}', 'PaymentNoted', \
                 '{DATA}'::jsonb, '{METADATA}'::jsonb)) FROM generate_series(1, {messages});; \
                 VACUUM (ANALYZE) messages"
            )
        };
        let (first, rest) = (write(FIRST), write(messages.saturating_sub(FIRST)));
        self.server.execute(database, &format!("SET search_path = message_store, public;; {first};; {rest}"));
        Ok(())
    }

    /// Reads that stream with its function, a page of 1,000 after the other; gives messages and seconds.
    pub fn read_stream(&self, database: &str) -> Result<(u64, f64)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.server.address(database)).await?;
            connection.execute("SET search_path = message_store, public").await?;
            let (mut position, mut count) = (0_i64, 0);
            let began = Instant::now();
            loop {
                let page = sqlx::query("SELECT * FROM get_stream_messages($1, $2, 1000)")
                    .bind(STREAM)
                    .bind(position)
                    .fetch_all(&mut connection)
                    .await?;
                let Some(last) = page.last() else { return Ok((count, began.elapsed().as_secs_f64())) };
                position = last.try_get::<i64, _>("position")? + 1;
                count += page.len() as u64;
            }
        })
    }

    /// A few appends by each client, and how long all of them took to connect.
    pub fn begin(&self, database: &str, load: Load) -> Result<(Measured, Duration)> {
        self.pgbench(database, load, &["-t", "5"])
    }

    /// Writes for about `window`; an append of several messages is one statement. pgbench's time begins when its clients
    /// begin to connect, its rate when they are connected.
    pub fn load(
        &self,
        database: &str,
        load: Load,
        window: Duration,
        connecting: Duration,
    ) -> Result<Measured> {
        // connecting may take longer this time
        let seconds = (window + 2 * connecting).as_secs_f64().ceil().to_string();
        Ok(self.pgbench(database, load, &["-T", &seconds])?.0)
    }

    fn pgbench(&self, database: &str, load: Load, limit: &[&str]) -> Result<(Measured, Duration)> {
        let folder = self.folder.join("pgbench");
        fs::create_dir_all(&folder)?;
        let script = folder.join("append.sql");
        let many = match load.events {
            1 => String::new(),
            events => format!(" FROM generate_series(1, {events})"),
        };
        fs::write(
            &script,
            format!(
                "\\set category random(1, {CATEGORIES})\n\\set stream random(1, 5)\n\
                 SELECT write_message(gen_random_uuid()::varchar, 'c' || :category || '-' || :stream, \
                 'PaymentNoted', '{DATA}', '{METADATA}'){many};\n"
            ),
        )?;
        let clients = load.clients.to_string();
        let output = Command::new(&self.pgbench)
            .args(["-n", "-M", "prepared", "-c", &clients, "-j", "1", "-l", "--log-prefix"])
            .arg(folder.join("times"))
            .arg("-f")
            .arg(&script)
            .args(limit)
            .arg(self.server.address(database))
            .env("PGOPTIONS", "-c search_path=message_store,public")
            .output()
            .context("pgbench")?;
        let (said, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "pgbench: {said}{errors}");
        let number = |name: &str| -> Result<f64> {
            let rest = said.lines().find_map(|line| line.strip_prefix(name));
            Ok(rest
                .and_then(|rest| rest.split(' ').next())
                .with_context(|| format!("no {name}{said}"))?
                .parse()?)
        };
        let connecting = Duration::from_secs_f64(number("initial connection time = ")? / 1e3);
        let rate = number("tps = ")?;
        let mut latencies = Vec::new();
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("times")) {
                for line in fs::read_to_string(&path)?.lines() {
                    let micros = line.split(' ').nth(2).context("a time")?.parse()?;
                    latencies.push(Duration::from_micros(micros));
                }
                fs::remove_file(path)?;
            }
        }
        // the rate without the time in which the clients connected
        let seconds = latencies.len() as f64 / rate;
        Ok((Measured::new(load.events, seconds, latencies), connecting))
    }
}
