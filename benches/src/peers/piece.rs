//! What can be measured by itself: a process of its own, and a file with its figures.

use std::{fmt, path::PathBuf, str::FromStr};

use anyhow::{Context, Result, bail};

use crate::load::Load;

/// A database server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    Mariadb,
}

/// What is measured on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Appends on a small log.
    Appends(Load),
    /// Appends on a small log and on a large one, in turn.
    Large,
    /// Reads of the log and of a long stream.
    Reads,
}

/// One of the things that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub engine: Engine,
    /// Whether each fsync takes longer than it does.
    pub is_slow: bool,
    pub kind: Kind,
}

/// The numbers of clients, the most telling first.
const CLIENTS: [usize; 4] = [32, 128, 1, 8];

impl Piece {
    /// All of them, those that matter most first.
    pub fn all() -> Vec<Self> {
        use Engine::{Mariadb, Postgres};
        let quick = |engine, kind| vec![Self { engine, is_slow: false, kind }];
        let appends = |engine, is_slow, clients: &[usize], events| {
            let piece = |&clients| Self { engine, is_slow, kind: Kind::Appends(Load { clients, events }) };
            clients.iter().map(piece).collect::<Vec<_>>()
        };
        [
            appends(Postgres, false, &CLIENTS, 1),
            appends(Postgres, true, &CLIENTS[..1], 1),
            quick(Postgres, Kind::Reads),
            quick(Postgres, Kind::Large),
            appends(Mariadb, false, &CLIENTS, 1),
            quick(Mariadb, Kind::Reads),
            appends(Postgres, false, &CLIENTS, 50),
            appends(Mariadb, false, &CLIENTS, 50),
            appends(Postgres, true, &CLIENTS[1..], 1),
            appends(Mariadb, true, &CLIENTS, 1),
            quick(Mariadb, Kind::Large),
        ]
        .concat()
    }

    /// Rounds where the arguments do not say: more where much hangs on it.
    pub fn rounds(self) -> usize {
        match (self.engine, self.kind) {
            (Engine::Postgres, Kind::Appends(Load { events: 1, .. })) => 5,
            (_, Kind::Appends(Load { events: 1, .. })) => 4,
            (_, Kind::Appends(_)) => 2,
            (_, Kind::Reads | Kind::Large) => 3,
        }
    }

    /// Whether a filter means it: its whole name, or what stands before or behind the slash.
    pub fn is_meant(self, filter: &str) -> bool {
        let name = self.to_string();
        name == filter || name.split('/').any(|part| part == filter)
    }

    /// Where its figures are kept in the folder of the results.
    pub fn file(self) -> PathBuf {
        format!("{}.json", self.to_string().replace('/', "-")).into()
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.engine {
            Engine::Postgres => "postgres",
            Engine::Mariadb => "mariadb",
        })?;
        f.write_str(if self.is_slow { "-slow/" } else { "/" })?;
        match self.kind {
            Kind::Appends(Load { clients, events }) => write!(f, "{clients}x{events}"),
            Kind::Large => f.write_str("large"),
            Kind::Reads => f.write_str("reads"),
        }
    }
}

impl FromStr for Piece {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (server, kind) = text.split_once('/').context("a piece, for example postgres/32x1")?;
        let (engine, is_slow) = match server.strip_suffix("-slow") {
            Some(engine) => (engine, true),
            None => (server, false),
        };
        let engine = match engine {
            "postgres" => Engine::Postgres,
            "mariadb" => Engine::Mariadb,
            other => bail!("no server {other}: postgres or mariadb"),
        };
        let kind = match kind {
            "large" => Kind::Large,
            "reads" => Kind::Reads,
            load => Kind::Appends(load.parse()?),
        };
        Ok(Self { engine, is_slow, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for piece in Piece::all() {
            assert_eq!(piece.to_string().parse::<Piece>().expect("a piece"), piece);
        }
        assert!("oracle/1x1".parse::<Piece>().is_err());
        assert!("postgres/1".parse::<Piece>().is_err());
    }

    #[test]
    fn a_filter_means_whole_parts() {
        let meant = |filter: &str| Piece::all().into_iter().filter(|piece| piece.is_meant(filter)).count();
        assert_eq!(meant("postgres/8x1"), 1);
        assert_eq!(meant("8x1"), 4, "not 128x1");
        assert_eq!(meant("mariadb"), 10, "not mariadb-slow");
        assert_eq!(meant("mariadb-slow"), 4);
        assert_eq!(meant("large"), 2);
        assert_eq!(meant("x1"), 0);
    }
}
