use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::Failure;
use polylog_source_servers::{faults::Faults, relay, standing::Standing};
use sqlx::{
    ConnectOptions, Connection, MySql, MySqlConnection,
    mysql::{MySqlArguments, MySqlConnectOptions},
    query::Query,
};

use crate::{
    MariadbConfig,
    checks::{self, Settings},
    dialect::{self, Times},
    error::{EngineError, Patience},
    history::History,
    script::Script,
    tables::{Statement, Statements, Tables},
};

/// After this long without use a connection is tried before it is trusted: routers forget idle ones without a word.
const IDLE: Duration = Duration::from_secs(30);

/// What all connections of one source share.
pub(crate) struct Handle {
    pub(crate) config: MariadbConfig,
    pub(crate) history: History,
    pub(crate) statements: Arc<Statements>,
    pub(crate) standing: Standing,
}

impl Handle {
    pub(crate) fn new(config: MariadbConfig) -> Self {
        Self {
            statements: Arc::new(config.tables.statements()),
            config,
            history: History::default(),
            standing: Standing::default(),
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

    pub(crate) fn check_alive(&self) -> Result<(), EngineError> {
        if self.standing.has_crashed() { Err(EngineError::Crashed) } else { Ok(()) }
    }
}

/// An open connection to a database that was checked.
pub(crate) struct Session {
    pub(crate) connection: MySqlConnection,
    pub(crate) statements: Arc<Statements>,
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
        let (config, bad_checks) = (&handle.config, handle.standing.bad_checks());
        let opening = async {
            let mut connected = connect(config, config.statement_timeout, Enter::Database).await?;
            checks::tables(&mut connected.connection, &config.tables).await?;
            Ok::<_, EngineError>(connected)
        };
        let Connected { connection, packet } = handle.standing.noticed(opening.await)?;
        let now = Instant::now();
        let statements = handle.statements.clone();
        Ok(Self { connection, statements, packet, used: now, checked: now, bad_checks })
    }

    /// A statement, to be given its parameters and to be sent over `connection`.
    pub(crate) fn query(&self, statement: Statement) -> Query<'static, MySql, MySqlArguments> {
        self.statements.query(statement)
    }

    fn is_due(&self, handle: &Handle) -> bool {
        self.checked.elapsed() >= handle.config.check_interval
            || self.bad_checks != handle.standing.bad_checks()
    }

    /// Checks again what may have changed since: settings, tables, indexes, rights.
    async fn check(&mut self, handle: &Handle) -> Result<(), EngineError> {
        let (config, bad_checks) = (&handle.config, handle.standing.bad_checks());
        let checking = async {
            let settings = prepare(&mut self.connection, times(config, config.statement_timeout)).await?;
            settings.check(config.allow_unsafe_durability)?;
            // what we may do in a database the server remembers from the moment that we entered it
            use_database(&mut self.connection, &config.tables).await?;
            checks::tables(&mut self.connection, &config.tables).await
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
    /// The session, and whether it was open before.
    pub(crate) async fn session(&mut self, handle: &Handle) -> Result<(&mut Session, bool), EngineError> {
        handle.check_alive()?;
        if let Some(session) = self.session.as_mut().filter(|session| session.used.elapsed() > IDLE) {
            let alive = session.connection.ping();
            if !matches!(tokio::time::timeout(handle.config.connect_timeout, alive).await, Ok(Ok(()))) {
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
        Ok((self.session.insert(session), was_open))
    }

    /// The session in the middle of a transaction: never another one.
    pub(crate) fn current(&mut self) -> Result<&mut Session, EngineError> {
        let lost = || Failure::Unreachable("the connection is gone".into());
        Ok(self.session.as_mut().ok_or_else(lost)?)
    }

    /// Gives the connection up. The server ends its transaction.
    pub(crate) fn close(&mut self) {
        self.session = None;
    }
}

/// Whether the database is entered: provisioning looks whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enter {
    Database,
    Nothing,
}

/// A connection to a server that is fit.
pub(crate) struct Connected {
    pub(crate) connection: MySqlConnection,
    /// Bytes of one statement at most.
    pub(crate) packet: usize,
}

/// A connection with everything that durability and safety rest on, to a server that is fit; looks at no table of ours.
///
/// Its statements stay prepared: to close one is a packet without an answer, and whatever is sent next waits 40 ms for the
/// acknowledgement of that packet, since the driver leaves Nagle's algorithm on.
pub(crate) async fn connect(
    config: &MariadbConfig,
    statement_timeout: Duration,
    enter: Enter,
) -> Result<Connected, EngineError> {
    let entering = async {
        let (mut connection, settings) = connect_to_any(config, statement_timeout).await?;
        settings.check(config.allow_unsafe_durability)?;
        if enter == Enter::Database {
            use_database(&mut connection, &config.tables).await?;
        }
        Ok(Connected { connection, packet: settings.packet })
    };
    in_time(config, entering).await
}

/// A connection to any server that this version may speak to, with what it says of itself.
pub(crate) async fn connect_to_any(
    config: &MariadbConfig,
    statement_timeout: Duration,
) -> Result<(MySqlConnection, Settings), EngineError> {
    let options = config.address.options().map_err(|error| Failure::Unreachable(error.to_string()))?;
    // the database is entered by a statement of ours: that it is missing and that we may not are told apart there
    let options = options.database("").disable_statement_logging();
    let connecting = async {
        let mut connection = open(options, config.address.server_name.as_deref()).await?;
        let settings = prepare(&mut connection, times(config, statement_timeout)).await?;
        Ok((connection, settings))
    };
    in_time(config, connecting).await
}

/// A connection to the host of the options, whose certificate must carry this name instead, if there is one.
async fn open(options: MySqlConnectOptions, server_name: Option<&str>) -> sqlx::Result<MySqlConnection> {
    let Some(name) = server_name else { return options.connect().await };
    let (host, port, options) = (options.get_host().to_owned(), options.get_port(), options.host(name));
    if options.get_socket().is_some() {
        return options.connect().await;
    }
    relay::connect(&host, port, "", async |socket| options.socket(socket).connect().await).await
}

async fn in_time<T>(
    config: &MariadbConfig,
    connecting: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
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

/// Enters the database of the tables.
pub(crate) async fn use_database(
    connection: &mut MySqlConnection,
    tables: &Tables,
) -> Result<(), EngineError> {
    let script = Script::default().then(format!("USE {}", tables.database));
    let entered = script.run(connection).await;
    match entered {
        Ok(_) => Ok(()),
        // where we may do nothing at all, the server does not say whether it is there
        Err(broken) if broken.error.number() == Some(1044) => Err(checks::no_right_at_all(tables).into()),
        Err(broken) => Err(broken.error),
    }
}
