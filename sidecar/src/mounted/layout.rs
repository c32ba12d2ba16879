use std::{
    collections::BTreeMap,
    fmt,
    path::{Component, Path},
};

use serde::{Deserialize, Serialize};

use super::files::Files;

/// Which of a process's stores a folder is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Place {
    /// The process's own store, which the short path leads to.
    Own,
    /// A further one, by its folder `<namespace>.<name>`.
    Further(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Own => f.write_str("store"),
            Place::Further(folder) => write!(f, "stores/{folder}"),
        }
    }
}

impl Place {
    /// The name of the store in this folder, as far as the folder says it.
    pub(crate) fn store_name(&self) -> Option<&str> {
        match self {
            Place::Own => None,
            // a namespace has no dot, and neither has the name of a store
            Place::Further(folder) => folder.split_once('.').map(|(_, name)| name),
        }
    }
}

/// What is mounted for each store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    pub(crate) stores: BTreeMap<Place, StoreFiles>,
}

/// What is mounted for one store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StoreFiles {
    pub(crate) manifests: ManifestFiles,
    /// By the source's name.
    pub(crate) sources: BTreeMap<String, SourceFiles>,
    pub(crate) entrance: EntranceFiles,
    pub(crate) gateway: GatewayFiles,
}

/// Where the store's gateway is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct GatewayFiles {
    /// `host:port`
    pub(crate) address: Option<Vec<u8>>,
    /// Who vouches for it, in PEM.
    pub(crate) authority: Option<Vec<u8>>,
}

/// How other pods come in. Never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct EntranceFiles {
    /// Who makes the cluster's tokens.
    pub(crate) issuer: Option<Vec<u8>>,
    /// With which keys.
    pub(crate) keys: Option<Vec<u8>>,
    pub(crate) certificate: Option<Vec<u8>>,
    /// Of the certificate.
    pub(crate) key: Option<Vec<u8>>,
}

impl fmt::Debug for EntranceFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EntranceFiles")
    }
}

/// The manifests of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct ManifestFiles {
    pub(crate) event_store: Option<Vec<u8>>,
    pub(crate) strategy: Option<Vec<u8>>,
    /// By the file's name.
    pub(crate) schemas: BTreeMap<String, Vec<u8>>,
}

/// How a source is reached, by the file's name. Never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct SourceFiles(BTreeMap<String, Vec<u8>>);

impl fmt::Debug for SourceFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl SourceFiles {
    /// The content of a file; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice).filter(|content| !content.is_empty())
    }
}

impl Layout {
    /// Sorts files by what they are; others are left out. The own store is always there, with or without files.
    pub(super) fn of(files: &Files) -> Self {
        let mut layout = Self::default();
        layout.stores.insert(Place::Own, StoreFiles::default());
        for (path, content) in &files.0 {
            let Some(parts) = parts(path) else { continue };
            match parts[..] {
                ["stores", folder, ref rest @ ..] => {
                    layout.stores.entry(Place::Further(folder.into())).or_default().add(rest, content);
                }
                ref rest => layout.stores.entry(Place::Own).or_default().add(rest, content),
            }
        }
        layout
    }
}

impl StoreFiles {
    fn add(&mut self, path: &[&str], content: &[u8]) {
        let content = content.to_vec();
        match *path {
            ["store", "eventstore.yaml"] => self.manifests.event_store = Some(content),
            ["store", "strategy.yaml"] => self.manifests.strategy = Some(content),
            ["store", "gateway-address"] => self.gateway.address = Some(content),
            ["store", "gateway-ca.crt"] => self.gateway.authority = Some(content),
            ["store", "issuer"] => self.entrance.issuer = Some(content),
            ["store", "jwks.json"] => self.entrance.keys = Some(content),
            ["store", "tls.crt"] => self.entrance.certificate = Some(content),
            ["store", "tls.key"] => self.entrance.key = Some(content),
            ["store", "schemas", name] => {
                self.manifests.schemas.insert(name.into(), content);
            }
            ["sources", source, name] => {
                self.sources.entry(source.into()).or_default().0.insert(name.into(), content);
            }
            _ => {}
        }
    }
}

fn parts(path: &Path) -> Option<Vec<&str>> {
    let part = |component| match component {
        Component::Normal(part) => part.to_str(),
        _ => None,
    };
    path.components().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_by_what_they_are() {
        let files = [
            ("store/eventstore.yaml", "a"),
            ("store/schemas/Paid.json", "{}"),
            ("store/jwks.json", "{}"),
            ("store/tls.key", "geheim"),
            ("store/gateway-address", "polylog-a.shop.svc:7300"),
            ("sources/ledger/password", "geheim"),
            ("stores/shop.audit/store/eventstore.yaml", "b"),
            ("stores/shop.audit/sources/book/url", ""),
        ];
        let files = files.map(|(path, content)| (path.into(), content.into()));
        let layout = Layout::of(&Files(files.into()));
        let own = &layout.stores[&Place::Own];
        assert_eq!(own.manifests.event_store.as_deref(), Some(&b"a"[..]));
        assert_eq!(own.manifests.schemas.len(), 1);
        assert!(own.gateway.address.is_some() && own.gateway.authority.is_none());
        assert_eq!(own.entrance.keys.as_deref(), Some(&b"{}"[..]));
        assert_eq!(own.entrance.key.as_deref(), Some(&b"geheim"[..]));
        assert_eq!(own.sources["ledger"].get("password"), Some(&b"geheim"[..]));
        let further = Place::Further("shop.audit".into());
        assert_eq!(further.store_name(), Some("audit"));
        assert_eq!(layout.stores[&further].manifests.event_store.as_deref(), Some(&b"b"[..]));
        assert_eq!(layout.stores[&further].sources["book"].get("url"), None);
        assert!(!format!("{layout:?}").contains("geheim"));
    }
}
