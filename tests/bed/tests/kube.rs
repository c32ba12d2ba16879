//! The Kubernetes bed itself: what it promises to the tests that use it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use polylog_test_bed::{Kubernetes, Outage, Tier};

fn until(what: &str, seconds: u64, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn kubectl(cluster: &Kubernetes, arguments: &[&str]) -> String {
    let output = cluster.kubectl().args(arguments).output().expect("kubectl");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn apply(cluster: &Kubernetes, manifests: &str) {
    let mut child =
        cluster.kubectl().args(["apply", "-f", "-"]).stdin(Stdio::piped()).spawn().expect("kubectl");
    child.stdin.take().expect("a pipe").write_all(manifests.as_bytes()).expect("it reads");
    assert!(child.wait().expect("its end").success(), "{manifests}");
}

/// What a bed could leave on this machine; others may use it meanwhile, so only what names the bed counts.
fn traces(bed: &Path) -> BTreeSet<String> {
    let name = bed.file_name().expect("a name").to_string_lossy().into_owned();
    let mut traces = BTreeSet::new();
    if bed.exists() {
        traces.insert(bed.display().to_string());
    }
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(&name) {
            traces.insert(format!("process {}: {command}", entry.file_name().display()));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    traces.extend(mounts.lines().filter(|line| line.contains(&name)).map(|line| format!("mount {line}")));
    for hierarchy in fs::read_dir("/sys/fs/cgroup").expect("control groups").flatten() {
        let group = hierarchy.path().join(format!("polylog-{name}"));
        if group.exists() {
            traces.insert(group.display().to_string());
        }
    }
    traces
}

/// What the programs of a node would make on a machine of their own, and the machine's interfaces: no bed may.
fn machine() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir("/sys/class/net").expect("interfaces").flatten().map(|entry| entry.path());
    let folders = [
        "/etc/cni",
        "/run/containerd",
        "/run/netns",
        "/var/lib/cni",
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/log/containers",
        "/var/log/pods",
    ];
    entries.chain(folders.map(PathBuf::from).into_iter().filter(|folder| folder.exists())).collect()
}

/// The network namespaces of all processes.
fn networks() -> BTreeSet<PathBuf> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes.filter_map(|process| fs::read_link(process.path().join("ns/net")).ok()).collect()
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: pause, labels: {app: pause}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: pause
      image: localhost/pause:1
      imagePullPolicy: Never
      resources: {limits: {memory: 16Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: pause}
spec: {selector: {app: pause}, ports: [{port: 80}]}
";

#[test]
fn a_node_runs_pods_and_leaves_nothing_behind() {
    let before = machine();
    let cluster = Kubernetes::start(Tier::Node);
    let bed = cluster.folder().to_owned();
    let network = fs::read_link("/proc/self/ns/net").expect("our own network");
    let inside = cluster.inside("readlink").arg("/proc/self/ns/net").output().expect("readlink");
    let inside = PathBuf::from(String::from_utf8_lossy(&inside.stdout).trim_end());
    assert_ne!(inside, network);
    assert!(networks().contains(&inside));
    assert!(!traces(&bed).is_empty(), "what is not seen now could not be missed later");

    apply(&cluster, POD);
    kubectl(&cluster, &["wait", "--for=condition=Ready", "pod/pause", "--timeout=60s"]);
    // names are resolved, and services are translated to pods: nobody listens there, and it says so at once
    let lookup = cluster.inside("bash").args(["-c", "exec 3<>/dev/tcp/198.19.255.1/53"]).status();
    assert!(lookup.expect("bash").success(), "nobody answers for names");
    kubectl(
        &cluster,
        &[
            "wait",
            "--for=jsonpath={.endpoints[0].conditions.ready}=true",
            "endpointslice",
            "--selector=kubernetes.io/service-name=pause",
            "--timeout=60s",
        ],
    );

    // a program of this machine, from inside
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    cluster.reach(port);
    let words = std::thread::spawn(move || {
        // the first connections are those that waited for the port to open
        listener.incoming().flatten().find_map(|mut connection| {
            let mut words = String::new();
            connection.read_to_string(&mut words).ok()?;
            (!words.is_empty()).then_some(words)
        })
    });
    let script = format!("echo hello >/dev/tcp/{}/{port}", Kubernetes::NODE_ADDRESS);
    assert!(cluster.inside("bash").args(["-c", &script]).status().expect("bash").success());
    assert_eq!(words.join().expect("its end").as_deref(), Some("hello\n"));

    drop(cluster);
    assert_eq!(traces(&bed), BTreeSet::new());
    // its number may already be that of another test's network, which ends, too
    until("its network is gone", 60, || !networks().contains(&inside));
    assert_eq!(machine().difference(&before).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
}

#[test]
fn several_run_beside_each_other_and_their_parts_can_fail() {
    let [one, two] = [Tier::Api, Tier::Controllers].map(Kubernetes::start);
    kubectl(&one, &["create", "namespace", "one"]);
    kubectl(&two, &["create", "namespace", "two"]);
    assert!(!kubectl(&two, &["get", "namespaces"]).contains("one"));

    let is_ready = |cluster: &Kubernetes| {
        let mut command = cluster.kubectl();
        command.args(["get", "--raw=/readyz", "--request-timeout=2s"]).stderr(Stdio::null());
        command.output().expect("kubectl").status.success()
    };
    for (outage, end) in [(Outage::Pause, Outage::Resume), (Outage::Kill, Outage::Start)] {
        two.outage(outage, "kube-apiserver");
        assert!(!is_ready(&two));
        until("the other API server answers", 60, || is_ready(&one));
        two.outage(end, "kube-apiserver");
        until("the API server is back", 60, || is_ready(&two));
    }
    assert!(kubectl(&two, &["get", "namespaces"]).contains("two"));
    // controllers are at work: they empty a namespace before it goes
    kubectl(&two, &["delete", "namespace", "two", "--wait=false"]);
    until("the namespace is gone", 120, || {
        !kubectl(&two, &["get", "namespaces", "-o=name"]).contains("/two")
    });
}

const CHILD: &str = "POLYLOG_TEST_HOLDS_A_BED";

#[test]
fn a_child_that_holds_a_bed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let cluster = Kubernetes::start(Tier::Api);
    println!("bed {}", cluster.folder().display());
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_bed_ends_with_a_test_process_that_is_killed() {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "a_child_that_holds_a_bed", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let bed =
        output.lines().map_while(Result::ok).find_map(|line| Some(line.split_once("bed /")?.1.to_owned()));
    let bed = PathBuf::from("/").join(bed.expect("its bed"));
    assert!(bed.join("kubeconfig").exists());
    child.kill().expect("our own child");
    child.wait().expect("its end");
    until("nothing is left of the bed", 30, || traces(&bed).is_empty());
}

#[test]
fn a_bed_needs_nothing_of_its_environment() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kube");
    let place = tempfile::Builder::new().prefix("polylog-kube-").tempdir().expect("a folder").keep();
    fs::remove_dir(&place).expect("our own folder");
    let run = |script: &str, arguments: &[&str]| {
        let mut command = Command::new(scripts.join(script));
        command.args(arguments).arg(&place).env_clear().current_dir("/");
        // where the programs are kept is no matter of the environment's, if it says so
        if let Some(cache) = std::env::var_os("POLYLOG_CACHE") {
            command.env("POLYLOG_CACHE", cache);
        }
        assert!(command.status().expect("bash").success(), "{script} failed");
    };
    run("up", &["--tier", "api"]);
    let kubectl = Command::new(place.join("bin/kubectl"))
        .arg("--kubeconfig")
        .arg(place.join("kubeconfig"))
        .args(["get", "--raw=/version"])
        .output()
        .expect("kubectl");
    assert!(String::from_utf8_lossy(&kubectl.stdout).contains("gitVersion"));
    run("down", &[]);
    assert_eq!(traces(&place), BTreeSet::new());
}
