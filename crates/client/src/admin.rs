use polylog_log::{SourceName, Term};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};

use crate::{
    Client, ClientError,
    client::{Call, JSON},
};

/// A primary, and the term that it leads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Led {
    /// The source.
    pub primary: SourceName,
    /// The term.
    pub term: Term,
}

/// Entries that lost to another history, oldest first.
#[derive(Debug, Deserialize)]
pub struct QuarantinePage {
    /// Each as it was answered, byte for byte.
    pub entries: Vec<Box<RawValue>>,
    /// Where the next page begins; `None` = this is the last one.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct Asked {
    request: u64,
}

impl Client {
    /// Has everything read again and compared. The number stands in the status of each source once that was done.
    pub async fn verify(&self) -> Result<u64, ClientError> {
        let asked: Asked = self.administer("verify", Vec::new()).await?;
        Ok(asked.request)
    }

    /// Makes another source primary; nothing is lost.
    pub async fn switch(&self, primary: &SourceName) -> Result<Led, ClientError> {
        self.administer("switch", json!({"primary": primary}).to_string().into()).await
    }

    /// Opens the log without these sources, of which the caller says that they are stopped or cut off.
    pub async fn failover(&self, stopped: &[SourceName]) -> Result<Led, ClientError> {
        self.administer("failover", json!({"stopped": stopped}).to_string().into()).await
    }

    /// A page of what lost to another history, behind `next` of the page before.
    pub async fn quarantine(
        &self,
        source: Option<&SourceName>,
        after: Option<&str>,
    ) -> Result<QuarantinePage, ClientError> {
        let source = source.map(|source| ("source", source.as_str()));
        let parameters = source.into_iter().chain(after.map(|after| ("after", after)));
        let query: Vec<String> =
            parameters.map(|(name, value)| format!("{name}={}", crate::address::encode(value))).collect();
        let url = self.address.in_store(&["admin", "quarantine"], &query.join("&"));
        self.call(&Call::get(url, JSON), self.timing.deadline).await
    }

    async fn administer<T: DeserializeOwned>(&self, what: &str, body: Vec<u8>) -> Result<T, ClientError> {
        let call = Call::post(self.address.in_store(&["admin", what], ""), body);
        self.call(&call, self.timing.deadline).await
    }
}
