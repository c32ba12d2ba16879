use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use serde::{Deserialize, Serialize};

use super::authority::{self, IssueError, Issued};

/// Keys of the Secret. The first holds everything; the others are for people and their tools.
const STATE: &str = "state.json";
const AUTHORITIES: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// What the Secret holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contents {
    /// Signs new certificates.
    pub(super) authority: Issued,
    /// Will sign them, once everybody trusts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<Next>,
    /// Signed certificates that some process may still show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Previous>,
    /// What the webhook shows.
    pub(super) serving: Issued,
    /// For which DNS names.
    pub(super) hosts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Next {
    pub(super) authority: Issued,
    /// Since when the API server has been told to trust it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trusted_since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Previous {
    /// PEM; its key is gone.
    pub(super) certificate: String,
    /// Since when it signs no more.
    pub(super) since: Timestamp,
}

impl Contents {
    /// What the API server is to trust: one PEM after the other.
    pub(crate) fn trusted(&self) -> String {
        let next = self.next.as_ref().map(|next| next.authority.certificate.as_str());
        let previous = self.previous.as_ref().map(|previous| previous.certificate.as_str());
        let authority = Some(self.authority.certificate.as_str());
        [previous, authority, next].into_iter().flatten().collect()
    }

    /// What the authority that signs now is called.
    pub(crate) fn signs_as(&self) -> &str {
        &self.authority.name
    }

    /// A certificate for these DNS names, by the authority that signs now.
    pub(crate) fn issue(
        &self,
        hosts: &[String],
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> Result<Issued, IssueError> {
        authority::serving(&self.authority, hosts, now, lifetime)
    }

    /// From a Secret's data; `None` where there is nothing that can be used, so that it is made anew.
    pub(crate) fn read(data: &BTreeMap<String, ByteString>) -> Option<Self> {
        serde_json::from_slice(&data.get(STATE)?.0).ok()
    }

    /// As a Secret's data.
    pub(crate) fn write(&self) -> BTreeMap<String, ByteString> {
        let state = serde_json::to_string(self).expect("texts and times are JSON");
        let values = [
            (STATE, state),
            (AUTHORITIES, self.trusted()),
            (CERTIFICATE, self.serving.certificate.clone()),
            (KEY, self.serving.key.clone()),
        ];
        values.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect()
    }
}
