use polylog_log::{Credential, GrantStage, RoleGrants};
use serde_json::{Value, json};

use super::{Flavor, Place};
use crate::ElasticsearchConfig;

/// What the users of a source must be granted, as requests to the server's own security: `provisioning` creates the
/// indices; `data` reads and writes documents, where its user is another one, with no right to create, change or delete an
/// index. Nothing where an address names no user: an API key has its rights from the start.
pub fn role_grants(
    data: &ElasticsearchConfig,
    provisioning: &ElasticsearchConfig,
    place: &Place,
) -> Vec<RoleGrants> {
    let (worker, provisioner) = (data.address.user(), provisioning.address.user());
    let prefix = place.indices.prefix();
    let granted = |credential, user: &str, role: String, body: &Value| {
        let flavor = place.flavor.unwrap_or(Flavor::Elasticsearch);
        let statements = match flavor {
            Flavor::Elasticsearch => vec![
                format!("PUT /_security/role/{role}\n{body}"),
                // a role mapping adds to the roles that a user has already
                format!(
                    "PUT /_security/role_mapping/{role}\n{}",
                    json!({ "enabled": true, "roles": [role], "rules": { "field": { "username": user } } })
                ),
            ],
            Flavor::OpenSearch => vec![
                format!("PUT /_plugins/_security/api/roles/{role}\n{body}"),
                format!("PUT /_plugins/_security/api/rolesmapping/{role}\n{}", json!({ "users": [user] })),
            ],
        };
        RoleGrants { credential, role: user.to_owned(), stage: GrantStage::Before, statements }
    };
    let mut grants = Vec::new();
    if let Some(user) = provisioner {
        let is_apart = worker != provisioner;
        let credential = if is_apart { Credential::Provisioning } else { Credential::Rows };
        let role = format!("polylog-{prefix}-provisioning");
        grants.push(granted(credential, user, role, &privileges(place, true)));
    }
    if let Some(user) = worker.filter(|user| provisioner != Some(user)) {
        grants.push(granted(Credential::Rows, user, format!("polylog-{prefix}"), &privileges(place, false)));
    }
    grants
}

fn privileges(place: &Place, provisions: bool) -> Value {
    let pattern = format!("{}-*", place.indices.prefix());
    match place.flavor.unwrap_or(Flavor::Elasticsearch) {
        Flavor::Elasticsearch => {
            let mut privileges = vec!["read", "index", "maintenance", "view_index_metadata"];
            privileges.extend(provisions.then_some("manage"));
            json!({
                "cluster": ["monitor"],
                "indices": [{ "names": [pattern], "privileges": privileges }],
            })
        }
        Flavor::OpenSearch => {
            let mut actions =
                vec!["read", "index", "indices:admin/refresh*", "indices:admin/get", "indices:monitor/*"];
            actions.extend(provisions.then_some("manage"));
            json!({
                "cluster_permissions": ["cluster_monitor", "cluster_composite_ops"],
                "index_permissions": [{ "index_patterns": [pattern], "allowed_actions": actions }],
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Indices, Layout};

    fn config(url: &str) -> ElasticsearchConfig {
        let indices = Indices::new("payments", "main").expect("good names");
        ElasticsearchConfig::new(Address::parse(url).expect("a good address"), indices)
    }

    fn place(flavor: Option<Flavor>) -> Place {
        Place { indices: config("http://h").indices, layout: Layout::default(), flavor }
    }

    #[test]
    fn each_user_gets_what_it_needs_and_no_more() {
        let (app, admin) = (config("https://app:x@h"), config("https://admin:y@h"));
        let alone = role_grants(&app, &app, &place(None));
        assert_eq!((alone.len(), alone[0].credential), (1, Credential::Rows));
        assert!(alone[0].statements[0].contains("\"manage\""), "{}", alone[0].statements[0]);
        for flavor in [Flavor::Elasticsearch, Flavor::OpenSearch] {
            let [provisioner, rows] = &role_grants(&app, &admin, &place(Some(flavor)))[..] else {
                panic!("two users")
            };
            assert_eq!((provisioner.role.as_str(), rows.role.as_str()), ("admin", "app"));
            assert!(provisioner.statements[0].contains("\"manage\""));
            assert!(!rows.statements[0].contains("manage"), "{}", rows.statements[0]);
            assert!(rows.statements[0].contains("payments-*"), "{}", rows.statements[0]);
        }
        assert!(role_grants(&config("http://h"), &config("http://h"), &place(None)).is_empty());
    }
}
