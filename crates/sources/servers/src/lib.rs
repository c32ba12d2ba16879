//! What the engines of database servers share: what a writer remembers, pools, waiting, and how rows become entries and
//! facts, rights and preflights; and a way for drivers to a host whose certificate has another name. No SQL, and no sessions:
//! those are each engine's own.

pub mod entries;
pub mod facts;
pub mod faults;
pub mod history;
pub mod limits;
pub mod memory;
pub mod outcome;
pub mod page;
pub mod patience;
pub mod pool;
pub mod preflight;
pub mod relay;
pub mod rights;
pub mod secret;
pub mod standing;
pub mod wait;
