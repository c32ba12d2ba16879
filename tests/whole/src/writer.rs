use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{http::Client, sidecar::pause};

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

/// Appends until told to stop; retries each commit by its ids, at whichever sidecar answers, until it is answered for
/// good. Begins with the sidecar at index `first`.
pub fn write(ports: &[u16], first: usize, seed: u64, stop: &AtomicBool) -> Result<Written> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut written = Written::default();
    let mut client = Client::new(ports, first, PATIENCE);
    // of the second tries half go where the first one went
    let mut others = [first, first + 1].map(|first| Client::new(ports, first, PATIENCE));
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
        let longest = if random.random() { 30 } else { 150 };
        let impatience = [Duration::ZERO, Duration::from_millis(random.random_range(0..longest))];
        let tries = if random.random_ratio(1, 3) { 2 } else { 1 };
        let other = &mut others[random.random_range(0..2)];
        let answers = std::thread::scope(|scope| -> Vec<Result<(Option<Acknowledged>, usize)>> {
            let threads: Vec<_> = [&mut client, other]
                .into_iter()
                .zip(impatience)
                .take(tries)
                .map(|(client, impatience)| {
                    let (path, body, stream, ids) = (&path, &body, &stream, &ids);
                    scope.spawn(move || {
                        pause(impatience);
                        insist(client, path, body, stream, ids)
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

/// Appends one event through one sidecar, however often it takes, and returns its position.
pub fn write_one(port: u16) -> Result<u64> {
    let id = Uuid::now_v7();
    let body =
        json!({"expectedVersion": "any", "events": [{"id": id, "type": "Noted", "data": {}}]}).to_string();
    let client = &mut Client::new(&[port], 0, PATIENCE);
    let (acknowledged, _) = insist(client, "/v1/streams/Payment-last", &body, "Payment-last", &[id])?;
    Ok(acknowledged.context("nothing was expected of the stream")?.first_position)
}

/// A minute at least: without failover a primary may be harmed again before appends go on.
const TRIES: usize = 12_000;

/// Sends the same commit until it is acknowledged, or refused for its expected version (`None`).
fn insist(
    client: &mut Client,
    path: &str,
    body: &str,
    stream: &str,
    ids: &[Uuid],
) -> Result<(Option<Acknowledged>, usize)> {
    for retries in 0..TRIES {
        let Ok(answer) = client.request("POST", path, body.as_bytes()) else {
            pause(Duration::from_millis(5));
            continue;
        };
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
            429 => pause(Duration::from_millis(5)),
            503 | 504 => {
                client.move_on();
                pause(Duration::from_millis(5));
            }
            status => bail!("unexpected status {status}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
    bail!("a commit was not answered for good after {TRIES} tries")
}
