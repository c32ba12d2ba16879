use polylog_log::{DatabaseId, Incarnation};

use super::*;
use crate::{
    entrance::ClusterKeys,
    event_store::{membership::Follows, testing, validate::validated},
};

fn built(spec: &str, log: Option<LogId>) -> Vec<Built> {
    built_with(spec, log, &[])
}

fn built_with(spec: &str, log: Option<LogId>, members: &[Membership]) -> Vec<Built> {
    let (key, mut found) = testing::dereferenced(spec);
    let config_map = ObjectKey { name: "types".parse().expect("a name"), ..key.clone() };
    let mut types = polylog_crds::manifests::ConfigMapData::default();
    types.data.insert("Paid.json".parse().expect("a key"), "{}".into());
    found.manifests.config_maps.insert(config_map, types);
    let store = validated(&key, &found).expect("right").store;
    let owner = Owner { key: key.clone(), uid: "0b6e".into() };
    let keys = ["Paid.json".parse().expect("a key")];
    let name = "types".parse().expect("a name");
    let spec = &found.manifests.stores[&key].object.spec;
    let has_schemas = spec.events.is_some();
    build(&Wanted {
        owner: &owner,
        spec,
        strategy: None,
        store: &store,
        log,
        members,
        schemas: has_schemas.then_some((&name, &keys[..])),
        entrance: Entrance {
            keys: Some(ClusterKeys { issuer: "https://issuer".into(), keys: "{\"keys\":[]}".into() }),
            secret: Some("polylog-payments-gateway-0".into()),
            certified: None,
            authorities: Some("-----BEGIN CERTIFICATE-----".into()),
        },
        image: "polylog-sidecar:1",
        pull_policy: has_schemas.then_some("Never"),
    })
}

fn text(built: &[Built]) -> String {
    built.iter().map(|built| yaml(&built.content)).collect::<Vec<_>>().join("---\n")
}

#[test]
fn everything_that_a_plain_store_needs() {
    let log = LogId::new(uuid::uuid!("0198f2c0-0000-4000-8000-000000000001"));
    insta::assert_snapshot!(text(&built(testing::PAYMENTS, Some(log))));
}

#[test]
fn everything_that_a_manifest_can_ask_of_a_gateway() {
    let spec = "access: [{serviceAccounts: [{name: checkout}, {namespace: reports, name: '*'}], verbs: [append], categories: ['*']}]
events: {validation: {mode: Enforce, schemasRef: {name: types}}}
sidecar: {drain: 1m}
gateway:
  replicas: 2
  resources: {limits: {memory: 256Mi}}
  podTemplate: {labels: {team: pay, app.kubernetes.io/name: mine}, annotations: {a: b}, nodeSelector: {disk: ssd}, tolerations: [{key: x, operator: Exists}], affinity: {nodeAffinity: {}}, priorityClassName: high}
sources:
  - name: ledger
    postgres: {schema: payments}
    connection: {url: 'postgres://db/shop', auth: {secretRef: {name: rows}, passwordKey: pw}, tls: {caRef: {kind: Secret, name: ca}, clientCertRef: {name: cert}}}
    provisioningConnection: {secretRef: {name: owner}}";
    let built = built(spec, None);
    let text = text(&built);
    assert!(
        !text.contains("owner\n") && !text.contains("provisioningConnection"),
        "no pod may create tables: {text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_built_of_the_same_store_is_the_same_text() {
    assert_eq!(text(&built(testing::PAYMENTS, None)), text(&built(testing::PAYMENTS, None)));
}

#[test]
fn a_plan_is_told_to_people_and_as_statements() {
    use crate::event_store::provision::{SourcePlan, StorePlan};
    use polylog_log::{Plan, Step, StepClass};
    let (key, _) = testing::dereferenced(testing::PAYMENTS);
    let owner = Owner { key, uid: "0b6e".into() };
    let step = Step {
        class: StepClass::Destructive,
        summary: "drop index mine".into(),
        statement: "DROP INDEX payments.mine".into(),
    };
    let source = SourcePlan {
        source: "ledger".into(),
        place: "postgres://db:5432/shop, schema payments".into(),
        plan: Plan { steps: vec![step] },
    };
    let built = plan_map(&owner, &StorePlan { sources: vec![source] }).expect("a plan");
    assert_eq!(plan_map(&owner, &StorePlan::default()), None);
    insta::assert_snapshot!(yaml(&built.content));
}

/// What sidecars of later versions must still read: `POLYLOG_GENERATE=1` writes it.
#[test]
fn what_sidecars_mount_is_as_recorded() {
    let log = LogId::new(uuid::uuid!("0198f2c0-0000-4000-8000-000000000001"));
    compare("eventstore-1.yaml", &built(testing::PAYMENTS, Some(log)));
    let id = |last: u128| uuid::Uuid::from_u128(log.uuid().as_u128() - 1 + last);
    let member = |source: &str, ids: Option<(u128, u128)>, follows| Membership {
        source: source.into(),
        database: ids
            .map(|(database, adoption)| (DatabaseId::new(id(database)), Incarnation::new(id(adoption)))),
        follows,
    };
    let members = [
        member("ledger", Some((2, 3)), None),
        member("mirror", None, None),
        member("spare", Some((4, 5)), Some(Follows::NotYet)),
    ];
    let several = "sources:
  - {name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}
  - {name: mirror, connection: {secretRef: {name: mirror-db}}, mysql: {database: payments}}
  - {name: spare, connection: {secretRef: {name: spare-db}}, postgres: {schema: payments}}";
    compare("eventstore-1-several.yaml", &built_with(several, Some(log), &members));
}

fn compare(file: &str, built: &[Built]) {
    let map = built.iter().find(|built| built.content["data"]["eventstore.yaml"].is_string());
    let text =
        map.expect("it is built").content["data"]["eventstore.yaml"].as_str().expect("text").to_owned();
    let path = format!("{}/../tests/formats/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("POLYLOG_GENERATE").is_some() {
        std::fs::write(path, text).expect("it is written");
    } else {
        assert_eq!(std::fs::read_to_string(path).expect("the record"), text, "see docs/upgrades.md");
    }
}
