use polylog_log::{Credential, GrantStage, RoleGrants};
pub use polylog_source_servers::rights::TableRights as Granted;

use super::Account;
use crate::{config::DatabaseName, tables::Tables};

/// What creating and changing the tables takes, on the whole database: the first four to look at what is there and to
/// write the first rows, and to pass them on.
pub(crate) const PROVISIONING: [&str; 7] =
    ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX"];

/// The statements that give a user what a source needs, without what it has.
pub fn grants(tables: &Tables, account: &Account, granted: &Granted) -> Vec<String> {
    let statement = |(table, rights): (&str, Vec<&str>)| {
        format!("GRANT {} ON {} TO {account}", rights.join(", "), tables.qualified(table))
    };
    granted.lacking().into_iter().map(statement).collect()
}

/// Rights on a whole database for a user.
pub(crate) fn on_database(rights: &[&str], database: &DatabaseName, account: &Account) -> String {
    format!("GRANT {} ON {} TO {account}", rights.join(", "), whole(database))
}

/// The whole database. In a grant on it, and nowhere else, a `_` that is not escaped stands for any character.
fn whole(database: &DatabaseName) -> String {
    format!("`{}`.*", database.as_str().replace('_', "\\_"))
}

/// What the users of a source must be granted, and no more: `provisioner` creates the tables; `worker` reads and writes
/// rows, where it is another one.
pub fn role_grants(tables: &Tables, provisioner: &Account, worker: Option<&Account>) -> Vec<RoleGrants> {
    let of = |credential, account: &Account, stage, statements| RoleGrants {
        credential,
        role: account.to_string(),
        stage,
        statements,
    };
    let creating = on_database(&PROVISIONING, &tables.database, provisioner);
    let Some(worker) = worker else {
        return vec![of(Credential::Rows, provisioner, GrantStage::Before, vec![creating])];
    };
    let passing_on = format!("{creating} WITH GRANT OPTION");
    vec![
        of(Credential::Provisioning, provisioner, GrantStage::Before, vec![passing_on]),
        // it must be there, and needs nothing yet
        of(Credential::Rows, worker, GrantStage::Before, Vec::new()),
        of(Credential::Rows, worker, GrantStage::After, grants(tables, worker, &Granted::default())),
    ]
}
