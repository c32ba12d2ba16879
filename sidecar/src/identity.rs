//! Who calls, and from where.

use std::{fmt, time::SystemTime};

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

/// In front of a service account's namespace and name in a token.
const PREFIX: &str = "system:serviceaccount:";

impl ServiceAccount {
    /// The account that a token's subject names; `None` = it is none of a service account.
    pub(crate) fn of_subject(subject: &str) -> Option<Self> {
        let (namespace, name) = subject.strip_prefix(PREFIX)?.split_once(':')?;
        format!("{namespace}/{name}").parse().ok()
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

/// Who is at the other end of a request, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub subject: Subject,
    /// Where.
    pub workload: Workload,
    /// Until when that is known; `None` = as long as the process lives.
    pub good_until: Option<SystemTime>,
}

impl Peer {
    /// Somebody who is known for as long as the process lives.
    pub fn always(subject: Subject, workload: Workload) -> Self {
        Self { subject, workload, good_until: None }
    }

    /// Whether it is still known who this is.
    pub(crate) fn is_good(&self) -> bool {
        self.good_until.is_none_or(|end| SystemTime::now() < end)
    }
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
        assert_eq!(ServiceAccount::of_subject("system:serviceaccount:shop:checkout"), Some(account));
        for bad in ["", "jane", "system:serviceaccount:shop", "system:serviceaccount::x", "system:node:a:b"] {
            assert_eq!(ServiceAccount::of_subject(bad), None, "{bad}");
        }
    }
}
