//! The definitions on a real API server: it takes them, and judges objects as we do.

mod support;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Error};
use polylog_crds::manifests::documents_as_json;
use polylog_crds::schema::{ViolationKind, prune_nulls};
use polylog_test_bed::{Kubernetes, Tier};
use serde_json::{Value, json};
use support::objects::{Case, Harmless, KINDS, cases, harmless, projection, schema_of, store, strategy};
use support::probes::probes;

/// One API server for all tests, with our definitions.
static CLUSTER: LazyLock<Kubernetes> = LazyLock::new(|| {
    let cluster = Kubernetes::start(Tier::Api);
    kubectl(&cluster, &["apply", "--server-side", "--validate=strict", "-f", &yaml()], "");
    kubectl(&cluster, &["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "");
    cluster
});

fn yaml() -> String {
    format!("{}/yaml", env!("CARGO_MANIFEST_DIR"))
}

/// What kubectl printed; it may warn of nothing.
fn kubectl(cluster: &Kubernetes, arguments: &[&str], input: &str) -> String {
    let output = cluster.run_kubectl(arguments, input);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Objects of our kinds, in a namespace of their own.
struct Server {
    client: Client,
    namespace: &'static str,
}

/// What an API server said to an object.
type Verdict = Result<Value, Refusal>;

#[derive(Debug)]
struct Refusal {
    message: String,
    /// Where, and what is wrong there; nothing for unknown and repeated fields, which are found while it is read.
    causes: Vec<(String, String)>,
}

impl Refusal {
    /// Where something is wrong. `rules` are left out: where the structure is wrong we judge none, and it does judge some.
    fn places(&self, rules: &[String]) -> BTreeSet<String> {
        let is_of_its_own = |message: &str| {
            // that is not a place, but a remark on all others; and second words on a number that may be a text, or that
            // is no integer (since 1.36)
            message.contains("rules were not checked")
                || message.contains("must validate at least one schema (anyOf)")
                || message.contains("Checked value must be of type integer")
        };
        let causes = self.causes.iter().filter(|(_, message)| !is_of_its_own(message));
        let causes = causes.filter(|(_, message)| !rules.iter().any(|rule| message.contains(rule)));
        causes.map(|(field, _)| place(field).to_owned()).collect()
    }
}

impl Server {
    async fn connect(namespace: &'static str) -> Self {
        kubectl(&CLUSTER, &["create", "namespace", namespace], "");
        let kubeconfig = Kubeconfig::read_from(CLUSTER.kubeconfig()).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        Self { client: Client::try_from(config.expect("a configuration")).expect("a client"), namespace }
    }

    async fn request(&self, method: &str, path: &str, body: &Value) -> Verdict {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .expect("a request");
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(object),
            Err(Error::Api(status)) => {
                let causes = status.details.iter().flat_map(|details| &details.causes);
                let causes = causes.map(|cause| (cause.field.clone(), cause.message.clone())).collect();
                Err(Refusal { message: status.message.clone(), causes })
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn create(&self, object: &Value, is_dry: bool) -> Verdict {
        let path = format!("{}?{}", self.collection(object), options(is_dry));
        self.request("POST", &path, object).await
    }

    /// Whether `old` may become `new`.
    async fn change(&self, old: &Value, new: &Value) -> Verdict {
        let path = format!("{}/{}", self.collection(old), old["metadata"]["name"].as_str().expect("a name"));
        let stored = self.create(old, false).await.expect("a right object");
        let mut new = new.clone();
        new["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
        let verdict = self.request("PUT", &format!("{path}?{}", options(true)), &new).await;
        self.request("DELETE", &path, &json!({})).await.expect("our own object");
        verdict
    }

    fn collection(&self, object: &Value) -> String {
        let plural = match object["kind"].as_str() {
            Some("EventStore") => "eventstores",
            Some("ReplicationStrategy") => "replicationstrategies",
            _ => "projections",
        };
        format!("/apis/polylog.dev/v1alpha1/namespaces/{}/{plural}", self.namespace)
    }
}

fn options(is_dry: bool) -> &'static str {
    if is_dry { "fieldValidation=Strict&dryRun=All" } else { "fieldValidation=Strict" }
}

/// Definitions whose rules may cost too much are refused; and what is returned must be what was sent, or every comparison
/// of a cluster with Git would show a difference.
#[test]
fn definitions_are_taken_as_they_are() {
    kubectl(
        &CLUSTER,
        &["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", &yaml()],
        "",
    );
    assert_eq!(kubectl(&CLUSTER, &["diff", "--server-side", "-f", &yaml()], ""), "");
    let names = kubectl(&CLUSTER, &["api-resources", "--api-group=polylog.dev", "-o=name"], "");
    let expected =
        ["eventstores", "projections", "replicationstrategies"].map(|name| format!("{name}.polylog.dev"));
    assert_eq!(names.split_whitespace().collect::<Vec<_>>(), expected);
}

#[test]
fn columns_are_shown() {
    kubectl(&CLUSTER, &["create", "--namespace=kube-public", "-f", "-"], &store().to_string());
    for (arguments, expected) in [
        (&["evstore"][..], "NAME READY AVAILABLE PRIMARY SOURCES LAG CONSISTENT PODS AGE"),
        (&["polylog"], "NAME READY AVAILABLE PRIMARY SOURCES LAG CONSISTENT PODS AGE"),
        (
            &["evstore", "-o=wide"],
            "NAME READY AVAILABLE PRIMARY SOURCES LAG CONSISTENT PODS STRATEGY TERM POSITION REASON AGE",
        ),
    ] {
        let shown = kubectl(&CLUSTER, &[&["get", "--namespace=kube-public"], arguments].concat(), "");
        let header: Vec<&str> = shown.lines().next().expect("a header").split_whitespace().collect();
        assert_eq!(header.join(" "), expected);
    }
}

#[tokio::test]
async fn every_rule_is_judged_alike() {
    let server = Server::connect("rules").await;
    for object in [store(), strategy(), projection()] {
        server.create(&object, true).await.unwrap_or_else(|refusal| panic!("{object}: {refusal:?}"));
    }
    let mut number = 0;
    for Case { at, message, old, new } in cases() {
        let verdict = match &old {
            None => server.create(&new, true).await,
            Some(old) => server.change(old, &new).await,
        };
        let Err(refusal) = verdict else { panic!("taken: {at}: {message}: {new}") };
        let schema = schema_of(&new);
        let ours = match &old {
            None => schema.check(&new),
            Some(old) => schema.check_update(old, &new),
        };
        let ours: Vec<_> =
            ours.iter().map(|found| (found.path.to_string(), found.message.as_str())).collect();
        let matches =
            refusal.causes.len() == ours.len()
                && refusal.causes.iter().zip(&ours).all(|((field, theirs), (path, message))| {
                    place(field) == *path && theirs.contains(message)
                });
        assert!(matches, "{new}\ntheirs {refusal:#?}\nours {ours:#?}");
        number += 1;
    }
    assert!(number > 50, "{number} cases");
}

#[tokio::test]
async fn harmless_changes_are_taken() {
    let server = Server::connect("changes").await;
    for Harmless { what, old, new } in harmless() {
        server.change(&old, &new).await.unwrap_or_else(|refusal| panic!("{what}: {refusal:?}"));
    }
}

/// As our paths are written: the object itself has none.
fn place(field: &str) -> &str {
    if field == "<nil>" { "" } else { field }
}

/// Every field of every kind with values of every type and around its bounds: refused by both for the same fields, or taken by
/// both for the same object.
#[tokio::test]
async fn every_field_is_judged_alike() {
    let server = Server::connect("fields").await;
    let (mut taken, mut refused, mut differences) = (0, 0, Vec::new());
    for base in [store(), strategy(), projection()] {
        let schema = &KINDS[base["kind"].as_str().expect("a kind")];
        let rules: Vec<_> = schema.listed_rules().into_iter().filter_map(|rule| rule.message).collect();
        for probe in probes(schema.document(), &base) {
            let theirs = server.create(&probe.object, true).await;
            let mut object = probe.object.clone();
            prune_nulls(schema.document(), &mut object);
            let ours = schema.check(&object);
            match &theirs {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
            let agree = match &theirs {
                // and kept as we read it
                Ok(stored) => ours.is_empty() && stored["spec"] == object["spec"],
                // fields are found to be unknown before anything else is looked at
                Err(refusal) if refusal.causes.is_empty() => {
                    refusal.message.contains("strict decoding error: unknown field") && !ours.is_empty()
                }
                Err(refusal) => {
                    let is_rule = ours.iter().all(|found| found.kind == ViolationKind::Rule);
                    refusal.places(if is_rule { &[] } else { &rules })
                        == ours.iter().map(|found| found.path.to_string()).collect()
                }
            };
            if !agree {
                differences.push(format!(
                    "{} = {:.80}\n  theirs {:.600}\n  ours {:.300}",
                    probe.at,
                    probe.value.to_string(),
                    format!("{theirs:?}"),
                    format!("{ours:?}")
                ));
            }
        }
    }
    assert!(taken > 200 && refused > 1000, "{taken} taken, {refused} refused");
    let number = differences.len();
    assert!(number == 0, "{number} of {}:\n{}", taken + refused, differences.join("\n"));
}

#[tokio::test]
async fn repeated_names_are_refused_by_both() {
    let server = Server::connect("repetitions").await;
    let twice = |object: &Value, list: &str| {
        let mut object = object.clone();
        let first = object["spec"][list][0].clone();
        object["spec"][list].as_array_mut().expect("a list").push(first);
        object
    };
    for (object, list) in [(store(), "sources"), (projection(), "fields"), (projection(), "targets")] {
        let object = twice(&object, list);
        let last = object["spec"][list].as_array().expect("a list").len() - 1;
        let at = BTreeSet::from([format!("spec.{list}[{last}]")]);
        let refusal = server.create(&object, true).await.expect_err("a list with a name twice");
        assert!(refusal.message.contains("Duplicate value"), "{refusal:?}");
        assert_eq!(refusal.places(&[]), at);
        let ours = schema_of(&object).check(&object);
        assert_eq!(ours.iter().map(|found| found.path.to_string()).collect::<BTreeSet<_>>(), at);
    }
}

/// What one object's definition cannot say, because another object or a database decides: the server takes it, and whoever
/// reads all objects refuses it.
#[tokio::test]
async fn what_depends_on_other_objects_is_taken_by_the_server_only() {
    let server = Server::connect("references").await;
    let two = support::sources(&["ledger", "archive"]);
    for strategy in [
        "type: Priority\norder: [ledger, nowhere]",
        "type: Priority\nacks: \"3\"",
        "type: FullReplication\nminInSync: 3",
        "type: Priority\nfailover: {mode: Automatic}",
        "type: EventTypePartitioning\nroutes: [{types: [A], source: nowhere}]\ndefaultRoute: ledger",
        "type: EventTypePartitioning\nroutes: [{when: 'metadata.region ==', source: ledger}]\ndefaultRoute: ledger",
    ] {
        let text = support::manifests(&two, strategy, "");
        let found = support::found(&text);
        assert!(found.iter().any(|found| found.starts_with("Refused Invalid")), "{strategy}: {found:#?}");
        for object in documents_as_json(&text).expect("manifests") {
            server.create(&object, true).await.unwrap_or_else(|refusal| panic!("{strategy}: {refusal:?}"));
        }
    }
}

/// kubectl reads YAML 1.1: what is a boolean there cannot be a name, and what we refuse for it would not mean the same.
#[test]
fn booleans_of_yaml_1_1_are_refused_by_both() {
    const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: db}}, postgres: {schema: payments}}
";
    let dry = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
    kubectl(&CLUSTER, &dry, STORE);
    for (from, to) in [
        ("name: ledger", "name: on"),
        ("name: db", "name: n"),
        ("schema: payments", "schema: yes"),
        ("metadata: {name: payments", "metadata: {name: off"),
        ("spec:", "spec:\n  on: {}"),
    ] {
        let text = STORE.replacen(from, to, 1);
        let output = CLUSTER.run_kubectl(&dry, &text);
        assert!(!output.status.success(), "taken by kubectl: {text}");
        assert!(documents_as_json(&text).is_err(), "taken by us: {text}");
    }
}
