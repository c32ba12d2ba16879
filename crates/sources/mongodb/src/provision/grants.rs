use mongodb::bson::{Bson, Document, doc};
use polylog_log::{Credential, GrantStage, RoleGrants};

use super::command::shell;
use crate::{
    MongodbConfig,
    schema::{EVENTS, HEAD, LEASES, QUARANTINE},
};

/// What an open source does with each collection. None is ever removed from but a lease.
const ROWS: [(&str, &[&str]); 4] = [
    (EVENTS, &["find", "insert", "update"]),
    (QUARANTINE, &["find", "insert"]),
    (LEASES, &["find", "insert", "update", "remove"]),
    (HEAD, &["find", "update"]),
];

/// What the users of a source must be granted, as commands of MongoDB's shell: `provisioning` creates the collections;
/// `data` reads and writes documents, where its user is another one. Nothing where an address names no user: the server
/// asks nobody who they are.
pub fn role_grants(data: &MongodbConfig, provisioning: &MongodbConfig) -> Vec<RoleGrants> {
    let (worker, provisioner) = (data.address.user(), provisioning.address.user());
    let mut grants = Vec::new();
    if let Some(user) = &provisioner {
        let is_apart = worker != provisioner;
        let credential = if is_apart { Credential::Provisioning } else { Credential::Rows };
        let database = provisioning.database.as_str();
        // it creates and drops collections and indexes, and probes the server in a collection of its own
        let granted = doc! { "role": "readWrite", "db": database };
        grants.push(RoleGrants {
            credential,
            role: format!("{}@{}", user.name, user.database),
            stage: GrantStage::Before,
            statements: vec![grant(&user.name, &user.database, granted)],
        });
    }
    if let Some(user) = worker.filter(|user| provisioner.as_ref() != Some(user)) {
        let database = data.database.as_str();
        let role = format!("polylog_rows_{}", data.collection(""));
        let privilege = |(name, actions): (&str, &[&str])| {
            let resource = doc! { "db": database, "collection": data.collection(name) };
            let actions: Vec<_> = actions.iter().map(|action| Bson::from(*action)).collect();
            Bson::Document(doc! { "resource": resource, "actions": actions })
        };
        let create = doc! {
            "createRole": &role,
            "privileges": ROWS.into_iter().map(privilege).collect::<Vec<_>>(),
            "roles": [],
        };
        grants.push(RoleGrants {
            credential: Credential::Rows,
            role: format!("{}@{}", user.name, user.database),
            stage: GrantStage::Before,
            statements: vec![
                shell(database, &create),
                grant(&user.name, &user.database, doc! { "role": role, "db": database }),
            ],
        });
    }
    grants
}

fn grant(user: &str, database: &str, role: Document) -> String {
    shell(database, &doc! { "grantRolesToUser": user, "roles": [role] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, DatabaseName};

    fn config(url: &str) -> MongodbConfig {
        let database = DatabaseName::parse("payments").expect("a good name");
        MongodbConfig::new(Address::parse(url).expect("a good address"), database)
    }

    #[test]
    fn each_user_gets_what_it_needs_and_no_more() {
        let one = config("mongodb://app:x@h/?authSource=users");
        let alone = role_grants(&one, &one);
        assert_eq!(alone.len(), 1);
        assert_eq!((alone[0].credential, alone[0].role.as_str()), (Credential::Rows, "app@users"));
        assert_eq!(
            alone[0].statements,
            [concat!(
                r#"db.getSiblingDB("users").runCommand(EJSON.deserialize({"grantRolesToUser":"app","#,
                r#""roles":[{"role":"readWrite","db":"payments"}]}))"#
            )]
        );
        let [provisioner, rows] = &role_grants(&one, &config("mongodb://admin:y@h/"))[..] else {
            panic!("two users")
        };
        assert_eq!(
            (provisioner.credential, provisioner.role.as_str()),
            (Credential::Provisioning, "admin@admin")
        );
        assert!(rows.statements[0].contains(r#""createRole":"polylog_rows_""#), "{}", rows.statements[0]);
        let of_head =
            r#"{"resource":{"db":"payments","collection":"polylog_head"},"actions":["find","update"]}"#;
        assert!(rows.statements[0].contains(of_head), "{}", rows.statements[0]);
        assert!(role_grants(&config("mongodb://h/"), &config("mongodb://h/")).is_empty());
    }
}
