use polylog_log::{CheckTopic, Failure, Preflight};
use polylog_source_servers::rights::{self, ALL, NEEDED, TableRights, lacking};
use sqlx::{PgConnection, Row};

use super::Subject;
use crate::{
    checks::{Catalog, Found},
    error::EngineError,
    provision::{Granted, RoleName, grants, quoted},
};

/// What the role of this session may do beyond rows. A missing schema is null.
const PROVISIONING: &str = "SELECT has_database_privilege(current_database(), 'CREATE'), \
     (SELECT has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace n \
     WHERE n.nspname = $1), \
     (SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace n WHERE n.nspname = $1), \
     ARRAY(SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname = ANY($2) AND NOT pg_has_role(c.relowner, 'USAGE') \
     ORDER BY 1), \
     $3::text IS NULL OR EXISTS (SELECT FROM pg_roles WHERE rolname = $3), \
     (SELECT has_schema_privilege($3::text, n.oid, 'USAGE') FROM pg_namespace n \
     JOIN pg_roles r ON r.rolname = $3::text WHERE n.nspname = $1)";

/// What creating and changing tables takes.
pub(super) async fn provisioning(
    subject: &Subject<'_>,
    connection: &mut PgConnection,
    catalog: &Catalog,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let schema = &subject.place.schema;
    let rows = subject.place.role.as_ref();
    let tables: Vec<&str> = NEEDED.iter().map(|(table, _)| *table).collect();
    let row = sqlx::query(PROVISIONING)
        .persistent(false)
        .bind(schema.as_str())
        .bind(tables)
        .bind(rows.map(RoleName::as_str))
        .fetch_one(connection)
        .await?;
    let (may_create_schemas, may_create): (bool, Option<bool>) = (row.try_get(0)?, row.try_get(1)?);
    let owns: Option<bool> = row.try_get(2)?;
    let foreign: Vec<String> = row.try_get(3)?;
    let (role, database) = (quoted(&subject.role), quoted(&subject.database));
    let has_tables = catalog.tables.len() == NEEDED.len();
    let mut bad = |failure: Failure, fix: String| report.failed(CheckTopic::Rights, failure, fix);
    let mut is_good = true;
    match may_create {
        None if !subject.place.create_schema => {
            is_good = false;
            bad(
                Failure::NotProvisioned(format!("there is no schema {schema}, and createSchema is false")),
                format!("CREATE SCHEMA {schema} AUTHORIZATION {role}"),
            );
        }
        None if !may_create_schemas => {
            is_good = false;
            bad(
                lacking(format!("role {role} may not create schema {schema}")),
                format!("GRANT CREATE ON DATABASE {database} TO {role}"),
            );
        }
        // a role that owns every table needs the schema only to add to it
        Some(false) => {
            is_good = false;
            bad(
                lacking(format!("role {role} may not create tables and indexes in schema {schema}")),
                format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}"),
            );
        }
        _ => {}
    }
    for table in &foreign {
        is_good = false;
        bad(
            lacking(format!("role {role} does not own table {schema}.{table}")),
            format!("ALTER TABLE {schema}.{table} OWNER TO {role}"),
        );
    }
    if let Some(rows) = rows {
        if !row.try_get::<bool, _>(4)? {
            is_good = false;
            bad(
                Failure::NotProvisioned(format!("there is no role {rows}, as which rows are written")),
                format!("CREATE ROLE {rows} LOGIN, with the password of connection"),
            );
        }
        if owns == Some(false) && row.try_get::<Option<bool>, _>(5)? == Some(false) {
            is_good = false;
            bad(
                lacking(format!("role {role} does not own schema {schema}, and cannot let {rows} use it")),
                format!("GRANT USAGE ON SCHEMA {schema} TO {rows}"),
            );
        }
    }
    if is_good {
        let seen = match (has_tables, owns) {
            (true, _) => format!("owns the tables in schema {schema}"),
            (false, Some(_)) => format!("may create tables in schema {schema}"),
            (false, None) => format!("may create schema {schema}"),
        };
        report.passed(CheckTopic::Rights, seen);
    }
    Ok(())
}

/// What reading and writing rows takes; each lack is a line of its own.
pub(super) fn rows(subject: &Subject<'_>, catalog: &Catalog, report: &mut Preflight) {
    let schema = &subject.place.schema;
    let Ok(role) = RoleName::parse(&subject.role) else { return };
    let Some(usage) = catalog.usage else { return };
    if catalog.tables.is_empty() || catalog.is_ours(schema).is_err() {
        return;
    }
    let mut tables = TableRights::default();
    for (table, _) in NEEDED {
        let found = catalog.tables.iter().find(|found| found.name == table);
        // a table that is not there lacks more than rights
        tables.add(table, found.map_or(ALL.to_vec(), Found::rights));
    }
    let statements = |tables: &TableRights| grants(schema, &role, &Granted { usage, tables: tables.clone() });
    let place = format!("schema {schema}");
    rights::report(report, &format!("role {role}"), &place, &tables, statements);
}
