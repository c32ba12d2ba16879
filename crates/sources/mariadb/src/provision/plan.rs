use polylog_log::{Config, Failure, Head, Member, Plan, Step, StepClass};

use super::{Actual, Desired, Inventory, Place, StoredColumn, StoredTable, grants, quoted};
use crate::{
    schema::{self, Column, Index, Table},
    tables::Tables,
};

/// An index on more events than this takes long.
const LARGE: u64 = 100_000;

/// The steps from what is there to what should be there.
///
/// Fails with `WrongStore` when the database holds another log, with `NotProvisioned` when there is no database and none
/// may be created, and with `Damaged` when no step leads there: what is missing cannot be made again.
pub fn plan(desired: &Desired, place: &Place, actual: &Actual) -> Result<Plan, Failure> {
    let nothing = Inventory::default();
    let there = match actual {
        Actual::Absent | Actual::Empty => &nothing,
        Actual::Ours(inventory) => inventory,
    };
    let tables = &place.tables;
    check_log(desired, tables, there)?;
    let mut steps = Vec::new();
    if matches!(actual, Actual::Absent) {
        if !place.create_database {
            return Err(Failure::NotProvisioned(format!(
                "there is no database {}; create it",
                tables.database
            )));
        }
        let database = &tables.database;
        steps.push(additive(format!("create database {database}"), format!("CREATE DATABASE {database}")));
    }
    for table in &schema::TABLES {
        match there.tables.get(table.name) {
            None => {
                let summary = format!("create table {}", tables.named(table.name));
                steps.push(additive(summary, table.definition(tables)));
            }
            Some(stored) => {
                steps.extend(converted(tables, table, stored));
                steps.extend(added_columns(tables, table, &stored.columns)?);
            }
        }
    }
    let (added, removed) = indexes(desired, tables, there);
    steps.extend(added);
    if there.identity.is_none() {
        steps.extend(first_head(desired, tables));
    }
    if let Some(worker) = &place.worker {
        let account = &worker.account;
        let missing = grants(tables, account, &there.granted).into_iter();
        steps.extend(missing.map(|statement| additive(format!("let {account} use it"), statement)));
    }
    steps.extend(removed);
    for table in &schema::TABLES {
        let columns = there.tables.get(table.name).map(|table| table.columns.as_slice());
        steps.extend(removed_columns(tables, table, columns.unwrap_or_default()));
    }
    Ok(Plan { steps })
}

fn check_log(desired: &Desired, tables: &Tables, there: &Inventory) -> Result<(), Failure> {
    let Some(found) = there.identity else {
        return if there.events == 0 {
            Ok(())
        } else {
            Err(Failure::Damaged(format!("{} events and no head: restore the database", there.events)))
        };
    };
    if found.log != desired.identity.log {
        return Err(Failure::WrongStore(format!(
            "the database holds log {}, not {}",
            found.log, desired.identity.log
        )));
    }
    let lost = [schema::EVENTS, schema::CONFIGS].into_iter().find(|t| !there.tables.contains_key(t.name));
    match lost {
        Some(table) => {
            Err(Failure::Damaged(format!("table {} is gone: restore the database", tables.named(table.name))))
        }
        None => Ok(()),
    }
}

/// A table whose engine has no transactions: what is in it stays.
fn converted(tables: &Tables, table: &Table, there: &StoredTable) -> Option<Step> {
    (there.engine != "InnoDB").then(|| Step {
        class: StepClass::Slow,
        summary: format!("convert {} from {} to InnoDB", tables.named(table.name), there.engine),
        statement: format!("ALTER TABLE {} ENGINE=InnoDB ROW_FORMAT=DYNAMIC", tables.qualified(table.name)),
    })
}

fn added_columns(tables: &Tables, table: &Table, there: &[StoredColumn]) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    for column in table.columns {
        match there.iter().find(|stored| stored.name == column.name) {
            Some(stored) if is_same(column, stored) => {}
            None if !column.required => steps.push(additive(
                format!("add column {} to {}", column.name, tables.named(table.name)),
                format!("ALTER TABLE {} ADD COLUMN {column}", tables.qualified(table.name)),
            )),
            found => {
                let found = found.map_or("missing".into(), |c| format!("{} {}", c.name, c.kind));
                let table = tables.named(table.name);
                return Err(Failure::Damaged(format!(
                    "column {column} of {table} is {found}: restore the database"
                )));
            }
        }
    }
    Ok(steps)
}

