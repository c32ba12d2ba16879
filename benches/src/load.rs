use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use polylog_whole_tests::http::Connection;
use uuid::Uuid;

/// Clients in a closed loop: each sends its next append when the last was answered.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub clients: usize,
    pub events: usize,
}

/// What a window of load gave.
pub struct Measured {
    pub events: u64,
    pub seconds: f64,
    /// Of each append, sorted.
    pub latencies: Vec<Duration>,
}

impl Measured {
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.seconds
    }

    pub fn percentile(&self, percent: usize) -> Duration {
        self.latencies[(self.latencies.len() - 1) * percent / 100]
    }
}

impl Load {
    /// Appends for `window`, each client to streams of its own: 5,000 streams in all.
    pub fn run(self, port: u16, window: Duration) -> Result<Measured> {
        let start = Barrier::new(self.clients + 1);
        let (latencies, seconds) = thread::scope(|scope| -> Result<_> {
            let threads: Vec<_> = (0..self.clients)
                .map(|client| {
                    scope.spawn({
                        let start = &start;
                        move || self.client(port, client, window, start)
                    })
                })
                .collect();
            start.wait();
            let began = Instant::now();
            let mut latencies = Vec::new();
            for thread in threads {
                latencies.extend(thread.join().expect("a client does not panic")?);
            }
            Ok((latencies, began.elapsed().as_secs_f64()))
        })?;
        let mut latencies = latencies;
        latencies.sort_unstable();
        Ok(Measured { events: (latencies.len() * self.events) as u64, seconds, latencies })
    }

    fn client(self, port: u16, client: usize, window: Duration, start: &Barrier) -> Result<Vec<Duration>> {
        let mut connection = Connection::open(port, Duration::from_secs(60))?;
        start.wait();
        let (end, mut latencies) = (Instant::now() + window, Vec::new());
        while Instant::now() < end {
            let stream = (latencies.len() * self.clients + client) % 5_000;
            let body = self.body();
            let began = Instant::now();
            let answer =
                connection.request("POST", &format!("/v1/streams/Payment-{stream}"), body.as_bytes())?;
            ensure!(answer.status == 201, "{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
            latencies.push(began.elapsed());
        }
        Ok(latencies)
    }

    /// 260 bytes of data and 60 of metadata an event.
    fn body(self) -> String {
        let note = "n".repeat(200);
        let event = || {
            let id = Uuid::now_v7();
            format!(
                r#"{{"id":"{id}","type":"PaymentNoted","data":{{"amount":"100.00","currency":"EUR","customer":"c-0001","note":"{note}"}},"metadata":{{"organizationId":"o-0001","userId":"u-0001","tag":"abcdefghij"}}}}"#
            )
        };
        let events: Vec<String> = (0..self.events).map(|_| event()).collect();
        format!(r#"{{"expectedVersion":"any","events":[{}]}}"#, events.join(","))
    }
}
