use std::time::{Duration, Instant};

use polylog_log::Failure;
use polylog_source_servers::{relay, standing::Standing};
use sqlx::{ConnectOptions, PgConnection, Row, postgres::PgConnectOptions};

use crate::{
    PostgresConfig, checks,
    error::{EngineError, Patience},
    faults::Faults,
    history::History,
    settings::Settings,
};

/// After this long without use a connection is tried before it is trusted: routers forget idle ones without a word.
const IDLE: Duration = Duration::from_secs(30);

/// The settings that everything rests on, made this session's own, so that no reload changes them; with what the checks
/// need to know of the server.
///
/// The driver logs the server's warnings, such as that a wait for a synchronous standby was cancelled, which the server
/// answers with success. What a caller who went away asked for ends in the server too
/// (`client_connection_check_interval`, on the systems that have it; servers before 14 do not know it, and are to be told that they
/// are too old).
const PREPARE: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
     current_setting('server_encoding'), current_setting('fsync'), \
     set_config('synchronous_commit', current_setting('synchronous_commit'), false), \
     pg_is_in_recovery(), current_setting('transaction_read_only'), current_setting('full_page_writes'), \
     set_config('search_path', $1, false), set_config('lock_timeout', $2, false), \
     set_config('statement_timeout', $3, false), \
     set_config('idle_in_transaction_session_timeout', $4, false), \
     set_config('default_transaction_isolation', 'read committed', false), \
     set_config('max_parallel_workers_per_gather', '0', false), \
     set_config('bytea_output', 'hex', false), set_config('client_min_messages', 'warning', false), \
     CASE WHEN current_setting('server_version_num')::int >= 140000 THEN set_config('client_connection_check_interval', \
     CASE WHEN version() ~ 'linux|darwin|bsd|solaris' THEN '1s' \
     ELSE current_setting('client_connection_check_interval') END, false) END";

/// What all connections of one source share.
pub(crate) struct Handle {
    pub(crate) config: PostgresConfig,
    pub(crate) history: History,
    pub(crate) standing: Standing,
}

impl Handle {
    pub(crate) fn new(config: PostgresConfig) -> Self {
        Self { config, history: History::default(), standing: Standing::default() }
    }

    /// How long the server waits.
    pub(crate) fn patience(&self) -> Patience {
        Patience { lock: self.config.lock_timeout, statement: self.config.statement_timeout }
    }

    /// The fail points, for one operation.
    pub(crate) fn faults(&self) -> Faults {
        Faults::new(self.config.fail_points.clone())
    }

    pub(crate) fn check_alive(&self) -> Result<(), EngineError> {
        if self.standing.has_crashed() { Err(EngineError::Crashed) } else { Ok(()) }
    }
}

/// An open connection to a database that was checked.
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    used: Instant,
    checked: Instant,
    /// How many checks had gone wrong then.
    bad_checks: u64,
}

impl Session {
    /// Connects and checks the server, our tables and our rights.
    async fn open(handle: &Handle) -> Result<Self, EngineError> {
        let (config, bad_checks) = (&handle.config, handle.standing.bad_checks());
        let opening = async {
            let mut connection = connect(config, config.statement_timeout).await?;
            checks::tables(&mut connection, &config.schema).await?;
            Ok::<_, EngineError>(connection)
        };
        let connection = handle.standing.noticed(opening.await)?;
        let now = Instant::now();
        Ok(Self { connection, used: now, checked: now, bad_checks })
    }

    fn is_due(&self, handle: &Handle) -> bool {
        self.checked.elapsed() >= handle.config.check_interval
            || self.bad_checks != handle.standing.bad_checks()
    }

    /// Checks again what may have changed since: settings, tables, indexes, rights.
    async fn check(&mut self, handle: &Handle) -> Result<(), EngineError> {
        let (config, bad_checks) = (&handle.config, handle.standing.bad_checks());
        let checking = async {
            let settings = prepare(&mut self.connection, config, config.statement_timeout).await?;
            settings.check(config)?;
            checks::tables(&mut self.connection, &config.schema).await
        };
        let late = Failure::Timeout(config.connect_timeout);
        let checked = tokio::time::timeout(config.connect_timeout, checking).await;
        handle.standing.noticed(checked.unwrap_or_else(|_| Err(late.into())))?;
        (self.checked, self.bad_checks) = (Instant::now(), bad_checks);
        Ok(())
    }
}

