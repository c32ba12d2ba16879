use mongodb::bson::{Bson, Document, doc};
use polylog_log::{Config, Failure, Head, Member, Plan, Step, StepClass};

use super::{
    Actual, Desired,
    command::{command, step},
};
use crate::{
    CollectionPrefix,
    head::HeadDocument,
    schema::{self, COLLECTIONS, EVENTS, HEAD},
};

/// An index on more events than this is said to be slow.
const LARGE: u64 = 100_000;

/// The steps from what is there to what should be there, in collections whose names begin with `prefix`.
///
/// # Errors
/// `WrongStore` when the database holds another log; `Damaged` when no step leads there: what is missing cannot be made
/// again.
pub fn plan(desired: &Desired, prefix: &CollectionPrefix, actual: &Actual) -> Result<Plan, Failure> {
    check_log(desired, actual)?;
    let missing = COLLECTIONS.iter().filter(|name| !actual.collections.contains(**name));
    let mut steps: Vec<Step> = missing
        .map(|name| {
            let name = prefix.named(name);
            step(StepClass::Additive, format!("create collection {name}"), &doc! { "create": name })
        })
        .collect();
    let declared = schema::indexes(desired.indexes);
    let (size, mut removed) =
        (if actual.events > LARGE { StepClass::Slow } else { StepClass::Additive }, Vec::new());
    for index in &declared {
        let created = |class| step(class, format!("create index {}", index.name), &index.create(prefix));
        match actual.indexes.get(index.name) {
            None => steps.push(created(size)),
            Some(key) if is_same(key, &index.key()) => {}
            Some(_) => {
                let summary = format!("drop index {}, which has other fields", index.name);
                removed.push(step(StepClass::Destructive, summary, &schema::drop_index(index.name, prefix)));
                removed.push(created(StepClass::Destructive));
            }
        }
    }
    let undeclared = actual.indexes.keys().filter(|name| !declared.iter().any(|index| index.name == **name));
    for name in undeclared {
        removed.push(step(
            StepClass::Destructive,
            format!("drop index {name}"),
            &schema::drop_index(name, prefix),
        ));
    }
    if actual.identity.is_none() {
        steps.push(first_head(desired, prefix));
    }
    steps.append(&mut removed);
    Ok(Plan { steps })
}

/// Whether an index has these fields in this order; servers give their own number types back.
fn is_same(found: &Document, declared: &Document) -> bool {
    let direction = |value: &Bson| match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) if *number == 1.0 => Some(1),
        _ => None,
    };
    let fields =
        |key: &Document| key.iter().map(|(name, value)| (name.clone(), direction(value))).collect::<Vec<_>>();
    fields(found) == fields(declared)
}

fn check_log(desired: &Desired, actual: &Actual) -> Result<(), Failure> {
    match actual.identity {
        None if actual.events == 0 => Ok(()),
        None => Err(Failure::Damaged(format!("{} events and no head: restore the database", actual.events))),
        Some(found) if found.log != desired.identity.log => Err(Failure::WrongStore(format!(
            "the database holds log {}, not {}",
            found.log, desired.identity.log
        ))),
        Some(_) if !actual.collections.contains(EVENTS) => {
            Err(Failure::Damaged(format!("collection {EVENTS} is gone: restore the database")))
        }
        Some(_) => Ok(()),
    }
}

fn first_head(desired: &Desired, prefix: &CollectionPrefix) -> Step {
    let Desired { identity, source, .. } = desired;
    let voter =
        Member { name: source.clone(), database: identity.database, incarnation: identity.incarnation };
    let head = Head::empty(*identity, Config::implicit(voter));
    let insert = doc! {
        "insert": prefix.named(HEAD),
        "documents": [HeadDocument::first(&head)],
        "writeConcern": { "w": "majority", "j": true },
    };
    let summary = format!("make this database {} of log {}", identity.database, identity.log);
    step(StepClass::Additive, summary, &insert)
}

/// Whether a step makes the database a log's.
pub(super) fn makes_a_log(step: &Step) -> Result<bool, Failure> {
    Ok(command(step)?.get_str("insert").is_ok_and(|collection| collection.ends_with(HEAD)))
}

#[cfg(test)]
mod tests {
    use polylog_log::{DatabaseId, Identity, Incarnation, IndexOptions, LogId, SourceName};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_step_is_the_command_that_its_statement_says() {
        let [log, database, incarnation] = [1, 2, 3].map(Uuid::from_u128);
        let identity = Identity {
            log: LogId::new(log),
            database: DatabaseId::new(database),
            incarnation: Incarnation::new(incarnation),
        };
        let source = SourceName::parse("main").expect("a good name");
        let desired = Desired { identity, source, indexes: IndexOptions::default() };
        let plan = plan(&desired, &CollectionPrefix::default(), &Actual::default()).expect("a plan");
        let commands: Vec<_> = plan.steps.iter().map(|step| command(step).expect("a command")).collect();
        let names: Vec<_> = commands.iter().filter_map(|command| command.keys().next()).collect();
        assert_eq!(
            names,
            [["create"; 4], ["createIndexes"; 4]]
                .as_flattened()
                .iter()
                .chain(&["insert"])
                .collect::<Vec<_>>()
        );
        let (last, others) = plan.steps.split_last().expect("steps");
        assert!(makes_a_log(last).is_ok_and(|makes| makes));
        assert!(others.iter().all(|step| makes_a_log(step).is_ok_and(|makes| !makes)));
        let head = commands.last().and_then(|insert| insert.get_array("documents").ok()?[0].as_document());
        let head = HeadDocument::read(head.expect("a head")).expect("a head");
        assert_eq!((head.head.identity, head.head.tail), (identity, polylog_log::Point::start(identity.log)));
    }
}
