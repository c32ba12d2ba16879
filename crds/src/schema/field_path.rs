//! Where in an object something stands.

use std::fmt;

/// One step into an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Into a field of an object.
    Field(String),
    /// Into an item of a list, from 0.
    Item(usize),
}

/// Where in an object something stands; empty for the object itself. Shown as `spec.sources[0].name`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The fields `names`, one inside the other.
    pub fn of_fields<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(|name| Segment::Field(name.to_owned())).collect())
    }

    /// The field `name` of what stands here.
    pub fn field(&self, name: impl Into<String>) -> Self {
        self.with(Segment::Field(name.into()))
    }

    /// The item `index` of what stands here.
    pub fn item(&self, index: usize) -> Self {
        self.with(Segment::Item(index))
    }

    /// The steps, from the outermost.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl FromIterator<Segment> for FieldPath {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Item(index) => write!(f, "[{index}]")?,
                Segment::Field(name)
                    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
                {
                    if depth > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(name)?;
                }
                Segment::Field(name) => write!(f, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

impl serde::Serialize for FieldPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_kubectl() {
        let path = FieldPath::of_fields(["spec", "sources"]).item(0).field("name");
        assert_eq!(path.to_string(), "spec.sources[0].name");
        let path = FieldPath::of_fields(["metadata", "annotations"]).field("polylog.dev/x");
        assert_eq!(path.to_string(), "metadata.annotations[\"polylog.dev/x\"]");
        assert_eq!(FieldPath::root().to_string(), "");
    }
}
