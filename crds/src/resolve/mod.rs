//! Presets and defaults, resolved in one place into plain types.
//!
//! The definitions carry no defaults: what a server fills in and Git lacks shows as a difference for ever. These types
//! are what a process is started with.

mod access;
mod event_schemas;
mod events;
mod store;
mod strategy;

pub use access::{Access, ResolvedAccessRule, ResolvedServiceAccount};
pub use event_schemas::{EventSchemas, SchemaKeyError, schema_key, schema_type};
pub use events::{ResolvedLimits, ResolvedValidation};
pub use store::{
    Policy, ResolvedAlerts, ResolvedProvisioning, ResolvedSidecar, ResolvedSource, ResolvedStore,
    ResolvedVerification,
};
pub(crate) use store::{provisioned, source_names, voter_count};
pub use strategy::{
    MaxUnreplicatedAction, ResolvedFailover, ResolvedMaxUnreplicated, ResolvedReads, ResolvedStrategy,
};
