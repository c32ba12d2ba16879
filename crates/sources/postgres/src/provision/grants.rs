use polylog_log::{Credential, GrantStage, RoleGrants};
use polylog_source_servers::rights::TableRights;

use super::{Place, RoleName, quoted};
use crate::config::SchemaName;

/// What a role may do already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    /// USAGE of the schema.
    pub usage: bool,
    /// Rights by table.
    pub tables: TableRights,
}

/// The statements that give a role what a source needs, without what it has.
pub fn grants(schema: &SchemaName, role: &RoleName, granted: &Granted) -> Vec<String> {
    let mut statements = Vec::new();
    if !granted.usage {
        statements.push(format!("GRANT USAGE ON SCHEMA {schema} TO {role}"));
    }
    for (table, rights) in granted.tables.lacking() {
        statements.push(format!("GRANT {} ON {schema}.{table} TO {role}", rights.join(", ")));
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
