use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
};

/// A Kubernetes cluster of its own, in namespaces of its own: `tests/kube` of the repository starts it, and ends it when
/// the pipe to the test process ends.
///
/// The cluster can reach nothing outside; [`Kubernetes::reach`] opens a way to a program of the test.
pub struct Kubernetes {
    folder: PathBuf,
    supervisor: Child,
    hold: Option<ChildStdin>,
}

/// Which parts of a cluster run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The API server. Nothing is made or removed by itself: no service account, and a deleted namespace stays.
    Api,
    /// And its controllers and the scheduler. Pods wait for a node.
    Controllers,
    /// And a node that runs pods, with services and DNS.
    Node,
}

/// What happens to a part of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// SIGKILL.
    Kill,
    /// SIGSTOP: connections stay, nothing is answered.
    Pause,
    /// The end of a pause.
    Resume,
    /// A killed part starts again, and may not be ready yet.
    Start,
}

impl Kubernetes {
    /// A new cluster, ready. With `POLYLOG_KUBE_SECOND` set, of the second version of Kubernetes.
    pub fn start(tier: Tier) -> Self {
        let place = tempfile::Builder::new().prefix("polylog-kube-").tempdir().expect("a folder").keep();
        // the scripts make the folder; they want to be its only owner
        std::fs::remove_dir(&place).expect("our own folder");
        let mut command = script("up");
        command.args(["--hold", "--tier", tier.name()]);
        if std::env::var_os("POLYLOG_KUBE_SECOND").is_some() {
            command.arg("--second");
        }
        let mut supervisor =
            command.arg(&place).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash");
        let hold = supervisor.stdin.take();
        let mut said = String::new();
        let output = supervisor.stdout.take().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut said).expect("its words");
        assert_eq!(said.trim_end(), "ready", "Kubernetes did not start; why stands above");
        Self { folder: place, supervisor, hold }
    }

    /// The administrator's kubeconfig, for programs of this machine.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// The folder, which goes with the cluster. `log` has a file for each part.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.folder.join("bin/kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--request-timeout=60s");
        command
    }

    /// Runs kubectl as the administrator, with something to read.
    pub fn run_kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .kubectl()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("its end")
    }

    /// Opens a port of this machine's loopback to the cluster: the API server calls a webhook at
    /// `https://127.0.0.1:<port>`, and pods find it at [`Kubernetes::NODE_ADDRESS`].
    pub fn reach(&self, port: u16) {
        let done = script("reach").arg(&self.folder).arg(port.to_string()).status().expect("bash");
        assert!(done.success(), "port {port} could not be opened to the cluster");
    }

    /// The node's address, which only the cluster sees.
    pub const NODE_ADDRESS: &str = "198.19.255.1";

    /// A command that runs inside, with the administrator's kubeconfig, as root of this machine.
    pub fn inside(&self, program: &str) -> Command {
        let mut command = script("in");
        command.arg(&self.folder).arg(program);
        command
    }

    /// Gives the node an image, from an OCI archive.
    pub fn import_image(&self, archive: &Path) {
        let output = self
            .inside("ctr")
            .args(["--namespace", "k8s.io", "images", "import"])
            .arg(archive)
            .output()
            .expect("bash");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", archive.display());
    }

    /// An outage of one part, named as its log: `kube-apiserver`, `kubelet`, ...
    pub fn outage(&self, what: Outage, part: &str) {
        let order = match what {
            Outage::Kill => "kill",
            Outage::Pause => "pause",
            Outage::Resume => "resume",
            Outage::Start => "start",
        };
        let done = script("part").arg(&self.folder).args([order, part]).status().expect("bash");
        assert!(done.success(), "{order} {part} failed");
    }
}

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Controllers => "controllers",
            Self::Node => "node",
        }
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        drop(self.hold.take());
        let _ = self.supervisor.wait();
    }
}

fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../kube").join(name))
}
