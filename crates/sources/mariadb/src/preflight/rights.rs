use polylog_log::{CheckTopic, Preflight};
use polylog_source_servers::rights::{self, ALL, RIGHTS, TableRights, lacking};
use sqlx::MySqlConnection;

use super::Subject;
use crate::{
    catalog::{self, Catalog},
    error::EngineError,
    provision::{
        grants,
        grants::{PROVISIONING, on_database},
    },
    schema,
};

/// A table that is never there: what is tried on it is refused for lack of the right, or because it is not there. Either
/// way nothing is done.
const NEVER: &str = "polylog_never";

/// What creating and changing tables takes.
pub(super) async fn provisioning(
    subject: &Subject<'_>,
    connection: &mut MySqlConnection,
    catalog: &Catalog,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let Subject { account, is_apart, .. } = subject;
    let tables = &subject.config.tables;
    let database = &tables.database;
    let is_whole = catalog.tables.len() == schema::TABLES.len();
    let mut held = Vec::new();
    let mut lacks = Vec::new();
    for right in PROVISIONING {
        // who writes the rows is asked for them table by table
        let is_of_rows = ALL.contains(&right) && !is_apart && is_whole;
        if is_of_rows || tried(connection, attempt(subject, right)).await? {
            held.push(right);
        } else {
            lacks.push(right);
        }
    }
    // only what one has can be passed on
    if let Some(right) = held.iter().find(|right| *is_apart && ALL.contains(right)) {
        let passing_on = format!("GRANT {right} ON {} TO CURRENT_USER()", tables.qualified(NEVER));
        if !tried(connection, passing_on).await? {
            lacks.push("GRANT OPTION");
        }
    }
    for right in &lacks {
        let fix = on_database(&[right], database, account);
        // what is there is looked at by every start, and changed by later versions
        let is_needed = if is_whole { *right == "SELECT" } else { *right != "ALTER" };
        if is_needed {
            let what = format!("user {account} lacks {right} on database {database}");
            report.failed(CheckTopic::Rights, lacking(what), fix);
        } else {
            let seen = format!("{right} on database {database} is withheld, which only later changes need");
            report.warning(CheckTopic::Rights, seen, fix);
        }
    }
    if lacks.is_empty() {
        report.passed(CheckTopic::Rights, format!("may create tables in {}", subject.place()));
    }
    Ok(())
}

/// What needs a right on the database.
fn attempt(subject: &Subject<'_>, right: &str) -> String {
    let tables = &subject.config.tables;
    let never = tables.qualified(NEVER);
    match right {
        // the right is asked for first, the columns are looked at then
        "CREATE" => format!("CREATE TABLE {never} (a INT, a INT)"),
        "ALTER" => format!("ALTER TABLE {never} DROP COLUMN a"),
        "INDEX" => format!("CREATE INDEX a ON {never} (a)"),
        right => catalog::attempt(tables, NEVER, right),
    }
}

/// Whether we have the right to a statement that fails anyhow.
async fn tried(connection: &mut MySqlConnection, attempt: String) -> Result<bool, EngineError> {
    match catalog::is_allowed(connection, attempt).await {
        Ok(is_allowed) => Ok(is_allowed),
        // no such database, table; the same column twice; a server that is read-only, which is a line of its own
        Err(error) if matches!(error.number(), Some(1049 | 1146 | 1060 | 1290 | 1792 | 1836)) => Ok(true),
        Err(error) => Err(error),
    }
}

/// What reading and writing rows takes; each lack is a line of its own.
pub(super) async fn rows(
    subject: &Subject<'_>,
    connection: &mut MySqlConnection,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let Subject { account, config, .. } = subject;
    let mut granted = TableRights::default();
    for (table, rights) in RIGHTS {
        for right in rights {
            match catalog::may(connection, &config.tables, table, right).await {
                Ok(true) => granted.add(table, [*right]),
                Ok(false) => {}
                // what is read-only is a line of its own; a table that is not there lacks more than rights
                Err(error) if matches!(error.number(), Some(1146 | 1290 | 1792 | 1836)) => {
                    granted.add(table, [*right]);
                }
                Err(error) => return Err(error),
            }
        }
    }
    let statements = |granted: &TableRights| grants(&config.tables, account, granted);
    rights::report(report, &format!("user {account}"), &subject.place(), &granted, statements);
    Ok(())
}
