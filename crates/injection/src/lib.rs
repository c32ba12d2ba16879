//! Puts Polylog's sidecar into pods: a function from pod to pod, without I/O, for the webhook and for `polylog inject`.

mod container;
mod error;
mod mark;
mod mesh;
pub mod names;
mod patch;
mod pod;
mod request;
mod settings;
mod store;
mod variables;
mod volume;
mod workload;

pub use error::InjectionError;
pub use mark::Mark;
pub use patch::json_patch;
pub use pod::{Existing, Injection, Warning, inject};
pub use request::{Ports, Request};
pub use settings::Settings;
pub use store::{File, Object, Store, Stores, connection_files};
pub use workload::pod_template;
