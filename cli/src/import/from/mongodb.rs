use std::time::Duration;

use mongodb::{
    Collection, Cursor,
    bson::{Bson, Document as BsonDocument, doc},
    error::ErrorKind,
};
use polylog_source_mongodb::Address;
use serde_json::value::RawValue;

use super::{
    access::Access,
    document::Document,
    mapping::Mapping,
    reader::{Fields, Page, Reader, is_full},
};
use crate::exit::Failure;

/// Reads a collection in the order of its documents' own ids.
pub(crate) struct MongodbReader {
    collection: Collection<BsonDocument>,
    cursor: Option<Cursor<BsonDocument>>,
}

/// How long a server is looked for.
const CONNECT: Duration = Duration::from_secs(10);
/// Documents of which the fields are looked at.
const SAMPLE: i64 = 100;

impl MongodbReader {
    pub(crate) async fn connect(access: &Access, name: &str) -> Result<Self, Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let mut address = Address::parse(&access.url).map_err(|error| usage(&error))?;
        access.check_no_api_key()?;
        let password = access.password.as_ref();
        address.password = password.map(|it| polylog_source_mongodb::Secret::new(it.reveal()));
        address.ca.clone_from(&access.ca);
        let (database, collection) = match (address.database(), name.split_once('.')) {
            (Some(database), _) => (database, name),
            (None, Some((database, collection))) => (database.to_owned(), collection),
            (None, None) => {
                let words = format!("{address} names no database: say it there, or as DATABASE.{name}");
                return Err(usage(&words));
            }
        };
        let client = address.client(CONNECT).await.map_err(|error| usage(&error))?;
        let collection = client.database(&database).collection(collection);
        Ok(Self { collection, cursor: None })
    }
}

impl Reader for MongodbReader {
    async fn fields(&mut self) -> Result<Fields, Failure> {
        let mut names = Vec::new();
        let mut cursor =
            self.collection.find(doc! {}).sort(doc! { "_id": 1 }).limit(SAMPLE).await.map_err(failed)?;
        while cursor.advance().await.map_err(failed)? {
            let document = cursor.deserialize_current().map_err(failed)?;
            for name in document.keys() {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        if names.is_empty() {
            let words = format!("there is no collection {}, or it is empty", self.collection.namespace());
            return Err(Failure::Usage(words));
        }
        Ok(Fields { names, all: false })
    }

    async fn begin(&mut self, _: &Mapping, after: Option<&str>) -> Result<u64, Failure> {
        let total = self.collection.count_documents(doc! {}).await.map_err(failed)?;
        let behind = match after {
            None => doc! {},
            Some(cursor) => {
                let id: Bson = serde_json::from_str(cursor).map_err(anyhow::Error::new)?;
                doc! { "_id": { "$gt": id } }
            }
        };
        let found = self.collection.find(behind).sort(doc! { "_id": 1 }).batch_size(500);
        self.cursor = Some(found.await.map_err(failed)?);
        Ok(total)
    }

    async fn page(&mut self) -> Result<Page, Failure> {
        let mut page = Page::empty();
        let Some(cursor) = &mut self.cursor else { return Ok(page) };
        let mut bytes = 0;
        while !is_full(page.documents.len(), bytes) && cursor.advance().await.map_err(failed)? {
            let document = cursor.deserialize_current().map_err(failed)?;
            let id = document.get("_id").cloned().unwrap_or(Bson::Null);
            let mut json = String::new();
            write(&mut json, &Bson::Document(document)).map_err(anyhow::Error::new)?;
            bytes += json.len();
            let fields = RawValue::from_string(json).map_err(anyhow::Error::new)?;
            page.documents.push(Document { name: format!("document {id}"), id: None, fields });
            page.cursor = Some(serde_json::to_string(&id).map_err(anyhow::Error::new)?);
        }
        Ok(page)
    }

    async fn end(&mut self) {
        self.cursor = None;
    }
}

/// Writes a value as JSON, objects in their order. What JSON has no word for is written as MongoDB's Extended JSON does.
fn write(out: &mut String, value: &Bson) -> Result<(), serde_json::Error> {
    match value {
        Bson::Document(document) => {
            out.push('{');
            for (index, (name, value)) in document.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(name)?);
                out.push(':');
                write(out, value)?;
            }
            out.push('}');
        }
        Bson::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, value)?;
            }
            out.push(']');
        }
        Bson::Double(number) if !number.is_finite() => {
            let word = if number.is_nan() {
                "NaN"
            } else if *number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            out.push_str(&format!("{{\"$numberDouble\":\"{word}\"}}"));
        }
        other => out.push_str(&serde_json::to_string(other)?),
    }
    Ok(())
}

fn failed(error: mongodb::error::Error) -> Failure {
    match *error.kind {
        ErrorKind::ServerSelection { .. } | ErrorKind::Io(_) => {
            Failure::NoAnswer(format!("the MongoDB server: {error}"))
        }
        _ => Failure::Failed(anyhow::Error::new(error).context("MongoDB")),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Binary, DateTime, oid::ObjectId, spec::BinarySubtype};

    use super::*;

    #[test]
    fn values_keep_their_order_and_kind() {
        let binary = Binary { subtype: BinarySubtype::Uuid, bytes: vec![0; 16] };
        let document = doc! {
            "z": 1_i32, "a": [1_i64 << 60, 1.5, "é\"", Bson::Null, true], "n": { "y": f64::NAN, "b": {} },
            "o": ObjectId::from_bytes([1; 12]), "d": DateTime::from_millis(1_704_067_200_123), "u": binary
        };
        let mut json = String::new();
        write(&mut json, &Bson::Document(document)).expect("JSON");
        assert_eq!(
            json,
            concat!(
                r#"{"z":1,"a":[1152921504606846976,1.5,"é\"",null,true],"n":{"y":{"$numberDouble":"NaN"},"b":{}},"#,
                r#""o":{"$oid":"010101010101010101010101"},"d":{"$date":{"$numberLong":"1704067200123"}},"#,
                r#""u":{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAAAA==","subType":"04"}}}"#
            )
        );
        let fields = RawValue::from_string(json).expect("JSON");
        assert!(crate::import::from::document::Members::of(&fields).is_ok());
    }
}
