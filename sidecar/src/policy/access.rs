use std::sync::Arc;

use super::{AccessRule, Glob, Verb};
use crate::identity::{ServiceAccount, Subject};

/// Who may do which verb on which category, compiled from a policy.
#[derive(Debug)]
pub struct Access {
    namespace: String,
    rules: Option<Vec<Rule>>,
}

#[derive(Debug)]
struct Rule {
    accounts: Vec<(String, String)>,
    verbs: Vec<Verb>,
    categories: Arc<[Glob]>,
}

/// On which categories a caller may do something.
#[derive(Debug, Clone)]
pub enum Scope {
    /// On all.
    All,
    /// On those that match a pattern of any of these lists.
    Some(Vec<Arc<[Glob]>>),
    /// On none.
    Nothing,
}

impl Scope {
    /// Whether the scope holds this category.
    pub fn holds(&self, category: &str) -> bool {
        match self {
            Scope::All => true,
            Scope::Some(lists) => lists.iter().any(|list| list.iter().any(|glob| glob.matches(category))),
            Scope::Nothing => false,
        }
    }

    /// Whether there is any category at all in it.
    pub fn is_empty(&self) -> bool {
        matches!(self, Scope::Nothing)
    }

    /// Whether it holds every category.
    pub fn is_all(&self) -> bool {
        matches!(self, Scope::All)
    }
}

impl Access {
    /// Compiles rules; without any, every service account of `namespace` may do all but reveal and admin.
    pub fn new(namespace: &str, rules: Option<&[AccessRule]>) -> Self {
        let compile = |rule: &AccessRule| Rule {
            accounts: rule
                .service_accounts
                .iter()
                .map(|account| {
                    let of = account.namespace.as_deref().unwrap_or(namespace);
                    (of.to_owned(), account.name.clone())
                })
                .collect(),
            verbs: rule.verbs.clone(),
            categories: rule.categories.iter().map(|pattern| Glob::new(pattern)).collect(),
        };
        Self { namespace: namespace.into(), rules: rules.map(|rules| rules.iter().map(compile).collect()) }
    }

    /// On which categories the subject may do this.
    pub fn scope(&self, subject: &Subject, verb: Verb) -> Scope {
        let account = match subject {
            Subject::Local => return Scope::All,
            Subject::ServiceAccount(account) => account,
        };
        let Some(rules) = &self.rules else {
            let is_granted =
                account.namespace == self.namespace && !matches!(verb, Verb::Reveal | Verb::Admin);
            return if is_granted { Scope::All } else { Scope::Nothing };
        };
        let mut lists = Vec::new();
        for rule in rules.iter().filter(|rule| rule.verbs.contains(&verb) && rule.is_for(account)) {
            if rule.categories.iter().any(Glob::matches_everything) {
                return Scope::All;
            }
            lists.push(rule.categories.clone());
        }
        if lists.is_empty() { Scope::Nothing } else { Scope::Some(lists) }
    }

    /// The verbs that the subject has on at least one category.
    pub fn verbs(&self, subject: &Subject) -> Vec<Verb> {
        Verb::ALL.into_iter().filter(|verb| !self.scope(subject, *verb).is_empty()).collect()
    }
}

impl Rule {
    fn is_for(&self, account: &ServiceAccount) -> bool {
        self.accounts.iter().any(|(namespace, name)| {
            *namespace == account.namespace && (name == "*" || *name == account.name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Account;

    fn account(text: &str) -> Subject {
        Subject::ServiceAccount(text.parse().expect("an account"))
    }

    #[test]
    fn without_rules_the_own_namespace_may_do_all_but_admin_and_reveal() {
        let access = Access::new("shop", None);
        assert!(access.scope(&account("shop/any"), Verb::Append).is_all());
        assert!(access.scope(&account("shop/any"), Verb::Admin).is_empty());
        assert!(access.scope(&account("shop/any"), Verb::Reveal).is_empty());
        assert!(access.scope(&account("other/any"), Verb::Read).is_empty());
        assert_eq!(access.verbs(&Subject::Local).len(), Verb::ALL.len());
    }

    #[test]
    fn rules_grant_verbs_on_categories() {
        let rule = |name: &str, namespace: Option<&str>, verbs: &[Verb], category: &str| AccessRule {
            service_accounts: vec![Account { namespace: namespace.map(Into::into), name: name.into() }],
            verbs: verbs.to_vec(),
            categories: vec![category.into()],
        };
        let rules = [
            rule("checkout", None, &[Verb::Append, Verb::Read], "Pay*"),
            rule("checkout", None, &[Verb::Read], "Order"),
            rule("*", Some("reports"), &[Verb::Read], "*"),
        ];
        let access = Access::new("shop", Some(&rules));
        let checkout = account("shop/checkout");
        let read = access.scope(&checkout, Verb::Read);
        assert!(read.holds("Payment") && read.holds("Order") && !read.holds("Secret") && !read.is_all());
        assert!(!access.scope(&checkout, Verb::Append).holds("Order"));
        assert!(access.scope(&account("reports/x"), Verb::Read).is_all());
        assert!(access.scope(&account("reports/x"), Verb::Append).is_empty());
        assert!(access.scope(&account("shop/other"), Verb::Read).is_empty());
        assert_eq!(access.verbs(&checkout), [Verb::Append, Verb::Read]);
    }
}
