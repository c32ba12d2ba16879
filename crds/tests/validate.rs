//! What the definitions cannot say and what this version cannot do: each finding once.

mod support;

use std::collections::BTreeMap;

use polylog_crds::validate::{Capabilities, FindingCode, Severity, TargetEngine, validate};
use support::{assert_found, found, manifests, read_text, sources};

#[test]
fn one_source_needs_nothing_else() {
    let one = sources(&["ledger"]);
    assert_found(&manifests(&one, "", ""), &[]);
    for strategy in [
        "type: Priority",
        "type: Priority\norder: [ledger]\nacks: \"1\"",
        "type: Priority\nacks: Majority",
        "type: Priority\nacks: All\nminInSync: 1",
        "type: FullReplication",
        "type: BestEffort\nfailover: {mode: Manual}",
        "type: Priority\nfailover: {mode: Never, maxUnreplicated: {events: 5}}",
        "type: Priority\nreads: {consistency: Strong, prefer: Primary, wait: 1s, maxLag: 5s, maxLagEvents: 7}",
        "type: Priority\nackTimeout: 5s",
    ] {
        assert_found(&manifests(&one, strategy, ""), &[]);
    }
    for (strategy, path) in [
        ("type: BestEffort", "spec.type"),
        ("type: BestEffort\nfailover: {mode: Automatic}", "spec.failover.mode"),
    ] {
        let expected = format!(
            "Refused NotSupported ReplicationStrategy {path}: Automatic failover of EventStore default/payments"
        );
        assert_found(&manifests(&one, strategy, ""), &[&expected]);
    }
    // a learner needs no acks
    let learner =
        format!("{one}- {{name: search, connection: {{url: 'https://search:9200'}}, elasticsearch: {{}}}}\n");
    assert_found(&manifests(&learner, "type: FullReplication", ""), &[]);
}

#[test]
fn further_sources_wait_and_what_needs_them_is_refused() {
    let three = sources(&["ledger", "archive", "third"]);
    let waiting = [
        "Warning Unprovisioned EventStore spec.sources[1]: replication",
        "Warning Unprovisioned EventStore spec.sources[2]: replication",
    ];
    for strategy in
        ["", "type: Priority", "type: Priority\nacks: \"1\"", "type: BestEffort\nfailover: {mode: Manual}"]
    {
        assert_found(&manifests(&three, strategy, ""), &waiting);
    }
    for (strategy, expected) in [
        (
            "type: FullReplication",
            "Refused NotSupported ReplicationStrategy spec.type: acks All needs 3 voters",
        ),
        (
            "type: Priority\nacks: \"2\"",
            "Refused NotSupported ReplicationStrategy spec.acks: acks 2 needs 2 voters",
        ),
        (
            "type: Priority\nacks: Majority",
            "Refused NotSupported ReplicationStrategy spec.acks: acks Majority needs 2",
        ),
        (
            "type: Priority\nacks: All",
            "Refused NotSupported ReplicationStrategy spec.acks: acks All needs 3 voters",
        ),
        (
            "type: BestEffort",
            "Refused NotSupported ReplicationStrategy spec.type: Automatic failover of EventStore default/payments needs a second copy",
        ),
        (
            "type: Priority\nfailover: {mode: Automatic}",
            "Refused NotSupported ReplicationStrategy spec.failover.mode: Automatic failover of EventStore default/payments needs a second copy",
        ),
    ] {
        let text = manifests(&three, strategy, "");
        let found = found(&text);
        assert!(found.iter().any(|found| found.starts_with(expected)), "{strategy}: {found:#?}");
        assert_eq!(found.iter().filter(|found| found.starts_with("Warning")).count(), 2, "{found:#?}");
    }
    assert_found(
        &manifests(&three, "type: Priority\norder: [third, ledger]", ""),
        &[
            "Warning Unprovisioned EventStore spec.sources[0]: replication",
            "Warning Unprovisioned EventStore spec.sources[1]: replication",
        ],
    );
}

