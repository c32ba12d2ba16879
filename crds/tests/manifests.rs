//! Reading manifests: each mistake is found, named with its file, line and place, and nothing is taken.

mod support;

use support::{problems_of, read_files, read_text};

const STORE: &str = "\
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata:
  name: payments
spec:
  sources:
    - name: ledger
      connection:
        secretRef: {name: ledger-db}
      postgres: {schema: payments}
";

/// What is wrong with the store above once `from` is replaced by `to`.
#[track_caller]
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(STORE.contains(from), "{from:?} is not in the store");
    problems_of(&[("store.yaml", &STORE.replacen(from, to, 1))])
}

#[track_caller]
fn assert_problems(problems: Vec<String>, expected: &[&str]) {
    let matches = problems.len() == expected.len()
        && problems.iter().zip(expected).all(|(problem, expected)| problem.starts_with(expected));
    assert!(matches, "found {problems:#?}\nexpected {expected:#?}");
}

#[test]
fn a_right_store_is_read() {
    let manifests = read_text(STORE);
    let (key, loaded) = manifests.stores.first_key_value().expect("the store");
    assert_eq!(key.to_string(), "default/payments");
    assert_eq!(loaded.object.metadata.namespace.as_deref(), Some("default"));
    assert_eq!(loaded.object.spec.sources[0].name.as_str(), "ledger");
    assert_eq!(manifests.notes, Vec::<String>::new());
}

#[test]
fn unknown_fields_wrong_types_and_values() {
    for (from, to, expected) in [
        ("sources:", "source:", "store.yaml:6: EventStore default/payments: spec.source: unknown field"),
        (
            "schema: payments",
            "shcema: payments",
            "store.yaml:10: EventStore default/payments: spec.sources[0].postgres.shcema: unknown field; known here: createSchema, schema",
        ),
        (
            "kind: EventStore",
            "kind: EventStore\nspce: {}",
            "store.yaml:3: EventStore default/payments: spce: unknown field; known here: spec, status",
        ),
    ] {
        let problems = changed(from, to);
        assert!(problems[0].starts_with(expected), "{problems:#?}");
    }
    for (from, to, expected) in [
        (
            "  sources:",
            "  suspend: maybe\n  sources:",
            "store.yaml:6: EventStore default/payments: spec.suspend: is \"maybe\" where boolean is expected",
        ),
        (
            "{schema: payments}",
            "{schema: 5}",
            "store.yaml:10: EventStore default/payments: spec.sources[0].postgres.schema: is 5 where string is expected; write it in quotes",
        ),
        (
            "{schema: payments}",
            "{schema: pay-ments}",
            "store.yaml:10: EventStore default/payments: spec.sources[0].postgres.schema: is \"pay-ments\", which does not match",
        ),
        (
            "{schema: payments}",
            "{}",
            "store.yaml:10: EventStore default/payments: spec.sources[0].postgres.schema: is required",
        ),
        (
            "{schema: payments}",
            "[payments]",
            "store.yaml:10: EventStore default/payments: spec.sources[0].postgres: is a list where object is expected",
        ),
        (
            "  sources:",
            "  deletionPolicy: Keep\n  sources:",
            "store.yaml:6: EventStore default/payments: spec.deletionPolicy: is \"Keep\", not one of \"Retain\", \"Delete\"",
        ),
        (
            "  sources:",
            "  lanes: {count: 65}\n  sources:",
            "store.yaml:6: EventStore default/payments: spec.lanes.count: is 65, more than 64",
        ),
        (
            "  sources:",
            "  gateway: {replicas: 0}\n  sources:",
            "store.yaml:6: EventStore default/payments: spec.gateway.replicas: is 0, less than 1",
        ),
        (
            "- name: ledger",
            &format!("- name: {}", "l".repeat(31)),
            "store.yaml:7: EventStore default/payments: spec.sources[0].name: has more than 30 characters",
        ),
        (
            "  sources:",
            "  events: {limits: {eventBytes: 1.5Mi}}\n  sources:",
            "store.yaml:6: EventStore default/payments: spec.events.limits.eventBytes: is \"1.5Mi\", which does not match",
        ),
        (
            "  sources:",
            "  events: {limits: {eventBytes: true}}\n  sources:",
            "store.yaml:6: EventStore default/payments: spec.events.limits.eventBytes: is true where a number or a text is expected",
        ),
        (
            "  sources:",
            "  events: {limits: {eventBytes: 99999999999999999999Ki}}\n  sources:",
            "store.yaml:5: EventStore default/payments: spec: `99999999999999999999Ki` is more bytes than",
        ),
        (
            "  sources:",
            "  verification: {cycle: 1 day}\n  sources:",
            "store.yaml:6: EventStore default/payments: spec.verification.cycle: is \"1 day\", which does not match",
        ),
        (
            "  sources:",
            "  access: [{serviceAccounts: [{name: a}], verbs: []}]\n  sources:",
            "store.yaml:6: EventStore default/payments: spec.access[0].verbs: has fewer than 1 items",
        ),
        (
            "  sources:",
            "  sources: []\n  ignored:",
            "store.yaml:7: EventStore default/payments: spec.ignored: unknown field",
        ),
    ] {
        let problems = changed(from, to);
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{to}: {problems:#?}");
    }
}

#[test]
fn duplicate_items_and_keys() {
    let twice = STORE.replace("spec:\n", "spec:\n  events: {enrich: [Trace, Pod, Trace]}\n");
    assert_problems(
        problems_of(&[("store.yaml", &twice)]),
        &[
            "store.yaml:6: EventStore default/payments: spec.events.enrich[2]: is \"Trace\" once more, as item 0",
        ],
    );
    let source = STORE.split_once("  sources:\n").expect("sources").1;
    assert_problems(
        problems_of(&[("store.yaml", &format!("{STORE}{source}"))]),
        &[
            "store.yaml:11: EventStore default/payments: spec.sources[1]: has the same name \"ledger\" as item 0",
        ],
    );
    assert_problems(
        changed("kind: EventStore", "kind: EventStore\nkind: EventStore"),
        &["store.yaml:3: EventStore default/payments: kind: stands here twice, first in line 2"],
    );
    let json = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "name": "b"}}"#;
    assert_problems(
        problems_of(&[("s.json", json)]),
        &["s.json: Secret default/a: metadata.name: stands here twice"],
    );
    assert_problems(
        problems_of(&[("a.yaml", STORE), ("b.yaml", STORE)]),
        &["b.yaml:1: EventStore default/payments: is defined twice"],
    );
}

