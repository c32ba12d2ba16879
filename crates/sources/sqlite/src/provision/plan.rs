use std::fmt::Write;

use polylog_log::{Config, Failure, Head, Member, Plan, Step, StepClass};

use super::{Actual, Desired, Inventory, StoredColumn};
use crate::schema::{self, Column, Index, Table};

/// An index on more events than this holds writers up for more than a moment.
const LARGE: u64 = 100_000;

/// The steps from what is there to what should be there.
///
/// Fails with `WrongStore` when the file holds another log, and with `Damaged` when no step leads there: what is
/// missing cannot be made again.
pub fn plan(desired: &Desired, actual: &Actual) -> Result<Plan, Failure> {
    let nothing = Inventory::default();
    let there = match actual {
        Actual::Absent | Actual::Empty => &nothing,
        Actual::Ours(inventory) => inventory,
    };
    check_log(desired, there)?;
    let mut steps = Vec::new();
    if !there.is_wal {
        steps.push(additive(
            "write ahead, so that readers and the writer do not wait for each other",
            schema::WAL,
        ));
    }
    if !matches!(actual, Actual::Ours(_)) {
        let statement = format!("PRAGMA application_id = {}", schema::APPLICATION_ID);
        steps.push(additive("mark the file as a log", statement));
    }
    for table in &schema::TABLES {
        match there.tables.get(table.name) {
            None => steps.push(additive(format!("create table {}", table.name), table.definition())),
            Some(columns) => steps.extend(added_columns(table, columns)?),
        }
    }
    let (added, removed) = indexes(desired, there);
    steps.extend(added);
    if there.identity.is_none() {
        steps.extend(first_head(desired));
    }
    steps.extend(removed);
    for table in &schema::TABLES {
        let columns = there.tables.get(table.name).map(Vec::as_slice).unwrap_or_default();
        steps.extend(removed_columns(table, columns));
    }
    Ok(Plan { steps })
}

fn check_log(desired: &Desired, there: &Inventory) -> Result<(), Failure> {
    let Some(found) = there.identity else {
        return if there.events == 0 {
            Ok(())
        } else {
            Err(Failure::Damaged(format!("{} events and no head: restore the file", there.events)))
        };
    };
    if found.log != desired.identity.log {
        return Err(Failure::WrongStore(format!(
            "the file holds log {}, not {}",
            found.log, desired.identity.log
        )));
    }
    let lost = [schema::EVENTS, schema::CONFIGS].into_iter().find(|t| !there.tables.contains_key(t.name));
    match lost {
        Some(table) => Err(Failure::Damaged(format!("table {} is gone: restore the file", table.name))),
        None => Ok(()),
    }
}

fn added_columns(table: &Table, there: &[StoredColumn]) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    for column in table.columns {
        match there.iter().find(|stored| stored.name == column.name) {
            Some(stored) if is_same(column, stored) => {}
            None if !column.required => steps.push(additive(
                format!("add column {} to {}", column.name, table.name),
                format!("ALTER TABLE {} ADD COLUMN {column}", table.name),
            )),
            found => {
                let found = found.map_or("missing".into(), |c| format!("{} {}", c.name, c.kind));
                let table = table.name;
                return Err(Failure::Damaged(format!(
                    "column {column} of {table} is {found}: restore the file"
                )));
            }
        }
    }
    Ok(steps)
}

fn is_same(column: &Column, stored: &StoredColumn) -> bool {
    // WITHOUT ROWID makes the key NOT NULL, whether declared or not; ours are declared
    stored.kind == column.kind && stored.required == column.required
}

fn removed_columns(table: &Table, there: &[StoredColumn]) -> Vec<Step> {
    let undeclared = there.iter().filter(|stored| !table.columns.iter().any(|c| c.name == stored.name));
    undeclared
        .map(|stored| Step {
            class: StepClass::Destructive,
            summary: format!("drop column {} of {}", stored.name, table.name),
            statement: format!("ALTER TABLE {} DROP COLUMN {}", table.name, quoted(&stored.name)),
        })
        .collect()
}

/// Indexes to create, and indexes to drop or replace.
fn indexes(desired: &Desired, there: &Inventory) -> (Vec<Step>, Vec<Step>) {
    let declared = schema::indexes(desired.indexes);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for index in &declared {
        match there.indexes.get(index.name) {
            None => added.push(created(index, there.events)),
            Some(definition) if definition == index.definition => {}
            Some(_) => removed.push(Step {
                class: StepClass::Destructive,
                summary: format!("replace index {}", index.name),
                statement: format!("DROP INDEX {};\n{}", index.name, index.definition),
            }),
        }
    }
    for name in there.indexes.keys().filter(|name| !declared.iter().any(|index| index.name == **name)) {
        removed.push(Step {
            class: StepClass::Destructive,
            summary: format!("drop index {name}"),
            statement: format!("DROP INDEX {}", quoted(name)),
        });
    }
    (added, removed)
}

fn created(index: &Index, events: u64) -> Step {
    Step {
        class: if events > LARGE { StepClass::Slow } else { StepClass::Additive },
        summary: format!("create index {}", index.name),
        statement: index.definition.into(),
    }
}

fn first_head(desired: &Desired) -> [Step; 2] {
    let Desired { identity, source, .. } = desired;
    let voter =
        Member { name: source.clone(), database: identity.database, incarnation: identity.incarnation };
    let head = Head::empty(*identity, Config::implicit(voter));
    let config =
        serde_json::to_string(&*head.config.config).expect("plain structs with string keys serialise");
    let content = config.replace('\'', "''");
    [
        additive(
            "record the implicit configuration",
            format!("INSERT INTO polylog_configs (position, content) VALUES (0, '{content}')"),
        ),
        additive(
            format!("make this database {} of log {}", identity.database, identity.log),
            format!(
                "INSERT INTO polylog_head (lane, format, log, database, incarnation, term, granted, lead, \
                 tail_position, tail_term, tail_chain, recorded_at, config_position, stable, acked, cuts, revision) \
                 VALUES (0, {}, {}, {}, {}, 0, NULL, 0, 0, 0, {}, 0, 0, 0, 0, 0, 0)",
                head.format,
                hexadecimal(identity.log.as_bytes()),
                hexadecimal(identity.database.as_bytes()),
                hexadecimal(identity.incarnation.as_bytes()),
                hexadecimal(head.tail.chain.as_bytes()),
            ),
        ),
    ]
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string takes everything");
        digits
    });
    format!("X'{digits}'")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn additive(summary: impl Into<String>, statement: impl Into<String>) -> Step {
    Step { class: StepClass::Additive, summary: summary.into(), statement: statement.into() }
}

#[cfg(test)]
mod tests;
