use std::collections::{BTreeMap, BTreeSet};

use super::RoleName;
use crate::config::SchemaName;

/// What a source may do with each table. UPDATE and DELETE on the events are for truncation and repair only.
const RIGHTS: [(&str, &[&str]); 6] = [
    ("polylog_events", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("polylog_configs", &["SELECT", "INSERT", "DELETE"]),
    ("polylog_cuts", &["SELECT", "INSERT"]),
    ("polylog_quarantine", &["SELECT", "INSERT"]),
    ("polylog_leases", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("polylog_head", &["SELECT", "UPDATE"]),
];

/// What a role may do already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    /// USAGE of the schema.
    pub usage: bool,
    /// Rights by table.
    pub tables: BTreeMap<String, BTreeSet<String>>,
}

/// The statements that give a role what a source needs, without what it has.
pub fn grants(schema: &SchemaName, role: &RoleName, granted: &Granted) -> Vec<String> {
    let mut statements = Vec::new();
    if !granted.usage {
        statements.push(format!("GRANT USAGE ON SCHEMA {schema} TO {role}"));
    }
    for (table, rights) in RIGHTS {
        let has = granted.tables.get(table);
        let is_lacking = |right: &&&str| !has.is_some_and(|has| has.contains(**right));
        let lacking: Vec<&str> = rights.iter().filter(is_lacking).copied().collect();
        if !lacking.is_empty() {
            statements.push(format!("GRANT {} ON {schema}.{table} TO {role}", lacking.join(", ")));
        }
    }
    statements
}
