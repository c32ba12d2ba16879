//! Limits and validation of events.

use serde::{Deserialize, Serialize};

use super::EventSchemas;
use crate::event_store::{Events, UnknownTypes, ValidationMode};
use crate::values::ByteSize;

/// Largest sizes. The smallest limit of all sources holds beside these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedLimits {
    /// Data of one event.
    pub event_bytes: ByteSize,
    /// Metadata of one event.
    pub metadata_bytes: ByteSize,
    /// Events of one commit.
    pub commit_events: u32,
    /// Data and metadata of one commit.
    pub commit_bytes: ByteSize,
}

impl ResolvedLimits {
    /// The limits that `events` asks for, with defaults for the rest.
    pub fn resolve(events: Option<&Events>) -> Self {
        let limits = events.and_then(|events| events.limits.as_ref());
        Self {
            event_bytes: limits.and_then(|limits| limits.event_bytes).unwrap_or(ByteSize::from_kib(256)),
            metadata_bytes: limits.and_then(|limits| limits.metadata_bytes).unwrap_or(ByteSize::from_kib(16)),
            commit_events: limits.and_then(|limits| limits.commit_events).unwrap_or(500),
            commit_bytes: limits.and_then(|limits| limits.commit_bytes).unwrap_or(ByteSize::from_kib(1024)),
        }
    }
}

/// Check of event data against a JSON Schema per event type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedValidation {
    /// What happens to data that breaks its schema.
    pub mode: ValidationMode,
    /// What happens to types without a schema.
    pub unknown_types: UnknownTypes,
    /// The schemas, by event type.
    pub schemas: EventSchemas,
}

impl ResolvedValidation {
    /// What `events` asks for with these `schemas`, with defaults for the rest.
    pub fn resolve(events: Option<&Events>, schemas: EventSchemas) -> Self {
        let validation = events.and_then(|events| events.validation.as_ref());
        Self {
            mode: validation.and_then(|validation| validation.mode).unwrap_or_default(),
            unknown_types: validation.and_then(|validation| validation.unknown_types).unwrap_or_default(),
            schemas,
        }
    }
}
