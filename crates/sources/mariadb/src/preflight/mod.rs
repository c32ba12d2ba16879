//! Looks at a database before it is used, and says what to change; writes nothing.

mod log;
mod rights;
mod server;

use polylog_log::{Check, CheckTopic, Credential, Failure, LogId, Preflight, RefusedReason};
use polylog_source_servers::rights::ALL;
use sqlx::MySqlConnection;

use crate::{
    MariadbConfig,
    catalog::{self, Catalog},
    checks::Settings,
    connection::connect_to_any,
    error::{EngineError, Patience},
    provision::{Account, account},
    schema,
};

/// What is looked at, and through which connection.
struct Subject<'a> {
    config: &'a MariadbConfig,
    credential: Credential,
    /// Whether rows are written through another connection.
    is_apart: bool,
    /// The log that it should hold.
    known: Option<LogId>,
    /// Whom the server takes us for.
    account: Account,
}

impl Subject<'_> {
    /// Whether rows are read and written through this connection.
    fn has_rows(&self) -> bool {
        self.credential == Credential::Rows
    }

    /// Whether tables are created through this connection.
    fn provisions(&self) -> bool {
        self.credential == Credential::Provisioning || !self.is_apart
    }

    fn place(&self) -> String {
        self.config.tables.to_string()
    }
}

/// Looks at a database through its connections: `data` reads and writes rows; `provisioning` creates the tables, where
/// it is another one. `known` is the log that it should hold, if there is one.
pub async fn preflight(
    data: &MariadbConfig,
    provisioning: Option<&MariadbConfig>,
    known: Option<LogId>,
) -> Vec<Check> {
    let mut tables = None;
    let mut checks = Vec::new();
    let is_apart = provisioning.is_some();
    if let Some(config) = provisioning {
        let mut report = Preflight::new(Credential::Provisioning);
        tables = connect_and_look(config, is_apart, known, None, &mut report, Credential::Provisioning).await;
        checks = report.finish();
    }
    let mut report = Preflight::new(Credential::Rows);
    connect_and_look(data, is_apart, known, tables, &mut report, Credential::Rows).await;
    let mut all = report.finish();
    all.append(&mut checks);
    all
}

/// Whether there is a table of ours, as far as it could be told; `tables` if it is known already.
async fn connect_and_look(
    config: &MariadbConfig,
    is_apart: bool,
    known: Option<LogId>,
    tables: Option<bool>,
    report: &mut Preflight,
    credential: Credential,
) -> Option<bool> {
    let began = std::time::Instant::now();
    let (mut connection, settings) = match connect_to_any(config, config.statement_timeout).await {
        Ok(connected) => connected,
        Err(error) => {
            not_connected(config, credential, &error, report);
            return None;
        }
    };
    let answered = format!("{} answered within {} ms", config.address, began.elapsed().as_millis());
    report.passed(CheckTopic::Reachable, answered);
    let looking = async {
        let account = account::current(&mut connection).await?;
        report.passed(CheckTopic::Credentials, format!("user {account}"));
        let subject = Subject { config, credential, is_apart, known, account };
        look(&subject, &mut connection, &settings, tables, report).await
    };
    match tokio::time::timeout(config.request_timeout, looking).await {
        Ok(Ok(tables)) => tables,
        Ok(Err(error)) => {
            report.failed(CheckTopic::Reachable, error.failure(patience(config)), "try again");
            None
        }
        Err(_) => {
            report.failed(CheckTopic::Reachable, Failure::Timeout(config.request_timeout), "try again");
            None
        }
    }
}

async fn look(
    subject: &Subject<'_>,
    connection: &mut MySqlConnection,
    settings: &Settings,
    tables: Option<bool>,
    report: &mut Preflight,
) -> Result<Option<bool>, EngineError> {
    server::facts(subject, connection, report).await?;
    server::writable(settings, report);
    if subject.has_rows() {
        server::settings(subject, settings, report);
    }
    let catalog = catalog::look(connection, &subject.config.tables).await?;
    let found = tables_there(subject, connection, &catalog).await?;
    if subject.provisions() {
        rights::provisioning(subject, connection, &catalog, report).await?;
    }
    // who has no right at all sees nothing: then the other connection knows better
    let tables = found.or(tables);
    if subject.has_rows() {
        log::tables(subject, connection, &catalog, tables, report).await?;
    }
    Ok(tables)
}

/// Whether there is a table of ours; `None` = we may not even know.
async fn tables_there(
    subject: &Subject<'_>,
    connection: &mut MySqlConnection,
    catalog: &Catalog,
) -> Result<Option<bool>, EngineError> {
    if !catalog.tables.is_empty() {
        return Ok(Some(true));
    }
    for right in ALL {
        match catalog::may(connection, &subject.config.tables, schema::HEAD.name, right).await {
            // we see what we may use: it came in between
            Ok(true) => return Ok(Some(true)),
            Ok(false) => {}
            Err(error) if matches!(error.number(), Some(1049 | 1146)) => return Ok(Some(false)),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn patience(config: &MariadbConfig) -> Patience {
    Patience { lock: config.lock_timeout, statement: config.statement_timeout }
}

/// Which of the first steps did not succeed, and what to do.
fn not_connected(
    config: &MariadbConfig,
    credential: Credential,
    error: &EngineError,
    report: &mut Preflight,
) {
    let failure = error.failure(patience(config));
    let answered = |report: &mut Preflight| {
        report.passed(CheckTopic::Reachable, format!("{} answers", config.address));
    };
    // the server's, the account's at once, the account's in an hour
    if matches!(error.number(), Some(1040 | 1203 | 1226)) {
        answered(report);
        let fix =
            "raise max_connections, or max_user_connections of the server or the account, or lower pool.max";
        return report.failed(CheckTopic::Connections, failure, fix);
    }
    match &failure {
        Failure::Refused { reason: RefusedReason::Tls, .. } => {
            answered(report);
            let fix =
                "check tls.mode, the authority (tls.caRef), the host's name, and the server's ssl settings";
            report.failed(CheckTopic::Tls, failure, fix);
        }
        Failure::Refused { reason: RefusedReason::Auth, .. } => {
            answered(report);
            let fix = format!(
                "correct the user or the password of {credential}, and check that the account lets it in from this host"
            );
            report.failed(CheckTopic::Credentials, failure, fix);
        }
        Failure::Refused { reason: RefusedReason::Unsuitable, .. } => {
            answered(report);
            report.failed(CheckTopic::Version, failure, server::NEWER);
        }
        _ => {
            let fix = "start the database, or correct its address; look at firewalls in between";
            report.failed(CheckTopic::Reachable, failure, fix);
        }
    }
}
