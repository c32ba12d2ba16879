//! Polylog's Kubernetes kinds as Rust types: [`EventStore`], [`ReplicationStrategy`], [`Projection`].

#![allow(
    clippy::duplicated_attributes,
    reason = "it takes the columns of a kind, which are alike, for repetitions"
)]

mod condition;
mod definition;
#[expect(unreachable_pub, reason = "kube's derive copies each struct, as `pub`, into a function")]
pub mod event_store;
pub mod manifests;
#[expect(unreachable_pub, reason = "kube's derive copies each struct, as `pub`, into a function")]
pub mod projection;
#[expect(unreachable_pub, reason = "kube's derive copies each struct, as `pub`, into a function")]
mod references;
#[expect(unreachable_pub, reason = "kube's derive copies each struct, as `pub`, into a function")]
pub mod replication_strategy;
pub mod resolve;
pub mod schema;
pub mod validate;
pub mod values;

pub use condition::{Condition, ConditionStatus};
pub use definition::{definition, definitions, to_template, to_yaml};
pub use event_store::EventStore;
pub use projection::Projection;
pub use references::{CaRef, CaRefKind, ObjectRef, SecretKeyRef};
pub use replication_strategy::ReplicationStrategy;
