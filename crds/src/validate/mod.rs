//! What the definitions' rules cannot say, and what this version cannot do. Pure: no file, no network, no clock.

mod capabilities;
mod event_store;
mod expressions;
mod finding;
mod projection;
mod replication_strategy;

use std::collections::BTreeMap;

pub use capabilities::{Capabilities, Feature, Support, TargetEngine};
pub use finding::{Finding, FindingCode, Kind, Severity};

use crate::manifests::Manifests;
use crate::schema::FieldPath;
use crate::values::SourceName;

/// Everything that is wrong or worth knowing about `manifests`, which were read without mistakes.
/// `placements` says which source is kept in which engine, where that is not what the capabilities say.
pub fn validate(
    manifests: &Manifests,
    capabilities: &Capabilities,
    placements: &BTreeMap<SourceName, TargetEngine>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for key in manifests.stores.keys() {
        event_store::check(manifests, key, capabilities, placements, &mut findings);
    }
    for key in manifests.strategies.keys() {
        replication_strategy::check(manifests, key, capabilities, &mut findings);
    }
    for key in manifests.projections.keys() {
        projection::check(manifests, key, capabilities, &mut findings);
    }
    findings
}

/// A field of the spec.
fn at<'a>(names: impl IntoIterator<Item = &'a str>) -> FieldPath {
    FieldPath::of_fields(std::iter::once("spec").chain(names))
}
