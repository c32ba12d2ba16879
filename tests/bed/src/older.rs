//! A way to a PostgreSQL server on which it passes for an older one: there is none to start.

use std::{
    io::{Read, Write, copy},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::PostgresServer;

/// A port that leads to a PostgreSQL server. On it, as long as that is wanted, the server's answers name the version
/// before the oldest that is used.
pub struct OlderPostgres {
    port: u16,
    server: u16,
    passes: Arc<AtomicBool>,
}

/// The major version that is named.
const OLDER: i32 = 14;

impl OlderPostgres {
    /// A way to this server, on which it passes for an older one at once.
    pub fn way_to(server: &PostgresServer) -> Self {
        let number: i32 = server.execute("postgres", "SHOW server_version_num").parse().expect("a number");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (to, passes) = (server.port(), Arc::new(AtomicBool::new(true)));
        let is_older = passes.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let is_older = is_older.clone();
                // what breaks off is what the one side does to the other
                thread::spawn(move || drop(lead(client, to, number, &is_older)));
            }
        });
        Self { port, server: to, passes }
    }

    /// Whether it passes for an older one from now on; also in sessions that there are.
    pub fn passes(&self, is_older: bool) {
        self.passes.store(is_older, Ordering::Relaxed);
    }

    /// An address of the server that leads this way, without TLS.
    pub fn url(&self, of_server: &str) -> String {
        let (direct, way) = (format!(":{}/", self.server), format!(":{}/", self.port));
        assert!(of_server.contains(&direct), "{of_server} is another server's");
        format!("{}?sslmode=disable", of_server.replace(&direct, &way))
    }
}

fn lead(client: TcpStream, to: u16, real: i32, is_older: &AtomicBool) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", to))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let answered = answers(server, &client, real, is_older);
    client.shutdown(Shutdown::Both)?;
    answered
}

/// Hands on the server's messages: a letter, the length of what follows with these four bytes, the rest.
fn answers(
    mut server: TcpStream,
    mut client: &TcpStream,
    real: i32,
    is_older: &AtomicBool,
) -> std::io::Result<()> {
    loop {
        let mut message = vec![0; 5];
        server.read_exact(&mut message)?;
        let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]);
        message.resize(1 + length as usize, 0);
        server.read_exact(&mut message[5..])?;
        if message[0] == b'D' && is_older.load(Ordering::Relaxed) {
            rename(&mut message[5..], real);
        }
        client.write_all(&message)?;
    }
}

/// Puts the older major version in the place of the one of `server_version_num` and `server_version` into a row: the number of
/// its values, then each with its length.
fn rename(row: &mut [u8], real: i32) {
    let (major, minor) = (real / 10_000, real % 10_000);
    let text = format!("{major}.{minor}");
    let mut at = 2;
    while let Some(length) = row.get(at..at + 4) {
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        // absent values have the length -1
        let value = &mut row[at + 4..][..usize::try_from(length).unwrap_or_default()];
        at += 4 + value.len();
        if *value == real.to_be_bytes() {
            value.copy_from_slice(&(OLDER * 10_000 + minor).to_be_bytes());
        } else if value.starts_with(text.as_bytes()) {
            value[..2].copy_from_slice(OLDER.to_string().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_is_renamed() {
        let row = |values: &[Option<&[u8]>]| {
            let mut row = (values.len() as u16).to_be_bytes().to_vec();
            for value in values {
                let length = value.map_or(-1, |value| value.len() as i32);
                row.extend_from_slice(&length.to_be_bytes());
                row.extend_from_slice(value.unwrap_or_default());
            }
            row
        };
        let number = |number: i32| number.to_be_bytes();
        let mut renamed =
            row(&[Some(&number(150_018)), None, Some(b"15.18 (Debian)"), Some(b""), Some(b"UTF8")]);
        rename(&mut renamed, 150_018);
        let wanted = [Some(&number(140_018)[..]), None, Some(b"14.18 (Debian)"), Some(b""), Some(b"UTF8")];
        assert_eq!(renamed, row(&wanted));
    }
}
