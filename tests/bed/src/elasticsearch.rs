use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::{
    machine,
    supervisor::{Habits, Supervisor},
};

/// A server of Elasticsearch or OpenSearch of its own, which `tests/elasticsearch/install` gets by Maven.
pub struct ElasticsearchServer {
    folder: PathBuf,
    port: u16,
    stores: AtomicU32,
    supervisor: Supervisor,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Elasticsearch 9.
    Elasticsearch,
    /// OpenSearch 3.
    OpenSearch,
}

impl ElasticsearchServer {
    /// A new, empty server.
    pub fn start(product: Product) -> Self {
        Self::with(product, &[])
    }

    /// A new server with settings of its own.
    pub fn with(product: Product, settings: &[(&str, &str)]) -> Self {
        let folder =
            tempfile::Builder::new().prefix("polylog-es-").tempdir_in(memory()).expect("a folder").keep();
        let port = machine::free_port();
        let supervisor = Supervisor::new(
            &folder,
            &folder.join("log"),
            &folder.join("ready"),
            Habits { ready: "^[0-9]", stop: "TERM", end: "KILL" },
            &command(&folder, port, product, settings),
        );
        let server = Self { folder, port, stores: AtomicU32::new(0), supervisor };
        server.resume_after("start");
        server
    }

    /// The server's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A name for a store that does not exist yet.
    pub fn new_name(&self) -> String {
        format!("test-{}", self.stores.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a request as an administrator; returns the body of the answer.
    pub fn request(&self, method: &str, path: &str, body: &str) -> String {
        let (status, answer) = self.exchange(method, path, body).expect("an answer");
        assert!(status.starts_with('2'), "{method} {path}: {status} {answer}");
        answer
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> std::io::Result<(String, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).unwrap_or_default();
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { without_chunks(body) } else { body.to_owned() };
        Ok((status.to_owned(), body))
    }

    /// Kills the server with SIGKILL, as a failing machine would.
    pub fn crash(&self) {
        assert!(self.supervisor.order("crash"), "the server could not be killed\n{}", self.log());
    }

    /// Ends the server.
    pub fn stop(&self) {
        // a Java process that was asked to end says so by its status
        self.supervisor.order("stop");
    }

    /// Starts the server again; returns when it answers.
    pub fn start_again(&self) {
        self.resume_after("start");
    }

    /// Stops the server (SIGSTOP): connections stay, nothing is answered.
    pub fn pause(&self) {
        assert!(self.supervisor.order("pause"), "the server could not be paused");
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.resume_after("resume");
    }

    fn resume_after(&self, order: &str) {
        assert!(self.supervisor.order(order), "the server did not come up ({order})\n{}", self.log());
        if order == "start" {
            self.wait_for_shards();
        }
    }

    /// A server answers before it has opened its indices again.
    fn wait_for_shards(&self) {
        let path = "/_cluster/health?wait_for_status=yellow&timeout=30s";
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let answer = self.exchange("GET", path, "");
            if answer.as_ref().is_ok_and(|(status, _)| status == "200") {
                return;
            }
            assert!(Instant::now() < deadline, "the indices did not come up: {answer:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        machine::end_of_log(&self.folder)
    }
}

/// The server sends long answers in chunks, whatever version it was asked in.
fn without_chunks(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("the length of a chunk");
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}

/// A killed server leaves what it wrote to its files, wherever they are: in memory nothing waits for a disk.
fn memory() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    if shared.is_dir() { shared } else { std::env::temp_dir() }
}

fn command(folder: &Path, port: u16, product: Product, settings: &[(&str, &str)]) -> Vec<String> {
    let Installed { java, server } = install(product);
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let ours = |name: &str| server.join(name).to_string_lossy().into_owned();
    let mut command = vec![java.join("bin/java").to_string_lossy().into_owned()];
    command.extend(["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(String::from));
    match product {
        // its loader of plugins needs the server as modules
        Product::Elasticsearch => command.extend([
            "--module-path".into(),
            ours("lib"),
            "--add-modules=jdk.net,ALL-MODULE-PATH".into(),
            "--enable-native-access=org.apache.lucene.core,org.elasticsearch.nativeaccess".into(),
            "-cp".into(),
            ours("classes"),
        ]),
        Product::OpenSearch => command.extend([
            "--enable-native-access=ALL-UNNAMED".into(),
            "-cp".into(),
            format!("{}:{}/*", ours("classes"), ours("lib")),
        ]),
    }
    command.extend(["Node".into(), path("home"), ours("modules"), path("ready")]);
    command.push(format!("http.port={port}"));
    command.extend(settings.iter().map(|(name, value)| format!("{name}={value}")));
    command
}

struct Installed {
    java: PathBuf,
    server: PathBuf,
}

/// The server and its launcher, which are made when they are not there yet.
fn install(product: Product) -> Installed {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/../elasticsearch/install");
    let name = match product {
        Product::Elasticsearch => "elasticsearch",
        Product::OpenSearch => "opensearch",
    };
    let output = Command::new(install).arg(name).output().expect(install);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "these tests need a JDK of version 21 or later, Maven and unzip: {errors}"
    );
    let lines = String::from_utf8_lossy(&output.stdout);
    let mut lines = lines.lines().map(PathBuf::from);
    let (Some(java), Some(server)) = (lines.next(), lines.next()) else { panic!("{install} told nothing") };
    Installed { java, server }
}
