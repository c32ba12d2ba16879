//! Looks at a database before it is used, and says what to change; writes nothing.

mod log;
mod rights;
mod server;

use polylog_log::{Check, CheckTopic, Credential, Failure, LogId, Preflight, RefusedReason};
use sqlx::PgConnection;

use crate::{
    PostgresConfig, checks,
    connection::connect_to_any,
    error::{EngineError, Patience},
    provision::{Place, quoted},
};

/// What is looked at, and through which connection.
struct Subject<'a> {
    config: &'a PostgresConfig,
    place: &'a Place,
    credential: Credential,
    /// The log that it should hold.
    known: Option<LogId>,
    role: String,
    database: String,
}

impl Subject<'_> {
    /// Whether rows are read and written through this connection.
    fn has_rows(&self) -> bool {
        self.credential == Credential::Rows
    }

    /// Whether tables are created through this connection.
    fn provisions(&self) -> bool {
        self.credential == Credential::Provisioning || self.place.role.is_none()
    }
}

/// Looks at a database through one of its two connections. `known` is the log that it should hold, if there is one.
pub async fn preflight(
    config: &PostgresConfig,
    place: &Place,
    credential: Credential,
    known: Option<LogId>,
) -> Vec<Check> {
    let mut report = Preflight::new(credential);
    let named = config.address.role().and_then(|role| Ok((role, config.address.database()?)));
    match named {
        Ok((role, database)) => {
            let subject = Subject { config, place, credential, known, role, database };
            look(&subject, &mut report).await;
        }
        Err(error) => report.failed(
            CheckTopic::Reachable,
            Failure::Unreachable(error.to_string()),
            "correct the address",
        ),
    }
    report.finish()
}

async fn look(subject: &Subject<'_>, report: &mut Preflight) {
    let config = subject.config;
    let began = std::time::Instant::now();
    let (mut connection, settings) = match connect_to_any(config, config.statement_timeout).await {
        Ok(connected) => connected,
        Err(error) => return not_connected(subject, &error, report),
    };
    report.passed(
        CheckTopic::Reachable,
        format!("{} answered within {} ms", config.address, began.elapsed().as_millis()),
    );
    report.passed(CheckTopic::Credentials, format!("role {}", subject.role));
    let looking = async {
        server::facts(subject, &mut connection, report).await?;
        if !subject.has_rows() {
            server::writable(&settings, report);
            return catalog(subject, &mut connection, report).await;
        }
        server::settings(subject, &settings, report);
        catalog(subject, &mut connection, report).await
    };
    match tokio::time::timeout(config.request_timeout, looking).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let failure = error.failure(patience(config));
            report.failed(CheckTopic::Reachable, failure, "try again");
        }
        Err(_) => {
            report.failed(CheckTopic::Reachable, Failure::Timeout(config.request_timeout), "try again");
        }
    }
}

async fn catalog(
    subject: &Subject<'_>,
    connection: &mut PgConnection,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let catalog = checks::look(connection, &subject.place.schema).await?;
    if subject.provisions() {
        rights::provisioning(subject, connection, &catalog, report).await?;
    }
    if subject.has_rows() {
        rights::rows(subject, &catalog, report);
        log::tables(subject, connection, &catalog, report).await?;
    }
    Ok(())
}

fn patience(config: &PostgresConfig) -> Patience {
    Patience { lock: config.lock_timeout, statement: config.statement_timeout }
}

/// Which of the first steps did not succeed, and what to do.
fn not_connected(subject: &Subject<'_>, error: &EngineError, report: &mut Preflight) {
    let (role, database) = (quoted(&subject.role), quoted(&subject.database));
    let failure = error.failure(patience(subject.config));
    let answered = |report: &mut Preflight| {
        report.passed(CheckTopic::Reachable, format!("{} answers", subject.config.address));
    };
    if error.state() == Some("53300") {
        answered(report);
        let fix =
            "raise max_connections, or the connection limit of the role or the database, or lower pool.max";
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
                "correct the user or the password of {}, and check that role {role} may log in and the server's \
                 pg_hba.conf",
                subject.credential
            );
            report.failed(CheckTopic::Credentials, failure, fix);
        }
        Failure::Refused { reason: RefusedReason::Rights, .. } => {
            answered(report);
            report.passed(CheckTopic::Credentials, format!("role {role}"));
            let fix = format!("GRANT CONNECT ON DATABASE {database} TO {role}");
            report.failed(CheckTopic::Rights, failure, fix);
        }
        Failure::NotProvisioned(_) => {
            let fix = format!("CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0");
            report.failed(CheckTopic::Reachable, failure, fix);
        }
        _ => {
            let fix = "start the database, or correct its address; look at firewalls in between";
            report.failed(CheckTopic::Reachable, failure, fix);
        }
    }
}