#[test]
fn strategies_that_contradict_their_store() {
    let two = sources(&["ledger", "archive"]);
    for (strategy, expected) in [
        (
            "type: Priority\nacks: \"3\"",
            "Refused InvalidValue ReplicationStrategy spec.acks: acks 3 needs 3 voters, but EventStore default/payments has 2",
        ),
        (
            "type: Priority\nfailover: {mode: Automatic}",
            "Refused InvalidValue ReplicationStrategy spec.failover.mode: Automatic needs 3 voters",
        ),
        (
            "type: FullReplication\nminInSync: 3",
            "Refused InvalidValue ReplicationStrategy spec.minInSync: is 3, but EventStore default/payments has 2 voters",
        ),
        (
            "type: FullReplication\nminInSync: 1",
            "Refused InvalidValue ReplicationStrategy spec.minInSync: is 1, less than the majority",
        ),
        (
            "type: Priority\nminInSync: 2",
            "Warning NoEffect ReplicationStrategy spec.minInSync: counts only with acks All",
        ),
        (
            "type: Priority\norder: [ledger, nowhere]",
            "Refused InvalidReference ReplicationStrategy spec.order[1]: EventStore default/payments has no source nowhere",
        ),
        (
            "type: Priority\nackTimeout: 0s",
            "Refused InvalidValue ReplicationStrategy spec.ackTimeout: must be longer",
        ),
        (
            "type: Priority\nfailover: {after: 0s}",
            "Refused InvalidValue ReplicationStrategy spec.failover.after: must be longer",
        ),
        (
            "type: Priority\nfailover: {maxUnreplicated: {bytes: 0}}",
            "Refused InvalidValue ReplicationStrategy spec.failover.maxUnreplicated.bytes: nothing could",
        ),
    ] {
        let found = found(&manifests(&two, strategy, ""));
        assert!(found.iter().any(|found| found.starts_with(expected)), "{strategy}: {found:#?}");
    }
    let partitioning = "type: EventTypePartitioning\nroutes:\n- {types: [A], source: ledger}\n- {when: 'data.x == 1', source: nowhere}\n- {when: 'metadata.region ==', source: ledger}\ndefaultRoute: nobody";
    assert_found(
        &manifests(&sources(&["ledger"]), partitioning, ""),
        &[
            "Refused InvalidReference ReplicationStrategy spec.routes[1].source: EventStore default/payments has no source nowhere",
            "Refused InvalidReference ReplicationStrategy spec.defaultRoute: EventStore default/payments has no source nobody",
            "Refused InvalidExpression ReplicationStrategy spec.routes[1].when: uses `data`, but only type, stream, category, metadata",
            "Refused InvalidExpression ReplicationStrategy spec.routes[2].when: is no CEL expression",
        ],
    );
}

#[test]
fn a_source_that_routes_name_votes_and_stays() {
    let partitioning =
        "type: EventTypePartitioning\nroutes:\n- {types: [A], source: archive}\ndefaultRoute: ledger";
    let two = sources(&["ledger", "archive"]);
    let refused = |sources: &str| {
        let found = found(&manifests(sources, partitioning, ""));
        found.into_iter().filter(|found| found.starts_with("Refused")).collect::<Vec<_>>()
    };
    assert_eq!(refused(&two), Vec::<String>::new());
    for field in ["state: Draining", "role: Learner"] {
        let changed = two.replacen("{name: archive,", &format!("{{name: archive, {field},"), 1);
        let name = field.split(':').next().expect("a field");
        let expected =
            format!("Refused InvalidValue EventStore spec.sources[1].{name}: routes of its strategy name it");
        let found = refused(&changed);
        assert!(found.iter().any(|found| found.starts_with(&expected)), "{found:#?}");
    }
}

