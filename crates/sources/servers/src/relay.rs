//! Connections whose certificate is checked for another name than that of the host which they lead to. Drivers know one host for
//! both; but where they are given a Unix socket, they connect to that, and check the certificate for the host.

use std::{io, path::PathBuf};

use tokio::net::{TcpStream, UnixListener, UnixStream};
use uuid::Uuid;

/// Connects to `host`, and has the driver connect through a socket that leads there. It is told the path of the socket, behind
/// which it puts `suffix` by itself.
///
/// The socket takes one connection, and what carries its bytes ends when either end closes it: nobody needs to end it. Its
/// name is an abstract one of Linux, so that it needs no folder.
///
/// # Errors
/// That no connection to the host came about, as the driver would have told it; or what the driver says.
pub async fn connect<T, E, C>(
    host: &str,
    port: u16,
    suffix: &str,
    by_socket: impl FnOnce(PathBuf) -> C,
) -> Result<T, E>
where
    E: From<io::Error>,
    C: Future<Output = Result<T, E>>,
{
    let server = TcpStream::connect((host, port)).await?;
    server.set_nodelay(true)?;
    let path = format!("\0polylog-{}", Uuid::new_v4());
    let listener = UnixListener::bind(format!("{path}{suffix}"))?;
    let relaying = async {
        let (driver, _) = listener.accept().await?;
        tokio::spawn(relay(driver, server));
        Ok(())
    };
    let (connection, ()) = tokio::try_join!(by_socket(path.into()), relaying)?;
    Ok(connection)
}

/// Until one of the two ends it: half a connection is of no use to either.
async fn relay(mut driver: UnixStream, mut server: TcpStream) {
    let (mut from_driver, mut to_driver) = driver.split();
    let (mut from_server, mut to_server) = server.split();
    // an error is the end of the connection, which the other side sees as well
    tokio::select! {
        _ = tokio::io::copy(&mut from_driver, &mut to_server) => {}
        _ = tokio::io::copy(&mut from_server, &mut to_driver) => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn through(port: u16) -> io::Result<UnixStream> {
        connect("127.0.0.1", port, "/.s", |path| UnixStream::connect(format!("{}/.s", path.display()))).await
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_until_either_end_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let much = vec![7; 1 << 20];
        for is_driver_first in [true, false] {
            let mut driver = through(port).await.expect("a connection");
            let (mut server, _) = listener.accept().await.expect("its other end");
            let mut got = vec![0; much.len()];
            let (sent, received) = tokio::join!(driver.write_all(&much), server.read_exact(&mut got));
            assert!(sent.is_ok() && received.is_ok() && got == much);
            let (sent, received) =
                tokio::join!(server.write_all(b"answer"), driver.read_exact(&mut got[..6]));
            assert!(sent.is_ok() && received.is_ok() && got.starts_with(b"answer"));
            if is_driver_first {
                drop(driver);
                assert_eq!(server.read(&mut got).await.expect("the end"), 0);
            } else {
                server.write_all(b"last words").await.expect("sent");
                drop(server);
                let mut words = String::new();
                driver.read_to_string(&mut words).await.expect("the end");
                assert_eq!(words, "last words");
            }
        }
    }

    #[tokio::test]
    async fn what_stands_against_a_connection_is_told_as_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let refused: io::Result<()> =
            connect("127.0.0.1", port, "", async |_| Err(io::ErrorKind::InvalidData.into())).await;
        assert_eq!(refused.expect_err("a refusal").kind(), io::ErrorKind::InvalidData);
        let (mut server, _) = listener.accept().await.expect("its other end");
        assert_eq!(server.read(&mut [0]).await.expect("the end"), 0, "nothing is left of it");
        drop(listener);
        let nobody = through(port).await.expect_err("nobody listens");
        assert_eq!(nobody.kind(), io::ErrorKind::ConnectionRefused);
    }
}
