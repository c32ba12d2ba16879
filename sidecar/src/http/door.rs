use std::{io, net::SocketAddr, sync::Arc};

use crate::entrance::Entrance;

/// Who comes in by a socket.
#[derive(Clone)]
pub(crate) enum Door {
    /// Whoever can reach it: it listens on loopback, or there is nothing to protect behind it.
    Open,
    /// Other pods, each request with its token.
    Pods(Arc<Entrance>),
    /// Both: who is on loopback at both ends needs no token.
    Both(Arc<Entrance>),
}

impl Door {
    /// By which entrance a connection between these addresses comes in; `None` = it needs no token.
    pub(super) fn entrance(&self, from: SocketAddr, to: io::Result<SocketAddr>) -> Option<Arc<Entrance>> {
        let is_loopback = |address: SocketAddr| address.ip().to_canonical().is_loopback();
        match self {
            Door::Open => None,
            Door::Both(_) if is_loopback(from) && to.is_ok_and(is_loopback) => None,
            Door::Pods(entrance) | Door::Both(entrance) => Some(entrance.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_on_loopback_at_both_ends_needs_a_token() {
        let at = |address: &str| -> SocketAddr { address.parse().expect("an address") };
        let both = Door::Both(Arc::default());
        let needs_token = |door: &Door, from: &str, to: &str| door.entrance(at(from), Ok(at(to))).is_some();
        for (from, to) in [
            ("127.0.0.1:4000", "127.0.0.1:7300"),
            ("[::1]:4000", "[::1]:7300"),
            ("[::ffff:127.0.0.1]:4000", "[::ffff:127.0.0.1]:7300"),
        ] {
            assert!(!needs_token(&both, from, to), "{from} {to}");
            assert!(needs_token(&Door::Pods(Arc::default()), from, to), "{from} {to}");
            assert!(!needs_token(&Door::Open, from, to), "{from} {to}");
        }
        for (from, to) in [
            ("10.0.0.7:4000", "10.0.0.8:7300"),
            ("10.0.0.7:4000", "127.0.0.1:7300"),
            // a service mesh brings what comes from outside like this
            ("127.0.0.6:4000", "10.0.0.8:7300"),
            ("[::ffff:10.0.0.7]:4000", "[::ffff:10.0.0.8]:7300"),
            ("[fd00::2]:4000", "[::1]:7300"),
        ] {
            assert!(needs_token(&both, from, to), "{from} {to}");
        }
        assert!(both.entrance(at("127.0.0.1:1"), Err(io::ErrorKind::NotConnected.into())).is_some());
    }
}