#[test]
fn fields_of_a_store_that_ask_for_too_much() {
    let one = sources(&["ledger"]);
    for (field, expected) in [
        ("lanes: {count: 2}", "Refused NotSupported EventStore spec.lanes.count: this version has 1 lane"),
        ("delivery: Gateway", "Warning NoEffect EventStore spec.delivery: in polylog dev one process"),
        ("suspend: true", "Warning NoEffect EventStore spec.suspend: "),
        ("deletionPolicy: Delete", "Warning NoEffect EventStore spec.deletionPolicy: "),
        ("cache: {ttl: 300s}", "Refused NotSupported EventStore spec.cache: "),
        ("provisioning: {mode: External}", "Refused NotSupported EventStore spec.provisioning.mode: "),
        (
            "interception: {elasticsearch: {indices: [{name: events, stream: doc.aggregateId}]}}",
            "Refused NotSupported EventStore spec.interception: ",
        ),
        (
            "strategyRef: {name: nowhere}",
            "Refused InvalidReference EventStore spec.strategyRef.name: there is no ReplicationStrategy default/nowhere",
        ),
        (
            "events: {limits: {eventBytes: 9Mi, commitBytes: 8Mi}}",
            "Refused InvalidValue EventStore spec.events.limits.eventBytes: is 9Mi, more than the 8Mi",
        ),
        (
            "events: {limits: {metadataBytes: 2Mi, commitBytes: 8Mi}}",
            "Refused InvalidValue EventStore spec.events.limits.metadataBytes: is 2Mi, more than",
        ),
        (
            "events: {limits: {commitBytes: 9Mi}}",
            "Refused InvalidValue EventStore spec.events.limits.commitBytes: is 9Mi, more than",
        ),
        (
            "events: {limits: {metadataBytes: 0}}",
            "Refused InvalidValue EventStore spec.events.limits.metadataBytes: nothing could",
        ),
        (
            "events: {limits: {commitBytes: 256Ki}}",
            "Refused InvalidValue EventStore spec.events.limits.commitBytes: is 256Ki, less than one event",
        ),
        (
            "events: {validation: {mode: Enforce}}",
            "Warning NoEffect EventStore spec.events.validation.mode: without schemasRef",
        ),
        (
            "events: {validation: {mode: Warn, schemasRef: {name: none}}}",
            "Refused InvalidReference EventStore spec.events.validation.schemasRef.name: there is no ConfigMap default/none",
        ),
    ] {
        assert_found(&manifests(&format!("{one}{field}\n"), "", ""), &[expected]);
    }
    for field in [
        "primary: ledger",
        "suspend: false",
        "deletionPolicy: Retain",
        "lanes: {count: 1}",
        "provisioning: {mode: Apply}",
        "delivery: Direct",
        "gateway: {replicas: 3}",
        "events: {validation: {mode: Enforce, unknownTypes: Refuse}}",
    ] {
        assert_found(&manifests(&format!("{one}{field}\n"), "", ""), &[]);
    }
    assert_found(
        &manifests(&format!("{one}sidecar: {{apiPort: 7301}}\n"), "", ""),
        &[
            "Warning NoEffect EventStore spec.sidecar.apiPort: ",
            "Refused InvalidValue EventStore spec.sidecar.healthPort: is 7301, the port of the API too",
        ],
    );
    let two = format!("{}primary: archive\n", sources(&["ledger", "archive"]));
    assert_found(
        &manifests(&two, "", ""),
        &[
            "Warning Unprovisioned EventStore spec.sources[1]",
            "Refused NotSupported EventStore spec.primary: this version cannot switch the primary from the first voter of the order, which is ledger",
        ],
    );
    let search = "sources:\n- {name: ledger, connection: {secretRef: {name: x}}, postgres: {schema: p}}\n- {name: search, connection: {url: 'https://search:9200'}, elasticsearch: {}}\n";
    assert_found(
        &manifests(
            &format!(
                "{search}search: {{source: search}}\ncache: {{redis: {{connection: {{url: 'http://cache'}}}}}}\n"
            ),
            "",
            "",
        ),
        &[
            "Refused NotSupported EventStore spec.cache: ",
            "Refused NotSupported EventStore spec.cache.redis: ",
            "Refused NotSupported EventStore spec.search: ",
            "Refused InvalidValue EventStore spec.cache.redis.connection.url: the address begins with http, but this engine has redis, rediss",
        ],
    );
}

