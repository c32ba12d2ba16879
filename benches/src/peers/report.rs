//! Medians and quartiles of all rounds, as a table and as JSON.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    meter::{Who, Window},
    reads::Reads,
    rounds::Round,
};
use crate::load::{Load, quartiles};

/// What was measured so far; a table grows on the standard output meanwhile.
pub struct Report {
    slow_fsync: f64,
    database: String,
    cases: Vec<Value>,
    reads: Vec<Value>,
}

/// A row of the table: one side in one case.
struct Side<'a> {
    name: &'static str,
    /// A window of each round that has one, with that round's rate of Polylog over gRPC.
    windows: Vec<(&'a Window, f64)>,
    memory: Option<f64>,
}

impl Report {
    pub fn new(slow_fsync: f64, database: &str) -> Self {
        println!("PostgreSQL {database}, {slow_fsync} ms added to each fsync\n");
        println!(
            "| stored | clients × events | in a transaction | side | events/s (quartiles) | gRPC is × it | p50 ms | p99 ms | \
             µs of processor an event: sidecar + database + client | resident MB |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        Self { slow_fsync, database: database.to_owned(), cases: Vec::new(), reads: Vec::new() }
    }

    /// Adds a case.
    pub fn case(&mut self, load: Load, rounds: &[Round]) {
        let median = |of: &dyn Fn(&Round) -> f64| quartiles(rounds.iter().map(of).collect())[1];
        let stored = median(&|round| round.stored as f64);
        let batch = median(&|round| round.grpc.batch);
        let memory = |of: &dyn Fn(&Round) -> Option<u64>| {
            let all: Vec<f64> = rounds.iter().filter_map(of).map(|bytes| bytes as f64 / 1e6).collect();
            (!all.is_empty()).then(|| quartiles(all)[1])
        };
        let windows = |of: &dyn for<'a> Fn(&'a Round) -> Option<&'a Window>| {
            let with_rate = |round| Some((of(round)?, Round::rate(round)));
            rounds.iter().filter_map(with_rate).collect::<Vec<_>>()
        };
        let sides = [
            Side {
                name: "Polylog, gRPC",
                windows: windows(&|round| Some(&round.grpc.window)),
                memory: memory(&|round| Some(round.sidecar_memory)),
            },
            Side { name: "raw", windows: windows(&|round| Some(&round.grpc.raw)), memory: None },
            Side {
                name: "Polylog, HTTP",
                windows: windows(&|round| Some(&round.http.as_ref()?.window)),
                memory: None,
            },
            Side { name: "message-db", windows: windows(&|round| round.message_db.as_ref()), memory: None },
            Side {
                name: "UmaDB",
                windows: windows(&|round| round.umadb.as_ref()),
                memory: memory(&|round| round.umadb_memory),
            },
        ];
        let mut values = Vec::new();
        for side in sides.into_iter().filter(|side| !side.windows.is_empty()) {
            values.push(side.row(stored, load, batch));
        }
        self.cases.push(json!({
            "stored": stored, "clients": load.clients, "events": load.events, "batch": batch, "sides": values,
        }));
    }

    /// Adds what reading gave.
    pub fn reads(&mut self, reads: &[Reads]) {
        println!(
            "\n| read | events | events/s (quartiles) | µs of processor an event: sidecar + database + client |"
        );
        println!("|---|---|---|---|");
        for Reads { what, times } in reads {
            let rates = times.iter().map(|window| window.measured.rate()).collect();
            let [low, middle, high] = quartiles(rates);
            let events = times.first().map_or(0, |window| window.measured.events);
            let windows: Vec<_> = times.iter().collect();
            let micros = micros(&windows);
            println!("| {what} | {events} | {middle:.0} ({low:.0}–{high:.0}) | {} |", shown(&micros));
            self.reads
                .push(json!({"what": what, "events": events, "rate": [low, middle, high], "micros": micros}));
        }
    }

    /// Writes the JSON.
    pub fn finish(self, to: Option<&Path>) -> Result<()> {
        let Some(to) = to else { return Ok(()) };
        let all = json!({
            "database": format!("PostgreSQL {}", self.database),
            "slow_fsync_milliseconds": self.slow_fsync,
            "cases": self.cases,
            "reads": self.reads,
        });
        std::fs::write(to, serde_json::to_string_pretty(&all)? + "\n")?;
        Ok(())
    }
}

impl Round {
    fn rate(&self) -> f64 {
        self.grpc.window.measured.rate()
    }
}

impl Side<'_> {
    fn row(&self, stored: f64, load: Load, batch: f64) -> Value {
        let quartiles_of =
            |of: &dyn Fn(&(&Window, f64)) -> f64| quartiles(self.windows.iter().map(of).collect());
        let rate = quartiles_of(&|(window, _)| window.measured.rate());
        let ratio = quartiles_of(&|(window, ours)| ours / window.measured.rate());
        let latency = |percent: usize| {
            quartiles_of(&|(window, _)| window.measured.percentile(percent).as_secs_f64() * 1e3)[1]
        };
        let (half, most) = (latency(50), latency(99));
        let micros = micros(&self.windows.iter().map(|(window, _)| *window).collect::<Vec<_>>());
        println!(
            "| {stored:.0} | {load} | {batch:.1} | {} | {:.0} ({:.0}–{:.0}) | {:.2} ({:.2}–{:.2}) | {half:.2} | {most:.2} | {} | {} |",
            self.name,
            rate[1],
            rate[0],
            rate[2],
            ratio[1],
            ratio[0],
            ratio[2],
            shown(&micros),
            self.memory.map_or("–".into(), |memory| format!("{memory:.0}")),
        );
        json!({
            "side": self.name, "rate": rate, "grpc_to_it": ratio, "p50": half, "p99": most, "micros": micros,
            "resident": self.memory,
        })
    }
}

/// Of sidecar, database and client, where they took part.
fn micros(windows: &[&Window]) -> Vec<Option<f64>> {
    let median = |who| {
        let all: Vec<f64> = windows.iter().filter_map(|window| window.micros(who)).collect();
        (!all.is_empty()).then(|| quartiles(all)[1])
    };
    [Who::Sidecar, Who::Database, Who::Client].map(median).into()
}

fn shown(micros: &[Option<f64>]) -> String {
    let each = micros.iter().map(|micros| micros.map_or("–".into(), |micros| format!("{micros:.0}")));
    each.collect::<Vec<_>>().join(" + ")
}
