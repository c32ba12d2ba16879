//! `$config` as this version writes it, and as other versions may.

use polylog_log::{
    Acks, Config, ConfigVersion, DatabaseId, Divergence, EventType, Failover, Incarnation, Member, Route,
    SourceName,
};
use serde_json::{Value, json};

fn member(name: &str, number: u8) -> Member {
    let id = [number; 16];
    Member {
        name: SourceName::recorded(name),
        database: DatabaseId::from_bytes(id),
        incarnation: Incarnation::from_bytes(id),
    }
}

/// With everything that there can be.
fn whole() -> Config {
    Config {
        version: ConfigVersion(7),
        voters: vec![member("ledger", 1), member("archive", 2)],
        learners: vec![member("search", 3)],
        in_sync: vec![SourceName::recorded("ledger")],
        acks: Acks::Majority,
        min_in_sync: 2,
        failover: Failover::Manual,
        divergence: Divergence::ReplayIfClean,
        order: vec![SourceName::recorded("ledger"), SourceName::recorded("archive")],
        max_unreplicated_events: Some(10_000),
        routes: vec![Route {
            types: vec![EventType::recorded("PaymentProcessed")],
            when: Some("metadata.region == 'eu'".into()),
            source: SourceName::recorded("ledger"),
        }],
        default_route: Some(SourceName::recorded("archive")),
        keepers: vec![SourceName::recorded("ledger"), SourceName::recorded("archive")],
        is_newer: false,
    }
}

fn recorded() -> Value {
    serde_json::to_value(whole()).expect("JSON")
}

fn parse(config: &Value) -> Result<Config, serde_json::Error> {
    Config::parse(config.to_string().as_bytes())
}

/// What processes of later versions must still read: `POLYLOG_GENERATE=1` writes it.
#[test]
fn a_configuration_is_written_as_recorded() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/formats/config-1.json");
    let text = serde_json::to_string_pretty(&whole()).expect("JSON") + "\n";
    if std::env::var_os("POLYLOG_GENERATE").is_some() {
        std::fs::write(path, text).expect("it is written");
    } else {
        assert_eq!(std::fs::read_to_string(path).expect("the record"), text, "see docs/upgrades.md");
    }
    assert_eq!(parse(&recorded()).expect("this version's"), whole());
}

#[test]
fn a_configuration_of_an_older_version_has_fewer_fields() {
    let mut older = recorded();
    for field in ["learners", "inSync", "maxUnreplicatedEvents", "routes", "defaultRoute", "keepers"] {
        older.as_object_mut().expect("an object").remove(field);
    }
    let config = parse(&older).expect("an older one's");
    assert!(config.learners.is_empty() && config.max_unreplicated_events.is_none() && !config.is_newer);
    older.as_object_mut().expect("an object").remove("voters");
    assert!(parse(&older).is_err());
}

#[test]
fn a_configuration_of_a_newer_version_has_more() {
    for place in ["", "/voters/1", "/learners/0"] {
        let mut newer = recorded();
        newer.pointer_mut(place).expect("an object")["weight"] = json!({ "of": 2 });
        let config = parse(&newer).expect("a newer one's");
        assert_eq!(config, Config { is_newer: true, ..whole() }, "{place}");
    }
    // what says nothing asks for nothing
    for empty in [Value::Null, json!([])] {
        let mut newer = recorded();
        newer["weights"] = empty;
        assert_eq!(parse(&newer).expect("as this version's"), whole());
    }
    let mut other = recorded();
    other["failover"] = json!("Quorum");
    assert!(parse(&other).is_err(), "a value that is unknown takes a newer format");
}
