use polylog_log::{DatabaseId, Identity, Incarnation, LogId, SourceName};
use uuid::Uuid;

use super::*;
use crate::provision::IndexOptions;

fn desired() -> Desired {
    let id = Uuid::from_u128;
    Desired {
        identity: Identity {
            log: LogId::new(id(1)),
            database: DatabaseId::new(id(2)),
            incarnation: Incarnation::new(id(3)),
        },
        source: SourceName::parse("it's").expect("a good name"),
        indexes: IndexOptions::default(),
    }
}

/// A file as a plan for `desired` leaves it.
fn whole(desired: &Desired) -> Inventory {
    let columns = |table: &Table| {
        let stored = |column: &Column| StoredColumn {
            name: column.name.into(),
            kind: column.kind.into(),
            required: column.required,
        };
        (table.name.to_owned(), table.columns.iter().map(stored).collect())
    };
    let indexes = schema::indexes(desired.indexes);
    Inventory {
        identity: Some(desired.identity),
        is_wal: true,
        events: 10,
        tables: schema::TABLES.iter().map(columns).collect(),
        indexes: indexes.iter().map(|index| (index.name.into(), index.definition.into())).collect(),
    }
}

fn plan_for(desired: &Desired, there: Inventory) -> Plan {
    plan(desired, &Actual::Ours(there)).expect("a plan")
}

#[test]
fn an_empty_file_gets_everything_and_a_whole_one_nothing() {
    let fresh = plan(&desired(), &Actual::Absent).expect("a plan");
    assert_eq!(fresh, plan(&desired(), &Actual::Empty).expect("a plan"));
    assert_eq!(fresh.class(), Some(StepClass::Additive));
    assert_eq!(fresh.steps.len(), 2 + 6 + 5 + 2);
    assert!(fresh.to_string().contains("CREATE TABLE polylog_events (\n    position INTEGER,\n"));
    assert!(fresh.to_string().contains("it''s"), "text is quoted");
    assert!(plan_for(&desired(), whole(&desired())).is_empty());
}

#[test]
fn an_index_that_is_asked_for_later_is_slow_on_a_large_log() {
    let asked = Desired { indexes: IndexOptions { event_type: true, aggregate_id: true }, ..desired() };
    let small = plan_for(&asked, whole(&desired()));
    assert_eq!((small.steps.len(), small.class()), (2, Some(StepClass::Additive)));
    let large = plan_for(&asked, Inventory { events: 1_000_000, ..whole(&desired()) });
    assert_eq!((large.steps.len(), large.class()), (2, Some(StepClass::Slow)));
}

#[test]
fn what_is_no_longer_declared_is_dropped_and_that_is_destructive() {
    let asked = Desired { indexes: IndexOptions { event_type: true, aggregate_id: false }, ..desired() };
    let plan = plan_for(&desired(), whole(&asked));
    assert_eq!(plan.class(), Some(StepClass::Destructive));
    assert_eq!(plan.steps[0].statement, "DROP INDEX \"polylog_events_type\"");

    let mut there = whole(&desired());
    let extra = StoredColumn { name: "old".into(), kind: "TEXT".into(), required: false };
    there.tables.get_mut("polylog_head").expect("it is there").push(extra);
    let plan = plan_for(&desired(), there);
    assert_eq!(plan.steps[0].statement, "ALTER TABLE polylog_head DROP COLUMN \"old\"");
    assert_eq!(plan.class(), Some(StepClass::Destructive));
}

#[test]
fn an_index_of_another_definition_is_replaced_in_one_step() {
    let mut there = whole(&desired());
    let other = "CREATE INDEX polylog_events_id ON polylog_events (id)";
    there.indexes.insert("polylog_events_id".into(), other.into());
    let plan = plan_for(&desired(), there);
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.class(), Some(StepClass::Destructive));
    assert!(plan.steps[0].statement.starts_with("DROP INDEX polylog_events_id;\nCREATE UNIQUE INDEX"));
}

#[test]
fn what_a_crash_left_unfinished_is_completed() {
    let mut there = whole(&desired());
    there.identity = None;
    there.events = 0;
    there.is_wal = false;
    there.tables.remove("polylog_head");
    there.indexes.remove("polylog_events_category");
    let plan = plan_for(&desired(), there);
    assert_eq!(plan.class(), Some(StepClass::Additive));
    let summaries: Vec<&str> = plan.steps.iter().map(|step| &step.summary[..10]).collect();
    assert_eq!(summaries.len(), 5, "{summaries:?}");
}

#[test]
fn a_missing_optional_column_is_added_and_a_missing_required_one_is_damage() {
    let without = |name: &str| {
        let mut there = whole(&desired());
        let columns = there.tables.get_mut("polylog_events").expect("it is there");
        columns.retain(|column| column.name != name);
        plan(&desired(), &Actual::Ours(there))
    };
    let added = without("causation_id").expect("a plan");
    assert_eq!(added.steps[0].statement, "ALTER TABLE polylog_events ADD COLUMN causation_id TEXT");
    assert_eq!(added.class(), Some(StepClass::Additive));
    assert!(matches!(without("chain"), Err(Failure::Damaged(_))));
}

#[test]
fn another_log_and_lost_tables_are_refused() {
    let mut there = whole(&desired());
    there.identity = there.identity.map(|id| Identity { log: LogId::new(Uuid::from_u128(9)), ..id });
    assert!(matches!(plan(&desired(), &Actual::Ours(there)), Err(Failure::WrongStore(_))));

    let mut there = whole(&desired());
    there.identity =
        there.identity.map(|id| Identity { database: DatabaseId::new(Uuid::from_u128(9)), ..id });
    assert!(plan_for(&desired(), there).is_empty(), "database and incarnation are the file's own");

    let mut there = whole(&desired());
    there.tables.remove("polylog_events");
    assert!(matches!(plan(&desired(), &Actual::Ours(there)), Err(Failure::Damaged(_))));

    let there = Inventory { identity: None, ..whole(&desired()) };
    assert!(matches!(plan(&desired(), &Actual::Ours(there)), Err(Failure::Damaged(_))));
}
