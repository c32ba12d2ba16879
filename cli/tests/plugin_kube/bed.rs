//! A cluster with the chart's kinds, roles and approval policy, and `kubectl polylog` as users have it.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use polylog_test_bed::{Kubernetes, Tier};
use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Bed {
    cluster: Kubernetes,
    /// With `kubectl-polylog`.
    programs: TempDir,
    /// What the chart makes, the webhook's configuration apart.
    pub webhook: Value,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned()
}

#[track_caller]
pub fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Bed {
    pub fn start() -> Self {
        let cluster = Kubernetes::start(Tier::Controllers);
        let programs = TempDir::new().expect("a folder");
        // the documented way to install it
        symlink(env!("CARGO_BIN_EXE_polylog"), programs.path().join("kubectl-polylog")).expect("a link");
        let bed = Self { cluster, programs, webhook: Value::Null };
        for namespace in ["ops", "shop"] {
            bed.kubectl(&["create", "namespace", namespace]);
        }
        bed
    }

    /// Installs the chart, but for the webhook's configuration: nobody answers behind it here.
    pub fn install(&mut self) {
        let built = Command::new(repository().join("tests/kube/programs/build")).arg("helm").output();
        let helm = Path::new(done(&built.expect("bash")).trim()).join("helm");
        let rendered = Command::new(helm)
            .args(["template", "polylog", "--namespace", "ops", "--skip-tests", "--kube-version", "1.33"])
            .args(["--set", "approvalPolicy.enabled=true"])
            .arg(repository().join("charts/polylog"))
            .output()
            .expect("helm");
        let mut objects = Vec::new();
        for document in done(&rendered).split("\n---\n").filter(|document| document.contains("kind: ")) {
            let object: Value = serde_saphyr::from_str(document).expect("YAML");
            if object["kind"] == "MutatingWebhookConfiguration" {
                self.webhook = object;
            } else {
                objects.push(object);
            }
        }
        self.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": objects }));
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    }

    /// kubectl, as the administrator.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        done(&self.cluster.kubectl().args(arguments).output().expect("kubectl"))
    }

    /// The same, whatever comes of it.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Output {
        self.cluster.kubectl().args(arguments).output().expect("kubectl")
    }

    /// A kubeconfig of an API server that is not there.
    pub fn dead_cluster(&self) -> tempfile::NamedTempFile {
        let text = fs::read_to_string(self.cluster.kubeconfig()).expect("a kubeconfig");
        let mut config: Value = serde_saphyr::from_str(&text).expect("YAML");
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(config.to_string().as_bytes()).expect("it is written");
        file
    }

    /// What names no namespace is the store's.
    #[track_caller]
    pub fn apply(&self, object: &Value) {
        let mut object = object.clone();
        let has_none = ["List", "MutatingWebhookConfiguration"].iter().any(|kind| object["kind"] == *kind);
        if !has_none && object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = "shop".into();
        }
        let arguments = ["apply", "--server-side", "--force-conflicts", "--filename=-"];
        done(&self.cluster.run_kubectl(&arguments, &object.to_string()));
    }

    #[track_caller]
    pub fn set_status(&self, kind: &str, name: &str, namespace: &str, status: &Value) {
        let patch = json!({ "status": status }).to_string();
        let namespace = format!("--namespace={namespace}");
        self.kubectl(&[
            "patch",
            kind,
            name,
            &namespace,
            "--subresource=status",
            "--type=merge",
            "--patch",
            &patch,
        ]);
    }

    pub fn get(&self, kind: &str, name: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", kind, name, "--namespace=shop", "--output=json"]))
            .expect("JSON")
    }

    pub fn list(&self, kind: &str, namespace: &str) -> Vec<Value> {
        let namespace = format!("--namespace={namespace}");
        let list: Value =
            serde_json::from_str(&self.kubectl(&["get", kind, &namespace, "-o", "json"])).expect("JSON");
        list["items"].as_array().expect("a list").clone()
    }

    /// Gives a user a role in the namespace of the store.
    pub fn bind(&self, user: &str, role: &str) {
        let name = format!("{user}-{role}");
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
        self.kubectl(&["create", "rolebinding", &name, "--namespace=shop", &role, &user]);
    }

    /// `kubectl polylog …`, by kubectl itself, in the namespace of the store.
    pub fn polylog(&self, arguments: &[&str]) -> Output {
        self.polylog_with(arguments, self.programs.path())
    }

    /// With these programs before all others.
    pub fn polylog_with(&self, arguments: &[&str], programs: &Path) -> Output {
        let kubectl = self.cluster.folder().join("bin");
        let paths = [programs, self.programs.path(), &kubectl];
        let path = format!(
            "{}:{}",
            paths.map(|path| path.display().to_string()).join(":"),
            std::env::var("PATH").unwrap_or_default()
        );
        Command::new(kubectl.join("kubectl"))
            .arg("polylog")
            .args(arguments)
            .arg("--namespace=shop")
            .env("PATH", path)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .stdin(Stdio::null())
            .output()
            .expect("kubectl")
    }

    /// A kubectl that runs another command of its own before each `patch`, once.
    pub fn meddling(&self, before_patch: &str) -> TempDir {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("kubectl");
        let real = self.cluster.folder().join("bin/kubectl").display().to_string();
        let mut file = fs::File::create(&path).expect("a file");
        write!(
            file,
            "#!/bin/sh\nif [ \"$1\" = patch ] && [ ! -e {folder}/done ]; then touch {folder}/done; {real} {before_patch} >&2; fi\n\
             exec {real} \"$@\"\n",
            folder = folder.path().display()
        )
        .expect("it is written");
        file.set_permissions(fs::Permissions::from_mode(0o755)).expect("our own file");
        folder
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "no {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
