//! Presets and defaults, as they go into the log: the snapshots show every field, in order.

mod support;

use polylog_crds::manifests::{Manifests, ObjectKey};
use polylog_crds::replication_strategy::FailoverMode;
use polylog_crds::resolve::{MaxUnreplicatedAction, ResolvedStore, ResolvedStrategy};
use polylog_crds::values::SourceName;
use support::read_text;

fn key() -> ObjectKey {
    ObjectKey { namespace: "shop".parse().expect("a namespace"), name: "payments".parse().expect("a name") }
}

fn store(spec: &str) -> Manifests {
    read_text(&format!(
        "apiVersion: polylog.dev/v1alpha1\nkind: EventStore\nmetadata: {{name: payments, namespace: shop}}\nspec:\n{spec}"
    ))
}

fn pretty(store: &ResolvedStore) -> String {
    serde_json::to_string_pretty(store).expect("JSON")
}

const ONE: &str =
    "  sources: [{name: ledger, connection: {secretRef: {name: db}}, postgres: {schema: payments}}]\n";

#[test]
fn a_store_that_says_nothing() {
    let resolved = ResolvedStore::resolve(&store(ONE), &key(), 1).expect("the store");
    insta::assert_snapshot!("store_that_says_nothing", pretty(&resolved));
    assert_eq!(resolved.first_primary().map(|source| source.name.as_str()), Some("ledger"));
    let json = serde_json::to_string(&resolved).expect("JSON");
    let again: ResolvedStore = serde_json::from_str(&json).expect("the same store");
    assert_eq!(again, resolved);
    assert_eq!(serde_json::to_string(&again).expect("JSON"), json);
}

#[test]
fn a_store_that_says_everything() {
    let text = "  strategyRef: {name: all}
  adopt: Never
  sources:
    - {name: ledger, region: eu, connection: {secretRef: {name: db}}, postgres: {schema: payments}}
    - {name: archive, connection: {secretRef: {name: db}}, mongodb: {database: payments}}
    - {name: search, state: Maintenance, connection: {url: 'https://search:9200'}, elasticsearch: {}}
  events:
    limits: {eventBytes: 1024, metadataBytes: 1k, commitEvents: 7, commitBytes: 1Mi}
    validation: {mode: Enforce, unknownTypes: Refuse, schemasRef: {name: schemas}}
    enrich: []
    redact: [/card/number]
    indexes: [Type]
  access:
    - {serviceAccounts: [{name: checkout}, {namespace: reports, name: '*'}], verbs: [search, append], categories: ['Pay*']}
  provisioning: {mode: PlanOnly, autoApprove: Slow}
  sidecar: {apiPort: 8000, healthPort: 8001, logLevel: debug, drain: 1m}
---
apiVersion: polylog.dev/v1alpha1
kind: ReplicationStrategy
metadata: {name: all, namespace: shop}
spec:
  type: FullReplication
  order: [archive, ledger]
  acks: Majority
  minInSync: 2
  ackTimeout: 1s
  failover: {mode: Never, after: 3s, maxUnreplicated: {events: 5}}
  reads: {consistency: Bounded, wait: 1ms, maxLagEvents: 2, maxLag: 3ms, prefer: Local}
  divergence: ReplayIfClean
---
apiVersion: v1
kind: ConfigMap
metadata: {name: schemas, namespace: shop}
data: {Paid.json: '{\"type\": \"object\"}'}
";
    let manifests = store(text);
    let resolved = ResolvedStore::resolve(&manifests, &key(), 1).expect("the store");
    insta::assert_snapshot!("store_that_says_everything", pretty(&resolved));
    assert_eq!(resolved.first_primary().map(|source| source.name.as_str()), Some("archive"));
    let all = ResolvedStore::resolve(&manifests, &key(), 9).expect("the store");
    let provisioned =
        all.sources.iter().map(|source| (source.name.as_str(), source.provisioned)).collect::<Vec<_>>();
    assert_eq!(provisioned, [("ledger", true), ("archive", true), ("search", true)]);
}

#[test]
fn the_first_primary_is_the_first_voter() {
    let manifests = store(
        "  strategyRef: {name: s}
  sources:
    - {name: ledger, connection: {secretRef: {name: db}}, postgres: {schema: payments}}
    - {name: search, connection: {url: 'https://search:9200'}, elasticsearch: {}}
    - {name: archive, connection: {secretRef: {name: db}}, mongodb: {database: payments}}
---
apiVersion: polylog.dev/v1alpha1
kind: ReplicationStrategy
metadata: {name: s, namespace: shop}
spec: {type: Priority, order: [search, archive]}
",
    );
    let resolved = ResolvedStore::resolve(&manifests, &key(), 1).expect("the store");
    assert_eq!(resolved.first_primary().map(|source| source.name.as_str()), Some("archive"));
}

#[test]
fn presets() {
    let names: Vec<SourceName> = ["a", "b", "c"].map(|name| name.parse().expect("a name")).to_vec();
    let resolved = |spec: &str, voters: usize| {
        let text = format!(
            "apiVersion: polylog.dev/v1alpha1\nkind: ReplicationStrategy\nmetadata: {{name: s}}\nspec: {{{spec}}}\n"
        );
        let manifests = read_text(&text);
        let spec = &manifests.strategies.values().next().expect("the strategy").object.spec;
        ResolvedStrategy::resolve(None, spec, &names[..voters], voters)
    };
    for (spec, voters, expected) in [
        ("type: Priority", 3, "1 2 Manual Session Quarantine Alert"),
        ("type: Priority", 1, "1 1 Manual Session Quarantine Refuse"),
        ("type: Priority, acks: '2'", 3, "2 2 Manual Session Quarantine Refuse"),
        ("type: Priority, failover: {mode: Automatic}", 3, "1 2 Automatic Session Quarantine Refuse"),
        (
            "type: Priority, failover: {maxUnreplicated: {bytes: 1Mi}}",
            3,
            "1 2 Manual Session Quarantine Refuse",
        ),
        ("type: FullReplication", 3, "All 2 Automatic Session Quarantine Refuse"),
        ("type: FullReplication", 2, "All 2 Manual Session Quarantine Refuse"),
        ("type: BestEffort", 3, "1 2 Automatic Eventual ReplayIfClean Alert"),
        (
            "type: EventTypePartitioning, routes: [{types: [A], source: a}], defaultRoute: b",
            3,
            "1 2 Manual Session Quarantine Alert",
        ),
    ] {
        let strategy = resolved(spec, voters);
        let shown = format!(
            "{} {} {:?} {:?} {:?} {:?}",
            strategy.acks,
            strategy.min_in_sync,
            strategy.failover.mode,
            strategy.reads.consistency,
            strategy.divergence,
            strategy.failover.max_unreplicated.action
        );
        assert_eq!(shown, expected, "{spec} of {voters}");
    }
    let default = ResolvedStrategy::default_for(&names, 3);
    assert_eq!(default, resolved("type: Priority", 3));
    assert_eq!(default.failover.mode, FailoverMode::Manual);
    assert_eq!(default.failover.max_unreplicated.action, MaxUnreplicatedAction::Alert);
    let order = resolved("type: Priority, order: [c]", 3).order;
    assert_eq!(order.iter().map(SourceName::as_str).collect::<Vec<_>>(), ["c", "a", "b"]);
}
