//! Right objects of each kind, and objects that break one CEL rule of its definition, and only that one.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use polylog_crds::schema::KindSchema;
use serde_json::{Value, json};

/// The checks of each kind, compiled once for all tests.
pub(crate) static KINDS: LazyLock<BTreeMap<&str, KindSchema>> = LazyLock::new(|| {
    BTreeMap::from([
        ("EventStore", KindSchema::event_store()),
        ("ReplicationStrategy", KindSchema::replication_strategy()),
        ("Projection", KindSchema::projection()),
    ])
});

/// The checks for an object.
pub(crate) fn schema_of(object: &Value) -> &'static KindSchema {
    &KINDS[object["kind"].as_str().expect("a kind")]
}

/// A store that is right.
pub(crate) fn store() -> Value {
    json!({
        "apiVersion": "polylog.dev/v1alpha1", "kind": "EventStore", "metadata": {"name": "payments"},
        "spec": {"sources": [ledger()]}
    })
}

fn ledger() -> Value {
    json!({"name": "ledger", "connection": {"secretRef": {"name": "ledger-db"}}, "postgres": {"schema": "payments"}})
}

fn archive(engine: &str, settings: Value) -> Value {
    json!({"name": "archive", "connection": {"secretRef": {"name": "archive-db"}}, engine: settings})
}

pub(crate) fn strategy() -> Value {
    json!({
        "apiVersion": "polylog.dev/v1alpha1", "kind": "ReplicationStrategy", "metadata": {"name": "ledger-first"},
        "spec": {"type": "Priority"}
    })
}

pub(crate) fn projection() -> Value {
    json!({
        "apiVersion": "polylog.dev/v1alpha1", "kind": "Projection", "metadata": {"name": "payment-status"},
        "spec": {
            "eventStoreRef": {"name": "payments"}, "version": "v1",
            "targets": [{"source": "ledger", "name": "payment_status"}],
            "key": "event.aggregateId",
            "fields": [{"name": "status", "type": "String"}, {"name": "refunded", "type": "Decimal", "default": "0"}],
            "rules": [{"types": ["PaymentProcessed"], "const": {"status": "completed"}}]
        }
    })
}

