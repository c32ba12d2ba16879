//! A process that stands still, wherever in what it says to the server, holds the others up for two seconds at most.

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use polylog_log::{Commit, Expected, Identity, Verdict};
use polylog_source_postgres::{Address, PostgresConfig, PostgresSource};
use support::{Store, append, check_log, commit, write};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

const LONGEST_BLOCK: Duration = Duration::from_secs(2);
const TOO_LONG: Duration = Duration::from_secs(6);
/// Cases that run at once; most of them wait.
const AT_ONCE: usize = 8;

/// The way to the server, which can be closed behind so many bytes: what the client says then arrives later, as when
/// its process was stopped between two of its words.
struct Way {
    port: u16,
    gate: Arc<Gate>,
}

struct Gate {
    /// Bytes that may still pass; `None` = any number.
    left: watch::Sender<Option<usize>>,
    passed: Mutex<Vec<u8>>,
}

impl Way {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let gate = Arc::new(Gate { left: watch::Sender::new(None), passed: Mutex::default() });
        let passing = gate.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.expect("the server");
                let ((from_client, mut to_client), (mut from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(pass(from_client, to_server, passing.clone()));
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            }
        });
        Self { port, gate }
    }

    /// Lets so many more bytes pass.
    fn close_behind(&self, bytes: Option<usize>) {
        self.gate.passed.lock().expect("no panic").clear();
        self.gate.left.send_replace(bytes);
    }

    async fn until_closed(&self) {
        self.gate.left.subscribe().wait_for(|left| *left == Some(0)).await.expect("the gate stays");
    }

    fn passed(&self) -> Vec<u8> {
        self.gate.passed.lock().expect("no panic").clone()
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, gate: Arc<Gate>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer).await
        && read > 0
    {
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            gate.left.subscribe().wait_for(|left| *left != Some(0)).await.expect("the gate stays");
            let now = gate.left.borrow().unwrap_or(rest.len()).min(rest.len());
            gate.passed.lock().expect("no panic").extend(&rest[..now]);
            if to.write_all(&rest[..now]).await.is_err() {
                return;
            }
            gate.left.send_modify(|left| *left = left.map(|left| left - now));
            rest = &rest[now..];
        }
    }
}

/// What the append needs that is held up.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// One statement: nobody else wrote.
    Swap,
    /// The lock: somebody else did.
    Lock,
}

/// Two processes on one schema.
struct Two {
    store: Store,
    way: Way,
    held: Arc<PostgresSource>,
    other: PostgresSource,
}

impl Two {
    async fn new() -> Self {
        let store = Store::new().await;
        let way = Way::to(support::SERVER.port()).await;
        let near = format!(":{}/", support::SERVER.port());
        let url = store.url.replace(&near, &format!(":{}/", way.port));
        let address = Address::parse(&format!("{url}?sslmode=disable")).expect("a good address");
        let config = PostgresConfig { address, ..store.config() };
        let held = Arc::new(PostgresSource::open(config).await.expect("an open source"));
        let other = store.primary().await;
        Self { store, way, held, other }
    }

    /// Brings the source behind the gate to where its next append has that shape, with everything prepared that is
    /// prepared once.
    async fn prepare(&self, shape: Shape) {
        for _ in 0..2 {
            self.write(&self.other).await;
            self.write(&self.held).await;
        }
        match shape {
            Shape::Lock => self.write(&self.other).await,
            // after a lost swap so many batches take the lock
            Shape::Swap => {
                for _ in 0..34 {
                    self.write(&self.held).await;
                }
            }
        }
    }

    fn next(&self) -> Commit {
        commit(self.store.identity.log, "s", Expected::Any)
    }

    async fn write(&self, source: &PostgresSource) {
        write(source, &self.store.identity, self.next()).await;
    }

