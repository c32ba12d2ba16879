use polylog_log::{DatabaseId, Identity, Incarnation, LogId, SourceName};
use uuid::Uuid;

use super::*;
use crate::{
    MariadbConfig,
    config::{Address, DatabaseName},
    provision::{Account, Granted, IndexOptions, StoredIndex, Worker},
};

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

fn place() -> Place {
    let database = DatabaseName::parse("shop").expect("a good name");
    Place { tables: database.into(), create_database: true, worker: None }
}

/// A database as a plan for `desired` leaves it.
fn whole(desired: &Desired) -> Inventory {
    let columns = |table: &Table| {
        let stored = |column: &Column| StoredColumn {
            name: column.name.into(),
            kind: column.kind.into(),
            required: column.required,
        };
        let columns = table.columns.iter().map(stored).collect();
        (table.name.to_owned(), StoredTable { engine: "InnoDB".into(), columns })
    };
    let stored = |index: &Index| StoredIndex { is_unique: index.is_unique, columns: index.columns.into() };
    let indexes = schema::indexes(desired.indexes);
    Inventory {
        identity: Some(desired.identity),
        format: Some(1),
        events: 10,
        tables: schema::TABLES.iter().map(columns).collect(),
        indexes: indexes.iter().map(|index| (index.name.into(), stored(index))).collect(),
        granted: Granted::default(),
    }
}

fn plan_for(desired: &Desired, there: Inventory) -> Plan {
    plan(desired, &place(), &Actual::Ours(there)).expect("a plan")
}

#[test]
fn an_absent_database_gets_everything_and_a_whole_one_nothing() {
    let fresh = plan(&desired(), &place(), &Actual::Absent).expect("a plan");
    let empty = plan(&desired(), &place(), &Actual::Empty).expect("a plan");
    assert_eq!(fresh.steps[1..], empty.steps);
    assert_eq!(fresh.class(), Some(StepClass::Additive));
    assert_eq!(fresh.steps.len(), 1 + 6 + 5 + 2);
    assert!(fresh.to_string().contains("CREATE TABLE `shop`.polylog_events (\n    `position` bigint"));
    assert!(fresh.to_string().contains("it''s"), "text is quoted");
    assert!(plan_for(&desired(), whole(&desired())).is_empty());
    let fixed = Place { create_database: false, ..place() };
    assert!(matches!(plan(&desired(), &fixed, &Actual::Absent), Err(Failure::NotProvisioned(_))));
}

#[test]
fn an_index_that_is_asked_for_later_is_slow_on_a_large_log() {
    let asked = Desired { indexes: IndexOptions { event_type: true, aggregate_id: true }, ..desired() };
    let small = plan_for(&asked, whole(&desired()));
    assert_eq!((small.steps.len(), small.class()), (2, Some(StepClass::Additive)));
    let large = plan_for(&asked, Inventory { events: 1_000_000, ..whole(&desired()) });
    assert_eq!((large.steps.len(), large.class()), (2, Some(StepClass::Slow)));
    assert!(large.steps[0].statement.ends_with(" LOCK=NONE"), "writers go on");
}

#[test]
fn a_table_without_transactions_is_converted() {
    let mut there = whole(&desired());
    there.tables.get_mut("polylog_head").expect("it is there").engine = "MyISAM".into();
    let plan = plan_for(&desired(), there);
    assert_eq!((plan.steps.len(), plan.class()), (1, Some(StepClass::Slow)));
    assert!(plan.steps[0].statement.starts_with("ALTER TABLE `shop`.polylog_head ENGINE=InnoDB"));
}

#[test]
fn what_is_no_longer_declared_is_dropped_and_that_is_destructive() {
    let asked = Desired { indexes: IndexOptions { event_type: true, aggregate_id: false }, ..desired() };
    let plan = plan_for(&desired(), whole(&asked));
    assert_eq!(plan.class(), Some(StepClass::Destructive));
    assert_eq!(plan.steps[0].statement, "DROP INDEX `polylog_events_type` ON `shop`.polylog_events");

    let mut there = whole(&desired());
    let extra = StoredColumn { name: "old`".into(), kind: "text".into(), required: false };
    there.tables.get_mut("polylog_head").expect("it is there").columns.push(extra);
    let plan = plan_for(&desired(), there);
    assert_eq!(plan.steps[0].statement, "ALTER TABLE `shop`.polylog_head DROP COLUMN `old```");
    assert_eq!(plan.class(), Some(StepClass::Destructive));
}

