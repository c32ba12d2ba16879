//! A process in a cluster: a volume as the kubelet makes it, and the program that reads it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Client, Remote,
    client::Answer,
    server::{LogServer, Place},
};

/// A store with one source, whose whole address is mounted.
pub const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}
";

/// The same, kept in this place.
pub fn store<S: LogServer>(_: &S, place: &Place) -> String {
    STORE.replace("postgres: {schema: payments}", &S::field(place))
}

/// A folder into which content is mounted, swapped as a whole.
pub struct Volume {
    root: TempDir,
    files: BTreeMap<String, String>,
    swaps: u64,
}

impl Volume {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let mut volume = Self { root: TempDir::new().unwrap(), files: BTreeMap::new(), swaps: 0 };
        volume.set(files);
        volume
    }

    /// With a store in it whose source is at this address.
    pub fn of(manifest: &str, url: &str) -> Self {
        Self::new(&[("store/eventstore.yaml", manifest), ("sources/ledger/url", url)])
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Adds and changes files, all at once.
    pub fn set(&mut self, files: &[(&str, &str)]) {
        for (path, content) in files {
            self.files.insert((*path).into(), (*content).into());
        }
        self.swap();
    }

    /// Takes out everything below a folder.
    pub fn remove(&mut self, folder: &str) {
        self.files.retain(|path, _| !path.starts_with(folder));
        self.swap();
    }

    /// As the kubelet does it: new files beside the old ones, one rename, and the old ones are gone.
    fn swap(&mut self) {
        self.swaps += 1;
        let root = self.root.path();
        let new = format!("..2026_{}", self.swaps);
        for (path, content) in &self.files {
            let path = root.join(&new).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let old = fs::read_link(root.join("..data")).ok();
        symlink(&new, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        let tops = || self.files.keys().filter_map(|path| path.split('/').next());
        for top in tops() {
            if !root.join(top).exists() {
                symlink(Path::new("..data").join(top), root.join(top)).unwrap();
            }
        }
        for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if !name.starts_with("..") && tops().all(|top| top != name) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(root.join(old)).unwrap();
        }
    }
}

/// A token of the service account `shop/checkout`, in a pod.
pub fn token(folder: &Path) -> PathBuf {
    token_of(folder, "shop/checkout")
}

/// A token of a service account, in a pod.
pub fn token_of(folder: &Path, account: &str) -> PathBuf {
    let claims = super::tokens::claims(account).to_string();
    let path = folder.join("token");
    fs::write(&path, format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))).unwrap();
    path
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process of a role; killed with this.
pub struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    _token: TempDir,
}

/// A process that serves.
pub struct Serving {
    pub process: Process,
    pub client: Client,
    pub health: Client,
    /// Where other pods come in, if they may.
    pub pods_port: Option<u16>,
    pub remote: Remote,
}

impl Process {
    pub fn spawn(role: &str, volume: &Volume, arguments: &[&str]) -> Self {
        Self::of_folder(role, volume.path(), arguments)
    }

    pub fn of_folder(role: &str, root: &Path, arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let needs_port = role == "gateway" && !arguments.contains(&"--pods-port");
        let pods_port: &[&str] = if needs_port { &["--pods-port", "0"] } else { &[] };
        let mut child = Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"))
            .arg(role)
            .arg("--config")
            .arg(root)
            .args(arguments)
            .args(pods_port)
            .env("POLYLOG_TOKEN", token(folder.path()))
            .env_remove("POLYLOG_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let kept = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, said, _token: folder }
    }

    /// Everything it logged.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The first line of the log with these words.
    pub fn line(&self, words: &str) -> Option<Value> {
        let said = self.said();
        said.lines().find(|line| line.contains(words)).map(|line| serde_json::from_str(line).unwrap())
    }

    /// Waits until it serves.
    pub async fn serving(self) -> Serving {
        let line = until("it serves", || async { self.line(r#""message":"serving""#) }).await;
        let port = |name: &str| line[name].as_u64().map(|port| u16::try_from(port).unwrap());
        let (api, health) = (port("port").unwrap(), port("health_port").unwrap());
        Serving {
            client: Client::new(api),
            health: Client::new(health),
            pods_port: port("pods_port"),
            remote: Remote::new(api),
            process: self,
        }
    }

    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Its exit code.
    pub async fn ended(mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.said());
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.said());
        }
    }
}

impl Serving {
    pub async fn start(role: &str, volume: &Volume) -> Self {
        Process::spawn(role, volume, &["--port", "0", "--health-port", "0"]).serving().await
    }

    pub async fn status(&self, store: &str) -> Value {
        self.client.get(&format!("/v1/stores/{store}")).await.ok().json()
    }

    /// What became of the configuration of the own store.
    pub async fn configuration(&self) -> Value {
        self.status("payments").await["configuration"].clone()
    }

    /// Waits until the configuration of the own store is in this state.
    pub async fn until_configuration(&self, state: &str) -> Value {
        until(&format!("the configuration is {state}"), || async {
            Some(self.configuration().await).filter(|found| found["state"] == state)
        })
        .await
    }

    /// Waits until a stream takes an event.
    pub async fn until_it_appends(&self, stream: &str) {
        until("it appends", || async {
            append(&self.client, stream).await.status.is_success().then_some(())
        })
        .await;
    }

    pub async fn metrics(&self) -> String {
        self.health.get("/metrics").await.ok().text()
    }
}

pub async fn append(client: &Client, stream: &str) -> Answer {
    let body = r#"{"expectedVersion":"any","events":[{"type":"Paid","data":1}]}"#;
    client.post(&format!("/v1/streams/{stream}"), body).await
}

/// Waits until there is something.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
