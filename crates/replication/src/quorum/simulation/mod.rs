//! Whole runs in virtual time: faults at random or by a script, and every promise checked.
//!
//! A run that fails prints what happened, who sent what and what was answered, and how to see it again.

mod clients;
mod faults;
mod network;
mod plan;
mod promises;
mod readers;
mod routed;
mod rules;
mod runs;
mod source;
mod stage;
mod world;
