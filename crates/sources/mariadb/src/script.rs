//! Several statements in one packet: the server stops at the first that fails.

use std::fmt::Display;

use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Either, MySqlConnection, mysql::MySqlRow};

use crate::error::EngineError;

/// Statements that are sent together.
#[derive(Default)]
pub(crate) struct Script {
    text: String,
    statements: usize,
}

/// What a script that did not come to its end left.
pub(crate) struct Broken {
    pub(crate) error: EngineError,
    /// Whether its last statement may have been executed. If the server refused another one before, it was not.
    pub(crate) reached_last: bool,
    /// What came before.
    pub(crate) rows: Vec<MySqlRow>,
}

impl From<Broken> for EngineError {
    fn from(broken: Broken) -> Self {
        broken.error
    }
}

impl Script {
    /// Adds a statement.
    pub(crate) fn then(mut self, statement: impl Display) -> Self {
        use std::fmt::Write as _;
        if self.statements > 0 {
            self.text.push_str(";\n");
        }
        let _ = write!(self.text, "{statement}");
        self.statements += 1;
        self
    }

    /// Sends it; gives the rows of all its statements.
    pub(crate) async fn run(self, connection: &mut MySqlConnection) -> Result<Vec<MySqlRow>, Broken> {
        let (mut rows, mut finished) = (Vec::new(), 0);
        let outcome = async {
            let mut results = sqlx::raw_sql(AssertSqlSafe(self.text)).fetch_many(connection);
            while let Some(result) = results.try_next().await? {
                match result {
                    Either::Left(_) => finished += 1,
                    Either::Right(row) => rows.push(row),
                }
            }
            Ok::<(), sqlx::Error>(())
        }
        .await;
        match outcome {
            Ok(()) => Ok(rows),
            Err(error) => {
                let error = EngineError::Sql(error);
                // the answers come in order, so that what has no answer comes after the one that was refused
                let reached_last = !error.is_answer() || finished + 1 >= self.statements;
                Err(Broken { error, reached_last, rows })
            }
        }
    }
}