/// A place for one session; opens it when needed, and again after an error.
#[derive(Default)]
pub(crate) struct Slot {
    session: Option<Session>,
}

impl Slot {
    /// The connection, and whether it was open before.
    pub(crate) async fn connection(
        &mut self,
        handle: &Handle,
    ) -> Result<(&mut PgConnection, bool), EngineError> {
        handle.check_alive()?;
        if let Some(session) = self.session.as_mut().filter(|session| session.used.elapsed() > IDLE) {
            let alive = sqlx::raw_sql("SELECT").execute(&mut session.connection);
            if !matches!(tokio::time::timeout(handle.config.connect_timeout, alive).await, Ok(Ok(_))) {
                self.session = None;
            }
        }
        let was_open = self.session.is_some();
        let mut session = match self.session.take() {
            Some(session) if !session.is_due(handle) => session,
            Some(mut session) => match session.check(handle).await {
                Ok(()) => session,
                Err(error) if error.is_lost_connection() => Session::open(handle).await?,
                Err(error) => return Err(error),
            },
            None => Session::open(handle).await?,
        };
        session.used = Instant::now();
        Ok((&mut self.session.insert(session).connection, was_open))
    }

    /// The connection in the middle of a transaction: never another one.
    pub(crate) fn current(&mut self) -> Result<&mut PgConnection, EngineError> {
        let lost = || Failure::Unreachable("the connection is gone".into());
        Ok(&mut self.session.as_mut().ok_or_else(lost)?.connection)
    }

    /// Gives the connection up. The server ends its transaction.
    pub(crate) fn close(&mut self) {
        self.session = None;
    }
}

/// A connection with everything that durability and safety rest on, to a server that is fit; looks at no table of ours.
pub(crate) async fn connect(
    config: &PostgresConfig,
    statement_timeout: Duration,
) -> Result<PgConnection, EngineError> {
    let (connection, settings) = connect_to_any(config, statement_timeout).await?;
    settings.check(config)?;
    Ok(connection)
}

/// The same to any server, with what it says of itself.
pub(crate) async fn connect_to_any(
    config: &PostgresConfig,
    statement_timeout: Duration,
) -> Result<(PgConnection, Settings), EngineError> {
    let options = config.address.options().map_err(|error| Failure::Unreachable(error.to_string()))?;
    let options = options.disable_statement_logging();
    let connecting = async {
        let mut connection = open(options, config.address.server_name.as_deref()).await?;
        let settings = prepare(&mut connection, config, statement_timeout).await?;
        Ok((connection, settings))
    };
    match tokio::time::timeout(config.connect_timeout, connecting).await {
        Ok(result) => result,
        Err(_) => {
            let patience = config.connect_timeout;
            Err(Failure::Unreachable(format!("no connection within {patience:?}")).into())
        }
    }
}

/// A connection to the host of the options, whose certificate must carry this name instead, if there is one.
async fn open(options: PgConnectOptions, server_name: Option<&str>) -> sqlx::Result<PgConnection> {
    let Some(name) = server_name else { return options.connect().await };
    let (host, port, options) = (options.get_host().to_owned(), options.get_port(), options.host(name));
    if options.get_socket().is_some() {
        return options.connect().await;
    }
    let suffix = format!("/.s.PGSQL.{port}");
    relay::connect(&host, port, &suffix, async |socket| options.socket(socket).connect().await).await
}

async fn prepare(
    connection: &mut PgConnection,
    config: &PostgresConfig,
    statement_timeout: Duration,
) -> Result<Settings, EngineError> {
    let milliseconds = |duration: Duration| duration.as_millis().to_string();
    let row = sqlx::query(PREPARE)
        .persistent(false)
        .bind(format!("pg_catalog, {}, pg_temp", config.schema))
        .bind(milliseconds(config.lock_timeout))
        .bind(milliseconds(statement_timeout))
        .bind(milliseconds(config.idle_timeout))
        .fetch_one(connection)
        .await?;
    Ok(Settings {
        version_number: row.try_get(0)?,
        version: row.try_get(1)?,
        encoding: row.try_get(2)?,
        fsync: row.try_get(3)?,
        synchronous_commit: row.try_get(4)?,
        is_standby: row.try_get(5)?,
        read_only: row.try_get(6)?,
        full_page_writes: row.try_get(7)?,
    })
}
