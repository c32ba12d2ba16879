use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use polylog_log::Failure;
use polylog_source_servers::faults::Faults;
use sqlx::{ConnectOptions, Connection, MySqlConnection};

use crate::{
    MariadbConfig,
    checks::{self, Settings},
    config::DatabaseName,
    dialect::{self, Times},
    error::{EngineError, Patience},
    history::History,
    script::Script,
};

/// After this long without use a connection is tried before it is trusted: routers forget idle ones without a word.
const IDLE: Duration = Duration::from_secs(30);

/// What all connections of one source share.
pub(crate) struct Handle {
    pub(crate) config: MariadbConfig,
    pub(crate) history: History,
    /// How often a check went wrong: whatever session it was, every other one checks again then.
    bad_checks: AtomicU64,
    /// A test stopped this handle.
    crashed: AtomicBool,
}

impl Handle {
    pub(crate) fn new(config: MariadbConfig) -> Self {
        Self {
            config,
            history: History::default(),
            bad_checks: AtomicU64::new(0),
            crashed: AtomicBool::new(false),
        }
    }

    /// How long the server waits.
    pub(crate) fn patience(&self) -> Patience {
        Patience { lock: self.config.lock_timeout, statement: self.config.statement_timeout }
    }

    /// The fail points, for one operation.
    pub(crate) fn faults(&self) -> Faults {
        Faults::new(self.config.fail_points.clone())
    }

    /// Tells every session of a check that went wrong.
    fn noticed<T>(&self, checked: Result<T, EngineError>) -> Result<T, EngineError> {
        if checked.is_err() {
            self.bad_checks.fetch_add(1, Ordering::AcqRel);
        }
        checked
    }

    /// Answers nothing any more.
    pub(crate) fn crash(&self) {
        self.crashed.store(true, Ordering::Release);
    }

    pub(crate) fn check_alive(&self) -> Result<(), EngineError> {
        if self.crashed.load(Ordering::Acquire) { Err(EngineError::Crashed) } else { Ok(()) }
    }
}

/// An open connection to a database that was checked.
pub(crate) struct Session {
    pub(crate) connection: MySqlConnection,
    /// Bytes of one statement at most.
    pub(crate) packet: usize,
    used: Instant,
    checked: Instant,
    /// How many checks had gone wrong then.
    bad_checks: u64,
}

impl Session {
    /// Connects and checks the server, our tables and our rights.
    async fn open(handle: &Handle) -> Result<Self, EngineError> {
        let (config, bad_checks) = (&handle.config, handle.bad_checks.load(Ordering::Acquire));
        let opening = async {
            let mut connected = connect(config, config.statement_timeout, Enter::Database).await?;
            checks::tables(&mut connected.connection, &config.database).await?;
            Ok(connected)
        };
        let Connected { connection, packet } = handle.noticed(opening.await)?;
        let now = Instant::now();
        Ok(Self { connection, packet, used: now, checked: now, bad_checks })
    }

    fn is_due(&self, handle: &Handle) -> bool {
        self.checked.elapsed() >= handle.config.check_interval
            || self.bad_checks != handle.bad_checks.load(Ordering::Acquire)
    }

    /// Checks again what may have changed since: settings, tables, indexes, rights.
    async fn check(&mut self, handle: &Handle) -> Result<(), EngineError> {
        let (config, bad_checks) = (&handle.config, handle.bad_checks.load(Ordering::Acquire));
        let checking = async {
            let settings = prepare(&mut connection, times(config, statement_timeout)).await?;
        settings.check(config.allow_unsafe_durability)?;
        if enter == Enter::Database {
            use_database(&mut connection, &config.database).await?;
        }
        Ok(Connected { connection, packet: settings.packet })
    };
    match tokio::time::timeout(config.connect_timeout, connecting).await {
        Ok(result) => result,
        Err(_) => {
            let patience = config.connect_timeout;
            Err(Failure::Unreachable(format!("no connection within {patience:?}")).into())
        }
    }
}

fn times(config: &MariadbConfig, statement: Duration) -> Times {
    Times { lock: config.lock_timeout, idle: config.idle_timeout, statement }
}

/// Makes the settings the session's own, and asks for the server's.
async fn prepare(connection: &mut MySqlConnection, times: Times) -> Result<Settings, EngineError> {
    let script = Script::default().then(checks::SETTINGS).then(dialect::settings(times));
    match script.run(connection).await {
        Ok(rows) => Settings::read(&rows),
        // a setting that the server does not know: it is none that this version knows
        Err(broken) if !broken.rows.is_empty() && broken.error.is_answer() => {
            Settings::read(&broken.rows)?.check_version()?;
            Err(broken.error)
        }
        Err(broken) => Err(broken.error),
    }
}

/// Enters a database.
pub(crate) async fn use_database(
    connection: &mut MySqlConnection,
    database: &DatabaseName,
) -> Result<(), EngineError> {
    let script = Script::default().then(format!("USE {database}"));
    let entered = script.run(connection).await;
    match entered {
        Ok(_) => Ok(()),
        // where we may do nothing at all, the server does not say whether it is there
        Err(broken) if broken.error.number() == Some(1044) => Err(checks::no_right_at_all(database).into()),
        Err(broken) => Err(broken.error),
    }
}
