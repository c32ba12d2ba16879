//! gRPC calls over HTTP/2 with as little as possible around them: one thread, requests made beforehand.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::{
    RecvStream,
    client::{Builder, SendRequest},
};
use http::Request;
use rand::{SeedableRng, rngs::StdRng};
use tokio::{net::TcpStream, task::JoinSet};

use super::{messages::Template, together::Together};
use crate::load::{Load, Measured, STREAMS};

/// Connections at most; as many calls share one as there are more clients.
const CONNECTIONS: usize = 4;
/// What a call may take longer than it should.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that may be under way on a connection.
const WINDOW: u32 = 4 << 20;

/// A method of a server on loopback.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    pub port: u16,
    /// Its path: `/<service>/<method>`.
    pub path: &'static str,
}

impl Method {
    /// Appends for `window`, each client to streams of its own: 5,000 streams in all.
    pub fn load(self, load: Load, template: &Template, window: Duration) -> Result<Measured> {
        self.load_streams(load, template, window, STREAMS)
    }

    /// As [`Method::load`], to the first so many streams.
    pub fn load_streams(
        self,
        load: Load,
        template: &Template,
        window: Duration,
        streams: usize,
    ) -> Result<Measured> {
        within(window + PATIENCE, async {
            let mut connections = JoinSet::new();
            let mut senders = Vec::new();
            for _ in 0..load.clients.min(CONNECTIONS) {
                senders.push(connect(self.port, &mut connections).await?);
            }
            let began = Instant::now();
            let mut clients = JoinSet::new();
            for number in 0..load.clients {
                let client = Client {
                    load,
                    number,
                    streams,
                    sender: senders[number % senders.len()].clone(),
                    request: self.request()?,
                    template: template.clone(),
                };
                clients.spawn(client.run(began + window));
            }
            let mut latencies = Vec::new();
            while let Some(client) = clients.join_next().await {
                latencies.extend(client??);
            }
            Ok(Measured::new(load.events, began.elapsed().as_secs_f64(), latencies))
        })
    }

    /// Calls a method that answers with a stream; gives the messages of all answers to `count`, and the seconds it took.
    pub fn read(self, message: &[u8], mut count: impl FnMut(&[u8])) -> Result<f64> {
        within(PATIENCE, async {
            let mut connections = JoinSet::new();
            let sender = connect(self.port, &mut connections).await?;
            let began = Instant::now();
            let (answer, mut body) = sender.ready().await?.send_request(self.request()?, false)?;
            body.send_data(Bytes::copy_from_slice(message), true)?;
            let mut body = answer.await?.into_body();
            let mut waiting = Vec::new();
            while let Some(data) = body.data().await {
                let data = data?;
                body.flow_control().release_capacity(data.len())?;
                waiting.extend_from_slice(&data);
                let mut at = 0;
                while let Some(prefix) = waiting.get(at..at + 5) {
                    let length = u32::from_be_bytes(prefix[1..].try_into()?) as usize;
                    let Some(message) = waiting.get(at + 5..at + 5 + length) else { break };
                    count(message);
                    at += 5 + length;
                }
                waiting.drain(..at);
            }
            check_status(&mut body).await?;
            Ok(began.elapsed().as_secs_f64())
        })
    }

    fn request(self) -> Result<Request<()>> {
        Ok(Request::post(format!("http://127.0.0.1:{}{}", self.port, self.path))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?)
    }
}

/// Runs it on this thread; a server that hangs is an error.
fn within<T>(patience: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(patience, work).await.context("it hangs")? })
}

async fn connect(port: u16, connections: &mut JoinSet<()>) -> Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut builder = Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let (sender, connection) = builder.handshake(Together(stream)).await?;
    // what breaks a connection is what breaks the calls on it
    connections.spawn(async move { drop(connection.await) });
    Ok(sender)
}

struct Client {
    load: Load,
    number: usize,
    streams: usize,
    sender: SendRequest<Bytes>,
    request: Request<()>,
    template: Template,
}

impl Client {
    async fn run(mut self, end: Instant) -> Result<Vec<Duration>> {
        let mut random = StdRng::seed_from_u64(rand::random());
        let mut latencies = Vec::new();
        while Instant::now() < end {
            let stream = (latencies.len() * self.load.clients + self.number) % self.streams;
            let message = Bytes::copy_from_slice(self.template.fill(stream, &mut random));
            let began = Instant::now();
            self.call(message).await?;
            latencies.push(began.elapsed());
        }
        Ok(latencies)
    }

    async fn call(&mut self, message: Bytes) -> Result<()> {
        let mut sender = self.sender.clone().ready().await?;
        let (answer, mut body) = sender.send_request(self.request.clone(), false)?;
        body.send_data(message, true)?;
        let answer = answer.await?;
        if let Some(status) = answer.headers().get("grpc-status") {
            bail!("status {status:?}: {:?}", answer.headers().get("grpc-message"));
        }
        let mut body = answer.into_body();
        let mut received = 0;
        while let Some(data) = body.data().await {
            let length = data?.len();
            body.flow_control().release_capacity(length)?;
            received += length;
        }
        ensure!(received > 0, "an empty answer");
        check_status(&mut body).await
    }
}

async fn check_status(body: &mut RecvStream) -> Result<()> {
    let trailers = body.trailers().await?.context("trailers")?;
    let status = trailers.get("grpc-status").context("a status")?;
    ensure!(status == "0", "status {status:?}: {:?}", trailers.get("grpc-message"));
    Ok(())
}
