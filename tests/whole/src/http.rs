//! A small HTTP/1.1 client, blocking, for one loopback port.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// One HTTP/1.1 connection to the loopback port, used again and again.
pub struct Connection {
    reader: BufReader<TcpStream>,
    port: u16,
}

/// A client of one or several sidecars, which uses one for as long as it answers.
pub struct Client {
    ports: Vec<u16>,
    current: usize,
    patience: Duration,
    connection: Option<Connection>,
}

/// An answer with its whole body.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer whose body is read as it comes.
pub struct Stream {
    reader: BufReader<TcpStream>,
    left: usize,
}

impl Client {
    /// Begins with the port at index `first`, modulo their number.
    pub fn new(ports: &[u16], first: usize, patience: Duration) -> Self {
        Self { ports: ports.to_vec(), current: first % ports.len(), patience, connection: None }
    }

    /// Sends a request once. Without an answer, the next one goes to the next sidecar.
    pub fn request(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let connection = match self.connection.take() {
            Some(open) => Ok(open),
            None => Connection::open(self.ports[self.current], self.patience),
        };
        let answered = connection.and_then(|mut open| Ok((open.request(method, path, body)?, open)));
        match answered {
            Ok((answer, open)) => {
                self.connection = Some(open);
                Ok(answer)
            }
            Err(error) => {
                self.move_on();
                Err(error)
            }
        }
    }

    /// Turns to the next sidecar.
    pub fn move_on(&mut self) {
        self.connection = None;
        self.current = (self.current + 1) % self.ports.len();
    }
}

impl Connection {
    /// Connects; reads and writes give up after `patience`.
    pub fn open(port: u16, patience: Duration) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { reader: BufReader::with_capacity(64 << 10, stream), port })
    }

    fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{headers}", self.port);
        if !body.is_empty() {
            request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        let mut request = (request + "\r\n").into_bytes();
        request.extend_from_slice(body);
        Ok(self.reader.get_mut().write_all(&request)?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("the connection was closed");
        }
        Ok(line.trim_end().to_owned())
    }

    fn head(&mut self) -> Result<(u16, Option<usize>)> {
        let status =
            self.line()?.split(' ').nth(1).and_then(|code| code.parse().ok()).context("a status line")?;
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok((status, length));
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            }
        }
    }

    /// Sends a request and reads its whole answer.
    pub fn request(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        self.send(method, path, "", body)?;
        let (status, length) = self.head()?;
        let mut body = vec![0; length.context("an answer with its length")?];
        self.reader.read_exact(&mut body)?;
        Ok(Answer { status, body })
    }

    /// A GET whose body comes in chunks for as long as it likes.
    pub fn stream(mut self, path: &str, headers: &str) -> Result<Stream> {
        self.send("GET", path, headers, b"")?;
        let (status, length) = self.head()?;
        if status != 200 || length.is_some() {
            bail!("expected a stream, got status {status}");
        }
        Ok(Stream { reader: self.reader, left: 0 })
    }
}

impl Stream {
    /// The next line of the body; `None` at its end. A connection that is cut is an error.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            if self.left == 0 && !self.next_chunk()? {
                return if line.is_empty() { Ok(None) } else { bail!("cut off within a line") };
            }
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                bail!("the connection was closed");
            }
            let window = &available[..available.len().min(self.left)];
            let (taken, ended) = match window.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (window.len(), false),
            };
            line.extend_from_slice(&window[..taken - usize::from(ended)]);
            self.reader.consume(taken);
            self.left -= taken;
            if self.left == 0 {
                self.reader.read_exact(&mut [0; 2])?;
            }
            if ended {
                return Ok(Some(line));
            }
        }
    }

    /// Reads to the end, looking at nothing but the ends of lines.
    pub fn count_lines(mut self) -> Result<u64> {
        let mut lines = 0;
        loop {
            if self.left == 0 && !self.next_chunk()? {
                return Ok(lines);
            }
            let available = self.reader.fill_buf()?;
            let taken = available.len().min(self.left);
            if taken == 0 {
                bail!("the connection was closed");
            }
            lines += available[..taken].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.reader.consume(taken);
            self.left -= taken;
            if self.left == 0 {
                self.reader.read_exact(&mut [0; 2])?;
            }
        }
    }

    fn next_chunk(&mut self) -> Result<bool> {
        let mut size = String::new();
        if self.reader.read_line(&mut size)? == 0 {
            bail!("the connection was closed");
        }
        self.left = usize::from_str_radix(size.trim(), 16).context("a chunk's size")?;
        Ok(self.left > 0)
    }
}