#[test]
fn what_changes_nothing_in_dev_is_said() {
    let one = sources(&["ledger"]);
    for (strategy, expected) in [
        (
            "failover: {after: 5s}",
            "Warning NoEffect ReplicationStrategy spec.failover.after: counts only with",
        ),
        (
            "failover: {maxUnreplicated: {bytes: 1Mi}}",
            "Warning NoEffect ReplicationStrategy spec.failover.maxUnreplicated.bytes: ",
        ),
        ("reads: {prefer: Local}", "Warning NoEffect ReplicationStrategy spec.reads.prefer: "),
        (
            "ackTimeout: 6s",
            "Refused InvalidValue ReplicationStrategy spec.ackTimeout: is 6s; it may be more than 0s and up to 5s",
        ),
    ] {
        assert_found(&manifests(&one, &format!("type: Priority\n{strategy}"), ""), &[expected]);
    }
    for (field, expected) in [
        ("adopt: Never", &["Warning NoEffect EventStore spec.adopt: "][..]),
        ("adopt: IfIdentical", &[]),
        (
            "provisioning: {autoApprove: None}",
            &["Refused NotSupported EventStore spec.provisioning.autoApprove: "],
        ),
        (
            "provisioning: {autoApprove: Additive}",
            &["Warning NoEffect EventStore spec.provisioning.autoApprove: "],
        ),
        ("provisioning: {autoApprove: Slow}", &[]),
        ("events: {enrich: [Trace, ServiceAccount]}", &[]),
        (
            "events: {enrich: [Trace, Pod, Namespace]}",
            &[
                "Warning NoEffect EventStore spec.events.enrich[1]: ",
                "Warning NoEffect EventStore spec.events.enrich[2]: ",
            ],
        ),
        (
            "sidecar: {apiPort: 8000, healthPort: 8001, logLevel: debug, drain: 5s}",
            &[
                "Warning NoEffect EventStore spec.sidecar.apiPort: ",
                "Warning NoEffect EventStore spec.sidecar.healthPort: ",
                "Warning NoEffect EventStore spec.sidecar.logLevel: ",
                "Warning NoEffect EventStore spec.sidecar.drain: ",
            ],
        ),
    ] {
        assert_found(&manifests(&format!("{one}{field}\n"), "", ""), expected);
    }
}

#[test]
fn sources_and_their_connections() {
    let source = |source: &str| format!("sources:\n- {{name: ledger, postgres: {{schema: p}}, {source}}}\n");
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {address: x, username: u}\n";
    for (text, more, expected) in [
        (
            "connection: {url: 'mysql://host/db'}",
            "",
            "Refused InvalidValue EventStore spec.sources[0].connection.url: the address begins with mysql, but this engine has postgres, postgresql",
        ),
        (
            "connection: {url: 'postgres://host/db'}, provisioningConnection: {url: 'http://host'}",
            "",
            "Refused InvalidValue EventStore spec.sources[0].provisioningConnection.url: ",
        ),
        (
            "connection: {secretRef: {name: db}}",
            secret,
            "Warning InvalidReference EventStore spec.sources[0].connection.secretRef.key: Secret db has no key url",
        ),
        (
            "connection: {url: 'postgres://host/db', auth: {secretRef: {name: db}}}",
            secret,
            "Warning InvalidReference EventStore spec.sources[0].connection.auth.passwordKey: Secret db has no key password",
        ),
        (
            "connection: {url: 'postgres://host/db', auth: {secretRef: {name: db}, apiKeyKey: k}}",
            secret,
            "Warning InvalidReference EventStore spec.sources[0].connection.auth.apiKeyKey: Secret db has no key k",
        ),
        (
            "connection: {secretRef: {name: db}, timeouts: {connect: 0s}}",
            "",
            "Refused InvalidValue EventStore spec.sources[0].connection.timeouts.connect: ",
        ),
        (
            "connection: {secretRef: {name: db}}, state: Draining",
            "",
            "Refused InvalidValue EventStore spec.sources: every voter is Draining",
        ),
    ] {
        assert_found(&manifests(&source(text), "", more), &[expected]);
    }
    assert_found(&manifests(&source("connection: {secretRef: {name: db, key: address}}"), "", secret), &[]);
}

#[test]
fn engines_that_a_program_does_not_have() {
    let read = read_text(&manifests(&sources(&["ledger"]), "", ""));
    const ENGINES: &[TargetEngine] =
        &[TargetEngine::Sqlite, TargetEngine::Postgres, TargetEngine::Mysql, TargetEngine::Mongodb];
    let placed = |engine| {
        let placements = BTreeMap::from([("ledger".parse().expect("a name"), engine)]);
        validate(&read, &Capabilities { engines: ENGINES, voters: 1, ..Capabilities::DEV }, &placements)
    };
    for engine in ENGINES {
        assert_eq!(placed(*engine), []);
    }
    assert_eq!(Capabilities::DEV.engines, [ENGINES, &[TargetEngine::Elasticsearch]].concat());
    let findings = placed(TargetEngine::Elasticsearch);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        (findings[0].code, findings[0].severity),
        (FindingCode::EngineNotSupported, Severity::Refused)
    );
    assert_eq!(
        findings[0].to_string(),
        "EventStore default/payments: spec.sources[0].postgres: this version has no engine for \
         Elasticsearch; it has SQLite, PostgreSQL, MariaDB, MongoDB (EngineNotSupported)"
    );
    let (_, line) = findings[0].place(&read).expect("the manifest");
    assert_eq!(line, Some(6));
}

