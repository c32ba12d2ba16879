//! A client that notes what it does: appends by what it knows of a stream, and reads.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::record::{Event, Outcome, Promise, Record, What, now};
use crate::{
    http::{Answer, Client},
    sidecar::pause,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A client of several sidecars.
pub struct Recorder {
    random: StdRng,
    /// One for each sidecar.
    clients: Vec<Client>,
    /// The sidecar that it uses.
    current: usize,
    streams: u64,
    /// The versions that streams had when it last heard of them.
    known: HashMap<String, u64>,
    /// A stream, its version after the last acknowledged append, the token of that, and the sidecar that answered.
    token: Option<(String, u64, String, usize)>,
}

impl Recorder {
    pub fn new(ports: &[u16], streams: u64, seed: u64) -> Self {
        let clients = ports.iter().map(|port| Client::new(&[*port], 0, PATIENCE)).collect();
        let random = StdRng::seed_from_u64(seed);
        let current = seed as usize % ports.len();
        Self { random, clients, current, streams, known: HashMap::new(), token: None }
    }

    /// Works until told to stop; hands every operation that means something to `note`.
    pub fn run(&mut self, stop: &AtomicBool, note: impl Fn(Record) -> Result<()>) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let noted = match self.random.random_range(0..100) {
                0..70 => Some(self.append()?),
                70..90 => self.read_strongly()?,
                _ => self.read_with_a_token()?,
            };
            match noted {
                Some(record) => note(record)?,
                None => pause(Duration::from_millis(2)),
            }
        }
        Ok(())
    }

    fn stream(&mut self) -> String {
        // half of all goes to one stream
        let number = if self.random.random() { 0 } else { self.random.random_range(0..self.streams) };
        format!("History-{number}")
    }

    fn append(&mut self) -> Result<Record> {
        // what one sidecar acknowledged the other must know
        if self.random.random_ratio(1, 4) {
            self.current = (self.current + 1) % self.clients.len();
        }
        let mut streams = vec![self.stream()];
        if self.random.random_ratio(1, 6) {
            let second = self.stream();
            streams.extend((!streams.contains(&second)).then_some(second));
        }
        let mut event = |stream: String| {
            let known = self.known.get(&stream).copied().unwrap_or(0);
            let expected = match self.random.random_range(0..20) {
                0 => None,
                1 => Some(known + 1),
                _ => Some(known),
            };
            Event { stream, id: Uuid::from_u128(self.random.random()), expected }
        };
        let events: Vec<Event> = streams.into_iter().map(&mut event).collect();
        let appends: Vec<Value> = events.iter().map(Event::body).collect();
        let body = json!({ "appends": appends }).to_string();
        let began = now();
        let outcome = self.insist(&events, body.as_bytes())?;
        let ended = now();
        self.learn(&events, &outcome);
        Ok(Record { began, ended, what: What::Append { events, outcome } })
    }

    /// Sends a commit until it is answered for good or the client has had enough.
    fn insist(&mut self, events: &[Event], body: &[u8]) -> Result<Outcome> {
        let mut is_retry = false;
        loop {
            let tried = now();
            let answer = self.clients[self.current].request("POST", "/v1/commits", body);
            match answer {
                Ok(answer) => {
                    let content = parse(&answer)?;
                    match (answer.status, content["written"].as_str()) {
                        (200 | 201, _) => return self.acknowledged(events, &content),
                        (409, _) if content["code"] == "version_conflict" => {
                            let conflicts =
                                content["conflicts"].as_array().context("a conflict names its streams")?;
                            let actual = conflicts.iter().map(actual).collect::<Result<_>>()?;
                            return Ok(Outcome::Refused { tried, is_retry, actual });
                        }
                        (429 | 503, Some("nothing")) => {}
                        (500 | 503 | 504, Some("unknown" | "primary_only")) => is_retry = true,
                        _ => bail!("unexpected answer {}: {content}", answer.status),
                    }
                }
                Err(_) => is_retry = true,
            }
            if self.random.random_ratio(1, 4) {
                return Ok(if is_retry { Outcome::Unknown } else { Outcome::Nothing });
            }
            self.current = (self.current + 1) % self.clients.len();
            pause(Duration::from_millis(self.random.random_range(1..20)));
        }
    }

    fn acknowledged(&mut self, events: &[Event], content: &Value) -> Result<Outcome> {
        let results = content["results"].as_array().context("an answer has results")?;
        let number = |result: &Value, name: &str| {
            result[name].as_u64().with_context(|| format!("{name} in {content}"))
        };
        let mut places = Vec::new();
        for event in events {
            let result = results.iter().find(|result| result["stream"] == event.stream.as_str());
            let result = result.with_context(|| format!("{} in {content}", event.stream))?;
            places.push((number(result, "firstVersion")?, number(result, "firstPosition")?));
        }
        let token = content["token"].as_str().context("an answer has a token")?.to_owned();
        self.token = Some((events[0].stream.clone(), places[0].0, token, self.current));
        Ok(Outcome::Acknowledged(places))
    }

    fn learn(&mut self, events: &[Event], outcome: &Outcome) {
        match outcome {
            Outcome::Acknowledged(places) => {
                let heard = events.iter().zip(places);
                self.known.extend(heard.map(|(event, (version, _))| (event.stream.clone(), *version)));
            }
            Outcome::Refused { actual, .. } => self.known.extend(actual.iter().cloned()),
            Outcome::Nothing | Outcome::Unknown => {}
        }
    }

    /// Through any sidecar.
    fn read_strongly(&mut self) -> Result<Option<Record>> {
        let (stream, sidecar) = (self.stream(), self.random.random_range(0..self.clients.len()));
        let path = format!("/v1/streams/{stream}?direction=backward&limit=1&consistency=strong");
        self.read(sidecar, stream, &path, Promise::Strong)
    }

    /// Through another sidecar than the one that acknowledged.
    fn read_with_a_token(&mut self) -> Result<Option<Record>> {
        let Some((stream, version, token, answered)) = self.token.clone() else { return Ok(None) };
        let sidecar = (answered + 1) % self.clients.len();
        let path = format!("/v1/streams/{stream}?direction=backward&limit=1&token={token}");
        self.read(sidecar, stream, &path, Promise::Session(version))
    }

    /// `None`: there was no answer to the question.
    fn read(
        &mut self,
        sidecar: usize,
        stream: String,
        path: &str,
        promise: Promise,
    ) -> Result<Option<Record>> {
        let began = now();
        let Ok(answer) = self.clients[sidecar].request("GET", path, b"") else { return Ok(None) };
        let ended = now();
        let content = parse(&answer)?;
        let (version, last, position) = match answer.status {
            200 => {
                let event = &content["events"][0];
                let version = event["version"].as_u64().with_context(|| format!("a version in {content}"))?;
                let id = event["id"].as_str().and_then(|id| id.parse().ok());
                (version, Some(id.context("an event has an id")?), content["served"]["position"].as_u64())
            }
            404 => (0, None, None),
            429 | 503 => return Ok(None),
            status => bail!("unexpected answer {status}: {content}"),
        };
        self.known.insert(stream.clone(), version);
        Ok(Some(Record { began, ended, what: What::Read { stream, version, last, position, promise } }))
    }
}

impl Event {
    fn body(&self) -> Value {
        let expected = self.expected.map_or(json!("any"), |version| json!(version));
        let event = json!({"id": self.id, "type": "Noted", "data": {}});
        json!({"stream": self.stream, "expectedVersion": expected, "events": [event]})
    }
}

fn parse(answer: &Answer) -> Result<Value> {
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("status {}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
}

fn actual(conflict: &Value) -> Result<(String, u64)> {
    let stream = conflict["stream"].as_str().context("a conflict's stream")?;
    Ok((stream.to_owned(), conflict["actual"].as_u64().context("a conflict's version")?))
}
