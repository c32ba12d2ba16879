//! A way to a server that can lead elsewhere, and lose answers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A port that leads to another one.
#[derive(Clone)]
pub struct Way {
    pub port: u16,
    to: Arc<AtomicU16>,
    loses_next: Arc<AtomicBool>,
    is_asked: Arc<AtomicBool>,
    /// Connections that were made.
    pub connections: Arc<AtomicUsize>,
}

impl Way {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Self {
            port: listener.local_addr().unwrap().port(),
            to: Arc::new(port.into()),
            loses_next: Arc::default(),
            is_asked: Arc::default(),
            connections: Arc::default(),
        };
        let taken = way.clone();
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                taken.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(taken.clone().lead(from));
            }
        });
        way
    }

    /// From now on new connections lead there.
    pub fn leads_to(&self, port: u16) {
        self.to.store(port, Ordering::Relaxed);
    }

    /// The answer to the next request gets lost, and its connection ends.
    pub fn lose_next(&self) {
        self.is_asked.store(false, Ordering::Relaxed);
        self.loses_next.store(true, Ordering::Relaxed);
    }

    pub fn has_lost(&self) -> bool {
        !self.loses_next.load(Ordering::Relaxed)
    }

    async fn lead(self, from: TcpStream) {
        let Ok(to) = TcpStream::connect(("127.0.0.1", self.to.load(Ordering::Relaxed))).await else { return };
        let ((mut from_read, mut from_write), (mut to_read, mut to_write)) =
            (from.into_split(), to.into_split());
        let there = async {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = from_read.read(&mut buffer).await {
                if to_write.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
                // not the small frames that only keep a connection going
                if read > 300 {
                    self.is_asked.store(true, Ordering::Relaxed);
                }
            }
        };
        let back = async {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = to_read.read(&mut buffer).await {
                let is_asked = self.is_asked.load(Ordering::Relaxed);
                if read > 60 && is_asked && self.loses_next.swap(false, Ordering::Relaxed) {
                    return;
                }
                if from_write.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = there => {}
            () = back => {}
        }
    }
}
