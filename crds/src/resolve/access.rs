//! Who may do what, with the default said.

use serde::{Deserialize, Serialize};

use crate::event_store::{AccessRule, Verb};
use crate::values::{CategoryPattern, NamespaceName, ServiceAccountPattern};

/// Who may do what. Whatever no rule grants is denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Access {
    rules: Vec<ResolvedAccessRule>,
}

/// Grants verbs on categories to service accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedAccessRule {
    /// Who.
    pub service_accounts: Vec<ResolvedServiceAccount>,
    /// What they may do.
    pub verbs: Vec<Verb>,
    /// On streams of which categories.
    pub categories: Vec<CategoryPattern>,
}

/// A service account, or all of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedServiceAccount {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its name, or `*`.
    pub name: ServiceAccountPattern,
}

impl Access {
    /// The rules of a store in `namespace`. Without any, every service account of the namespace has every verb but
    /// admin and reveal.
    pub fn resolve(rules: Option<&[AccessRule]>, namespace: &NamespaceName) -> Self {
        let every = || vec!["*".parse().expect("`*` matches the pattern")];
        let Some(rules) = rules else {
            let verbs = Verb::ALL.into_iter().filter(|verb| !matches!(verb, Verb::Admin | Verb::Reveal));
            let service_accounts = vec![ResolvedServiceAccount {
                namespace: namespace.clone(),
                name: "*".parse().expect("`*` matches the pattern"),
            }];
            return Self {
                rules: vec![ResolvedAccessRule {
                    service_accounts,
                    verbs: verbs.collect(),
                    categories: every(),
                }],
            };
        };
        let rules = rules.iter().map(|rule| {
            let mut verbs = rule.verbs.clone();
            verbs.sort_unstable();
            let service_accounts = rule.service_accounts.iter().map(|account| ResolvedServiceAccount {
                namespace: account.namespace.clone().unwrap_or_else(|| namespace.clone()),
                name: account.name.clone(),
            });
            ResolvedAccessRule {
                service_accounts: service_accounts.collect(),
                verbs,
                categories: rule.categories.clone().unwrap_or_else(every),
            }
        });
        Self { rules: rules.collect() }
    }

    /// The rules.
    pub fn rules(&self) -> &[ResolvedAccessRule] {
        &self.rules
    }

    /// The categories on which the service account `name` of `namespace` has `verb`.
    pub fn categories<'access>(
        &'access self,
        namespace: &str,
        name: &str,
        verb: Verb,
    ) -> impl Iterator<Item = &'access CategoryPattern> {
        let granted = self.rules.iter().filter(move |rule| {
            rule.verbs.contains(&verb)
                && rule.service_accounts.iter().any(|account| {
                    account.namespace.as_str() == namespace
                        && (account.name.as_str() == "*" || account.name.as_str() == name)
                })
        });
        // collected, so that the answer does not hold on to the names asked for
        granted.flat_map(|rule| &rule.categories).collect::<Vec<_>>().into_iter()
    }

    /// Whether the service account `name` of `namespace` has `verb` on streams of `category`.
    pub fn allows(&self, namespace: &str, name: &str, verb: Verb, category: &str) -> bool {
        self.categories(namespace, name, verb).any(|pattern| pattern.matches(category))
    }
}

impl CategoryPattern {
    /// Whether `category` is one that the pattern describes: `*` stands for any run of characters, also none.
    pub fn matches(&self, category: &str) -> bool {
        let mut parts = self.as_str().split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = category.strip_prefix(first) else { return false };
        let mut parts = parts.collect::<Vec<_>>();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        // taking the leftmost place for each part leaves the most for the parts behind it
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_store::ServiceAccountRef;

    #[test]
    fn patterns() {
        let matches = |pattern: &str, category: &str| {
            pattern.parse::<CategoryPattern>().expect("a pattern").matches(category)
        };
        for (pattern, category) in [
            ("*", "Payment"),
            ("*", ""),
            ("Payment", "Payment"),
            ("Pay*", "Payment"),
            ("Pay*", "Pay"),
            ("*ment", "Payment"),
            ("P*y*t", "Payment"),
            ("a*a", "aa"),
            ("a**b", "ab"),
        ] {
            assert!(matches(pattern, category), "{pattern} does not match {category}");
        }
        for (pattern, category) in [
            ("Payment", "Payments"),
            ("Pay*", "Refund"),
            ("*ment", "Payments"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
        ] {
            assert!(!matches(pattern, category), "{pattern} matches {category}");
        }
    }

    #[test]
    fn without_rules_the_own_namespace_has_all_but_admin_and_reveal() {
        let access = Access::resolve(None, &"shop".parse().expect("a namespace"));
        for verb in Verb::ALL {
            let granted = !matches!(verb, Verb::Admin | Verb::Reveal);
            assert_eq!(access.allows("shop", "anybody", verb, "Payment"), granted, "{verb:?}");
            assert!(!access.allows("other", "anybody", verb, "Payment"), "{verb:?}");
        }
    }

    #[test]
    fn rules_grant_only_what_they_say() {
        let rule = AccessRule {
            service_accounts: vec![
                ServiceAccountRef { namespace: None, name: "checkout".parse().expect("a name") },
                ServiceAccountRef {
                    namespace: Some("reports".parse().expect("a namespace")),
                    name: "*".parse().expect("a pattern"),
                },
            ],
            verbs: vec![Verb::Read, Verb::Append],
            categories: Some(vec!["Pay*".parse().expect("a pattern")]),
        };
        let access = Access::resolve(Some(&[rule]), &"shop".parse().expect("a namespace"));
        assert!(access.allows("shop", "checkout", Verb::Append, "Payment"));
        assert!(access.allows("reports", "any", Verb::Read, "Payment"));
        assert!(!access.allows("shop", "other", Verb::Append, "Payment"));
        assert!(!access.allows("shop", "checkout", Verb::Append, "Order"));
        assert!(!access.allows("shop", "checkout", Verb::Subscribe, "Payment"));
        assert!(!Access::resolve(Some(&[]), &"shop".parse().expect("a namespace")).allows(
            "shop",
            "x",
            Verb::Read,
            "P"
        ));
    }
}
