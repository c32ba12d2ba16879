use kube::{Api, Client, Resource, core::NamespaceResourceScope};
use polylog_crds::values::NamespaceName;

/// Where objects are watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Everywhere.
    Cluster,
    /// In one namespace.
    Namespace(NamespaceName),
}

impl Scope {
    /// The scopes of a list of namespaces, which is empty for the whole cluster.
    pub(crate) fn of(namespaces: &[NamespaceName]) -> Vec<Self> {
        if namespaces.is_empty() {
            return vec![Self::Cluster];
        }
        let mut names = namespaces.to_vec();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(Self::Namespace).collect()
    }

    /// The objects of a kind in this scope.
    pub(crate) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_listed_twice_is_watched_once() {
        assert_eq!(Scope::of(&[]), [Scope::Cluster]);
        let names: Vec<NamespaceName> = ["b", "a", "b"].map(|name| name.parse().expect("a name")).into();
        assert_eq!(Scope::of(&names).len(), 2);
    }
}