fn is_same(column: &Column, stored: &StoredColumn) -> bool {
    stored.kind == column.kind && stored.required == column.required
}

fn removed_columns(tables: &Tables, table: &Table, there: &[StoredColumn]) -> Vec<Step> {
    let undeclared = there.iter().filter(|stored| !table.columns.iter().any(|c| c.name == stored.name));
    undeclared
        .map(|stored| Step {
            class: StepClass::Destructive,
            summary: format!("drop column {} of {}", stored.name, tables.named(table.name)),
            statement: format!(
                "ALTER TABLE {} DROP COLUMN {}",
                tables.qualified(table.name),
                quoted(&stored.name)
            ),
        })
        .collect()
}

/// Indexes to create, and indexes to drop or replace.
fn indexes(desired: &Desired, tables: &Tables, there: &Inventory) -> (Vec<Step>, Vec<Step>) {
    let declared = schema::indexes(desired.indexes);
    let events = tables.qualified(schema::EVENTS.name);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for index in &declared {
        match there.indexes.get(index.name) {
            None => added.push(created(tables, index, there.events)),
            Some(found) if found.is_unique == index.is_unique && found.columns == index.columns => {}
            Some(_) => removed.push(Step {
                class: StepClass::Destructive,
                summary: format!("replace index {}", tables.named(index.name)),
                statement: format!(
                    "DROP INDEX {} ON {events};\n{}",
                    tables.named(index.name),
                    index.definition(tables, false)
                ),
            }),
        }
    }
    for name in there.indexes.keys().filter(|name| !declared.iter().any(|index| index.name == **name)) {
        let name = tables.named(name);
        removed.push(Step {
            class: StepClass::Destructive,
            summary: format!("drop index {name}"),
            statement: format!("DROP INDEX {} ON {events}", quoted(&name)),
        });
    }
    (added, removed)
}

fn created(tables: &Tables, index: &Index, events: u64) -> Step {
    let is_large = events > LARGE;
    Step {
        class: if is_large { StepClass::Slow } else { StepClass::Additive },
        summary: format!("create index {}", tables.named(index.name)),
        statement: index.definition(tables, is_large),
    }
}

fn first_head(desired: &Desired, tables: &Tables) -> [Step; 2] {
    let Desired { identity, source, .. } = desired;
    let voter =
        Member { name: source.clone(), database: identity.database, incarnation: identity.incarnation };
    let head = Head::empty(*identity, Config::implicit(voter));
    let config =
        serde_json::to_string(&*head.config.config).expect("plain structs with string keys serialise");
    let content = config.replace('\\', "\\\\").replace('\'', "''");
    let (configs, heads) = (tables.qualified(schema::CONFIGS.name), tables.qualified(schema::HEAD.name));
    let chain: String = head.tail.chain.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = |id: uuid::Uuid| format!("x'{}'", id.simple());
    [
        additive(
            "record the implicit configuration",
            format!("REPLACE INTO {configs} (position, content) VALUES (0, '{content}')"),
        ),
        additive(
            format!("make this database {} of log {}", identity.database, identity.log),
            format!(
                "INSERT INTO {heads} (lane, format, log, `database`, incarnation, term, granted, `lead`, \
                 tail_position, tail_term, tail_chain, recorded_at, config_position, stable, acked, cuts, revision) \
                 VALUES (0, {}, {}, {}, {}, 0, NULL, 0, 0, 0, x'{chain}', 0, 0, 0, 0, 0, 0)",
                head.format,
                hex(identity.log.uuid()),
                hex(identity.database.uuid()),
                hex(identity.incarnation.uuid()),
            ),
        ),
    ]
}

fn additive(summary: impl Into<String>, statement: impl Into<String>) -> Step {
    Step { class: StepClass::Additive, summary: summary.into(), statement: statement.into() }
}

#[cfg(test)]
mod tests;
