use std::collections::{BTreeMap, BTreeSet};

use polylog_log::{Credential, GrantStage, RoleGrants};

use super::{Place, RoleName, quoted};
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

/// What the roles of a source must be granted in a database, and no more: `provisioner` creates the tables; the role
/// of the [`Place`] reads and writes rows, where it is another one.
pub fn role_grants(place: &Place, database: &str, provisioner: &RoleName) -> Vec<RoleGrants> {
    let Place { schema, create_schema, role } = place;
    let database = quoted(database);
    let mut creating = Vec::new();
    if *create_schema {
        creating.push(format!("GRANT CONNECT, CREATE ON DATABASE {database} TO {provisioner}"));
    } else {
        creating.push(format!("GRANT CONNECT ON DATABASE {database} TO {provisioner}"));
        creating.push(format!("CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {provisioner}"));
    }
    let of = |credential, role: &RoleName, stage, statements| RoleGrants {
        credential,
        role: role.as_str().into(),
        stage,
        statements,
    };
    let Some(role) = role else {
        return vec![of(Credential::Rows, provisioner, GrantStage::Before, creating)];
    };
    let connecting = vec![format!("GRANT CONNECT ON DATABASE {database} TO {role}")];
    vec![
        of(Credential::Provisioning, provisioner, GrantStage::Before, creating),
        of(Credential::Rows, role, GrantStage::Before, connecting),
        of(Credential::Rows, role, GrantStage::After, grants(schema, role, &Granted::default())),
    ]
}
