//! What a store's `$policy` event says: access, schemas, validation, enrichment, redaction, limits.

mod access;
mod compiled;
mod document;
mod glob;
mod schemas;

pub use access::{Access, Scope};
pub use compiled::{Policy, PolicyError};
pub use document::{AccessRule, Account, PolicyDocument, Validation};
pub use glob::Glob;
pub use polylog_crds::event_store::{EnrichWith, UnknownTypes, ValidationMode, Verb};
pub use schemas::{Schemas, Violation};