#[test]
fn rules_of_the_definition_name_their_line() {
    assert_problems(
        changed("secretRef: {name: ledger-db}", "url: postgres://user:secret@host/db"),
        &[
            "store.yaml:9: EventStore default/payments: spec.sources[0].connection.url: credentials belong in a Secret",
        ],
    );
    assert_problems(
        changed("name: payments\n", "name: pay.ments\n"),
        &["store.yaml:1: EventStore default/pay.ments: an EventStore's name has at most 50 characters"],
    );
}

#[test]
fn metadata_as_an_api_server_wants_it() {
    for (metadata, expected) in [
        ("metadata: {}", "m.yaml:3: Secret ?: metadata.name: is required"),
        ("", "m.yaml:1: Secret ?: metadata: is required"),
        ("metadata: []", "m.yaml:3: Secret ?: metadata: must be an object"),
        ("metadata: {name: A}", "m.yaml:3: Secret A: metadata.name: `A` is no ObjectName"),
        ("metadata: {name: 5}", "m.yaml:3: Secret ?: metadata.name: must be text; write it in quotes"),
        (
            "metadata: {name: a, namespace: a.b}",
            "m.yaml:3: Secret a: metadata.namespace: `a.b` is no NamespaceName",
        ),
        ("metadata: {name: a, lables: {}}", "m.yaml:3: Secret a: metadata.lables: unknown field"),
        (
            "metadata: {generateName: a, name: a}",
            "m.yaml:3: Secret a: metadata.generateName: only a server can",
        ),
        ("metadata: {name: a, labels: {a: 5}}", "m.yaml:3: Secret a: metadata.labels.a: must be text"),
        (
            "metadata: {name: a, labels: {a: '-'}}",
            "m.yaml:3: Secret a: metadata.labels.a: `-` is no LabelValue",
        ),
        (
            "metadata: {name: a, labels: {'a/b/c': b}}",
            "m.yaml:3: Secret a: metadata.labels[\"a/b/c\"]: is no label's name",
        ),
        (
            "metadata: {name: a, annotations: {'/a': b}}",
            "m.yaml:3: Secret a: metadata.annotations[\"/a\"]: is no annotation's name",
        ),
    ] {
        let text = format!("apiVersion: v1\nkind: Secret\n{metadata}\n");
        assert_problems(problems_of(&[("m.yaml", &text)]), &[expected]);
    }
}

