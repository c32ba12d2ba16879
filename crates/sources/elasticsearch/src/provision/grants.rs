use serde_json::json;

use super::{Flavor, Place};

/// The role that a source needs to work with its indices, as a request to the server's own security: no right to create,
/// change or delete an index.
pub fn grants(place: &Place, flavor: Flavor) -> String {
    let prefix = place.indices.prefix();
    let pattern = format!("{prefix}-*");
    match flavor {
        Flavor::Elasticsearch => {
            let privileges = ["read", "index", "maintenance", "view_index_metadata"];
            let role = json!({
                "cluster": ["monitor"],
                "indices": [{ "names": [pattern], "privileges": privileges }],
            });
            format!("PUT /_security/role/polylog-{prefix}\n{role}")
        }
        Flavor::OpenSearch => {
            let actions = ["read", "index", "indices:admin/refresh*", "indices:monitor/*"];
            let role = json!({
                "cluster_permissions": ["cluster_monitor", "cluster_composite_ops"],
                "index_permissions": [{ "index_patterns": [pattern], "allowed_actions": actions }],
            });
            format!("PUT /_plugins/_security/api/roles/polylog-{prefix}\n{role}")
        }
    }
}
