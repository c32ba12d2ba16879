use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::{Method, transport::Transport};
use polylog_log::Failure;
use serde_json::Value;

use crate::{
    Address,
    connection::{Body, connect, exchange},
    error::EngineError,
};

/// A cluster, for reading what others keep there.
pub struct Cluster {
    transport: Transport,
    patience: Duration,
}

impl Cluster {
    /// A client of it; it connects when it is first needed. `patience` is how long one answer may take.
    ///
    /// # Errors
    /// Certificates that are none.
    pub fn new(address: &Address, patience: Duration) -> Result<Self, Failure> {
        let transport = connect(address, patience).map_err(|error| error.failure())?;
        Ok(Self { transport, patience })
    }

    /// Asks for a path, such as `/`.
    ///
    /// # Errors
    /// No answer, or one that is none of success.
    pub async fn get(&self, path: &str) -> Result<Bytes, Failure> {
        self.answer(Method::Get, path, Body::Nothing).await
    }

    /// Has something done, with a document where that takes one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post(&self, path: &str, document: Option<&Value>) -> Result<Bytes, Failure> {
        let body = document.map_or(Body::Nothing, Body::json);
        self.answer(Method::Post, path, body).await
    }

    /// Gives up what a document names.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete(&self, path: &str, document: &Value) -> Result<Bytes, Failure> {
        self.answer(Method::Delete, path, Body::json(document)).await
    }

    async fn answer(&self, method: Method, path: &str, body: Body) -> Result<Bytes, Failure> {
        let reply = exchange(&self.transport, self.patience, method, path, body).await;
        let reply = reply.and_then(|reply| reply.ok()).map_err(|error: EngineError| error.failure())?;
        Ok(reply.body)
    }
}
