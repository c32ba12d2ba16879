use polylog_api::{LocationsAnswer, ReceivedEvent, StoreList, StoreStatus, StreamHeadAnswer};
use polylog_log::{EventId, StreamName};
use serde::de::DeserializeOwned;

use crate::{
    Client, ClientError,
    client::{Call, JSON},
};

impl Client {
    /// The stores that the caller may see.
    pub async fn stores(&self) -> Result<StoreList, ClientError> {
        self.get(self.address.beside_stores(&["stores"])).await
    }

    /// State of a store.
    pub async fn status(&self, store: &str) -> Result<StoreStatus, ClientError> {
        self.get(self.address.beside_stores(&["stores", store])).await
    }

    /// The event with this id.
    pub async fn event(&self, id: EventId) -> Result<ReceivedEvent, ClientError> {
        self.get(self.address.in_store(&["events", &id.to_string()], "")).await
    }

    /// Which sources hold the event with this id.
    pub async fn locations(&self, id: EventId) -> Result<LocationsAnswer, ClientError> {
        self.get(self.address.in_store(&["events", &id.to_string(), "locations"], "")).await
    }

    /// The last version and event of a stream.
    pub async fn stream_head(&self, stream: &StreamName) -> Result<StreamHeadAnswer, ClientError> {
        self.get(self.address.in_store(&["streams", stream.as_str(), "head"], "")).await
    }

    async fn get<T: DeserializeOwned>(&self, url: String) -> Result<T, ClientError> {
        self.call(&Call::get(url, JSON), self.timing.deadline).await
    }
}
