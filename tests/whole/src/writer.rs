use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{http::Connection, sidecar::pause};

const PATIENCE: Duration = Duration::from_secs(10);

/// A commit that was acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledged {
    pub stream: String,
    pub ids: Vec<Uuid>,
    pub first_version: u64,
    pub first_position: u64,
}

/// What a writer did.
#[derive(Default)]
pub struct Written {
    pub acknowledged: Vec<Acknowledged>,
    pub conflicts: usize,
    pub retries: usize,
}

/// Appends until told to stop; retries each commit by its ids until it is answered for good.
pub fn write(port: u16, seed: u64, stop: &AtomicBool) -> Result<Written> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut written = Written::default();
    let mut connections = [None, None];
    while !stop.load(Ordering::Relaxed) {
        let stream = format!("Payment-{}", random.random_range(0..40));
        let ids: Vec<Uuid> =
            (0..random.random_range(1..=5)).map(|_| Uuid::from_u128(random.random())).collect();
        let events: Vec<Value> =
            ids.iter().map(|id| json!({"id": id, "type": "Noted", "data": {"by": seed}})).collect();
        let expected =
            if random.random_ratio(1, 8) { json!(random.random_range(0..20)) } else { json!("any") };
        let body = json!({"expectedVersion": expected, "events": events}).to_string();
        let path = format!("/v1/streams/{stream}");
        let mut first_answer: Option<Acknowledged> = None;
        // A second try of the same commit is sent, now and then, without waiting for the first's answer: both must be
        // answered alike.
        let impatience = [Duration::ZERO, Duration::from_millis(random.random_range(0..30))];
        let tries = if random.random_ratio(1, 3) { 2 } else { 1 };
        let answers = std::thread::scope(|scope| -> Vec<Result<(Option<Acknowledged>, usize)>> {
            let threads: Vec<_> = connections
                .iter_mut()
                .zip(impatience)
                .take(tries)
                .map(|(connection, impatience)| {
                    let (path, body, stream, ids) = (&path, &body, &stream, &ids);
                    scope.spawn(move || {
                        pause(impatience);
                        insist(connection, port, path, body, stream, ids)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a writer does not panic")).collect()
        });
        for answer in answers {
            let (acknowledged, retries) = answer?;
            written.retries += retries;
            let Some(acknowledged) = acknowledged else {
                written.conflicts += 1;
                continue;
            };
            if first_answer.as_ref().is_some_and(|first| *first != acknowledged) {
                bail!(
                    "one commit was answered twice and differently: {first_answer:?}, then {acknowledged:?}"
                );
            }
            first_answer = Some(acknowledged);
        }
        written.acknowledged.extend(first_answer);
    }
    Ok(written)
}

/// Appends one event after all others, and returns its position.
pub fn write_last(port: u16) -> Result<u64> {
    let id = Uuid::now_v7();
    let body =
        json!({"expectedVersion": "any", "events": [{"id": id, "type": "Noted", "data": {}}]}).to_string();
    let (acknowledged, _) =
        insist(&mut None, port, "/v1/streams/Payment-last", &body, "Payment-last", &[id])?;
    Ok(acknowledged.context("nothing was expected of the stream")?.first_position)
}

/// Sends the same commit until it is acknowledged, or refused for its expected version (`None`).
fn insist(
    connection: &mut Option<Connection>,
    port: u16,
    path: &str,
    body: &str,
    stream: &str,
    ids: &[Uuid],
) -> Result<(Option<Acknowledged>, usize)> {
    for retries in 0..3_000 {
        let answer = match connection.take() {
            Some(open) => Ok(open),
            None => Connection::open(port, PATIENCE),
        }
        .and_then(|mut open| Ok((open.request("POST", path, body.as_bytes())?, open)));
        let Ok((answer, open)) = answer else {
            pause(Duration::from_millis(5));
            continue;
        };
        *connection = Some(open);
        match answer.status {
            200 | 201 => {
                let answer: Value = serde_json::from_slice(&answer.body)?;
                let number =
                    |name: &str| answer[name].as_u64().with_context(|| format!("{name} in {answer}"));
                let acknowledged = Acknowledged {
                    stream: stream.into(),
                    ids: ids.to_vec(),
                    first_version: number("firstVersion")?,
                    first_position: number("firstPosition")?,
                };
                return Ok((Some(acknowledged), retries));
            }
            409 => return Ok((None, retries)),
            429 | 503 | 504 => pause(Duration::from_millis(5)),
            status => bail!("unexpected status {status}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
    bail!("a commit was not answered for good after 3,000 tries")
}
