//! Values that several kinds share: names, durations, sizes, ack levels.
//! Each states its pattern once, for the generated schema and for the parser.

mod ack_level;
mod byte_size;
mod duration;
mod names;
mod resource_quantity;
mod text;

pub use ack_level::{AckLevel, AckLevelError};
pub use byte_size::{ByteSize, ByteSizeError};
pub use duration::{Duration, DurationError};
pub use names::{
    AnnotationText, CategoryPattern, CelExpression, CollectionPrefix, DataKey, EventTypeName, FieldName,
    FieldPath, IndexName, IndexPattern, JsonPointer, LabelValue, MongodbDatabase, MysqlDatabase,
    NamespaceName, ObjectName, PostgresSchema, Region, ServiceAccountPattern, SourceName, TablePrefix,
    TargetName, Url, VersionLabel,
};
pub use resource_quantity::ResourceQuantity;
pub use text::TextError;
