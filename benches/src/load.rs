use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// Clients in a closed loop: each sends its next append when the last was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub clients: usize,
    pub events: usize,
}

impl std::str::FromStr for Load {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (clients, events) = text.split_once('x').context("clients x events, for example 8x50")?;
        Ok(Self { clients: clients.parse()?, events: events.parse()? })
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {}", self.clients, self.events)
    }
}

/// The quartiles of some values.
pub fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

/// Streams that the clients append to.
pub const STREAMS: usize = 5_000;

/// 260 bytes.
pub const DATA: &str = concat!(
    r#"{"amount":"100.00","currency":"EUR","customer":"c-0001","note":""#,
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
    r#""}"#
);
/// 60 bytes.
pub const METADATA: &str = r#"{"organizationId":"o-0001","userId":"u-0001","tag":"abcdef"}"#;

/// A UUIDv7 of now.
pub fn new_id(random: &mut StdRng) -> uuid::Uuid {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    uuid::Builder::from_unix_timestamp_millis(millis as u64, &random.random()).into_uuid()
}

/// What a window of load gave.
pub struct Measured {
    pub events: u64,
    pub seconds: f64,
    /// Of each append, sorted.
    pub latencies: Vec<Duration>,
}

impl Measured {
    /// Of appends of `events` each, within `seconds`.
    pub fn new(events: usize, seconds: f64, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self { events: (latencies.len() * events) as u64, seconds, latencies }
    }

    pub fn rate(&self) -> f64 {
        self.events as f64 / self.seconds
    }

    /// None where nothing was timed.
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let last = self.latencies.len().checked_sub(1)?;
        Some(self.latencies[last * percent / 100])
    }
}

impl Load {
    /// Appends for `window`, each client to streams of its own: 5,000 streams in all. All clients share one thread, so
    /// that as little as possible of the machine goes to them.
    pub fn run(self, port: u16, window: Duration) -> Result<Measured> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = async move {
            let mut streams = Vec::new();
            for _ in 0..self.clients {
                let stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                streams.push(stream);
            }
            let began = Instant::now();
            let mut clients = JoinSet::new();
            for (number, stream) in streams.into_iter().enumerate() {
                clients.spawn(Client::new(self, number, stream).run(began + window));
            }
            let mut latencies = Vec::new();
            while let Some(client) = clients.join_next().await {
                latencies.extend(client??);
            }
            let seconds = began.elapsed().as_secs_f64();
            Ok(Measured::new(self.events, seconds, latencies))
        };
        let patience = window + Duration::from_secs(60);
        runtime.block_on(async { tokio::time::timeout(patience, run).await.context("it hangs")? })
    }
}

struct Client {
    load: Load,
    number: usize,
    stream: TcpStream,
    random: StdRng,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    fn new(load: Load, number: usize, stream: TcpStream) -> Self {
        let random = StdRng::seed_from_u64(rand::random());
        Self { load, number, stream, random, request: Vec::new(), answer: vec![0; 64 << 10] }
    }

    async fn run(mut self, end: Instant) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        while Instant::now() < end {
            let stream = (latencies.len() * self.load.clients + self.number) % STREAMS;
            self.write_request(stream);
            let began = Instant::now();
            self.stream.write_all(&self.request).await?;
            self.read_answer().await?;
            latencies.push(began.elapsed());
        }
        Ok(latencies)
    }

    fn write_request(&mut self, stream: usize) {
        let body = self.body();
        self.request.clear();
        let head = format!(
            "POST /v1/streams/Payment-{stream} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(body.as_bytes());
    }

    fn body(&mut self) -> String {
        let mut body = String::with_capacity(64 + self.load.events * 450);
        body.push_str(r#"{"expectedVersion":"any","events":["#);
        for event in 0..self.load.events {
            body.push_str(if event == 0 { r#"{"id":""# } else { r#",{"id":""# });
            let id = new_id(&mut self.random);
            body.push_str(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
            for part in [r#"","type":"PaymentNoted","data":"#, DATA, r#","metadata":"#, METADATA, "}"] {
                body.push_str(part);
            }
        }
        body.push_str("]}");
        body
    }

    async fn read_answer(&mut self) -> Result<()> {
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.answer[filled..]).await?;
            ensure!(read > 0, "the connection was closed, or the answer is too long");
            filled += read;
            let answer = &self.answer[..filled];
            let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            if filled >= head + 4 + content_length(&answer[..head])? {
                let text = String::from_utf8_lossy(answer);
                ensure!(answer.starts_with(b"HTTP/1.1 201"), "{text}");
                return Ok(());
            }
        }
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    const NAME: &[u8] = b"content-length: ";
    let from = head.windows(NAME.len()).position(|name| name.eq_ignore_ascii_case(NAME));
    let digits = head[from.context("an answer with its length")? + NAME.len()..].iter();
    Ok(digits
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}
