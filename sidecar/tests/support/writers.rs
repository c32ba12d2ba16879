//! Writers that read what they wrote, and a follower of all that they write: none of their requests may fail.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use polylog_api::proto::polylog::v1::{
    GetStreamHeadRequest, SubscribeRequest, expected::Kind, subscribe_frame::Frame, subscribe_request::Start,
};
use tokio::task::JoinHandle;

use super::{
    Client, Remote,
    client::Answer,
    mounted::{Serving, until},
    remote::commit,
};

/// How many there are.
const WRITERS: u64 = 16;

pub struct Writers {
    stop: Arc<AtomicBool>,
    /// By each way.
    answered: Vec<Arc<AtomicU64>>,
    tasks: Vec<JoinHandle<u64>>,
    follower: Option<Follower>,
    client: Client,
}

impl Writers {
    /// Half of them over HTTP, half over gRPC, and a follower over gRPC: every request must succeed, and nothing may end the
    /// subscription.
    pub fn start(serving: &Serving) -> Self {
        let ways = vec![
            Way::Http { client: serving.client.clone(), is_patient: false },
            Way::Grpc(serving.remote.clone()),
        ];
        Self::begin(ways, &serving.client, Some(Follower::start(serving.remote.clone())))
    }

    /// Writers over HTTP who send the same again when there was no answer in time, as clients do: what serves them is away for
    /// as long as another process takes to start, which on a busy machine is longer than a request may wait.
    pub fn start_patient(client: &Client) -> Self {
        Self::begin(vec![Way::Http { client: client.clone(), is_patient: true }], client, None)
    }

    fn begin(ways: Vec<Way>, client: &Client, follower: Option<Follower>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered: Vec<_> = ways.iter().map(|_| Arc::new(AtomicU64::new(0))).collect();
        let each = ways.iter().zip(&answered).cycle();
        let tasks = (0..WRITERS).zip(each).map(|(number, (way, answered))| {
            let (way, stop, answered) = (way.clone(), stop.clone(), answered.clone());
            tokio::spawn(async move {
                let stream = format!("Writer-{number}");
                let mut version = 0;
                while !stop.load(Ordering::Relaxed) {
                    way.append(&stream, version).await;
                    version += 1;
                    assert_eq!(way.version(&stream).await, version, "{stream}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                version
            })
        });
        Self { tasks: tasks.collect(), stop, answered, follower, client: client.clone() }
    }

    /// Waits until each of them, on average, has done this much more by each way, and the follower saw as much.
    pub async fn go_on(&self, appends: u64) {
        let now = || self.answered.iter().map(|answered| answered.load(Ordering::Relaxed));
        let more = WRITERS / self.answered.len() as u64 * appends;
        let wanted: Vec<_> = now().map(|answered| answered + more).collect();
        until("the writers go on", || async {
            let is_broken = self.tasks.iter().any(JoinHandle::is_finished);
            (is_broken || now().zip(&wanted).all(|(now, wanted)| now >= *wanted)).then_some(())
        })
        .await;
        if let Some(follower) = &self.follower {
            follower.until_seen(wanted.iter().sum()).await;
        }
    }

    /// Every append was answered with success, and every one is there once; the follower saw each.
    pub async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = 0;
        for (number, task) in self.tasks.into_iter().enumerate() {
            let answered = task.await.expect("no request failed");
            assert!(answered > 0, "writer {number} did nothing");
            let head = self.client.get(&format!("/v1/streams/Writer-{number}/head")).await.ok().json();
            assert_eq!(head["version"], answered, "writer {number}");
            all += answered;
        }
        if let Some(follower) = self.follower {
            follower.until_seen(all).await;
            follower.task.abort();
            if let Err(ended) = follower.task.await {
                assert!(ended.is_cancelled(), "the subscription was ended: {ended}");
            }
            assert_eq!(follower.seen.lock().unwrap().values().sum::<u64>(), all);
        }
    }
}

/// How a writer's requests go.
#[derive(Clone)]
enum Way {
    Http { client: Client, is_patient: bool },
    Grpc(Remote),
}

impl Way {
    async fn append(&self, stream: &str, version: u64) {
        match self {
            Way::Http { client, is_patient } => {
                // who sends again needs ids
                let id =
                    if *is_patient { format!(r#""id":"{}","#, uuid::Uuid::new_v4()) } else { String::new() };
                let body = format!(
                    r#"{{"expectedVersion":{version},"events":[{{{id}"type":"Paid","data":{version}}}]}}"#
                );
                let path = format!("/v1/streams/{stream}");
                sent(*is_patient, || client.post(&path, body.clone())).await.ok();
            }
            Way::Grpc(remote) => {
                let data = version.to_string();
                let one = commit(stream, Kind::Version(version), &[("Paid", &data)]);
                remote.append(one).await.unwrap();
            }
        }
    }

    async fn version(&self, stream: &str) -> u64 {
        match self {
            Way::Http { client, is_patient } => {
                let path = format!("/v1/streams/{stream}/head");
                let head = sent(*is_patient, || client.get(&path)).await.ok().json();
                head["version"].as_u64().unwrap()
            }
            Way::Grpc(remote) => {
                let of = GetStreamHeadRequest { stream: stream.into(), ..Default::default() };
                remote.events().get_stream_head(of).await.unwrap().into_inner().version
            }
        }
    }
}

/// The answer; for the patient, the first that is not about time.
async fn sent<F: Future<Output = Answer>>(is_patient: bool, send: impl Fn() -> F) -> Answer {
    let began = Instant::now();
    loop {
        let answer = send().await;
        let is_late = matches!(answer.status.as_u16(), 503 | 504);
        if !(is_patient && is_late && began.elapsed() < Duration::from_secs(60)) {
            return answer;
        }
    }
}

/// One subscription from the log's beginning on.
struct Follower {
    task: JoinHandle<()>,
    /// The last version of each writer's stream.
    seen: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Follower {
    fn start(remote: Remote) -> Self {
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        Self { task: tokio::spawn(follow(remote, seen.clone())), seen }
    }

    /// Waits until this many events of writers came.
    async fn until_seen(&self, events: u64) {
        until("the follower sees it", || async {
            let seen: u64 = self.seen.lock().unwrap().values().sum();
            (self.task.is_finished() || seen >= events).then_some(())
        })
        .await;
    }
}

/// Goes on for ever.
async fn follow(remote: Remote, seen: Arc<Mutex<BTreeMap<String, u64>>>) {
    let from_beginning = SubscribeRequest { start: Some(Start::Beginning(true)), ..Default::default() };
    let mut frames = remote.events().subscribe(from_beginning).await.unwrap().into_inner();
    let mut last = 0;
    while let Some(frame) = frames.message().await.expect("the subscription goes on") {
        let Some(Frame::Event(event)) = frame.frame else { continue };
        assert!(event.position > last, "{} after {last}", event.position);
        last = event.position;
        if event.stream.starts_with("Writer-") {
            let mut seen = seen.lock().unwrap();
            let version = seen.entry(event.stream).or_default();
            *version += 1;
            assert_eq!(event.version, *version, "each once, in order");
        }
    }
    panic!("the subscription has an end");
}
