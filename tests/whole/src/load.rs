use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Result, ensure};

use crate::writer::{self, Written};

/// Writers per sidecar.
const WRITERS: usize = 4;

/// Appends to every sidecar while something is done to them; the writers of one sidecar do not turn to another.
pub fn during(
    ports: &[u16],
    seed: u64,
    mut rounds: impl Iterator<Item = usize>,
    mut round: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<Written>> {
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS * ports.len())
            .map(|n| {
                let port = n % ports.len();
                let ports = &ports[port..=port];
                scope.spawn(move || writer::write(ports, 0, seed ^ n as u64, stop))
            })
            .collect();
        let done = rounds.try_for_each(|number| {
            ensure!(!writers.iter().any(|writer| writer.is_finished()), "a writer gave up");
            round(number)
        });
        stop.store(true, Ordering::Relaxed);
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("no panic")).collect();
        let written = written.into_iter().collect::<Result<Vec<_>>>()?;
        done.map(|()| written)
    })
}
