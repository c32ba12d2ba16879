use std::time::Instant;

use anyhow::{Result, bail};
use futures::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{
    PAGE, Raw,
    postgres::{RAW_SCHEMA, SCHEMA},
};
use crate::load::Measured;

/// One connection that inserts rows as fast as one connection can: a prepared statement with an array for each column,
/// which commits by itself.
pub struct RawPostgres {
    runtime: Runtime,
    connection: PgConnection,
    insert: String,
    /// Gives the sidecar's new rows, a row for each batch, with an array for each column.
    batches: String,
    kinds: Vec<Kind>,
}

#[derive(Clone, Copy)]
enum Kind {
    Number,
    Id,
    Text,
    Bytes,
}

enum Column {
    Numbers(Vec<Option<i64>>),
    Ids(Vec<Option<Uuid>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl RawPostgres {
    pub fn open(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (connection, columns) = runtime.block_on(async {
            let mut connection = PgConnection::connect(url).await?;
            // no batch of rows is a reason to start a parallel worker
            sqlx::query("SET max_parallel_workers_per_gather = 0").execute(&mut connection).await?;
            let columns = sqlx::query(
                "SELECT column_name::text, data_type::text FROM information_schema.columns \
                 WHERE table_schema = $1 AND table_name = 'polylog_events' ORDER BY ordinal_position",
            )
            .bind(SCHEMA)
            .fetch_all(&mut connection)
            .await?;
            anyhow::Ok((connection, columns))
        })?;
        let (mut names, mut kinds, mut arrays) = (Vec::new(), Vec::new(), Vec::new());
        for (number, row) in columns.iter().enumerate() {
            let (name, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            names.push(format!("\"{name}\""));
            arrays.push(format!("${}::{kind}[]", number + 1));
            kinds.push(match &*kind {
                "bigint" => Kind::Number,
                "uuid" => Kind::Id,
                "text" => Kind::Text,
                "bytea" => Kind::Bytes,
                other => bail!("a column of type {other}"),
            });
        }
        let gathered: Vec<_> =
            names.iter().map(|name| format!("array_agg({name} ORDER BY position)")).collect();
        let (names, arrays, gathered) = (names.join(", "), arrays.join(", "), gathered.join(", "));
        let insert =
            format!("INSERT INTO {RAW_SCHEMA}.polylog_events ({names}) SELECT * FROM unnest({arrays})");
        let batches = format!(
            "SELECT {gathered} FROM (SELECT *, (row_number() OVER (ORDER BY position) - 1) / $1 AS batch \
             FROM {SCHEMA}.polylog_events WHERE position > \
             (SELECT coalesce(max(position), 0) FROM {RAW_SCHEMA}.polylog_events)) rows \
             GROUP BY batch ORDER BY batch"
        );
        Ok(Self { runtime, connection, insert, batches, kinds })
    }
}

impl Raw for RawPostgres {
    fn catch_up(&mut self, batch: usize) -> Result<Measured> {
        let Self { runtime, connection, insert, batches, kinds } = self;
        runtime.block_on(async {
            let query = sqlx::query(AssertSqlSafe(batches.clone())).bind(batch.max(1) as i64);
            let rows = query.fetch_all(&mut *connection).await?;
            let batches: Vec<Vec<Column>> =
                rows.iter().map(|row| columns(row, kinds)).collect::<Result<_>>()?;
            drop(rows);
            let (mut latencies, mut inserted) = (Vec::new(), 0);
            let began = Instant::now();
            for columns in batches {
                let began = Instant::now();
                let query = sqlx::query(AssertSqlSafe(&**insert));
                let done = columns.into_iter().fold(query, bind).execute(&mut *connection).await?;
                inserted += done.rows_affected();
                latencies.push(began.elapsed());
            }
            let seconds = began.elapsed().as_secs_f64();
            Ok(Measured { events: inserted, ..Measured::new(1, seconds, latencies) })
        })
    }

    fn read(&mut self) -> Result<(u64, f64)> {
        let sql = format!(
            "SELECT * FROM {SCHEMA}.polylog_events WHERE position > $1 ORDER BY position LIMIT {PAGE}"
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

fn columns(row: &PgRow, kinds: &[Kind]) -> Result<Vec<Column>> {
    let column = |(number, kind): (usize, &Kind)| -> Result<Column> {
        Ok(match kind {
            Kind::Number => Column::Numbers(row.try_get(number)?),
            Kind::Id => Column::Ids(row.try_get(number)?),
            Kind::Text => Column::Texts(row.try_get(number)?),
            Kind::Bytes => Column::Bytes(row.try_get(number)?),
        })
    };
    kinds.iter().enumerate().map(column).collect()
}

fn bind(query: Query<'_, Postgres, PgArguments>, column: Column) -> Query<'_, Postgres, PgArguments> {
    match column {
        Column::Numbers(values) => query.bind(values),
        Column::Ids(values) => query.bind(values),
        Column::Texts(values) => query.bind(values),
        Column::Bytes(values) => query.bind(values),
    }
}