#[test]
fn event_schemas_must_be_usable() {
    let store = format!(
        "{}events: {{validation: {{mode: Enforce, schemasRef: {{name: c}}}}}}\n",
        sources(&["ledger"])
    );
    for (key, schema, expected) in [
        ("A.json", "{}", None),
        ("A.json", "true", None),
        ("A.yaml", "{}", Some("A.yaml: a schema's key ends with .json")),
        ("A.json", "{", Some("A.json: is no JSON: ")),
        ("A.json", "5", Some("A.json: is no JSON Schema that can be used: ")),
        ("A.json", "{\"type\": \"txt\"}", Some("A.json: is no JSON Schema that can be used: ")),
        (
            "A.json",
            "{\"$ref\": \"https://example.com/x\"}",
            Some("A.json: is no JSON Schema that can be used: "),
        ),
        ("_x24A.json", "{}", Some("_x24A.json: `$A` is no EventTypeName")),
        (
            "A.json: 'true'\n  _x41.json",
            "true",
            Some("_x41.json: another key stands for the same event type"),
        ),
    ] {
        let config_map =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  {key}: '{schema}'\n");
        let text = manifests(&store, "", &config_map);
        match expected {
            None => assert_found(&text, &[]),
            Some(expected) => {
                let path = "Refused InvalidSchema EventStore spec.events.validation.schemasRef.name: ConfigMap default/c: ";
                assert_found(&text, &[&format!("{path}{expected}")]);
            }
        }
    }
    let unused = store.replace("mode: Enforce, ", "");
    let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    assert_found(
        &manifests(&unused, "", config_map),
        &["Warning NoEffect EventStore spec.events.validation.schemasRef: "],
    );
}

#[test]
fn interception_is_checked_though_it_is_refused() {
    let field = "interception: {elasticsearch: {indices: [{name: a, stream: event.x}, {name: b, stream: 'doc.'}], passThrough: {source: nowhere}}}\n";
    assert_found(
        &manifests(&format!("{}{field}", sources(&["ledger"])), "", ""),
        &[
            "Refused NotSupported EventStore spec.interception: ",
            "Refused InvalidExpression EventStore spec.interception.elasticsearch.indices[0].stream: uses `event`, but only doc",
            "Refused InvalidExpression EventStore spec.interception.elasticsearch.indices[1].stream: is no CEL expression",
            "Refused InvalidReference EventStore spec.interception.elasticsearch.passThrough.source: the store has no elasticsearch source nowhere",
        ],
    );
}

#[test]
fn dev_keeps_several_voters_and_refuses_what_it_cannot_keep() {
    let three = sources(&["ledger", "mirror", "spare"]);
    let found = |strategy: &str, fields: &str| {
        let text = manifests(&format!("{three}{fields}"), strategy, "");
        let findings = validate(&read_text(&text), &Capabilities::DEV, &BTreeMap::new());
        findings.iter().map(|finding| format!("{:?} {}", finding.code, finding.path)).collect::<Vec<_>>()
    };
    for strategy in [
        "type: Priority\nacks: Majority\nfailover: {mode: Automatic, after: 1s}",
        "type: FullReplication",
        "type: Priority\nacks: \"3\"\norder: [spare, ledger]",
    ] {
        assert!(found(strategy, "").is_empty(), "{strategy}: {:?}", found(strategy, ""));
    }
    assert!(found("type: Priority", "primary: spare\n").is_empty());
    assert!(found("type: BestEffort", "").is_empty(), "{:?}", found("type: BestEffort", ""));
    assert!(found("type: Priority\ndivergence: ReplayIfClean", "").is_empty());
    assert_eq!(found("type: Priority\nacks: \"4\"", ""), ["InvalidValue spec.acks"]);
}
