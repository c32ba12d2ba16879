//! The database servers under the log, and what is done to them.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use polylog_test_bed::{Keeps, MariadbServer, MongodbServer, PostgresServer};

use crate::sidecar::pause;

/// What keeps the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// A file in the folder of one sidecar.
    Sqlite,
    /// A database on a PostgreSQL server, which several sidecars share.
    Postgres,
    /// The same on a MariaDB server.
    Mariadb,
    /// The same on a server of MongoDB's protocol that keeps what it acknowledged.
    Mongodb,
}

/// A database on a server of its own, empty at first; the server ends with this.
pub trait Server: Sync {
    /// Its address, as `polylog dev --source` takes it.
    fn url(&self) -> String;
    /// Its TCP port on loopback.
    fn port(&self) -> u16;
    /// Kills every process of the server with SIGKILL.
    fn crash(&self);
    /// Starts the server on the data that it left; returns when it answers.
    fn start_again(&self);
    /// Stops its processes (SIGSTOP): connections stay, nothing is answered.
    fn pause(&self);
    /// Ends a pause.
    fn resume(&self);
    /// The lock that an append is decided under, where there is one.
    fn lock(&self) -> Option<&dyn Lock> {
        None
    }
}

/// The lock that an append is decided under, as an administrator sees it.
pub trait Lock {
    /// A session of the server's own client program, for the administrator.
    fn client(&self) -> Command;
    /// Statements, each of one line, about the lock.
    fn statements(&self) -> LockStatements;
}

/// How the lock is taken, watched and given back.
pub struct LockStatements {
    /// Begins a transaction that holds it.
    pub take: &'static str,
    /// The number of sidecars' sessions that wait for it.
    pub count_waiting: &'static str,
    /// The number of sidecars' sessions in the middle of a transaction, with nothing to do.
    pub count_idle: &'static str,
    /// Ends the transaction.
    pub give_back: &'static str,
}

impl Engine {
    /// A server for the engine, if it is one that has servers.
    pub fn start(self) -> Option<Box<dyn Server>> {
        match self {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let server = PostgresServer::start();
                let database = server.create_database();
                Some(Box::new(Postgres { server, database }))
            }
            Engine::Mariadb => {
                let server = MariadbServer::start();
                let database = server.create_database();
                Some(Box::new(Mariadb { server, database }))
            }
            Engine::Mongodb => {
                let server = MongodbServer::with(Keeps::Disk, &["strict"]);
                let database = server.new_name();
                Some(Box::new(Mongodb { server, database }))
            }
        }
    }
}

struct Mongodb {
    server: MongodbServer,
    database: String,
}

impl Server for Mongodb {
    fn url(&self) -> String {
        format!("{}{}", self.server.url(), self.database)
    }

    fn port(&self) -> u16 {
        self.server.port()
    }

    fn crash(&self) {
        self.server.crash();
    }

    fn start_again(&self) {
        self.server.start_again();
    }

    fn pause(&self) {
        self.server.pause();
    }

    fn resume(&self) {
        self.server.resume();
    }
}

struct Postgres {
    server: PostgresServer,
    database: String,
}

impl Server for Postgres {
    fn url(&self) -> String {
        self.server.url(&self.database)
    }

    fn port(&self) -> u16 {
        self.server.port()
    }

    fn crash(&self) {
        self.server.crash();
    }

    fn start_again(&self) {
        self.server.start_again();
    }

    fn pause(&self) {
        self.server.pause();
    }

    fn resume(&self) {
        self.server.resume();
    }

    fn lock(&self) -> Option<&dyn Lock> {
        Some(self)
    }
}

impl Lock for Postgres {
    fn client(&self) -> Command {
        let mut command = self.server.client(&self.database);
        command.args(["-f", "-"]);
        command
    }

    fn statements(&self) -> LockStatements {
        LockStatements {
            take: "BEGIN; SELECT FROM payments.polylog_head FOR UPDATE;",
            count_waiting: "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'polylog' AND wait_event_type = 'Lock';",
            count_idle: "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'polylog' AND state = 'idle in transaction';",
            give_back: "ROLLBACK;",
        }
    }
}

struct Mariadb {
    server: MariadbServer,
    database: String,
}

impl Server for Mariadb {
    fn url(&self) -> String {
        self.server.url(&self.database)
    }

    fn port(&self) -> u16 {
        self.server.port()
    }

    fn crash(&self) {
        self.server.crash();
    }

    fn start_again(&self) {
        self.server.start_again();
    }

    fn pause(&self) {
        self.server.pause();
    }

    fn resume(&self) {
        self.server.resume();
    }

    fn lock(&self) -> Option<&dyn Lock> {
        Some(self)
    }
}

impl Lock for Mariadb {
    fn client(&self) -> Command {
        let mut command = self.server.client(&self.database);
        command.arg("--unbuffered");
        command
    }

    fn statements(&self) -> LockStatements {
        LockStatements {
            take: "START TRANSACTION; SELECT lane FROM polylog_head WHERE lane = 0 FOR UPDATE;",
            count_waiting: "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT';",
            count_idle: "SELECT count(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id WHERE p.command = 'Sleep';",
            give_back: "ROLLBACK;",
        }
    }
}

/// A session with the server, through its client program.
pub struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Session {
    /// Connects.
    pub fn open(lock: &dyn Lock) -> Result<Self> {
        let mut child = lock.client().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("its input is a pipe")?;
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        Ok(Self { child, input, output })
    }

    /// Runs statements of one line; returns what the last of them gave.
    pub fn run(&mut self, statements: &str) -> Result<String> {
        const END: &str = "end of the answer";
        writeln!(self.input, "{statements}\nSELECT '{END}';")?;
        let mut last = String::new();
        loop {
            let mut line = String::new();
            ensure!(self.output.read_line(&mut line)? > 0, "the session ended at {statements}");
            match line.trim_end() {
                END => return Ok(last),
                "" => {}
                text => last = text.to_owned(),
            }
        }
    }

    /// Waits until a statement gives a number of at least `least`.
    pub fn until(&mut self, count: &str, least: u32) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.run(count)?.parse::<u32>().unwrap_or(0) < least {
            ensure!(Instant::now() < deadline, "it never came to {least}: {count}");
            // MariaDB shows the same transactions again to whoever asks more often than every 100 ms
            pause(Duration::from_millis(110));
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // a session that ended has nothing left to end
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
