//! A port that leads to a database's, and what happens on the way there.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Result;
use parking_lot::{Condvar, Mutex};
use socket2::SockRef;

use crate::sidecar::pause;

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    Open,
    /// Each piece takes this long, in both directions.
    Slow(Duration),
    /// Nothing arrives, and nobody is told; what was sent arrives when it is over.
    Hanging,
    /// Connections end, and there are no new ones.
    Closed,
}

struct Road {
    to: u16,
    passage: Mutex<Passage>,
    changed: Condvar,
    /// Both ends of each connection.
    connections: Mutex<Vec<[TcpStream; 2]>>,
}

/// See the module. It ends with the process.
pub struct Way {
    pub port: u16,
    road: Arc<Road>,
}

impl Way {
    pub fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let road = Arc::new(Road {
            to: port,
            passage: Mutex::new(Passage::Open),
            changed: Condvar::new(),
            connections: Mutex::default(),
        });
        let way = Self { port: listener.local_addr()?.port(), road: road.clone() };
        thread::spawn(move || {
            for from in listener.incoming().flatten() {
                // one that cannot be led on ends
                let _ = road.lead(from);
            }
        });
        Ok(way)
    }

    pub fn set(&self, passage: Passage) {
        *self.road.passage.lock() = passage;
        self.road.changed.notify_all();
        if passage == Passage::Closed {
            for connection in self.road.connections.lock().drain(..).flatten() {
                // one that ended already is not there any more
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
    }

    /// Ends every connection with a reset.
    pub fn reset(&self) {
        for connection in self.road.connections.lock().drain(..).flatten() {
            let _ = SockRef::from(&connection).set_linger(Some(Duration::ZERO));
            // whoever reads it ends, and the last who drops it sends the reset
            let _ = connection.shutdown(Shutdown::Read);
        }
    }
}

impl Road {
    fn lead(self: &Arc<Self>, from: TcpStream) -> Result<()> {
        if *self.passage.lock() == Passage::Closed {
            return Ok(());
        }
        let to = TcpStream::connect(("127.0.0.1", self.to))?;
        from.set_nodelay(true)?;
        to.set_nodelay(true)?;
        {
            let mut connections = self.connections.lock();
            // those that ended need no end
            connections.retain(|[from, to]| from.peer_addr().is_ok() && to.peer_addr().is_ok());
            connections.push([from.try_clone()?, to.try_clone()?]);
        }
        for (from, to) in [(from.try_clone()?, to.try_clone()?), (to, from)] {
            let road = self.clone();
            thread::spawn(move || road.pump(from, to));
        }
        Ok(())
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let passage = {
                let mut passage = self.passage.lock();
                self.changed.wait_while(&mut passage, |passage| *passage == Passage::Hanging);
                *passage
            };
            match passage {
                Passage::Closed => break,
                Passage::Slow(by) => pause(by),
                Passage::Open | Passage::Hanging => {}
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let is_reset =
            |stream: &TcpStream| SockRef::from(stream).linger().is_ok_and(|linger| linger.is_some());
        let how = if is_reset(&from) || is_reset(&to) { Shutdown::Read } else { Shutdown::Both };
        let _ = from.shutdown(how);
        let _ = to.shutdown(how);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::ErrorKind, time::Instant};

    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut buffer = [0; 16];
                    while let Ok(read @ 1..) = stream.read(&mut buffer) {
                        if stream.write_all(&buffer[..read]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        port
    }

    fn said(stream: &mut TcpStream) -> std::io::Result<()> {
        stream.write_all(b"hello")?;
        stream.read_exact(&mut [0; 5])
    }

    #[test]
    fn what_is_sent_is_late_kept_back_cut_off_or_reset() {
        let way = Way::to(echo()).expect("a way");
        let connect = || {
            let stream = TcpStream::connect(("127.0.0.1", way.port)).expect("connects");
            stream.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
            stream
        };
        let mut stream = connect();
        said(&mut stream).expect("arrives");

        way.set(Passage::Slow(Duration::from_millis(50)));
        let began = Instant::now();
        said(&mut stream).expect("arrives late");
        assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());

        way.set(Passage::Hanging);
        stream.write_all(b"later").expect("is taken");
        let waited = stream.read_exact(&mut [0; 5]).expect_err("nothing comes");
        assert!(matches!(waited.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waited}");
        way.set(Passage::Open);
        stream.read_exact(&mut [0; 5]).expect("comes when it is over");

        way.reset();
        let reset = stream.read_exact(&mut [0; 5]).expect_err("reset");
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset, "{reset}");

        let mut stream = connect();
        said(&mut stream).expect("a new one arrives");
        way.set(Passage::Closed);
        assert!(said(&mut stream).is_err(), "cut off");
        assert!(said(&mut connect()).is_err(), "no new ones");
        way.set(Passage::Open);
        said(&mut connect()).expect("open again");
    }
}
