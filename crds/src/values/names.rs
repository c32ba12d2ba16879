//! Names and other short texts, one type per meaning.

use super::text::text_type;

text_type!(
    /// Name of a Kubernetes object: a DNS subdomain.
    ObjectName, max 253, pattern r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
);
text_type!(
    /// Name of a Kubernetes namespace: a DNS label.
    NamespaceName, max 63, pattern r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
);
text_type!(
    /// Name of a source, unique in its EventStore. Appears in metrics, statuses and file names.
    SourceName, max 30, pattern r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
);
text_type!(
    /// Where a source runs; compared as text with the region of a reader.
    Region, max 63, pattern r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"
);
text_type!(
    /// Name of a service account, or `*` for all of its namespace.
    ServiceAccountPattern, max 253, pattern r"^(\*|[a-z0-9]([-.a-z0-9]*[a-z0-9])?)$"
);
text_type!(
    /// Key inside a Secret or ConfigMap.
    DataKey, max 253, pattern r"^[-._a-zA-Z0-9]+$"
);
text_type!(
    /// Type of an event: no control characters, no leading `$`, no space at either end. At most 200 bytes of UTF-8,
    /// of which the schema can only check the characters.
    EventTypeName, max 200, pattern r"^[^\x00-\x20$\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?$"
);
text_type!(
    /// Stream category with `*` for any run of characters.
    CategoryPattern, max 200, pattern r"^[^\x00-\x20$\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?$"
);
text_type!(
    /// Expression in the Common Expression Language; empty means absent.
    CelExpression, max 4096, pattern r"^[^\x00]*$"
);
text_type!(
    /// JSON pointer (RFC 6901) into an event's data; the empty pointer is all of it.
    JsonPointer, max 512, pattern r"^(/([^/~]|~[01])*)*$"
);
text_type!(
    /// Address of a database or service, with a lower-case scheme.
    Url, max 2048, pattern r"^[a-z][a-z0-9+.-]*://[^\x00-\x20\x7f]+$"
);
text_type!(
    /// Schema in a PostgreSQL database.
    PostgresSchema, max 63, pattern r"^[A-Za-z_][A-Za-z0-9_]*$"
);
text_type!(
    /// Database of a MySQL or MariaDB server.
    MysqlDatabase, max 64, pattern r"^[A-Za-z0-9_$-]+$"
);
text_type!(
    /// Database of a MongoDB server.
    MongodbDatabase, max 63, pattern r"^[A-Za-z0-9_-]+$"
);
text_type!(
    /// Text in front of table names: in lower case, as some servers keep them.
    TablePrefix, max 20, pattern r"^([a-z_][a-z0-9_]*)?$"
);
text_type!(
    /// Text in front of collection names.
    CollectionPrefix, max 40, pattern r"^[A-Za-z0-9_.-]*$"
);
text_type!(
    /// Name of an Elasticsearch index.
    IndexName, max 200, pattern r"^[a-z0-9][a-z0-9._-]*$"
);
text_type!(
    /// Index name as a client uses it: exact, or ending with `*`.
    IndexPattern, max 200, pattern r"^[a-z0-9][a-z0-9._-]*\*?$"
);
text_type!(
    /// Path of a field inside an event's document, parts separated by dots.
    FieldPath, max 256, pattern r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*$"
);
text_type!(
    /// Field of a read model: a column in SQL.
    FieldName, max 63, pattern r"^[A-Za-z_][A-Za-z0-9_]*$"
);
text_type!(
    /// Stem of the table, collection or index that a projection writes.
    TargetName, max 48, pattern r"^[a-z][a-z0-9_-]*$"
);
text_type!(
    /// Value of a Kubernetes label.
    LabelValue, max 63, pattern r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
);
text_type!(
    /// Value of a Kubernetes annotation.
    AnnotationText, max 16384, pattern r"^[^\x00]*$"
);
text_type!(
    /// Label of a projection's version.
    VersionLabel, max 40, pattern r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts<T: TryFrom<String>>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(T::try_from((*text).to_owned()).is_ok(), "refused {text:?}");
        }
        for text in bad {
            assert!(T::try_from((*text).to_owned()).is_err(), "took {text:?}");
        }
    }

    #[test]
    fn every_pattern_takes_and_refuses() {
        accepts::<ObjectName>(&["a", "a.b-c", "1x"], &["", "A", "-a", "a-", "a..b", ".a"]);
        accepts::<NamespaceName>(&["a", "a-b"], &["a.b", "", "a_b"]);
        accepts::<SourceName>(&["ledger", "a-1"], &["1a", "", "a-", "x".repeat(31).as_str()]);
        accepts::<Region>(&["eu-west", "EU_1"], &["", "-eu"]);
        accepts::<ServiceAccountPattern>(&["*", "checkout"], &["", "a*", "A"]);
        accepts::<DataKey>(&["url", "a.b_c-D"], &["", "a/b", "a b"]);
        accepts::<EventTypeName>(
            &["PaymentProcessed", r"App\Events\Paid", "a b", "ünï"],
            &["", "$x", " a", "a ", "a\nb", "a\u{85}b"],
        );
        accepts::<CategoryPattern>(&["*", "Pay*"], &["", "$x"]);
        accepts::<CelExpression>(&["", "event.type"], &["\0"]);
        accepts::<JsonPointer>(&["", "/a/b", "/a~1b"], &["a", "/a~2"]);
        accepts::<Url>(&["https://search:9200"], &["", "HTTPS://x", "search:9200", "http:// x"]);
        accepts::<PostgresSchema>(&["payments", "_x1"], &["", "1x", "a-b"]);
        accepts::<MysqlDatabase>(&["pay-ments"], &["", "a b", "a`b"]);
        accepts::<MongodbDatabase>(&["payments"], &["", "a.b", "a$b"]);
        accepts::<TablePrefix>(&["", "pl_", "_2"], &["a-b", "2pl_", "PL_"]);
        accepts::<CollectionPrefix>(&["", "pl."], &["a b"]);
        accepts::<IndexName>(&["shop-payments"], &["", "Shop", "_x"]);
        accepts::<IndexPattern>(&["events", "events-*"], &["*", "a*b"]);
        accepts::<FieldPath>(&["data.amount"], &["", ".a", "a."]);
        accepts::<FieldName>(&["processedAt"], &["", "a.b"]);
        accepts::<TargetName>(&["payment_status", "payment-status"], &["", "1a", "A"]);
        accepts::<LabelValue>(&["", "a", "a.b_c"], &["-a", "a-", "a b"]);
        accepts::<AnnotationText>(&["", "a\nb"], &["\0"]);
        accepts::<VersionLabel>(&["v1", "2026-01"], &["", "-v"]);
    }
}
