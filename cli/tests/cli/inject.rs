use std::{fs, io::Write, process::Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{outcome, polylog};

const STORE: &str = "# the store
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}
";

const APP: &str = "# of no concern
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {flag: on, mode: 0644}   # kept
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout}
spec:
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout, polylog.dev/eventstore: payments}}
    spec:
      containers:
        - {name: checkout, image: checkout, env: [{name: FLAG, value: 'on'}]}
      volumes:
        - {name: keys, secret: {secretName: keys, defaultMode: 0400}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: 0 1 * * *
  jobTemplate:
    spec:
      template:
        metadata: {labels: {polylog.dev/eventstore: payments}}
        spec: {restartPolicy: Never, containers: [{name: report, image: report}]}
";

/// Runs `inject` over these files, in a folder of their own.
fn inject(files: &[(&str, &str)], options: &[&str]) -> (i32, String, String) {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("it is written");
    }
    let mut command = polylog(&[&["inject"], options].concat());
    outcome(&command.current_dir(folder.path()).output().expect("it starts"))
}

fn documents(text: &str) -> Vec<Value> {
    let documents = text.split("---\n").filter(|text| !text.trim().is_empty());
    documents.map(|text| serde_saphyr::from_str(text).expect("YAML")).collect()
}

#[test]
fn workloads_get_their_sidecar_and_other_documents_stay_as_they_are() {
    let (code, stdout, stderr) =
        inject(&[("store.yaml", STORE), ("app.yaml", APP)], &["-f", "store.yaml", "-f", "app.yaml"]);
    assert_eq!(
        (code, stderr.as_str()),
        (0, "Deployment checkout: has a sidecar\nCronJob nightly: has a sidecar\n")
    );
    let untouched = APP.split("---\n").next().expect("a document");
    assert!(stdout.starts_with(&format!("{STORE}---\n{untouched}---\n")), "{stdout}");
    let documents = documents(&stdout);
    let pod = &documents[2]["spec"]["template"]["spec"];
    let sidecar = &pod["initContainers"][0];
    assert_eq!((&sidecar["name"], &sidecar["restartPolicy"]), (&"polylog".into(), &"Always".into()));
    assert_eq!(
        sidecar["image"],
        format!("ghcr.io/polylog-dev/polylog-sidecar:{}", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(pod["volumes"][0]["secret"]["defaultMode"], 256, "octal, as kubectl reads it");
    assert!(pod["volumes"][1].to_string().contains("ledger-db"));
    let env = pod["containers"][0]["env"].as_array().expect("a list");
    let names: Vec<_> = env.iter().map(|variable| variable["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["POLYLOG_URL", "POLYLOG_GRPC", "FLAG"]);
    assert_eq!(env[2]["value"], "on", "text stays text for a YAML 1.1 reader: {stdout}");
    assert!(stdout.contains("'on'") || stdout.contains("\"on\""), "{stdout}");
    let job = &documents[3]["spec"]["jobTemplate"]["spec"]["template"];
    assert_eq!(job["spec"]["initContainers"][0]["name"], "polylog");
    assert!(job["metadata"]["annotations"]["polylog.dev/injected"].is_string());
}

#[test]
fn once_more_changes_nothing_and_an_older_sidecar_is_written_anew() {
    let files = [("store.yaml", STORE), ("app.yaml", APP)];
    let options = ["-f", "app.yaml", "--stores", "store.yaml"];
    let once = inject(&files, &[&options[..], &["--image", "one"]].concat()).1;
    let again = [("store.yaml", STORE), ("app.yaml", once.as_str())];
    assert_eq!(inject(&again, &[&options[..], &["--image", "one"]].concat()).1, once);
    let newer =
        inject(&again, &[&options[..], &["--image", "two", "--image-pull-policy", "Never"]].concat()).1;
    let sidecars = |text: &str, image: &str| text.matches(&format!("image: {image}\n")).count();
    assert_eq!((sidecars(&newer, "one"), sidecars(&newer, "two")), (0, 2));
    assert_eq!(newer.matches("imagePullPolicy: Never\n").count(), 2);
}

#[test]
fn standard_input_lists_and_namespaces_work() {
    let list = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{}]}}",
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "shop",
            "labels": {"polylog.dev/eventstore": "payments"}}, "spec": {"containers": [{"name": "a"}]}}"#
    );
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("store.yaml"), STORE).expect("it is written");
    let run = |namespace: &str| {
        let mut command = polylog(&["inject", "-f", "-", "--stores", ".", "-n", namespace]);
        command
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        process.stdin.take().expect("a pipe").write_all(list.as_bytes()).expect("it is read");
        outcome(&process.wait_with_output().expect("it ends"))
    };
    let (code, stdout, _) = run("shop");
    assert_eq!(code, 0);
    assert_eq!(documents(&stdout)[0]["items"][0]["spec"]["initContainers"][0]["name"], "polylog");
    let (code, stdout, stderr) = run("other");
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(
        stderr.contains("standard input:1: Pod a: EventStore shop/payments is in none of the files"),
        "{stderr}"
    );
}

#[test]
fn what_cannot_be_done_is_told_and_nothing_is_written() {
    let told = |app: &str, options: &[&str]| {
        let (code, stdout, stderr) =
            inject(&[("store.yaml", STORE), ("app.yaml", app)], &[&["-f", "app.yaml"], options].concat());
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        stderr
    };
    let host = APP.replace("      containers:\n", "      hostNetwork: true\n      containers:\n");
    let stores = ["--stores", "store.yaml"];
    assert!(
        told(&host, &stores).contains("app.yaml:7: Deployment checkout: the pod is on the host's network")
    );
    assert!(told("a: [", &stores).contains("app.yaml: in the document that begins in line 1"));
    assert!(told(APP, &["--stores", "nowhere"]).contains("nowhere"));
    assert!(told(APP, &["-f", "nowhere"]).contains("cannot read nowhere"));
    let broken = format!("a: 1\n---\n{}", STORE.replace("sources:", "surces:"));
    assert!(told(&broken, &[]).contains("app.yaml:7: "), "{}", told(&broken, &[]));
    assert!(told(APP, &[&stores[..], &["-o", "json"]].concat()).contains("YAML"));
}

#[test]
fn nothing_to_do_is_said() {
    let (code, stdout, stderr) = inject(&[("a.yaml", "a: 1\n# end\n")], &["-f", "a.yaml"]);
    assert_eq!((code, stdout.as_str()), (0, "a: 1\n# end\n"));
    assert!(stderr.contains("no pod has the label"), "{stderr}");
}