/// `object` changed as a JSON merge patch (RFC 7396) says.
fn patched(mut object: Value, patch: Value) -> Value {
    fn merge(target: &mut Value, patch: Value) {
        let Value::Object(patch) = patch else {
            *target = patch;
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        let fields = target.as_object_mut().expect("made an object above");
        for (name, value) in patch {
            if value.is_null() {
                fields.remove(&name);
            } else {
                merge(fields.entry(name).or_insert(Value::Null), value);
            }
        }
    }
    merge(&mut object, patch);
    object
}

/// An object, or a change of one, that breaks one rule and no other.
pub(crate) struct Case {
    /// Where the rule stands in the schema.
    pub(crate) at: &'static str,
    /// Part of the rule's message.
    pub(crate) message: &'static str,
    /// `None` for rules that hold for new objects too.
    pub(crate) old: Option<Value>,
    pub(crate) new: Value,
}

/// Every CEL rule of the definitions, broken at least once.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut refused = |at, message, new: Value| {
        cases.push(Case { at, message, old: None, new });
    };
    let spec = |spec: Value| patched(store(), json!({"spec": spec}));
    let sources = |sources: Value| patched(store(), json!({"spec": {"sources": sources}}));
    let source = |patch: Value| sources(json!([patched(ledger(), patch)]));

    refused("", "at most 50", patched(store(), json!({"metadata": {"name": "p".repeat(51)}})));
    refused("", "at most 50", patched(store(), json!({"metadata": {"name": "1payments"}})));
    refused("", "at most 50", patched(store(), json!({"metadata": {"name": "pay.ments"}})));
    refused("spec", "primary must name a voter", spec(json!({"primary": "archive"})));
    refused(
        "spec",
        "primary must name a voter",
        spec(json!({"primary": "archive", "sources": [ledger(), archive("elasticsearch", json!({}))]})),
    );
    refused("spec", "at least one source must be a voter", source(json!({"role": "Learner"})));
    refused(
        "spec",
        "at least one source must be a voter",
        sources(json!([archive("elasticsearch", json!({}))])),
    );
    refused("spec", "search.source must name", spec(json!({"search": {"source": "ledger"}})));
    refused("spec.sources[*]", "exactly one engine", source(json!({"postgres": null})));
    refused("spec.sources[*]", "exactly one engine", source(json!({"mongodb": {"database": "payments"}})));
    let connections = ["connection", "provisioningConnection"];
    for (name, at, at_url) in [
        (connections[0], "spec.sources[*].connection", "spec.sources[*].connection.url"),
        (
            connections[1],
            "spec.sources[*].provisioningConnection",
            "spec.sources[*].provisioningConnection.url",
        ),
    ] {
        let with = |connection: Value| {
            let mut object = store();
            object["spec"]["sources"][0][name] = connection;
            object
        };
        refused(at, "exactly one of url and secretRef", with(json!({})));
        refused(
            at,
            "exactly one of url and secretRef",
            with(json!({"url": "postgres://x", "secretRef": {"name": "x"}})),
        );
        refused(
            at,
            "auth goes only with url",
            with(json!({"secretRef": {"name": "x"}, "auth": {"secretRef": {"name": "y"}}})),
        );
        refused(
            at_url,
            "credentials belong in a Secret",
            with(json!({"url": "postgres://user:secret@host/db"})),
        );
        refused(at_url, "credentials belong in a Secret", with(json!({"url": "mongodb+srv://user@host/db"})));
    }
    let redis = |connection: Value| spec(json!({"cache": {"redis": {"connection": connection}}}));
    let at = "spec.cache.redis.connection";
    refused(at, "exactly one of url and secretRef", redis(json!({"tls": {}})));
    refused(
        at,
        "auth goes only with url",
        redis(json!({"secretRef": {"name": "x"}, "auth": {"secretRef": {"name": "y"}}})),
    );
    refused(
        "spec.cache.redis.connection.url",
        "credentials belong in a Secret",
        redis(json!({"url": "redis://:x@cache"})),
    );
    let pass_through = json!({"source": "ledger", "credentials": "Client", "secretRef": {"name": "x"}});
    refused(
        "spec.interception.elasticsearch.passThrough",
        "not both",
        spec(json!({"interception": {"elasticsearch": {
        "indices": [{"name": "events", "stream": "doc.id"}], "passThrough": pass_through}}})),
    );

    let spec = |spec: Value| patched(strategy(), json!({"spec": spec}));
    let route = json!({"types": ["A"], "source": "ledger"});
    let partitioning = json!({"type": "EventTypePartitioning", "routes": [route], "defaultRoute": "ledger"});
    refused(
        "spec",
        "routes and defaultRoute belong",
        spec(json!({"routes": [route], "defaultRoute": "ledger"})),
    );
    refused("spec", "routes and defaultRoute belong", spec(json!({"type": "EventTypePartitioning"})));
    refused(
        "spec",
        "routes and defaultRoute belong",
        spec(json!({"type": "EventTypePartitioning", "routes": [route]})),
    );
    refused("spec", "FullReplication is not answered", spec(json!({"type": "FullReplication", "acks": "1"})));
    refused("spec", "order names a source twice", spec(json!({"order": ["a", "b", "a"]})));
    refused(
        "spec.routes[*]",
        "exactly one of types and when",
        patched(spec(partitioning.clone()), json!({"spec": {"routes": [{"source": "ledger"}]}})),
    );
    refused(
        "spec.routes[*]",
        "exactly one of types and when",
        patched(
            spec(partitioning.clone()),
            json!({"spec": {"routes": [{"source": "ledger", "types": ["A"], "when": "true"}]}}),
        ),
    );

    let handler = json!({"http": {"url": "http://mailer.shop.svc/events"}});
    let spec = |spec: Value| patched(projection(), json!({"spec": spec}));
    refused("spec", "either a handler, or targets", spec(json!({"handler": handler})));
    refused(
        "spec",
        "either a handler, or targets",
        spec(json!({"rules": null, "fields": null, "targets": null})),
    );
    refused("spec", "either a handler, or targets", spec(json!({"fields": null})));
    refused("spec", "needs a key", spec(json!({"key": null})));

    let mut changed = |at, message, old: Value, new: Value| {
        cases.push(Case { at, message, old: Some(old), new });
    };
    let lanes = |lanes: Value| patched(store(), json!({"spec": {"lanes": lanes}}));
    changed("spec", "lanes cannot change", store(), lanes(json!({"count": 2})));
    changed("spec", "lanes cannot change", lanes(json!({"count": 2})), store());
    changed("spec", "lanes cannot change", lanes(json!({"by": "Category"})), lanes(json!({"by": "Stream"})));
    let two = |engine, settings| sources(json!([ledger(), archive(engine, settings)]));
    changed(
        "spec.sources[*]",
        "keeps its engine",
        two("mongodb", json!({"database": "a"})),
        two("mysql", json!({"database": "a"})),
    );
    // items are paired by name: a rule that paired by index would see nothing here
    changed(
        "spec.sources[*]",
        "keeps its engine",
        two("mongodb", json!({"database": "a"})),
        sources(json!([archive("mysql", json!({"database": "a"})), ledger()])),
    );
    changed(
        "spec.sources[*].postgres.schema",
        "schema cannot change",
        store(),
        source(json!({"postgres": {"schema": "other"}})),
    );
    changed(
        "spec.sources[*].mysql.database",
        "database cannot change",
        two("mysql", json!({"database": "a"})),
        two("mysql", json!({"database": "b"})),
    );
    changed(
        "spec.sources[*].mysql",
        "table prefix cannot change",
        two("mysql", json!({"database": "a"})),
        two("mysql", json!({"database": "a", "tablePrefix": "x_"})),
    );
    changed(
        "spec.sources[*].mongodb.database",
        "database cannot change",
        two("mongodb", json!({"database": "a"})),
        two("mongodb", json!({"database": "b"})),
    );
    changed(
        "spec.sources[*].mongodb",
        "collection prefix cannot change",
        two("mongodb", json!({"database": "a", "collectionPrefix": "x"})),
        two("mongodb", json!({"database": "a"})),
    );
    let at = "spec.sources[*].elasticsearch";
    changed(
        at,
        "flavor cannot change",
        two("elasticsearch", json!({})),
        two("elasticsearch", json!({"flavor": "OpenSearch"})),
    );
    for (old, new) in [
        (json!({}), json!({"index": {"name": "a"}})),
        (json!({"index": {"name": "a"}}), json!({"index": {}})),
        (json!({"index": {"name": "a"}}), json!({"index": {"name": "b"}})),
    ] {
        changed(at, "index name cannot change", two("elasticsearch", old), two("elasticsearch", new));
    }
    changed(
        at,
        "shards cannot change",
        two("elasticsearch", json!({})),
        two("elasticsearch", json!({"index": {"shards": 4}})),
    );
    let partitioned = patched(strategy(), json!({"spec": partitioning}));
    changed("spec", "moves data", strategy(), partitioned.clone());
    changed("spec", "moves data", partitioned, strategy());
    changed("spec", "store cannot change", projection(), spec(json!({"eventStoreRef": {"name": "other"}})));
    for patch in [
        json!({"rules": [{"types": ["PaymentProcessed"], "const": {"status": "done"}}]}),
        json!({"fields": [{"name": "status", "type": "String"}]}),
        json!({"key": "event.stream"}),
        json!({"filter": {"types": ["PaymentProcessed"]}}),
        json!({"route": {"by": "event.category", "as": "Routing"}}),
        json!({"handler": handler, "rules": null, "fields": null, "targets": null}),
    ] {
        changed("spec", "needs a new version", projection(), spec(patch));
    }
    cases
}

