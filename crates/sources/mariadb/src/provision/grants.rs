use std::collections::{BTreeMap, BTreeSet};

use super::Account;
use crate::config::DatabaseName;

/// What a source may do with each table. UPDATE and DELETE on the events are for truncation and repair only.
pub(super) const RIGHTS: [(&str, &[&str]); 6] = [
    ("polylog_events", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("polylog_configs", &["SELECT", "INSERT", "DELETE"]),
    ("polylog_cuts", &["SELECT", "INSERT"]),
    ("polylog_quarantine", &["SELECT", "INSERT"]),
    ("polylog_leases", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("polylog_head", &["SELECT", "UPDATE"]),
];

/// What a user may do already: rights by table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    /// Rights by table.
    pub tables: BTreeMap<String, BTreeSet<String>>,
}

/// The statements that give a user what a source needs, without what it has.
pub fn grants(database: &DatabaseName, account: &Account, granted: &Granted) -> Vec<String> {
    let mut statements = Vec::new();
    for (table, rights) in RIGHTS {
        let has = granted.tables.get(table);
        let is_lacking = |right: &&&str| !has.is_some_and(|has| has.contains(**right));
        let lacking: Vec<&str> = rights.iter().filter(is_lacking).copied().collect();
        if !lacking.is_empty() {
            statements.push(format!("GRANT {} ON {database}.{table} TO {account}", lacking.join(", ")));
        }
    }
    statements
}
