//! Traces through a process of its own, to a collector in this test.
#![allow(clippy::unwrap_used, reason = "tests")]

mod otlp_receiver;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use otlp_receiver::Receiver;
use parking_lot::Mutex;
use polylog_api::proto::polylog::v1::expected::Kind;
use support::{Client, Remote, remote};
use tempfile::TempDir;
use tonic::{
    codec::CompressionEncoding,
    transport::{Identity, ServerTlsConfig},
};

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    service: Arc<Mutex<String>>,
    /// How the last message over gRPC was compressed.
    compression: Arc<Mutex<Option<String>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let compression = request.metadata().get("grpc-encoding").map(|it| it.to_str().unwrap().to_owned());
        *self.compression.lock() = compression;
        self.keep(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    fn keep(&self, request: ExportTraceServiceRequest) {
        for resource_spans in request.resource_spans {
            for attribute in resource_spans.resource.unwrap_or_default().attributes {
                if attribute.key == "service.name" {
                    *self.service.lock() = format!("{:?}", attribute.value);
                }
            }
            for scope in resource_spans.scope_spans {
                self.spans.lock().extend(scope.spans);
            }
        }
    }

    /// A collector and its address.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let service = TraceServiceServer::new(collector.clone()).accept_compressed(CompressionEncoding::Gzip);
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(incoming));
        (collector, address)
    }

    /// The same over TLS, with a certificate of its own: also gives that.
    async fn start_with_tls() -> (Self, String, String) {
        let collector = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let identity = Identity::from_pem(certified.cert.pem(), certified.signing_key.serialize_pem());
        let server = tonic::transport::Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .unwrap()
            .add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)));
        (collector, address, certified.cert.pem())
    }

    /// Waits until spans of these names are there, so many at least.
    async fn wait_for(&self, name: &str, count: usize) {
        let begin = Instant::now();
        while self.named(name).len() < count {
            let names: Vec<_> = self.spans.lock().iter().map(|span| span.name.clone()).collect();
            assert!(begin.elapsed() < Duration::from_secs(20), "no {count} spans {name}: {names:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn named(&self, name: &str) -> Vec<Span> {
        self.spans.lock().iter().filter(|span| span.name == name).cloned().collect()
    }
}

/// `polylog-sidecar dev` in a process of its own.
struct Dev {
    child: Child,
    client: Client,
    remote: Remote,
    admin: Client,
    _folder: TempDir,
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Dev {
    fn start(variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/payments");
        let mut child = Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"))
            .args(["dev", manifests, "--port", "0", "--health-port", "0", "--data"])
            .arg(folder.path())
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let serving =
            lines.find_map(|line| line.unwrap().strip_prefix("serving ").map(str::to_owned)).unwrap();
        // the rest is read, so that the process never waits for it
        std::thread::spawn(move || lines.for_each(drop));
        let ports: Vec<u16> =
            serving.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        let [port, .., admin] = ports[..] else { panic!("{serving}") };
        Self {
            child,
            client: Client::new(port),
            remote: Remote::new(port),
            admin: Client::new(admin),
            _folder: folder,
        }
    }

    async fn traced(metrics: &Client, outcome: &str) -> u64 {
        let text = metrics.get("/metrics").await.text();
        let series = format!("polylog_trace_spans_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&*series)).map_or(0, |count| count.parse().unwrap())
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const BODY: &str = r#"{"expectedVersion":"any","events":[{"type":"T","data":1}]}"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn only(mut spans: Vec<Span>) -> Span {
    assert_eq!(spans.len(), 1, "{spans:?}");
    spans.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_is_told_from_its_request_to_the_source_and_back() {
    let (collector, address) = Collector::start().await;
    let dev = Dev::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("content-type", "application/json"), ("traceparent", &*parent)];
    let answer = dev.client.send(http::Method::POST, "/v1/streams/a", &headers, BODY).await.ok().json();
    collector.wait_for("append", 1).await;
    collector.wait_for("group", 1).await;

    let request = only(collector.named("append"));
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.into(), CALLER.into()));
    assert_eq!(request.kind, SpanKind::Server as i32);
    let status = request.attributes.iter().find(|attribute| attribute.key == "http.response.status_code");
    assert!(format!("{:?}", status.unwrap().value).contains("201"), "{status:?}");
    let (wait, commit) = (only(collector.named("group wait")), only(collector.named("commit")));
    for child in [&wait, &commit] {
        assert_eq!((&child.trace_id, &child.parent_span_id), (&request.trace_id, &request.span_id));
        assert!(child.start_time_unix_nano >= request.start_time_unix_nano);
        assert!(child.end_time_unix_nano <= request.end_time_unix_nano);
    }
    assert!(wait.end_time_unix_nano <= commit.end_time_unix_nano);

    // What follows is of all commits of the batch: a trace of its own, linked in both directions.
    let group = only(collector.named("group"));
    assert!(group.parent_span_id.is_empty() && group.trace_id != request.trace_id);
    let links: Vec<_> = group.links.iter().map(|link| (hex(&link.trace_id), link.span_id.clone())).collect();
    assert_eq!(links, [(TRACE.to_owned(), request.span_id.clone())]);
    assert_eq!(only_link(&commit), group.span_id);
    let source = only(collector.named("source append"));
    assert_eq!((source.trace_id, source.parent_span_id), (group.trace_id, group.span_id));
    assert!(collector.service.lock().contains("polylog"), "{}", collector.service.lock());

    // Metadata tells the caller's span, as without a collector (enrichment `Trace`); never one of ours.
    let position = answer["firstPosition"].as_u64().unwrap();
    let events = dev.client.get(&format!("/v1/events?from={position}")).await.ok().json();
    assert_eq!(events["events"][0]["correlationId"], TRACE);
    assert_eq!(events["events"][0]["metadata"], serde_json::json!({"$by": "local", "$traceparent": parent}));
    dev.client.post("/v1/streams/b", BODY).await.ok();
    let untraced = dev.client.get("/v1/streams/b").await.ok().json();
    assert_eq!(untraced["events"][0]["metadata"], serde_json::json!({"$by": "local"}));
}

fn only_link(span: &Span) -> Vec<u8> {
    assert_eq!(span.links.len(), 1, "{span:?}");
    span.links[0].span_id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_takes_its_trace_from_metadata() {
    let (collector, address) = Collector::start().await;
    let dev = Dev::start(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &address),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_SERVICE_NAME", "till"),
    ]);
    let mut request = tonic::Request::new(remote::commit("a", Kind::Any(true), &[("T", "1")]));
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().unwrap());
    dev.remote.events().append(request).await.unwrap();
    // refused: expects a stream that is there not to exist
    let refused = remote::commit("a", Kind::NoStream(true), &[("T", "1")]);
    dev.remote.append(refused).await.unwrap_err();
    collector.wait_for("append", 2).await;
    let spans = collector.named("append");
    let first = spans.iter().find(|span| hex(&span.trace_id) == TRACE).unwrap();
    assert_eq!(hex(&first.parent_span_id), CALLER);
    let second = spans.iter().find(|span| hex(&span.trace_id) != TRACE).unwrap();
    assert!(second.parent_span_id.is_empty(), "no caller's span: a trace of its own");
    let code = second.attributes.iter().find(|attribute| attribute.key == "polylog.code").unwrap();
    assert!(format!("{code:?}").contains("version_conflict"));
    // what the caller did wrong is no error of the server
    assert_ne!(second.status.as_ref().map(|status| status.code), Some(StatusCode::Error as i32));
    assert!(collector.service.lock().contains("till"), "{}", collector.service.lock());
    assert_eq!(collector.compression.lock().as_deref(), Some("gzip"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_over_http_gets_its_messages_compressed_over_one_connection() {
    let (receiver, port) = Receiver::start().await;
    let dev = Dev::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=shop"),
    ]);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("content-type", "application/json"), ("traceparent", &*parent)];
    dev.client.send(http::Method::POST, "/v1/streams/a", &headers, BODY).await.ok();
    receiver.collector.wait_for("append", 1).await;
    let request = only(receiver.collector.named("append"));
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.into(), CALLER.into()));
    dev.client.post("/v1/streams/b", BODY).await.ok();
    receiver.collector.wait_for("append", 2).await;
    assert!(receiver.collector.service.lock().contains("polylog"));
    assert!(receiver.paths.lock().iter().all(|path| path == "/v1/traces"), "{:?}", receiver.paths.lock());
    let headers = receiver.headers.lock().clone();
    let host = format!("127.0.0.1:{port}");
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "gzip"),
        ("x-tenant", "shop"),
        ("host", &host),
    ] {
        assert_eq!(headers.get(name).unwrap(), value);
    }
    assert_eq!(receiver.connections.load(Ordering::Relaxed), 1, "it is kept");
    assert!(Dev::traced(&dev.admin, "exported").await >= 2);
    assert_eq!(Dev::traced(&dev.admin, "failed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_over_https_is_trusted_by_its_authority_alone() {
    let (receiver, port, certificate) = Receiver::start_with_tls().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, certificate).unwrap();
    let address = format!("https://localhost:{port}/tenants/shop/spans");
    let endpoint = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*address);
    let protocol = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
    let authority = ("OTEL_EXPORTER_OTLP_CERTIFICATE", path.to_str().unwrap());
    let trusting = Dev::start(&[endpoint, protocol, authority]);
    for count in 1..=2 {
        trusting.client.post("/v1/streams/a", BODY).await.ok();
        receiver.collector.wait_for("append", count).await;
    }
    assert!(receiver.connections.load(Ordering::Relaxed) >= 2, "each was closed, and another one made");
    assert!(receiver.paths.lock().iter().all(|path| path == "/tenants/shop/spans"));
    assert!(receiver.headers.lock().get("content-encoding").is_none());
    let other = Dev::start(&[endpoint, protocol]);
    other.client.post("/v1/streams/a", BODY).await.ok();
    let begin = Instant::now();
    while Dev::traced(&other.admin, "failed").await == 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "nothing fails");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(Dev::traced(&other.admin, "exported").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_a_batch_is_linked_and_what_is_not_sampled_is_not_told() {
    let (collector, address) = Collector::start().await;
    let dev = Dev::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]);
    // Not sampled: neither it nor its batch.
    let parent = format!("00-{TRACE}-{CALLER}-00");
    let headers = [("content-type", "application/json"), ("traceparent", &*parent)];
    dev.client.send(http::Method::POST, "/v1/streams/quiet", &headers, BODY).await.ok();
    let appends = (0..200).map(|number| {
        let client = dev.client.clone();
        async move { client.post(&format!("/v1/streams/s{number}"), BODY).await.ok() }
    });
    futures::future::join_all(appends).await;
    collector.wait_for("append", 200).await;
    collector.wait_for("commit", 200).await;
    let requests: BTreeSet<_> = collector.named("append").iter().map(|span| span.span_id.clone()).collect();
    let batches = collector.named("source append").len();
    collector.wait_for("group", batches).await;
    let mut linked: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let groups = collector.named("group");
    for link in groups.iter().flat_map(|group| &group.links) {
        *linked.entry(link.span_id.clone()).or_default() += 1;
    }
    assert_eq!(linked.keys().cloned().collect::<BTreeSet<_>>(), requests, "each by a link, and no other");
    assert!(groups.iter().any(|group| group.links.len() > 1), "several travelled together");
    assert!(collector.spans.lock().iter().all(|span| hex(&span.trace_id) != TRACE));
    assert_eq!(Dev::traced(&dev.admin, "dropped").await, 0);
    assert!(Dev::traced(&dev.admin, "exported").await >= 200 * 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_blocks_nobody_and_what_is_dropped_is_counted() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let dev = Dev::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]);
    let begin = Instant::now();
    let mut longest = Duration::ZERO;
    for _ in 0..40 {
        let appends = (0..50).map(|_| async {
            let begin = Instant::now();
            dev.client.post("/v1/streams/s", BODY).await.ok();
            begin.elapsed()
        });
        longest = futures::future::join_all(appends).await.into_iter().max().unwrap().max(longest);
    }
    assert!(longest < Duration::from_secs(5), "an append took {longest:?}");
    // 2,000 appends with three spans and more each, for a queue of 2,048
    while Dev::traced(&dev.admin, "dropped").await == 0 {
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing is told to be dropped");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(Dev::traced(&dev.admin, "exported").await, 0);
    assert!(Dev::traced(&dev.admin, "failed").await > 0);
    dev.client.post("/v1/streams/s", BODY).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_with_a_certificate_is_trusted_by_its_authority_alone() {
    let (collector, address, certificate) = Collector::start_with_tls().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, certificate).unwrap();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*address);
    let trusting = Dev::start(&[endpoint, ("OTEL_EXPORTER_OTLP_CERTIFICATE", path.to_str().unwrap())]);
    trusting.client.post("/v1/streams/a", BODY).await.ok();
    collector.wait_for("append", 1).await;
    let other = Dev::start(&[endpoint]);
    other.client.post("/v1/streams/a", BODY).await.ok();
    let begin = Instant::now();
    while Dev::traced(&other.admin, "failed").await == 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "nothing fails");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(Dev::traced(&other.admin, "exported").await, 0);
}

#[test]
fn what_this_version_cannot_do_is_refused_at_the_start() {
    let ended = Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"))
        .args(["dev", "--ephemeral"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("OTEL_EXPORTER_OTLP_PROTOCOL=http/json"), "{said}");
}
