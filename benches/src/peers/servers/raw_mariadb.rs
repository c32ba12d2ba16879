use std::time::Instant;

use anyhow::{Result, bail};
use futures::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Connection, Executor, MySql, MySqlConnection, Row, SqlSafeStr,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};
use tokio::runtime::Runtime;

use super::{PAGE, Raw, mariadb::raw_database};
use crate::load::Measured;

/// One connection that inserts rows as fast as one connection can: a prepared statement with as many rows as a transaction
/// has, which commits by itself. Text, and several statements, are slower.
pub struct RawMariadb {
    runtime: Runtime,
    connection: MySqlConnection,
    database: String,
    names: String,
    kinds: Vec<Kind>,
}

#[derive(Clone, Copy)]
enum Kind {
    Number,
    Bytes,
}

enum Value {
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

impl RawMariadb {
    pub fn open(url: &str, database: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (connection, columns) = runtime.block_on(async {
            let mut connection = MySqlConnection::connect(url).await?;
            connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
            let columns = sqlx::query(
                "SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR) FROM information_schema.columns \
                 WHERE table_schema = ? AND table_name = 'polylog_events' ORDER BY ordinal_position",
            )
            .bind(database)
            .fetch_all(&mut connection)
            .await?;
            anyhow::Ok((connection, columns))
        })?;
        let (mut names, mut kinds) = (Vec::new(), Vec::new());
        for row in columns {
            let (name, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            names.push(format!("`{name}`"));
            kinds.push(match &*kind {
                "bigint" => Kind::Number,
                "binary" | "varbinary" | "longblob" => Kind::Bytes,
                other => bail!("a column of type {other}"),
            });
        }
        Ok(Self { runtime, connection, database: database.to_owned(), names: names.join(", "), kinds })
    }

    /// The statement that inserts so many rows.
    fn insert(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.kinds.len()].join(","));
        let (raw, names) = (raw_database(&self.database), &self.names);
        format!("INSERT INTO {raw}.polylog_events ({names}) VALUES {}", vec![row; rows].join(","))
    }

    fn new_rows(&mut self) -> Result<Vec<Vec<Value>>> {
        let (ours, raw, names) = (&self.database, raw_database(&self.database), &self.names);
        let select = format!(
            "SELECT {names} FROM {ours}.polylog_events WHERE position > \
             (SELECT COALESCE(MAX(position), 0) FROM {raw}.polylog_events) ORDER BY position"
        );
        let rows = sqlx::query(AssertSqlSafe(select)).fetch_all(&mut self.connection);
        let rows = self.runtime.block_on(rows)?;
        rows.iter().map(|row| values(row, &self.kinds)).collect()
    }
}

impl Raw for RawMariadb {
    fn catch_up(&mut self, batch: usize) -> Result<Measured> {
        let batch = batch.max(1);
        let mut rows = self.new_rows()?;
        let rest = rows.split_off(rows.len() - rows.len() % batch);
        let (insert, insert_rest) = (self.insert(batch), self.insert(rest.len()));
        let Self { runtime, connection, .. } = self;
        runtime.block_on(async {
            // beforehand, and once
            if !rows.is_empty() {
                connection.prepare(AssertSqlSafe(insert.clone()).into_sql_str()).await?;
            }
            if !rest.is_empty() {
                connection.prepare(AssertSqlSafe(insert_rest.clone()).into_sql_str()).await?;
            }
            let (mut latencies, mut inserted) = (Vec::new(), 0);
            let (mut rows, mut rest) = (rows.into_iter(), Some(rest));
            let began = Instant::now();
            loop {
                let now: Vec<_> = rows.by_ref().take(batch).collect();
                let (now, insert) = if now.is_empty() {
                    match rest.take().filter(|rest| !rest.is_empty()) {
                        Some(rest) => (rest, &insert_rest),
                        None => break,
                    }
                } else {
                    (now, &insert)
                };
                let began = Instant::now();
                let query = sqlx::query(AssertSqlSafe(&**insert));
                let done = now.into_iter().flatten().fold(query, bind).execute(&mut *connection).await?;
                inserted += done.rows_affected();
                latencies.push(began.elapsed());
            }
            let seconds = began.elapsed().as_secs_f64();
            Ok(Measured { events: inserted, ..Measured::new(1, seconds, latencies) })
        })
    }

    fn read(&mut self) -> Result<(u64, f64)> {
        let (database, names) = (&self.database, &self.names);
        let sql = format!(
            "SELECT {names} FROM {database}.polylog_events WHERE position > ? ORDER BY position LIMIT {PAGE}"
        );
        let Self { runtime, connection, .. } = self;
        runtime.block_on(async {
            let (mut position, mut count) = (0_i64, 0);
            let began = Instant::now();
            loop {
                let query = sqlx::query(AssertSqlSafe(&*sql)).bind(position);
                let mut rows = query.fetch(&mut *connection);
                let before = count;
                while let Some(row) = rows.try_next().await? {
                    position = row.try_get("position")?;
                    count += 1;
                }
                if count == before {
                    return Ok((count, began.elapsed().as_secs_f64()));
                }
            }
        })
    }
}

fn values(row: &MySqlRow, kinds: &[Kind]) -> Result<Vec<Value>> {
    let value = |(number, kind): (usize, &Kind)| -> Result<Value> {
        Ok(match kind {
            Kind::Number => Value::Number(row.try_get(number)?),
            Kind::Bytes => Value::Bytes(row.try_get(number)?),
        })
    };
    kinds.iter().enumerate().map(value).collect()
}

fn bind(query: Query<'_, MySql, MySqlArguments>, value: Value) -> Query<'_, MySql, MySqlArguments> {
    match value {
        Value::Number(number) => query.bind(number),
        Value::Bytes(bytes) => query.bind(bytes),
    }
}
