use std::future::IntoFuture;

use futures::TryStreamExt;
use mongodb::{
    bson::{Document, doc},
    results::CollectionType,
};
use polylog_log::{FORMAT, Failure};

use super::Actual;
use crate::{
    MongodbConfig,
    connection::Handle,
    error::EngineError,
    fields::Fields,
    head,
    schema::{COLLECTIONS, EVENTS, HEAD, LANE, LEASES, QUARANTINE},
};

/// Looks at what is in the database; changes nothing. `config` has the credential that provisions.
///
/// # Errors
/// The server cannot be reached or does not let us look, or a newer version has written the head; `WrongStore` where
/// something of others has one of our names.
pub async fn inspect(config: &MongodbConfig) -> Result<Actual, Failure> {
    let handle = Handle::new(config.clone());
    let actual = look(&handle).await.map_err(|error| error.failure());
    handle.close().await;
    actual
}

pub(crate) async fn look(handle: &Handle) -> Result<Actual, EngineError> {
    let connected = handle.connected().await?;
    let prefix = &handle.config.prefix;
    let listed = async { connected.database.list_collections().await?.try_collect::<Vec<_>>().await };
    let listed = handle.patiently(listed).await?;
    let mut actual = Actual::default();
    for name in COLLECTIONS {
        let Some(found) = listed.iter().find(|found| found.name == prefix.named(name)) else { continue };
        if found.collection_type != CollectionType::Collection {
            return Err(foreign(&found.name, "it is no collection"));
        }
        let collection = connected.database.collection::<Document>(&found.name);
        let one = handle.patiently(collection.find_one(doc! {}).into_future()).await?;
        if one.is_some_and(|document| !is_ours(name, &document)) {
            return Err(foreign(&found.name, "it holds documents that are not ours"));
        }
        actual.collections.insert(name.to_owned());
    }
    let head = handle.patiently(connected.head.find_one(doc! { "_id": LANE }).into_future()).await?;
    if let Some(document) = head {
        let found = head::format(&document)?;
        if found > FORMAT {
            return Err(Failure::FormatTooNew { found, known: FORMAT }.into());
        }
        (actual.format, actual.identity) = (Some(found), Some(head::identity(&document)?));
    }
    if actual.collections.contains(EVENTS) {
        let last =
            connected.events.find_one(doc! {}).sort(doc! { "_id": -1 }).projection(doc! { "position": 1 });
        if let Some(last) = handle.patiently(last.into_future()).await? {
            actual.events = Fields::of("an event", &last).number("position")?;
        }
        for index in indexes(handle, &prefix.named(EVENTS)).await? {
            let fields = Fields::of("an index", &index);
            let (name, key) = (fields.text("name")?, index.get_document("key"));
            if let (true, Ok(key)) = (name.starts_with("polylog_"), key) {
                actual.indexes.insert(name.into(), key.clone());
            }
        }
    }
    Ok(actual)
}

/// Whether a document has what all of ours have.
fn is_ours(collection: &str, document: &Document) -> bool {
    let fields: &[&str] = match collection {
        HEAD => &["format", "log"],
        LEASES => &["holder", "beat"],
        QUARANTINE => &["cut", "chain"],
        _ => &["position", "chain"],
    };
    fields.iter().all(|field| document.contains_key(field))
}

fn foreign(name: &str, what: &str) -> EngineError {
    let message = format!(
        "{name} belongs to another application ({what}): give the log a database or a collection prefix of its own"
    );
    Failure::WrongStore(message).into()
}

async fn indexes(handle: &Handle, events: &str) -> Result<Vec<Document>, EngineError> {
    let database = &handle.connected().await?.database;
    let listed = async {
        let cursor = database.run_cursor_command(doc! { "listIndexes": events }).await?;
        cursor.try_collect().await
    };
    handle.patiently(listed).await
}
