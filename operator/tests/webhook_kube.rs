//! The webhook before a real API server, installed as the chart says, with the chart's rights and nothing else.
//! `cargo test -p polylog-operator --test webhook_kube`
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use polylog_test_bed::{Kubernetes, Tier};
use serde_json::{Value, json};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);
const CONFIGURATION: &str = "polylog-operator-ops";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", told(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

struct Cluster(Kubernetes);

impl Cluster {
    fn start() -> Self {
        let cluster = Self(Kubernetes::start(Tier::Api));
        for namespace in ["ops", "shop"] {
            done(&cluster.kubectl(&["create", "namespace", namespace]));
            // no controller makes it here
            done(&cluster.kubectl(&["create", "serviceaccount", "default", "-n", namespace]));
        }
        cluster
    }

    /// The chart's objects but the Deployment, with the webhook where this process runs.
    fn install(&self, port: u16) {
        let built =
            Command::new(repository().join("tests/kube/programs/build")).arg("helm").output().unwrap();
        let helm = Path::new(done(&built).trim()).join("helm");
        let mut helm = Command::new(helm);
        helm.args(["template", "polylog", "--namespace", "ops", "--skip-tests", "--kube-version", "1.33"]);
        let rendered = done(&helm.arg(repository().join("charts/polylog")).output().unwrap());
        let mut objects: Vec<Value> = Vec::new();
        for document in rendered.split("\n---\n").filter(|document| document.contains("kind: ")) {
            let mut object: Value = serde_saphyr::from_str(document).unwrap();
            match object["kind"].as_str().unwrap() {
                "Deployment" | "PodDisruptionBudget" => continue,
                "MutatingWebhookConfiguration" => {
                    let url = format!("https://127.0.0.1:{port}/inject");
                    object["webhooks"][0]["clientConfig"] = json!({ "url": url });
                }
                _ => {}
            }
            objects.push(object);
        }
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        done(&self.send(&list, &["apply", "--server-side"]));
    }

    fn kubectl(&self, arguments: &[&str]) -> Output {
        self.0.kubectl().args(arguments).output().unwrap()
    }

