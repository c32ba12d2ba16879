//! What was measured, as it is kept: every round, so that medians, quartiles and ratios are made where they are shown.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use serde::Serialize;

use super::meter::{Who, Window};
use crate::load::Load;

/// The figures of one piece.
#[derive(Debug, Serialize)]
pub struct Results {
    pub piece: String,
    /// The database server, with its version.
    pub server: String,
    /// Milliseconds by which each fsync took longer than it does.
    pub added_to_fsync_ms: f64,
    /// What of Polylog was measured.
    pub build: String,
    pub processors: usize,
    pub window_seconds: f64,
    /// Versions of the others that took part.
    pub peers: BTreeMap<&'static str, String>,
    pub rounds: Vec<Round>,
    pub reads: Vec<Read>,
}

/// Windows that followed each other.
#[derive(Debug, Serialize)]
pub struct Round {
    pub log: LogSize,
    pub clients: usize,
    pub events: usize,
    /// Events in the log before it.
    pub stored: u64,
    pub sides: BTreeMap<&'static str, Side>,
}

/// Which log a round was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogSize {
    Small,
    Large,
}

/// A window of one side.
#[derive(Debug, Serialize)]
pub struct Side {
    /// Events per second.
    pub rate: f64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub micros: Micros,
    /// Events in a transaction, where that is known.
    pub in_a_transaction: Option<f64>,
    /// Resident bytes of its process afterwards.
    pub resident: Option<u64>,
}

/// Microseconds of processor time an event; none where no such process took part.
#[derive(Debug, Serialize)]
pub struct Micros {
    pub sidecar: Option<f64>,
    pub database: Option<f64>,
    pub client: Option<f64>,
}

/// One reading.
#[derive(Debug, Serialize)]
pub struct Read {
    pub what: &'static str,
    pub by: &'static str,
    pub events: u64,
    pub rate: f64,
    pub micros: Micros,
}

impl Side {
    pub fn of(window: &Window) -> Self {
        let millis = |percent| Some(window.measured.percentile(percent)?.as_secs_f64() * 1e3);
        Self {
            rate: window.measured.rate(),
            p50_ms: millis(50),
            p99_ms: millis(99),
            micros: Micros::of(window),
            in_a_transaction: None,
            resident: None,
        }
    }
}

impl Micros {
    fn of(window: &Window) -> Self {
        let [sidecar, database, client] =
            [Who::Sidecar, Who::Database, Who::Client].map(|who| window.micros(who));
        Self { sidecar, database, client }
    }
}

impl Read {
    pub fn of(what: &'static str, by: &'static str, window: &Window) -> Self {
        let read = Self {
            what,
            by,
            events: window.measured.events,
            rate: window.measured.rate(),
            micros: Micros::of(window),
        };
        eprintln!("{what}, {by}: {} events, {:.0}/s", read.events, read.rate);
        read
    }
}

impl Round {
    /// Says what it gave.
    pub fn tell(&self) {
        let Load { clients, events } = Load { clients: self.clients, events: self.events };
        let sides: Vec<_> =
            self.sides.iter().map(|(name, side)| format!("{name} {:.0}/s", side.rate)).collect();
        eprintln!("{clients}x{events}, {} events stored: {}", self.stored, sides.join(", "));
    }
}

impl Results {
    /// Writes them, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let draft = path.with_extension("draft");
        std::fs::write(&draft, serde_json::to_string_pretty(self)? + "\n")?;
        std::fs::rename(draft, path)?;
        Ok(())
    }
}

/// The build whose figures a file holds; none where there is no such file, or it is not whole.
pub fn build_of(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let results: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(results["build"].as_str()?.to_owned())
}