    /// Appends to the source behind the gate, which is closed behind so many bytes meanwhile; how long the other one's
    /// append took then.
    async fn block(&self, bytes: usize) -> Duration {
        let (sent, of) = (self.next(), self.store.identity);
        let before = check_log(&self.other).await.len();
        self.way.close_behind(Some(bytes));
        let mut operation = {
            let (source, sent) = (self.held.clone(), sent.clone());
            tokio::spawn(async move { append(&*source, &of, vec![sent]).await })
        };
        tokio::select! {
            () = self.way.until_closed() => {}
            // it had less to say than the one that was measured, as when that one looked at the settings, too
            ended = &mut operation => {
                self.way.close_behind(None);
                ended.expect("an end").expect("nothing was held up");
                return Duration::ZERO;
            }
        }
        let next = self.next();
        let since = Instant::now();
        while append(&self.other, &of, vec![next.clone()]).await.is_err() && since.elapsed() < TOO_LONG {}
        let took = since.elapsed();
        self.way.close_behind(None);
        write_again(&self.other, &of, next).await;
        // whatever became of it, the same commit is in the log once, and the source works on
        let _ = operation.await.expect("an end");
        write_again(&self.held, &of, sent).await;
        assert_eq!(check_log(&self.other).await.len(), before + 2);
        took
    }
}

/// Appends a commit that may be there, until there is an answer.
async fn write_again(source: &PostgresSource, of: &Identity, commit: Commit) {
    let since = Instant::now();
    let appended = loop {
        match append(source, of, vec![commit.clone()]).await {
            Ok(appended) => break appended,
            Err(error) => assert!(since.elapsed() < TOO_LONG, "{error}"),
        }
    };
    let is_there = matches!(appended.verdicts[..], [Verdict::Committed(_) | Verdict::Duplicate(_)]);
    assert!(is_there, "{appended:?}");
}

/// Places behind which the way is closed: in the middle of each message's head, behind it, and behind the message.
fn places(messages: &[u8]) -> Vec<usize> {
    let (mut places, mut at) = (Vec::new(), 0);
    while at < messages.len() {
        let length: [u8; 4] = messages[at + 1..at + 5].try_into().expect("four bytes");
        let end = at + 1 + u32::from_be_bytes(length) as usize;
        places.extend([at + 1, at + 5, end]);
        at = end;
    }
    // behind the last one nothing is held up
    places.retain(|place| *place < messages.len());
    places.dedup();
    places
}

async fn longest_block(shape: Shape) {
    let mut pairs = Vec::new();
    for _ in 0..AT_ONCE {
        pairs.push(Two::new().await);
    }
    pairs[0].prepare(shape).await;
    pairs[0].way.close_behind(None);
    pairs[0].write(&pairs[0].held).await;
    let messages = pairs[0].way.passed();
    let (places, kinds) = (places(&messages), kinds(&messages));
    println!("{shape:?}: {} bytes, messages {kinds}, {} places", messages.len(), places.len());
    let blocks = stream::iter(pairs.iter().enumerate()).map(async |(first, two)| {
        let mut blocks = Vec::new();
        for place in places.iter().skip(first).step_by(AT_ONCE) {
            two.prepare(shape).await;
            blocks.push((*place, two.block(*place).await));
        }
        blocks
    });
    let blocks: Vec<_> = blocks.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat();
    let held = blocks.iter().filter(|(_, took)| *took > LONGEST_BLOCK / 2).count();
    let (place, longest) = blocks.iter().max_by_key(|(_, took)| *took).expect("places");
    println!("{held} of them held the other one up, for {longest:?} at most, behind byte {place}");
    let late: Vec<_> = blocks.iter().filter(|(_, took)| *took > LONGEST_BLOCK).collect();
    assert!(late.is_empty(), "{shape:?} of {} bytes, {kinds}: {late:?}", messages.len());
    // the places are the right ones: some of them are under the lock
    assert!(held > 0, "{shape:?}: nobody was held up");
}

/// The letter of each message.
fn kinds(messages: &[u8]) -> String {
    let (mut kinds, mut at) = (String::new(), 0);
    while at < messages.len() {
        kinds.push(char::from(messages[at]));
        let length: [u8; 4] = messages[at + 1..at + 5].try_into().expect("four bytes");
        at += 1 + u32::from_be_bytes(length) as usize;
    }
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_statement_that_commits_by_itself() {
    longest_block(Shape::Swap).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_lock() {
    longest_block(Shape::Lock).await;
}
