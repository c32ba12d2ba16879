//! What is wrong with a manifest, and where.

use std::fmt;
use std::path::PathBuf;

use crate::schema::{FieldPath, ViolationKind};

/// What kind of mistake a manifest holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemCode {
    /// The file is no YAML or JSON, or uses a part of YAML that manifests do not have.
    Syntax,
    /// An object has a field twice.
    DuplicateKey,
    /// A value that YAML 1.1 readers (kubectl, Helm) and YAML 1.2 readers take for different things.
    AmbiguousValue,
    /// A version or kind of our group that does not exist.
    UnknownKind,
    /// A field that the kind does not have.
    UnknownField,
    /// A wrong type, a missing field, a pattern, a length, a bound, a value outside its enumeration.
    Structure,
    /// Two items of a list are the same, or have the same key.
    DuplicateItem,
    /// A rule of the definition is broken.
    Rule,
    /// A name, label or other part of `metadata` that an API server refuses.
    Metadata,
    /// An object that another document defines too.
    DuplicateObject,
}

impl From<ViolationKind> for ProblemCode {
    fn from(kind: ViolationKind) -> Self {
        match kind {
            ViolationKind::UnknownField => Self::UnknownField,
            ViolationKind::Structure => Self::Structure,
            ViolationKind::Duplicate => Self::DuplicateItem,
            ViolationKind::Rule => Self::Rule,
        }
    }
}

/// Kind and name of the object that a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectLabel {
    /// Its kind.
    pub kind: String,
    /// Its namespace and name.
    pub name: String,
}

/// One mistake in a manifest. Shown as `file:line: Kind namespace/name: path: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The object, where the document could be read that far.
    pub object: Option<ObjectLabel>,
    /// Where in the object.
    pub path: FieldPath,
    /// What kind of mistake.
    pub code: ProblemCode,
    /// What is wrong, for people.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(object) = &self.object {
            write!(f, "{} {}: ", object.kind, object.name)?;
        }
        if !self.path.segments().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Every mistake of a folder, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
