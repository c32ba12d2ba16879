//! Who calls, and from where.

use std::fmt;

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Whoever reaches the loopback port of `polylog dev`: may do everything.
    Local,
    /// A Kubernetes service account.
    ServiceAccount(ServiceAccount),
}

/// Name of a Kubernetes service account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Not written as `<namespace>/<serviceaccount>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a service account is written <namespace>/<name>, got {0:?}")]
pub struct InvalidServiceAccount(String);

impl std::str::FromStr for ServiceAccount {
    type Err = InvalidServiceAccount;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { namespace: namespace.into(), name: name.into() })
            }
            _ => Err(InvalidServiceAccount(text.into())),
        }
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Local => f.write_str("local"),
            Subject::ServiceAccount(account) => account.fmt(f),
        }
    }
}

/// Where the caller runs, as far as the configuration says; written into metadata by the enrichment interceptor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// Name of the pod.
    pub pod: Option<String>,
    /// Namespace of the pod.
    pub namespace: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_has_two_parts() {
        let account: ServiceAccount = "shop/checkout".parse().expect("two parts");
        assert_eq!(account.to_string(), "shop/checkout");
        for bad in ["", "shop", "/x", "x/", "a/b/c"] {
            assert!(bad.parse::<ServiceAccount>().is_err(), "{bad}");
        }
    }
}
