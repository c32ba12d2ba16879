//! The `polylog` command against a real `polylog dev`.

mod admin;
mod append;
mod export;
mod failures;
mod import;
mod inject;
mod manifests;
mod read;
mod support;
mod tail;
