use std::time::Duration;

use http::HeaderValue;
use polylog_api::{
    AppendAnswer, AppendBody, CommitsAnswer, CommitsBody, IdempotencyKey, NewEventBody, headers,
};
use polylog_log::{Acks, EventId, StreamName};
use uuid::Uuid;

use crate::{
    Client, ClientError,
    client::Call,
    query::{Query, number},
};

/// How an append is done; by default at the store's ack level and within the client's deadline.
#[derive(Debug, Clone, Default)]
pub struct AppendOptions {
    /// How many sources must have it; may raise the store's level, never lower it.
    pub acks: Option<Acks>,
    /// On a version conflict, tell up to this many of the events that were missed.
    pub missed: Option<u32>,
    /// Makes the append the same as any other with this key, also from another process; events then need no ids.
    pub idempotency_key: Option<IdempotencyKey>,
    /// How long to try.
    pub deadline: Option<Duration>,
}

impl Client {
    /// Appends to one stream. What was written before by an earlier try is answered with `repeated`.
    pub async fn append(
        &self,
        stream: &StreamName,
        mut body: AppendBody,
        options: &AppendOptions,
    ) -> Result<AppendAnswer, ClientError> {
        give_ids(&mut body.events, options);
        let json = serde_json::to_vec(&body).expect("plain structs with string keys serialise");
        self.send_append(&["streams", stream.as_str()], json, options).await
    }

    /// Appends to several streams, all or nothing.
    pub async fn commits(
        &self,
        mut body: CommitsBody,
        options: &AppendOptions,
    ) -> Result<CommitsAnswer, ClientError> {
        body.appends.iter_mut().for_each(|append| give_ids(&mut append.events, options));
        let json = serde_json::to_vec(&body).expect("plain structs with string keys serialise");
        self.send_append(&["commits"], json, options).await
    }

    async fn send_append<T: serde::de::DeserializeOwned>(
        &self,
        parts: &[&str],
        json: Vec<u8>,
        options: &AppendOptions,
    ) -> Result<T, ClientError> {
        let query = Query::new()
            .add("acks", options.acks.map(|acks| acks.to_string()))
            .add("missed", options.missed.map(number))
            .finish();
        let mut call = Call::post(self.address.in_store(parts, &query), json);
        if let Some(key) = &options.idempotency_key {
            let key = HeaderValue::from_str(key.as_str()).expect("a key is visible ASCII");
            call.headers.insert(headers::IDEMPOTENCY_KEY, key);
        }
        self.call(&call, options.deadline.unwrap_or(self.timing.deadline)).await
    }
}

/// Ids are what makes a retry harmless, so none is sent without; time-ordered ones are cheapest to store.
fn give_ids(events: &mut [NewEventBody], options: &AppendOptions) {
    if options.idempotency_key.is_some() {
        return;
    }
    for event in events {
        event.id.get_or_insert_with(|| EventId::new(Uuid::now_v7()));
    }
}