#[test]
fn an_index_of_another_definition_is_replaced_in_one_step() {
    for change in [
        |index: &mut StoredIndex| index.is_unique = false,
        |index: &mut StoredIndex| index.columns = "id, stream".into(),
    ] {
        let mut there = whole(&desired());
        change(there.indexes.get_mut("polylog_events_id").expect("it is there"));
        let plan = plan_for(&desired(), there);
        assert_eq!((plan.steps.len(), plan.class()), (1, Some(StepClass::Destructive)));
        let expected = "DROP INDEX polylog_events_id ON `shop`.polylog_events;\nCREATE UNIQUE INDEX";
        assert!(plan.steps[0].statement.starts_with(expected));
    }
}

#[test]
fn what_a_crash_left_unfinished_is_completed() {
    let mut there = whole(&desired());
    there.identity = None;
    there.events = 0;
    there.tables.remove("polylog_head");
    there.indexes.remove("polylog_events_category");
    let plan = plan_for(&desired(), there);
    assert_eq!((plan.steps.len(), plan.class()), (4, Some(StepClass::Additive)));
}

#[test]
fn a_missing_optional_column_is_added_and_a_missing_required_one_is_damage() {
    let without = |name: &str| {
        let mut there = whole(&desired());
        let table = there.tables.get_mut("polylog_events").expect("it is there");
        table.columns.retain(|column| column.name != name);
        plan(&desired(), &place(), &Actual::Ours(there))
    };
    let added = without("causation_id").expect("a plan");
    let expected = "ALTER TABLE `shop`.polylog_events ADD COLUMN `causation_id` varbinary(255) NULL";
    assert_eq!(added.steps[0].statement, expected);
    assert_eq!(added.class(), Some(StepClass::Additive));
    assert!(matches!(without("chain"), Err(Failure::Damaged(_))));
}

#[test]
fn a_user_gets_what_it_lacks() {
    let database = place().tables;
    let account = Account { user: "it's \\".into(), host: "10.%".into() };
    let config = MariadbConfig::new(Address::parse("mysql://h/shop").expect("good"), database);
    let place = Place { worker: Some(Worker { account, config }), ..place() };
    let fresh = plan(&desired(), &place, &Actual::Absent).expect("a plan");
    assert_eq!(fresh.steps.len(), 1 + 6 + 5 + 2 + 6);
    let grant = "GRANT SELECT, UPDATE ON `shop`.polylog_head TO 'it\\'s \\\\'@'10.%'";
    assert!(fresh.to_string().contains(grant), "{fresh}");
    let mut there = whole(&desired());
    for table in &schema::TABLES {
        there.granted.add(table.name, ["SELECT", "INSERT", "UPDATE", "DELETE"]);
    }
    let all = there.clone();
    assert!(plan(&desired(), &place, &Actual::Ours(all)).expect("a plan").is_empty());
    there.granted.remove("polylog_events", "DELETE");
    let rest = plan(&desired(), &place, &Actual::Ours(there)).expect("a plan");
    assert_eq!(rest.steps.len(), 1);
    assert!(rest.steps[0].statement.starts_with("GRANT DELETE ON `shop`.polylog_events TO 'it"));
}

#[test]
fn another_log_and_lost_tables_are_refused() {
    let ours = |there| plan(&desired(), &place(), &Actual::Ours(there));
    let mut there = whole(&desired());
    there.identity = there.identity.map(|id| Identity { log: LogId::new(Uuid::from_u128(9)), ..id });
    assert!(matches!(ours(there), Err(Failure::WrongStore(_))));

    let mut there = whole(&desired());
    there.identity =
        there.identity.map(|id| Identity { database: DatabaseId::new(Uuid::from_u128(9)), ..id });
    assert!(ours(there).expect("a plan").is_empty(), "database and incarnation are the database's own");

    let mut there = whole(&desired());
    there.tables.remove("polylog_events");
    assert!(matches!(ours(there), Err(Failure::Damaged(_))));

    let there = Inventory { identity: None, ..whole(&desired()) };
    assert!(matches!(ours(there), Err(Failure::Damaged(_))));
}
