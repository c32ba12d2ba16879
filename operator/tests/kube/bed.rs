//! One API server and one server of each kind of database for all tests; a namespace, and an operator that watches it, for each.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command},
    sync::LazyLock,
    time::{Duration, Instant},
};

use polylog_test_bed::{Kubernetes, MariadbServer, PostgresServer, Tier};
use serde_json::{Value, json};

/// How long something may take on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
const ACCOUNT: &str = "polylog-operator";

pub static CLUSTER: LazyLock<Kubernetes> = LazyLock::new(|| {
    let cluster = Kubernetes::start(Tier::Api);
    let definitions = format!("{}/../crds/yaml", env!("CARGO_MANIFEST_DIR"));
    kubectl_on(&cluster, &["apply", "--server-side", "-f", &definitions], "");
    kubectl_on(&cluster, &["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "");
    kubectl_on(&cluster, &["apply", "--server-side", "-f", "-"], include_str!("roles.yaml"));
    cluster
});

pub static POSTGRES: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

pub static MARIADB: LazyLock<MariadbServer> = LazyLock::new(MariadbServer::start);

fn kubectl_on(cluster: &Kubernetes, arguments: &[&str], input: &str) -> String {
    let output = cluster.run_kubectl(arguments, input);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A namespace in which an operator may work.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    /// A new one; `may_read_secrets` as its tenant decides.
    pub fn new(name: &str, may_read_secrets: bool) -> Self {
        let namespace = Self { name: name.to_owned() };
        kubectl_on(&CLUSTER, &["create", "namespace", name], "");
        namespace.bind("polylog-operator");
        namespace.bind("polylog-operator-own");
        if may_read_secrets {
            namespace.bind("polylog-secret-reader");
        }
        namespace
    }

    /// Gives the operator a role here.
    pub fn bind(&self, role: &str) {
        let account = format!("{}:{ACCOUNT}", self.name);
        self.kubectl(
            &["create", "rolebinding", role, "--clusterrole", role, "--serviceaccount", &account],
            "",
        );
    }

    /// Gives the namespace a label, or takes it away with `name-`.
    pub fn label(&self, label: &str) {
        kubectl_on(&CLUSTER, &["label", "namespace", &self.name, "--overwrite", label], "");
    }

    pub fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let namespace = ["--namespace", self.name.as_str()];
        kubectl_on(&CLUSTER, &[&namespace[..], arguments].concat(), input)
    }

    pub fn apply(&self, object: &Value) {
        self.kubectl(
            &["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"],
            &object.to_string(),
        );
    }

    /// A Secret `<store>-db` with this address.
    pub fn secret(&self, store: &str, url: &str) {
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": format!("{store}-db") },
            "stringData": { "url": url },
        }));
    }

    /// An EventStore with one PostgreSQL source in the schema `<store>`, and further fields.
    pub fn store(&self, store: &str, fields: Value) {
        self.apply(&store_of(store, fields));
    }

    /// The object, or null.
    pub fn get(&self, kind: &str, name: &str) -> Value {
        let text = self.kubectl(&["get", kind, name, "--ignore-not-found", "-o", "json"], "");
        if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
    }

    /// The objects of a kind.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let list: Value =
            serde_json::from_str(&self.kubectl(&["get", kind, "-o", "json"], "")).expect("JSON");
        list["items"].as_array().expect("a list").clone()
    }

    /// Waits until an object is as wanted.
    #[track_caller]
    pub fn until(&self, kind: &str, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let object = self.get(kind, name);
            if is_so(&object) {
                return object;
            }
            assert!(begin.elapsed() < PATIENCE, "{kind} {name} stays {object:#}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until a condition of an EventStore says this.
    #[track_caller]
    pub fn until_told(&self, store: &str, type_: &str, status: &str, reason: &str) -> Value {
        self.until("eventstore", store, |object| {
            let condition = condition(object, type_);
            condition["status"] == status && condition["reason"] == reason
        })
    }
}

/// An EventStore with one PostgreSQL source in the schema `<store>`, and further fields.
pub fn store_of(store: &str, fields: Value) -> Value {
    let mut object = json!({
        "apiVersion": "polylog.dev/v1alpha1", "kind": "EventStore", "metadata": { "name": store },
        "spec": { "sources": [{
            "name": "ledger",
            "connection": { "secretRef": { "name": format!("{store}-db") } },
            "postgres": { "schema": store },
        }]},
    });
    for (name, value) in fields.as_object().expect("an object") {
        object["spec"][name] = value.clone();
    }
    object
}

/// A condition of an object, or null.
pub fn condition(object: &Value, type_: &str) -> Value {
    let all = object["status"]["conditions"].as_array();
    all.and_then(|all| all.iter().find(|condition| condition["type"] == type_)).cloned().unwrap_or_default()
}

/// A process of the operator, which is killed with it.
pub struct Operator {
    child: Child,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Operator {
    /// An operator that watches one namespace, and compares databases so often.
    pub fn start(namespace: &Namespace, drift_seconds: u32) -> Self {
        Self::named(namespace, "operator-1", drift_seconds)
    }

    pub fn named(namespace: &Namespace, pod: &str, drift_seconds: u32) -> Self {
        Self::with(namespace, &namespace.name, pod, drift_seconds)
    }

    /// An operator of one namespace that watches others too.
    pub fn watching(namespace: &Namespace, others: &[&Namespace], drift_seconds: u32) -> Self {
        let names = [&[namespace], others].concat();
        let names: Vec<&str> = names.iter().map(|namespace| namespace.name.as_str()).collect();
        Self::with(namespace, &names.join(","), "operator-1", drift_seconds)
    }

    /// An operator that watches every namespace with the label, with the rights for that.
    pub fn of_labelled(namespace: &Namespace) -> Self {
        let account = format!("{}:{ACCOUNT}", namespace.name);
        for role in ["polylog-operator", "polylog-operator-labelled", "polylog-secret-reader"] {
            let name = format!("{role}-of-{}", namespace.name);
            let binding =
                ["create", "clusterrolebinding", &name, "--clusterrole", role, "--serviceaccount", &account];
            kubectl_on(&CLUSTER, &binding, "");
        }
        Self::run(namespace, &["--watch-labelled"], "operator-1", 600)
    }

    fn with(namespace: &Namespace, watched: &str, pod: &str, drift_seconds: u32) -> Self {
        Self::run(namespace, &["--watch-namespaces", watched], pod, drift_seconds)
    }

    fn run(namespace: &Namespace, watched: &[&str], pod: &str, drift_seconds: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("kubeconfig");
        // as its service account, with the rights that this has
        let text = std::fs::read_to_string(CLUSTER.kubeconfig()).expect("a kubeconfig");
        let account = format!("system:serviceaccount:{}:{ACCOUNT}", namespace.name);
        let mut content: Value = serde_saphyr::from_str(&text).expect("YAML");
        content["users"][0]["user"]["as"] = json!(account);
        std::fs::write(&config, content.to_string()).expect("a file");
        let log = folder.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_polylog-operator"))
            .env("KUBECONFIG", &config)
            .env("POLYLOG_LOG", "info,polylog_operator=debug")
            .args(watched)
            .args(["--namespace", &namespace.name, "--pod", pod])
            .args(["--sidecar-image", "localhost/polylog-sidecar:test", "--health-port", "0"])
            .args(["--drift-seconds", &drift_seconds.to_string()])
            .stderr(File::create(&log).expect("a file"))
            .spawn()
            .expect("the operator");
        Self { child, log, _folder: folder }
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// Waits until it logged something.
    #[track_caller]
    pub fn until_logged(&self, words: &str) {
        let begin = Instant::now();
        while !self.log().contains(words) {
            assert!(begin.elapsed() < PATIENCE, "{words:?} is not in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Waits until it ended by itself.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("it ended")
    }

    /// The value of a metric, with its labels as they are written; 0 where there is none.
    pub fn metric(&self, name: &str) -> u64 {
        let prefix = format!("{name} ");
        let text = self.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
        line.map_or(0, |value| value.trim().parse().expect("a number"))
    }

    /// The sum of a metric over its labels.
    pub fn sum(&self, name: &str) -> u64 {
        let prefix = format!("{name}{{");
        let text = self.metrics();
        let values = text.lines().filter(|line| line.starts_with(&prefix));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    fn metrics(&self) -> String {
        self.until_logged("operator_started");
        let log = self.log();
        let line = log.lines().find(|line| line.contains("operator_started")).expect("it stands there");
        let line: Value = serde_json::from_str(line).expect("JSON");
        let port = u16::try_from(line["health_port"].as_u64().expect("a port")).expect("a port");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text");
        text
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the operator's log\n{}", self.log());
        }
    }
}
