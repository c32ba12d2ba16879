use polylog_log::{DatabaseId, Identity, Incarnation, IndexOptions, LogId, SourceName};
use uuid::Uuid;

use super::*;
use crate::{Indices, Layout, provision::Flavor};

fn desired(log: u128) -> Desired {
    let identity = Identity {
        log: LogId::new(Uuid::from_u128(log)),
        database: DatabaseId::new(Uuid::from_u128(2)),
        incarnation: Incarnation::new(Uuid::from_u128(3)),
    };
    let source = SourceName::parse("search").expect("a good name");
    Desired { identity, source, indexes: IndexOptions::default() }
}

fn place(layout: Layout) -> Place {
    Place { indices: Indices::new("payments", "main").expect("good names"), layout, flavor: None }
}

fn nothing() -> Actual {
    let (flavor, version) = (Flavor::Elasticsearch, "9.0.0".into());
    Actual { flavor, version, indices: Default::default(), identity: None, format: None, events: 0 }
}

/// What is there after a plan for this place was carried out.
fn provisioned(place: &Place) -> Actual {
    let index = |kind: Kind| StoredIndex {
        name: kind.name(&place.indices),
        settings: kind.settings(&place.layout),
        mapping: kind.mapping(&place.layout, Flavor::Elasticsearch),
    };
    let indices = KINDS.into_iter().map(|kind| (kind, index(kind))).collect();
    Actual { indices, identity: Some(desired(1).identity), ..nothing() }
}

#[test]
fn a_new_log_gets_indices_and_a_head() {
    let plan = plan(&desired(1), &place(Layout::default()), &nothing()).expect("a plan");
    let lines: Vec<&str> = plan.steps.iter().filter_map(|step| step.statement.lines().next()).collect();
    let expected = [
        "PUT /payments-events-000001",
        "PUT /payments-lookup-000001",
        "PUT /payments-quarantine-000001",
        "PUT /payments-head-000001",
        "PUT /payments-head/_create/main%2F0",
    ];
    assert_eq!(lines, expected);
    assert_eq!(plan.class(), Some(StepClass::Additive));
}

#[test]
fn what_is_as_it_should_be_needs_nothing() {
    let place = place(Layout::default());
    assert!(plan(&desired(1), &place, &provisioned(&place)).expect("a plan").is_empty());
}

#[test]
fn what_can_change_in_place_changes_and_the_rest_is_refused() {
    let actual = provisioned(&place(Layout::default()));
    let changed = |layout| plan(&desired(1), &place(layout), &actual);
    let slower = changed(Layout { refresh: Some(std::time::Duration::from_mins(1)), ..Layout::default() })
        .expect("a plan");
    assert_eq!(slower.steps.len(), 1);
    assert!(
        slower.steps[0].statement.ends_with("_settings\n{\"index.refresh_interval\":\"60s\"}"),
        "{slower}"
    );
    let shards = changed(Layout { shards: 5, ..Layout::default() }).expect_err("a refusal").to_string();
    assert!(shards.contains("number_of_shards") && shards.contains("\"3\""), "{shards}");
}

#[test]
fn an_index_of_an_earlier_version_gets_the_fields_that_searches_need() {
    let place = place(Layout::default());
    let mut actual = provisioned(&place);
    let events = actual.indices.get_mut(&Kind::Events).expect("there");
    let fields = events.mapping["properties"].as_object_mut().expect("fields");
    let new = ["indexed", "said", "searchText", "timestampMicros"];
    assert!(new.iter().all(|field| fields.remove(*field).is_some()));
    let plan = plan(&desired(1), &place, &actual).expect("a plan");
    assert_eq!((plan.steps.len(), plan.class()), (1, Some(StepClass::Additive)), "{plan}");
    let statement = &plan.steps[0].statement;
    assert!(statement.contains("_mapping") && new.iter().all(|field| statement.contains(field)), "{plan}");
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let place = place(Layout::default());
    let other = plan(&desired(9), &place, &provisioned(&place));
    assert!(matches!(other, Err(Failure::WrongStore(_))), "{other:?}");
    let mut foreign = provisioned(&place);
    foreign.indices.get_mut(&Kind::Lookup).expect("there").mapping = json!({});
    let foreign = plan(&desired(1), &place, &foreign);
    assert!(matches!(foreign, Err(Failure::WrongStore(_))), "{foreign:?}");
    let mut gone = provisioned(&place);
    gone.indices.remove(&Kind::Events);
    let gone = plan(&desired(1), &place, &gone);
    assert!(matches!(gone, Err(Failure::Damaged(_))), "{gone:?}");
    let headless = Actual { identity: None, events: 3, ..provisioned(&place) };
    let headless = plan(&desired(1), &place, &headless);
    assert!(matches!(headless, Err(Failure::Damaged(_))), "{headless:?}");
}

#[test]
fn the_product_is_the_one_that_was_named() {
    let named = |flavor| Place { flavor: Some(flavor), ..place(Layout::default()) };
    assert!(plan(&desired(1), &named(Flavor::Elasticsearch), &nothing()).is_ok());
    let other = plan(&desired(1), &named(Flavor::OpenSearch), &nothing()).expect_err("a refusal").to_string();
    assert!(other.contains("elasticsearch.flavor"), "{other}");
}
