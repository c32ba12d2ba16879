//! Polylog's Kubernetes kinds as Rust types
