use polylog_log::Limits;

use super::{Access, EnrichWith, PolicyDocument, Schemas};
use crate::json::Pointers;

/// A policy as the interceptors use it; compiled once per `$policy` event.
#[derive(Debug)]
pub struct Policy {
    /// Who may do what.
    pub access: Access,
    /// Checks of event data.
    pub schemas: Schemas,
    /// What is added to metadata.
    pub enrich: Vec<EnrichWith>,
    /// What is left out of answers.
    pub(crate) redact: Pointers,
    /// Largest sizes.
    pub limits: Limits,
}

/// Why a policy cannot be used. The one before it stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not a policy that this version understands. Update this version, or correct the policy.
    #[error("the policy cannot be read: {0}")]
    Unreadable(String),
    /// A schema does not compile. Correct the schema.
    #[error("the schema of event type {event_type} does not compile: {reason}")]
    Schema {
        /// The type.
        event_type: String,
        /// What is wrong with the schema.
        reason: String,
    },
    /// Not a JSON pointer. Correct it.
    #[error("not a JSON pointer: {0}")]
    Pointer(String),
}

impl PolicyDocument {
    /// Reads the content of a `$policy` event.
    pub fn parse(content: &[u8]) -> Result<Self, PolicyError> {
        serde_json::from_slice(content).map_err(|error| PolicyError::Unreadable(error.to_string()))
    }
}

impl Policy {
    /// Compiles a policy.
    pub fn compile(document: &PolicyDocument) -> Result<Self, PolicyError> {
        let mut redact = Pointers::default();
        for pointer in &document.redact {
            if !redact.add(pointer) {
                return Err(PolicyError::Pointer(pointer.clone()));
            }
        }
        Ok(Self {
            access: Access::new(&document.namespace, document.access.as_deref()),
            schemas: Schemas::compile(document.validation, &document.schemas)?,
            enrich: document.enrich.clone(),
            redact,
            limits: document.limits,
        })
    }
}
