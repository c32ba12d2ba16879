//! The operator: what an EventStore says becomes tables, a gateway, and the configuration of the sidecars.
//!
//! Each controller reads what its object refers to, judges it, builds what is wanted without any I/O, applies that, and
//! reports. Only the leader of several operators does so; the webhook answers in each of them.

mod certificates;
mod config;
mod context;
mod election;
mod entrance;
mod event_store;
mod fresh_pods;
mod health;
mod kinds;
mod metrics;
mod names;
mod namespaces;
mod objects;
mod pods;
mod projection;
mod run;
mod scope;
mod strategy;
mod unknown;
mod webhook;

pub use certificates::Lifetimes;
pub use config::OperatorArgs;
pub use election::ElectionError;
pub use run::{RunError, run};
pub use webhook::WebhookArgs;
