//! One thing that is wrong or worth knowing about an object.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::capabilities::{Capabilities, Feature, Support};
use crate::manifests::{Manifests, ObjectKey};
use crate::schema::FieldPath;

/// One of our kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// EventStore.
    EventStore,
    /// ReplicationStrategy.
    ReplicationStrategy,
    /// Projection.
    Projection,
}

/// Why something was found; also the reason of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum FindingCode {
    /// This version cannot do what the field asks for; remove the field or take a later version.
    NotSupported,
    /// This version has no such engine; take another, or a later version.
    EngineNotSupported,
    /// Names something that is not there; correct the name or add it.
    InvalidReference,
    /// Fits its schema but contradicts something else; correct it.
    InvalidValue,
    /// Is no CEL expression, or one over something that is not there; correct it.
    InvalidExpression,
    /// A schema of an event type cannot be used; correct it.
    InvalidSchema,
    /// The source is not part of the log yet; nothing to do.
    Unprovisioned,
    /// The field changes nothing here; nothing to do.
    NoEffect,
}

/// What a finding means for the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Severity {
    /// The object is not served until it is changed.
    Refused,
    /// The object is served; its author should know.
    Warning,
}

/// One thing that is wrong or worth knowing about an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Kind of the object.
    pub kind: Kind,
    /// Namespace and name of the object.
    #[serde(serialize_with = "as_text")]
    pub object: ObjectKey,
    /// Where in the object.
    pub path: FieldPath,
    /// Why.
    pub code: FindingCode,
    /// What, for people.
    pub message: String,
    /// What it means.
    pub severity: Severity,
}

fn as_text<S: serde::Serializer>(key: &ObjectKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

impl Finding {
    /// The file and line in `manifests` that it is about.
    pub fn place<'manifests>(
        &self,
        manifests: &'manifests Manifests,
    ) -> Option<(&'manifests Path, Option<usize>)> {
        fn of<'a, K>(loaded: &'a crate::manifests::Loaded<K>, path: &FieldPath) -> (&'a Path, Option<usize>) {
            (loaded.file(), loaded.line_of(path))
        }
        match self.kind {
            Kind::EventStore => manifests.stores.get(&self.object).map(|loaded| of(loaded, &self.path)),
            Kind::ReplicationStrategy => {
                manifests.strategies.get(&self.object).map(|loaded| of(loaded, &self.path))
            }
            Kind::Projection => manifests.projections.get(&self.object).map(|loaded| of(loaded, &self.path)),
        }
    }
}

impl fmt::Display for Finding {
    /// `Kind namespace/name: path: message (Code)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: ", self.kind, self.object)?;
        if !self.path.segments().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} ({:?})", self.message, self.code)
    }
}

/// Collects what is found about one object.
pub(super) struct About<'findings> {
    pub(super) kind: Kind,
    pub(super) object: ObjectKey,
    pub(super) findings: &'findings mut Vec<Finding>,
}

impl About<'_> {
    /// Adds what this program does with a field that asks for `feature`.
    pub(super) fn feature(&mut self, capabilities: &Capabilities, feature: Feature, path: FieldPath) {
        match capabilities.support(feature) {
            Support::Works => {}
            Support::NoEffect(why) => self.warn(path, FindingCode::NoEffect, why),
            Support::Refused => {
                let message =
                    format!("{} of this version cannot do this; remove the field", capabilities.program);
                self.refuse(path, FindingCode::NotSupported, message);
            }
        }
    }

    pub(super) fn refuse(&mut self, path: FieldPath, code: FindingCode, message: impl Into<String>) {
        self.push(path, code, message.into(), Severity::Refused);
    }

    pub(super) fn warn(&mut self, path: FieldPath, code: FindingCode, message: impl Into<String>) {
        self.push(path, code, message.into(), Severity::Warning);
    }

    fn push(&mut self, path: FieldPath, code: FindingCode, message: String, severity: Severity) {
        let (kind, object) = (self.kind, self.object.clone());
        self.findings.push(Finding { kind, object, path, code, message, severity });
    }
}