    fn send(&self, object: &Value, arguments: &[&str]) -> Output {
        let mut command = self.0.kubectl();
        command.args(arguments).args(["--filename", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
        process.wait_with_output().unwrap()
    }

    /// The authorities that the API server trusts, as PEM.
    fn trusted(&self) -> String {
        let path = "jsonpath={.webhooks[0].clientConfig.caBundle}";
        let bundle = done(&self.kubectl(&["get", "mutatingwebhookconfiguration", CONFIGURATION, "-o", path]));
        String::from_utf8(STANDARD.decode(bundle).unwrap()).unwrap()
    }

    /// What the API server makes of a pod, without making it.
    fn pod(&self, labels: &Value, spec: &Value) -> Output {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "checkout", "namespace": "shop", "labels": labels }, "spec": spec,
        });
        self.send(&pod, &["create", "--dry-run=server", "--output", "json"])
    }

    /// One of the store, and what its author was told.
    fn pod_of(&self, store: &str) -> (Value, String) {
        let output = self.pod(&json!({ "polylog.dev/eventstore": store }), &spec());
        (serde_json::from_str(&done(&output)).unwrap(), told(&output))
    }

    /// A kubeconfig of the operator's service account.
    fn as_operator(&self) -> PathBuf {
        let text = std::fs::read_to_string(self.0.kubeconfig()).unwrap();
        let mut config: Value = serde_saphyr::from_str(&text).unwrap();
        config["users"][0]["user"]["as"] = "system:serviceaccount:ops:polylog-operator".into();
        let path = self.0.folder().join("operator.kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }
}

fn spec() -> Value {
    json!({ "containers": [{ "name": "app", "image": "app" }] })
}

fn store(name: &str) -> Value {
    json!({
        "apiVersion": "polylog.dev/v1alpha1", "kind": "EventStore", "metadata": { "name": name, "namespace": "shop" },
        "spec": { "sources": [{
            "name": "ledger", "connection": { "secretRef": { "name": "ledger-db" } }, "postgres": { "schema": "s" },
        }] },
    })
}

/// An operator; killed with this.
struct Operator {
    process: Child,
    health: u16,
}

impl Operator {
    fn start(cluster: &Cluster, name: &str, port: u16) -> Self {
        let health = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_polylog-operator"));
        command
            .env("KUBECONFIG", cluster.as_operator())
            .args(["--namespace=ops", "--sidecar-image=sidecar:1", &format!("--pod={name}")])
            .args([format!("--health-port={health}"), format!("--webhook-port={port}")])
            .args([format!("--webhook={CONFIGURATION}"), "--webhook-hosts=127.0.0.1".into()])
            .args(["--webhook-authority=36", "--webhook-certificate=30", "--webhook-overlap=3"]);
        let operator = Self { process: command.spawn().unwrap(), health };
        wait("a ready operator", || operator.is_ready().then_some(()));
        operator
    }

    fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.health)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn pods_get_their_sidecar_from_a_webhook_that_renews_its_certificates() {
    let cluster = Cluster::start();
    let (port, other) = (free_port(), free_port());
    cluster.install(port);
    cluster.0.reach(port);
    let label = json!({ "polylog.dev/eventstore": "payments" });
    let operator = Operator::start(&cluster, "polylog-operator-a", port);
    let second = Operator::start(&cluster, "polylog-operator-b", other);
    let first = wait("an authority", || Some(cluster.trusted()).filter(|trusted| !trusted.is_empty()));

    // a store that is not there: the pod is made, and its author is told
    let (pod, warning) = wait("the webhook", || {
        let output = cluster.pod(&label, &spec());
        Some((serde_json::from_slice::<Value>(&output.stdout).ok()?, told(&output)))
    });
    assert_eq!(pod["spec"]["initContainers"][0]["name"], "polylog");
    assert!(warning.contains("EventStore shop/payments is not known"), "{warning}");

    // a store that is applied together with its pod
    let (pod, warning) = thread::scope(|scope| {
        let pod = scope.spawn(|| cluster.pod_of("payments"));
        done(&cluster.send(&store("payments"), &["apply", "--server-side"]));
        pod.join().unwrap()
    });
    assert!(!warning.contains("not known"), "{warning}");
    assert!(pod["spec"]["volumes"].to_string().contains("ledger-db"), "{pod}");
    assert_eq!(pod["spec"]["containers"][0]["env"][0]["name"], "POLYLOG_URL");
    let sidecar = &pod["spec"]["initContainers"][0];
    assert_eq!((&sidecar["image"], &sidecar["restartPolicy"]), (&"sidecar:1".into(), &"Always".into()));

    // others
    let plain = done(&cluster.pod(&json!({}), &spec()));
    assert!(!plain.contains("polylog"), "{plain}");
    let mut host = spec();
    host["hostNetwork"] = true.into();
    let refused = told(&cluster.pod(&label, &host));
    assert!(refused.contains("polylog.dev/ports"), "{refused}");

    // a new authority in all its steps, while pods are made all the time
    let mut lists = BTreeSet::from([first.clone()]);
    let (mut pods, begin) = (0, Instant::now());
    wait("a new authority alone", || {
        let (pod, _) = cluster.pod_of("payments");
        assert_eq!(pod["spec"]["initContainers"][0]["name"], "polylog");
        pods += 1;
        let trusted = cluster.trusted();
        lists.insert(trusted.clone());
        (!trusted.contains(first.trim())).then_some(())
    });
    assert!(lists.len() >= 3, "both are trusted side by side: {lists:?}");
    println!("{pods} pods in {:?} while an authority was replaced", begin.elapsed());
    assert!(operator.is_ready() && second.is_ready());
    let metrics = operator.get("/metrics").unwrap();
    for line in metrics.lines().filter(|line| line.starts_with("polylog_webhook")) {
        println!("{line}");
    }
    let secret = done(&cluster.kubectl(&["get", "secret", "polylog-webhook", "-n", "ops", "-o", "json"]));
    let secret: Value = serde_json::from_str(&secret).unwrap();
    for key in ["ca.crt", "tls.crt", "tls.key"] {
        assert!(secret["data"][key].is_string(), "{key}");
    }

    // without it no pod that asks for a sidecar is made, and every other is
    drop(operator);
    let refused = cluster.pod(&label, &spec());
    assert!(!refused.status.success() && told(&refused).contains("inject.polylog.dev"), "{}", told(&refused));
    done(&cluster.pod(&json!({}), &spec()));
}
