use std::time::Duration;

use polylog_source_postgres::Address;
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};

use super::{
    access::Access,
    document::Document,
    mapping::Mapping,
    reader::{Fields, Page, PageSize, Reader},
};
use crate::exit::Failure;

/// Reads a table or view in one snapshot; in the order of its key, where it has one.
pub(crate) struct PostgresReader {
    connection: PgConnection,
    /// Quoted.
    table: String,
    columns: Vec<String>,
    /// Quoted columns and their types: not null, and unique together.
    key: Vec<(String, String)>,
    size: PageSize,
}

const CONNECT: Duration = Duration::from_secs(10);

/// The names that a row has here: nothing that a column could be called.
const ROW: &str = "polylog_imported_row";

/// A session whose texts do not depend on settings, and one snapshot for all that is read.
const PREPARE: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; \
     SET extra_float_digits = 1; SET bytea_output = 'hex'; SET statement_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const COLUMNS: &str = "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::oid AND attnum > 0 \
     AND NOT attisdropped ORDER BY attnum";

/// Of a unique index over columns that are never null; the primary key, where there is one.
const KEY: &str = "SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod) FROM pg_index i \
     CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(attnum, place) \
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
     WHERE k.place <= i.indnkeyatts AND i.indexrelid = (SELECT indexrelid FROM pg_index u \
     WHERE u.indrelid = $1::oid AND u.indisunique AND u.indisvalid AND u.indimmediate AND u.indpred IS NULL \
     AND NOT EXISTS (SELECT FROM unnest(u.indkey) n(attnum) LEFT JOIN pg_attribute c ON c.attrelid = u.indrelid \
     AND c.attnum = n.attnum WHERE c.attnotnull IS NOT TRUE) ORDER BY u.indisprimary DESC, u.indexrelid LIMIT 1) \
     ORDER BY k.place";

impl PostgresReader {
    pub(crate) async fn connect(access: &Access, name: &str) -> Result<Self, Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let mut address = Address::parse(&access.url).map_err(|error| usage(&error))?;
        access.check_no_api_key()?;
        address.password.clone_from(&access.password);
        address.ca.clone_from(&access.ca);
        let options = address.options().map_err(|error| usage(&error))?.disable_statement_logging();
        let late = || Failure::NoAnswer(format!("{address}: no connection within {CONNECT:?}"));
        let connecting = tokio::time::timeout(CONNECT, options.connect()).await;
        let mut connection = connecting.map_err(|_| late())?.map_err(failed)?;
        sqlx::raw_sql(PREPARE).execute(&mut connection).await.map_err(failed)?;
        let find = "SELECT c.oid::bigint, format('%I.%I', n.nspname, c.relname) FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)";
        let found = sqlx::query(find).bind(name).fetch_optional(&mut connection).await.map_err(failed)?;
        let Some(found) = found else {
            return Err(usage(&format!("{address} has no table or view {name}")));
        };
        let (oid, table): (i64, String) =
            (found.try_get(0).map_err(failed)?, found.try_get(1).map_err(failed)?);
        let columns = sqlx::query_scalar(COLUMNS).bind(oid).fetch_all(&mut connection).await;
        let key = sqlx::query_as(KEY).bind(oid).fetch_all(&mut connection).await;
        let (columns, key) = (columns.map_err(failed)?, key.map_err(failed)?);
        Ok(Self { connection, table, columns, key, size: PageSize::new() })
    }
}

impl Reader for PostgresReader {
    async fn fields(&mut self) -> Result<Fields, Failure> {
        Ok(Fields { names: self.columns.clone(), all: true })
    }

    async fn begin(&mut self, _: &Mapping, after: Option<&str>) -> Result<u64, Failure> {
        let after: Vec<String> = match after {
            None => Vec::new(),
            Some(cursor) => serde_json::from_str(cursor).map_err(anyhow::Error::new)?,
        };
        let count = format!("SELECT count(*) FROM {}", self.table);
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut self.connection).await.map_err(failed)?;
        let select = declare(&self.table, &self.key, &after);
        sqlx::raw_sql(AssertSqlSafe(select)).execute(&mut self.connection).await.map_err(failed)?;
        Ok(count.cast_unsigned())
    }

    async fn page(&mut self) -> Result<Page, Failure> {
        let fetch = format!("FETCH {} FROM polylog_import", self.size.get());
        // its text differs by the size only
        let rows = sqlx::query(AssertSqlSafe(fetch)).fetch_all(&mut self.connection).await.map_err(failed)?;
        let mut page = Page::empty();
        let (mut bytes, mut largest) = (0, 0);
        for row in rows {
            let (fields, key): (String, Vec<String>) =
                (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
            bytes += fields.len();
            largest = largest.max(fields.len());
            let name = match key.is_empty() {
                true => format!("a row of {}", self.table),
                false => format!("row ({})", key.join(", ")),
            };
            let fields = RawValue::from_string(fields).map_err(anyhow::Error::new)?;
            page.documents.push(Document { name, id: None, fields });
            if !key.is_empty() {
                page.cursor = Some(serde_json::to_string(&key).map_err(anyhow::Error::new)?);
            }
        }
        self.size.had(bytes, largest);
        Ok(page)
    }

    async fn end(&mut self) {
        // the end of the connection would end the transaction too
        let _ = sqlx::raw_sql("ROLLBACK").execute(&mut self.connection).await;
    }
}

/// A cursor over the rows behind a key, as JSON and with their keys.
fn declare(table: &str, key: &[(String, String)], after: &[String]) -> String {
    let columns: Vec<String> = key.iter().map(|(column, _)| format!("{ROW}.{column}")).collect();
    let texts: Vec<String> = columns.iter().map(|column| format!("{column}::text")).collect();
    let mut select = format!(
        "DECLARE polylog_import NO SCROLL CURSOR FOR SELECT row_to_json({ROW})::text, ARRAY[{}]::text[] FROM {table} {ROW}",
        texts.join(", ")
    );
    let columns = columns.join(", ");
    if !after.is_empty() {
        let literals = key.iter().zip(after).map(|((_, kind), value)| format!("{}::{kind}", literal(value)));
        let literals: Vec<String> = literals.collect();
        select.push_str(&format!(" WHERE ({columns}) > ({})", literals.join(", ")));
    }
    if !key.is_empty() {
        select.push_str(&format!(" ORDER BY {columns}"));
    }
    select
}

/// A text as SQL writes it, whatever the server's settings are.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn failed(error: sqlx::Error) -> Failure {
    match &error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => {
            Failure::NoAnswer(error.to_string())
        }
        _ => Failure::Failed(anyhow::Error::new(error).context("PostgreSQL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_behind_a_key() {
        let key = [("id".to_owned(), "bigint".to_owned()), ("\"a b\"".to_owned(), "text".to_owned())];
        let sql = declare("public.events", &key, &["7".to_owned(), "it's \\".to_owned()]);
        let row = ROW;
        let end = format!(
            " FROM public.events {row} WHERE ({row}.id, {row}.\"a b\") > (E'7'::bigint, E'it''s \\\\'::text) \
             ORDER BY {row}.id, {row}.\"a b\""
        );
        assert!(sql.ends_with(&end), "{sql}");
        assert!(declare("v", &[], &[]).ends_with(&format!("ARRAY[]::text[] FROM v {row}")));
    }
}
