use serde_json::Value;

/// The pod, or the template of pods, in an object of Kubernetes' own kinds; `None` in any other.
pub fn pod_template(object: &mut Value) -> Option<&mut Value> {
    let kind = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let place = match kind {
        ("v1", "Pod") => "",
        ("v1", "ReplicationController")
        | ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch/v1", "Job") => "/spec/template",
        ("batch/v1", "CronJob") => "/spec/jobTemplate/spec/template",
        _ => return None,
    };
    object.pointer_mut(place)
}