#[test]
fn secrets_and_config_maps() {
    let manifests = read_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: Opaque\ndata: {x: aGk=, z: aGk=}\nstringData: {z: plain}\n\
         ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a.json: '{}'}\nbinaryData: {b: aGk=}\n",
    );
    let secret = manifests.secrets.values().next().expect("the Secret");
    assert_eq!(secret.text(&"x".parse().expect("a key")), Some("hi"));
    assert_eq!(secret.text(&"z".parse().expect("a key")), Some("plain"), "stringData wins");
    assert!(!format!("{manifests:?}").contains("plain"), "a Secret's value is shown");
    let config_map = manifests.config_maps.values().next().expect("the ConfigMap");
    assert_eq!(config_map.data.values().collect::<Vec<_>>(), ["{}"]);
    assert_eq!(config_map.binary_data.values().collect::<Vec<_>>(), [b"hi"]);

    for (kind, rest, expected) in [
        ("Secret", "data: {x: '%secret%'}", "m.yaml:4: Secret default/a: data.x: is no base64"),
        ("Secret", "stringData: {x: 5}", "m.yaml:4: Secret default/a: stringData.x: must be text"),
        ("Secret", "stingData: {}", "m.yaml:4: Secret default/a: stingData: unknown field"),
        (
            "ConfigMap",
            "data: {'a/b': x}",
            "m.yaml:4: ConfigMap default/a: data[\"a/b\"]: `a/b` is no DataKey",
        ),
        ("ConfigMap", "data: []", "m.yaml:4: ConfigMap default/a: data: must be an object"),
        (
            "ConfigMap",
            "data: {a: b}\nbinaryData: {a: aGk=}",
            "m.yaml:5: ConfigMap default/a: binaryData.a: is in data too",
        ),
    ] {
        let text = format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\n{rest}\n");
        let problems = problems_of(&[("m.yaml", &text)]);
        assert!(problems.iter().all(|problem| !problem.contains("%secret%")), "{problems:?}");
        assert_problems(problems, &[expected]);
    }
    let large = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: {}}}\n",
        "x".repeat(1 << 21)
    );
    assert_problems(
        problems_of(&[("m.yaml", &large)]),
        &["m.yaml:4: ConfigMap default/a: data: has more than 1048576"],
    );
}

#[test]
fn files_of_a_folder() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: backup}\nspec: {on: yes}\n";
    let secret = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"}, "data": null}"#;
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        STORE.replace("payments\n", "listed\n").replace('\n', "\n  ")
    );
    let manifests = read_files(&[
        ("a.yaml", &format!("# only a comment\n---\n{job}---\n{STORE}---\n")),
        ("b.yml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
        ("c.json", secret),
        ("d.yaml", &list),
        ("notes.txt", "not: [a manifest"),
    ])
    .unwrap_or_else(|error| panic!("{error}"));
    let stores = manifests.stores.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(stores, ["default/listed", "default/payments"]);
    assert_eq!(manifests.config_maps.len(), 1);
    assert_eq!(manifests.secrets.keys().next().map(ToString::to_string).as_deref(), Some("shop/s"));
    assert!(
        manifests.notes.len() == 1 && manifests.notes[0].ends_with("a.yaml:3: Job backup is left out"),
        "{:?}",
        manifests.notes
    );
}

#[test]
fn subfolders_are_not_read_and_missing_folders_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("more.yaml")).expect("a folder");
    std::fs::write(folder.path().join("more.yaml/store.yaml"), STORE).expect("a file");
    let manifests = polylog_crds::manifests::read(folder.path()).expect("manifests");
    assert!(manifests.stores.is_empty());
    let one = polylog_crds::manifests::read(&folder.path().join("more.yaml/store.yaml")).expect("one file");
    assert_eq!(one.stores.len(), 1);
    let missing = polylog_crds::manifests::read(&folder.path().join("nowhere"));
    assert!(missing.is_err_and(|error| error.to_string().starts_with("cannot read ")));
}

