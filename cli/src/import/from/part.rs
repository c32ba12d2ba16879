use serde::{Deserialize, Serialize};

/// What an event is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Part {
    Id,
    Stream,
    AggregateType,
    AggregateId,
    Version,
    Type,
    Data,
    Metadata,
    Time,
    CorrelationId,
    CausationId,
    ContentType,
    Position,
}

impl Part {
    pub(crate) const ALL: [Self; 13] = [
        Self::Id,
        Self::Stream,
        Self::AggregateType,
        Self::AggregateId,
        Self::Version,
        Self::Type,
        Self::Data,
        Self::Metadata,
        Self::Time,
        Self::CorrelationId,
        Self::CausationId,
        Self::ContentType,
        Self::Position,
    ];

    /// As a mapping calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Stream => "stream",
            Self::AggregateType => "aggregateType",
            Self::AggregateId => "aggregateId",
            Self::Version => "version",
            Self::Type => "type",
            Self::Data => "data",
            Self::Metadata => "metadata",
            Self::Time => "time",
            Self::CorrelationId => "correlationId",
            Self::CausationId => "causationId",
            Self::ContentType => "contentType",
            Self::Position => "position",
        }
    }

    /// How fields are called that hold it where no mapping says so, the likeliest first; lower-case, without `_`.
    const fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Id => &["eventid", "id"],
            Self::Stream => &["stream", "streamid", "streamname"],
            Self::AggregateType => &["aggregatetype"],
            Self::AggregateId => &["aggregateid"],
            Self::Version => &["version", "streamversion", "aggregateversion", "streamrevision", "revision"],
            Self::Type => &["eventtype", "type"],
            Self::Data => &["eventdata", "data", "payload", "body"],
            Self::Metadata => &["metadata", "eventmetadata", "meta", "headers"],
            Self::Time => &["time", "timestamp", "occurredat", "occurredon", "createdat", "recordedat"],
            Self::CorrelationId => &["correlationid"],
            Self::CausationId => &["causationid"],
            Self::ContentType => &["contenttype"],
            Self::Position => &["globalposition", "globalsequence", "globalindex"],
        }
    }

    /// The field that holds it by its name, among those that are there.
    pub(crate) fn usual_field<'a>(self, fields: &[&'a str]) -> Option<&'a str> {
        let plain = |field: &str| field.replace('_', "").to_lowercase();
        // a document's own id, which is no field of it
        let is_document_id = |field: &str| field == "_id";
        let found = self.usual().iter().find_map(|usual| {
            fields.iter().find(|field| !is_document_id(field) && plain(field) == *usual).copied()
        });
        let document_id = || fields.iter().find(|field| is_document_id(field)).copied();
        found.or_else(|| document_id().filter(|_| self == Self::Id))
    }
}
