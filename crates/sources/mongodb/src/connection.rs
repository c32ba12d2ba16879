use std::{
    future::IntoFuture,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use mongodb::{
    Client, Collection, Database,
    bson::{Bson, Document, doc},
    options::{CollectionOptions, ReadConcern, WriteConcern},
};
use polylog_log::{Failure, Timestamp};
use tokio::sync::OnceCell;

use crate::{
    MongodbConfig,
    error::EngineError,
    head::HeadDocument,
    history::History,
    schema::{EVENTS, HEAD, LEASES, QUARANTINE},
};

/// A client of one database, and what this process knows of it.
pub(crate) struct Handle {
    pub(crate) config: MongodbConfig,
    pub(crate) history: History,
    client: OnceCell<Connected>,
    crashed: AtomicBool,
    /// The source is open: only then may tests make something go wrong.
    pub(crate) is_open: AtomicBool,
    /// The head's document as it was seen last, with its batch.
    pub(crate) newest: Mutex<Option<HeadDocument>>,
}

/// A client that has spoken to a server.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) database: Database,
    /// The head's document: read as the newest that a majority has.
    pub(crate) head: Collection<Document>,
    pub(crate) events: Collection<Document>,
    pub(crate) quarantine: Collection<Document>,
    pub(crate) leases: Collection<Document>,
}

impl Handle {
    pub(crate) fn new(config: MongodbConfig) -> Self {
        Self {
            config,
            history: History::default(),
            client: OnceCell::new(),
            crashed: AtomicBool::new(false),
            is_open: AtomicBool::new(false),
            newest: Mutex::default(),
        }
    }

    /// The client; connects when it is first needed.
    pub(crate) async fn connected(&self) -> Result<&Connected, EngineError> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Connected, EngineError> {
        let config = &self.config;
        let refused = |error: crate::ConfigError| Failure::Refused {
            reason: polylog_log::RefusedReason::Unsuitable,
            message: error.to_string(),
        };
        let (mut options, certificates) = config.address.options().await.map_err(refused)?;
        options.connect_timeout = Some(config.connect_timeout);
        options.server_selection_timeout = Some(config.connect_timeout);
        options.write_concern = Some(durable(config));
        let client = Client::with_options(options)?;
        // it has read them
        drop(certificates);
        let database = client.database(config.database.as_str());
        let is_replicated = is_replicated(&self.hello(&database).await?);
        let collection = |name: &str, concern: ReadConcern| {
            // a server alone knows no such concerns: what it has is all there is
            let concern = if is_replicated { concern } else { ReadConcern::local() };
            let options =
                CollectionOptions::builder().read_concern(concern).write_concern(durable(config)).build();
            database.collection_with_options(&config.collection(name), options)
        };
        Ok(Connected {
            head: collection(HEAD, ReadConcern::linearizable()),
            events: collection(EVENTS, ReadConcern::majority()),
            quarantine: collection(QUARANTINE, ReadConcern::majority()),
            leases: collection(LEASES, ReadConcern::majority()),
            database,
            client,
        })
    }

    pub(crate) async fn hello(&self, database: &Database) -> Result<Document, EngineError> {
        // older servers, and some of other people, know only the old name
        match self.patiently(database.run_command(doc! { "hello": 1 }).into_future()).await {
            Err(EngineError::Driver(error))
                if matches!(*error.kind, mongodb::error::ErrorKind::Command(_)) =>
            {
                self.patiently(database.run_command(doc! { "isMaster": 1 }).into_future()).await
            }
            answer => answer,
        }
    }

    /// The database's clock, to the millisecond.
    pub(crate) async fn clock(&self) -> Result<Timestamp, EngineError> {
        let answer = self.hello(&self.connected().await?.database).await?;
        match answer.get("localTime") {
            Some(Bson::DateTime(time)) => Ok(Timestamp::from_micros(time.timestamp_millis() * 1_000)),
            _ => Err(EngineError::damaged("the server does not tell its time")),
        }
    }

    /// Waits for an answer as long as a request may take.
    pub(crate) async fn patiently<T>(
        &self,
        work: impl Future<Output = Result<T, mongodb::error::Error>>,
    ) -> Result<T, EngineError> {
        let patience = self.config.request_timeout;
        match tokio::time::timeout(patience, work).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failure::Timeout(patience).into()),
        }
    }

    /// The handle answers nothing any more.
    pub(crate) fn crash(&self) {
        self.crashed.store(true, Ordering::Release);
    }

    pub(crate) fn is_crashed(&self) -> bool {
        self.crashed.load(Ordering::Acquire)
    }
}

/// On the disks of a majority before it is answered.
pub(crate) fn durable(config: &MongodbConfig) -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.journal = Some(true);
    concern.w_timeout = Some(config.request_timeout);
    concern
}

/// The same, for a command.
pub(crate) fn durable_document(config: &MongodbConfig) -> Document {
    let patience = i64::try_from(config.request_timeout.as_millis()).unwrap_or(i64::MAX);
    doc! { "w": "majority", "j": true, "wtimeout": patience }
}

/// Whether the server belongs to a replica set, or stands before several.
fn is_replicated(hello: &Document) -> bool {
    hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid")
}

impl Connected {
    /// Ends its connections.
    pub(crate) async fn close(&self) {
        // at once: else it waits until every cursor is given back, which are of reads that nobody waits for
        self.client.clone().shutdown().immediate(true).await;
    }
}

impl Handle {
    /// Ends the connections, if there are any.
    pub(crate) async fn close(&self) {
        if let Some(connected) = self.client.get() {
            connected.close().await;
        }
    }
}