/// A change that every rule allows.
pub(crate) struct Harmless {
    pub(crate) what: &'static str,
    pub(crate) old: Value,
    pub(crate) new: Value,
}

pub(crate) fn harmless() -> Vec<Harmless> {
    let sources = |sources: Value| patched(store(), json!({"spec": {"sources": sources}}));
    let archive = archive("mongodb", json!({"database": "a"}));
    let both = sources(json!([ledger(), archive]));
    let third =
        json!({"name": "third", "connection": {"secretRef": {"name": "x"}}, "mysql": {"database": "a"}});
    let explicit = patched(store(), json!({"spec": {"lanes": {"count": 1, "by": "Stream"}}}));
    let mut turned = projection();
    turned["spec"]["fields"].as_array_mut().expect("fields").reverse();
    let next = patched(projection(), json!({"spec": {"version": "v2", "key": "event.stream"}}));
    [
        ("a source may be added", store(), both.clone()),
        ("a source may be removed", both.clone(), store()),
        ("the order of sources is free", both.clone(), sources(json!([archive, ledger()]))),
        ("one source may take the place of another", both, sources(json!([third, ledger()]))),
        ("a default may be written out", store(), explicit.clone()),
        ("and left out again", explicit, store()),
        ("a new version may differ", projection(), next),
        ("the order of fields means nothing", projection(), turned),
    ]
    .map(|(what, old, new)| Harmless { what, old, new })
    .into()
}
