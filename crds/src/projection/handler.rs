//! Services that are fed with events, and what happens on failure.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::references::ObjectRef;
use crate::values::{Duration, Url};

/// A service that is fed with events, at least once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Handler {
    /// Over HTTP, as CloudEvents.
    pub http: HttpHandler,
}

/// A service that takes CloudEvents over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpHandler {
    /// Its address.
    pub url: Url,
    /// How long one request may take; 10s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Events in one request; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub batch: Option<u32>,
    /// Headers that every request carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_from: Option<HeadersFrom>,
}

/// Where the headers of a request come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadersFrom {
    /// Secret whose keys are header names.
    pub secret_ref: ObjectRef,
}

/// What happens when an event cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct OnError {
    /// What waits; Stall if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<OnErrorPolicy>,
    /// How often it is tried again before that; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub retries: Option<u32>,
    /// The time between tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// What waits after an event that cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnErrorPolicy {
    /// Everything.
    Stall,
    /// Later events of the same key; the others go on.
    ParkKey,
}

/// The time between tries; it doubles from `min` to `max`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Backoff {
    /// After the first try; 1s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Duration>,
    /// At most; 60s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Duration>,
}
