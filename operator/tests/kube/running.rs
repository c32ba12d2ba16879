//! Sidecars and gateways: no node runs them here. Each is given what its pod would have mounted.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use polylog_crds::{EventStore, manifests::ObjectKey};
use polylog_injection::{Existing, Injection, Settings, Store, Stores, inject, names::VOLUME};
use polylog_sidecar::{
    logging,
    roles::{self, ClusterArgs, GatewayArgs},
};
use polylog_test_bed::acts;
use serde_json::{Value, json};

use crate::bed::{Namespace, PATIENCE};

/// A process of a store, which is killed with it.
pub struct Running {
    port: u16,
    /// What is mounted, by path.
    pub files: BTreeMap<String, String>,
    child: Child,
    folder: tempfile::TempDir,
}

impl Running {
    /// A gateway, with what its Deployment mounts.
    pub fn gateway(namespace: &Namespace, store: &str) -> Self {
        let deployment =
            namespace.until("deployment", &format!("polylog-{store}"), |deployment| !deployment.is_null());
        let volumes = &deployment["spec"]["template"]["spec"]["volumes"];
        Self::start(namespace, "gateway", volumes, "configuration")
    }

    /// A sidecar, with what injection mounts into a pod that asks for the store.
    pub fn sidecar(namespace: &Namespace, store: &str) -> Self {
        let object: EventStore =
            serde_json::from_value(namespace.get("eventstore", store)).expect("an EventStore");
        let key = ObjectKey {
            namespace: namespace.name.parse().expect("a name"),
            name: store.parse().expect("a name"),
        };
        let stores = Stores::from_iter([(key.clone(), Store::new(store, &object.spec))]);
        let pod = json!({
            "metadata": { "labels": { "polylog.dev/eventstore": store } },
            "spec": { "containers": [{ "name": "app", "image": "app" }] },
        });
        let injected = inject(&pod, &key.namespace, &stores, &Settings::default(), Existing::Keep);
        let Ok(Injection::Done { pod, .. }) = injected else { panic!("it asks for a sidecar") };
        Self::start(namespace, "sidecar", &pod["spec"]["volumes"], VOLUME)
    }

    fn start(namespace: &Namespace, role: &str, volumes: &Value, volume: &str) -> Self {
        let volumes = volumes.as_array().expect("volumes");
        let volume = volumes.iter().find(|found| found["name"] == volume).expect("its volume");
        let files = mounted(namespace, &volume["projected"]["sources"]);
        let folder = tempfile::tempdir().expect("a folder");
        for (path, content) in &files {
            let path = folder.path().join("mounted").join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, content).expect("a file");
        }
        write_token(folder.path(), &namespace.name);
        let port = free_port();
        let task = json!({ "role": role, "folder": folder.path(), "port": port });
        let child = acts::child("running::child_in_a_role", &task.to_string())
            .stderr(File::create(folder.path().join("log")).expect("a file"))
            .stdout(Stdio::null())
            .spawn()
            .expect("a child process");
        Self { port, files, child, folder }
    }

    /// Appends an event to a stream, once it can be.
    #[track_caller]
    pub fn append(&self, stream: &str) {
        let body =
            json!({ "expectedVersion": "any", "events": [{ "type": "PaymentProcessed", "data": {} }] })
                .to_string();
        let begin = Instant::now();
        loop {
            let answer = self.post(&format!("/v1/streams/{stream}"), &body);
            match answer {
                Some(answer) if answer.starts_with("HTTP/1.1 201") => return,
                answer => assert!(begin.elapsed() < PATIENCE, "{stream}: {answer:?}\n{}", self.log()),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What it logged.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }

    /// The whole answer, if there is one.
    fn post(&self, path: &str, body: &str) -> Option<String> {
        let port = self.port;
        let mut connection = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What [`Running`] starts.
#[test]
fn child_in_a_role() {
    let Some(task) = acts::task() else { return };
    let task: Value = serde_json::from_str(&task).expect("a task");
    let folder = PathBuf::from(task["folder"].as_str().expect("a folder"));
    let port = u16::try_from(task["port"].as_u64().expect("a port")).expect("a port");
    let cluster = ClusterArgs {
        config: folder.join("mounted"),
        token: folder.join("token"),
        gateways: "[]".parse().expect("none"),
        port: Some(port),
        health_port: Some(0),
    };
    logging::start().expect("a log");
    let ended = match task["role"].as_str() {
        Some("gateway") => {
            roles::block_on(roles::gateway(GatewayArgs { cluster, pods_port: 0, pods_tls: false }))
        }
        _ => roles::block_on(roles::sidecar(cluster)),
    };
    ended.expect("a runtime").expect("it served until it was told to end");
}

/// The files of a projected volume, as the kubelet would write them.
fn mounted(namespace: &Namespace, sources: &Value) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for source in sources.as_array().expect("sources") {
        for (kind, field) in [("configmap", "configMap"), ("secret", "secret")] {
            let Some(name) = source[field]["name"].as_str() else { continue };
            let object = namespace.get(kind, name);
            for item in source[field]["items"].as_array().expect("items") {
                let (key, path) =
                    (item["key"].as_str().expect("a key"), item["path"].as_str().expect("a path"));
                let Some(content) = object["data"][key].as_str() else { continue };
                let content = match kind {
                    "secret" => String::from_utf8(STANDARD.decode(content).expect("base64")).expect("text"),
                    _ => content.to_owned(),
                };
                files.insert(path.to_owned(), content);
            }
        }
    }
    files
}

/// A token of a service account of the namespace, as a pod finds it. Only its words count on loopback.
fn write_token(folder: &Path, namespace: &str) {
    let claims = json!({
        "aud": ["polylog"], "exp": 4_102_444_800_u64, "iss": "https://kubernetes.default.svc.cluster.local",
        "sub": format!("system:serviceaccount:{namespace}:checkout"),
        "kubernetes.io": { "namespace": namespace, "pod": { "name": "checkout-1" } },
    });
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    fs::write(folder.join("token"), format!("e30.{claims}.c2ln")).expect("a file");
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}
