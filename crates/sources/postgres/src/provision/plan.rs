use polylog_log::{Config, Failure, Head, Member, Plan, Step, StepClass};

use super::{Actual, Desired, Inventory, Place, StoredColumn, grants, quoted};
use crate::{
    config::SchemaName,
    schema::{self, Column, Index, Table},
};

/// An index on more events than this is built beside the writers instead of holding them up.
const LARGE: u64 = 100_000;

/// The steps from what is there to what should be there.
///
/// Fails with `WrongStore` when the schema holds another log, with `NotProvisioned` when there is no schema and none
/// may be created, and with `Damaged` when no step leads there: what is missing cannot be made again.
pub fn plan(desired: &Desired, place: &Place, actual: &Actual) -> Result<Plan, Failure> {
    let nothing = Inventory::default();
    let there = match actual {
        Actual::Absent | Actual::Empty => &nothing,
        Actual::Ours(inventory) => inventory,
    };
    let schema = &place.schema;
    check_log(desired, there)?;
    let mut steps = Vec::new();
    if matches!(actual, Actual::Absent) {
        if !place.create_schema {
            let why = format!("there is no schema {schema}, and createSchema is false");
            return Err(Failure::NotProvisioned(why));
        }
        steps.push(additive(format!("create schema {schema}"), format!("CREATE SCHEMA {schema}")));
    }
    for table in &schema::TABLES {
        match there.tables.get(table.name) {
            None => steps.push(additive(format!("create table {}", table.name), table.definition(schema))),
            Some(columns) => steps.extend(added_columns(schema, table, columns)?),
        }
    }
    let (added, removed) = indexes(desired, schema, there);
    steps.extend(added);
    if there.identity.is_none() {
        steps.extend(first_head(desired, schema));
    }
    if let Some(role) = &place.role {
        let missing = grants(schema, role, &there.granted).into_iter();
        steps.extend(missing.map(|statement| additive(format!("let {role} use it"), statement)));
    }
    steps.extend(removed);
    for table in &schema::TABLES {
        let columns = there.tables.get(table.name).map(Vec::as_slice).unwrap_or_default();
        steps.extend(removed_columns(schema, table, columns));
    }
    Ok(Plan { steps })
}

fn check_log(desired: &Desired, there: &Inventory) -> Result<(), Failure> {
    let Some(found) = there.identity else {
        return if there.events == 0 {
            Ok(())
        } else {
            Err(Failure::Damaged(format!("{} events and no head: restore the schema", there.events)))
        };
    };
    if found.log != desired.identity.log {
        return Err(Failure::WrongStore(format!(
            "the schema holds log {}, not {}",
            found.log, desired.identity.log
        )));
    }
    let lost = [schema::EVENTS, schema::CONFIGS].into_iter().find(|t| !there.tables.contains_key(t.name));
    match lost {
        Some(table) => Err(Failure::Damaged(format!("table {} is gone: restore the schema", table.name))),
        None => Ok(()),
    }
}

fn added_columns(schema: &SchemaName, table: &Table, there: &[StoredColumn]) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    for column in table.columns {
        match there.iter().find(|stored| stored.name == column.name) {
            Some(stored) if is_same(column, stored) => {}
            None if !column.required => steps.push(additive(
                format!("add column {} to {}", column.name, table.name),
                format!("ALTER TABLE {} ADD COLUMN {column}", table.in_schema(schema)),
            )),
            found => {
                let found = found.map_or("missing".into(), |c| format!("{} {}", c.name, c.kind));
                let table = table.name;
                return Err(Failure::Damaged(format!(
                    "column {column} of {table} is {found}: restore the schema"
                )));
            }
        }
    }
    Ok(steps)
}

fn is_same(column: &Column, stored: &StoredColumn) -> bool {
    stored.kind == column.kind && stored.required == column.required
}

fn removed_columns(schema: &SchemaName, table: &Table, there: &[StoredColumn]) -> Vec<Step> {
    let undeclared = there.iter().filter(|stored| !table.columns.iter().any(|c| c.name == stored.name));
    undeclared
        .map(|stored| Step {
            class: StepClass::Destructive,
            summary: format!("drop column {} of {}", stored.name, table.name),
            statement: format!(
                "ALTER TABLE {} DROP COLUMN {}",
                table.in_schema(schema),
                quoted(&stored.name)
            ),
        })
        .collect()
}

/// Indexes to create, and indexes to drop or replace.
fn indexes(desired: &Desired, schema: &SchemaName, there: &Inventory) -> (Vec<Step>, Vec<Step>) {
    let declared = schema::indexes(desired.indexes);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for index in &declared {
        let dropped = format!("DROP INDEX {schema}.{}", index.name);
        match there.indexes.get(index.name) {
            None => added.push(created(schema, index, there.events)),
            Some(found) if !found.is_valid => {
                let summary = format!("drop index {}, whose building was interrupted", index.name);
                added.push(Step { class: StepClass::Slow, summary, statement: dropped });
                added.push(Step { class: StepClass::Slow, ..created(schema, index, u64::MAX) });
            }
            Some(found) if found.is_unique == index.is_unique && found.using == index.using => {}
            Some(_) => removed.push(Step {
                class: StepClass::Destructive,
                summary: format!("replace index {}", index.name),
                statement: format!("{dropped};\n{}", index.definition(schema, false)),
            }),
        }
    }
    for name in there.indexes.keys().filter(|name| !declared.iter().any(|index| index.name == **name)) {
        removed.push(Step {
            class: StepClass::Destructive,
            summary: format!("drop index {name}"),
            statement: format!("DROP INDEX {schema}.{}", quoted(name)),
        });
    }
    (added, removed)
}

fn created(schema: &SchemaName, index: &Index, events: u64) -> Step {
    let is_large = events > LARGE;
    Step {
        class: if is_large { StepClass::Slow } else { StepClass::Additive },
        summary: format!("create index {}", index.name),
        statement: index.definition(schema, is_large),
    }
}

fn first_head(desired: &Desired, schema: &SchemaName) -> [Step; 2] {
    let Desired { identity, source, .. } = desired;
    let voter =
        Member { name: source.clone(), database: identity.database, incarnation: identity.incarnation };
    let head = Head::empty(*identity, Config::implicit(voter));
    let config =
        serde_json::to_string(&*head.config.config).expect("plain structs with string keys serialise");
    let content = config.replace('\'', "''");
    let (configs, heads) = (schema::CONFIGS.in_schema(schema), schema::HEAD.in_schema(schema));
    let chain: String = head.tail.chain.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    [
        additive(
            "record the implicit configuration",
            format!("INSERT INTO {configs} (\"position\", content) VALUES (0, '{content}')"),
        ),
        additive(
            format!("make this database {} of log {}", identity.database, identity.log),
            format!(
                "INSERT INTO {heads} (lane, format, log, database, incarnation, term, granted, lead, tail_position, \
                 tail_term, tail_chain, recorded_at, config_position, stable, acked, cuts, revision) \
                 VALUES (0, {}, '{}', '{}', '{}', 0, NULL, 0, 0, 0, '\\x{chain}', 0, 0, 0, 0, 0, 0)",
                head.format,
                identity.log.uuid(),
                identity.database.uuid(),
                identity.incarnation.uuid(),
            ),
        ),
    ]
}

fn additive(summary: impl Into<String>, statement: impl Into<String>) -> Step {
    Step { class: StepClass::Additive, summary: summary.into(), statement: statement.into() }
}

#[cfg(test)]
mod tests;
