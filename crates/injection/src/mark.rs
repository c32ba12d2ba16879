use std::{fmt, str::FromStr, sync::Arc};

use polylog_crds::{manifests::ObjectKey, values::NamespaceName};
use ring::digest;
use serde_json::Value;

use crate::{
    InjectionError, Request, Settings, Store, Stores, names::INJECTED_ANNOTATION, request, volume::Mounts,
};

/// What injection writes down on a pod: enough to count, from metadata alone, the pods that run an older sidecar or lack
/// what is to be mounted now. As text `<version>/<hash of what is mounted>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The sidecar's version.
    pub version: String,
    /// 16 hexadecimal digits over the names of what is mounted: objects, keys, files.
    pub mounts: String,
}

/// Text that is no mark: injection did not write it. The pod counts as not injected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mark of injection")]
pub struct InvalidMark(String);

impl Mark {
    pub(crate) fn of(mounts: &Mounts) -> Self {
        // maps of JSON are sorted, so that the same names give the same text
        let names = Value::Array(mounts.sources()).to_string();
        let hash = digest::digest(&digest::SHA256, names.as_bytes());
        let mounts = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { version: Settings::VERSION.to_owned(), mounts }
    }

    /// The mark that a pod with this metadata carries; `None` where it was not injected.
    pub fn carried(metadata: &Value) -> Option<Self> {
        request::text(metadata, "annotations", INJECTED_ANNOTATION)?.parse().ok()
    }

    /// The mark that a pod with this metadata would be given now; `None` where it wants no sidecar.
    ///
    /// # Errors
    /// As [`Request::read`].
    pub fn wanted(
        namespace: &NamespaceName,
        metadata: &Value,
        stores: &Stores,
    ) -> Result<Option<Self>, InjectionError> {
        let request = Request::read(namespace, metadata)?;
        Ok(request.map(|request| Self::of(&Wanted::of(&request, stores).mounts())))
    }
}

/// The stores that a pod asks for, as far as they are known.
pub(crate) struct Wanted<'a> {
    pub(crate) own: Store,
    further: Vec<(&'a ObjectKey, Store)>,
    pub(crate) unknown: Vec<&'a ObjectKey>,
    /// Stores of other namespaces.
    pub(crate) elsewhere: Vec<Elsewhere<'a>>,
}

/// A store of another namespace, and who vouches for its gateway; `None` = that is not known.
pub(crate) type Elsewhere<'a> = (&'a ObjectKey, Option<Arc<str>>);

impl<'a> Wanted<'a> {
    pub(crate) fn of(request: &'a Request, stores: &Stores) -> Self {
        let mut unknown = Vec::new();
        let mut find = |key: &'a ObjectKey| match stores.get(key) {
            Some(store) => store.clone(),
            None => {
                unknown.push(key);
                Store::unknown(key.name.as_str())
            }
        };
        let own = find(&request.own);
        let further = request.further.iter().map(|key| (key, find(key))).collect();
        let authority = |key| stores.get(key).and_then(|store| store.authority.clone());
        let elsewhere = request.elsewhere.iter().map(|key| (key, authority(key))).collect();
        Self { own, further, unknown, elsewhere }
    }

    pub(crate) fn mounts(&self) -> Mounts {
        let further: Vec<_> = self.further.iter().map(|(key, store)| (*key, store)).collect();
        Mounts::new(&self.own, &further)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.version, self.mounts)
    }
}

impl FromStr for Mark {
    type Err = InvalidMark;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMark(text.to_owned());
        let (version, mounts) = text.split_once('/').ok_or_else(invalid)?;
        let is_hash = mounts.len() == 16 && mounts.bytes().all(|byte| byte.is_ascii_hexdigit());
        if version.is_empty() || !is_hash {
            return Err(invalid());
        }
        Ok(Self { version: version.to_owned(), mounts: mounts.to_owned() })
    }
}