#[test]
fn what_is_no_manifest() {
    let deep = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {}{}",
        "[".repeat(70),
        "]".repeat(70)
    );
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    for (text, expected) in [
        ("a: [", "m.yaml:1: unclosed bracket"),
        ("a: b: c", "m.yaml:1: "),
        ("just text", "m.yaml:1: an object needs apiVersion and kind"),
        ("services: {web: {}}", "m.yaml:1: an object needs apiVersion and kind"),
        (
            "apiVersion: polylog.dev/v1beta1\nkind: EventStore\nmetadata: {name: a}",
            "m.yaml:2: EventStore default/a: kind: polylog.dev/v1beta1 has no kind EventStore",
        ),
        (
            "apiVersion: polylog.dev/v1alpha1\nkind: Eventstore\nmetadata: {name: a}",
            "m.yaml:2: Eventstore default/a: kind: polylog.dev/v1alpha1 has no kind Eventstore",
        ),
        ("a: !secret b", "m.yaml:1: tags have no meaning in a manifest"),
        ("? [a]\n: b", "m.yaml:1: the name of a field must be plain text"),
        ("~: b", "m.yaml:1: a field has no name"),
        ("a: .inf", "m.yaml:1: `.inf` is no number that JSON has"),
        ("a: 99999999999999999999", "m.yaml:1: `99999999999999999999` is no number that JSON has"),
        (&deep, "m.yaml:4: nested deeper than 64 levels"),
        (bomb, "m.yaml:5: more than 100000 parts, aliases written out"),
    ] {
        assert_problems(problems_of(&[("m.yaml", text)]), &[expected]);
    }
    assert_problems(problems_of(&[("m.json", "{\"a\": 1,}")]), &["m.json:1: trailing comma"]);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("m.yaml"), b"a: \xff").expect("a file");
    let error = polylog_crds::manifests::read(folder.path()).expect_err("no UTF-8");
    assert!(error.to_string().ends_with("m.yaml: is no UTF-8"), "{error}");
}

#[test]
fn every_mistake_is_told_at_once() {
    let problems = problems_of(&[
        ("a.yaml", &STORE.replace("schema:", "shcema:")),
        ("b.yaml", "a: ["),
        ("c.yaml", &STORE.replace("name: payments", "name: Payments")),
    ]);
    let files = problems.iter().map(|problem| &problem[..6]).collect::<Vec<_>>();
    assert_eq!(files, ["a.yaml", "a.yaml", "b.yaml", "c.yaml"], "{problems:#?}");
}

#[test]
fn aliases_stand_for_what_they_name() {
    let text = STORE
        .replace("connection:\n", "connection: &connection\n")
        .replace("      postgres:", "      provisioningConnection: *connection\n      postgres:");
    let manifests = read_text(&text);
    let source = &manifests.stores.values().next().expect("the store").object.spec.sources[0];
    assert_eq!(source.provisioning_connection.as_ref(), Some(&source.connection));
}

#[test]
fn null_is_absent_and_status_is_dropped() {
    let text = STORE.replace("spec:\n", "status: {term: 5}\nspec:\n  primary: null\n  events: ~\n");
    let manifests = read_text(&text);
    let store = &manifests.stores.values().next().expect("the store").object;
    assert_eq!(store.spec.primary, None);
    assert_eq!(store.spec.events, None);
    assert_eq!(store.status, None);
}

#[test]
fn what_cannot_change_is_told_with_its_line() {
    let old = read_text(STORE);
    let new = read_text(&STORE.replace("schema: payments", "schema: other"));
    let problems = new.check_update(&old);
    assert_eq!(problems.len(), 1);
    let problem = problems[0].to_string();
    assert!(problem.contains("manifests.yaml:10: EventStore default/payments: spec.sources[0].postgres.schema: the schema cannot change"), "{problem}");
    assert_eq!(new.check_update(&new), []);
    assert_eq!(new.check_update(&read_text("")), [], "a new store is no change");
}

#[test]
fn values_that_yaml_1_1_and_1_2_read_differently_are_refused() {
    for text in ["on", "yes", "No", "0123", "1_000", "12:30:45", "2026-11-21", "1e3"] {
        let problems = problems_of(&[(
            "m.yaml",
            &format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData:\n  key: {text}\n"),
        )]);
        assert_problems(problems, &[&format!("m.yaml:5: Secret default/a: stringData.key: `{text}` is ")]);
        let quoted =
            format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData:\n  key: '{text}'\n");
        let manifests = read_text(&quoted);
        let secret = manifests.secrets.values().next().expect("the Secret");
        assert_eq!(secret.text(&"key".parse().expect("a key")), Some(text));
    }
    assert_problems(
        changed("spec:\n", "spec:\n  on: {}\n"),
        &["store.yaml:6: EventStore default/payments: spec.on: as a field's name, `on` is the boolean true"],
    );
    assert_problems(
        changed("spec:\n", "spec:\n  <<: {}\n"),
        &["store.yaml:6: EventStore default/payments: spec[\"<<\"]: as a field's name, `<<` is a merge key"],
    );
    // in JSON there is no doubt
    let json =
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"on": "yes"}}"#;
    assert_eq!(problems_of(&[("m.json", json)]), Vec::<String>::new());
}
