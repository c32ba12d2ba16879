//! Tests that every engine runs.
//!
//! An engine implements [`Harness`] and [`Database`] for its tests and runs the whole kit:
//!
//! ```text
//! #[tokio::test(flavor = "multi_thread")]
//! async fn keeps_the_contract() {
//!     let report = polylog_log::conformance::run_all(std::sync::Arc::new(MyHarness::default())).await;
//!     assert!(report.is_ok(), "{report}");
//! }
//! ```
//!
//! What a case finds comes as a [`Violation`], not as a panic, so that the tests of these tests can assert that a case
//! fails when a rule is switched off.

mod act;
mod audit;
mod cases;
mod child;
mod events;
mod expect;
mod harness;
mod kit;
mod run;
mod subject;
mod violation;
mod wire;

pub use child::child;
pub use harness::{Damage, Database, Harness, Processes};
pub use kit::Kit;
pub use run::{Case, Outcome, Report, cases, run, run_all};
pub use violation::Violation;
