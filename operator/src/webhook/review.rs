use base64::{Engine as _, engine::general_purpose::STANDARD};
use polylog_crds::{manifests::ObjectKey, values::NamespaceName};
use polylog_injection::{Existing, Injection, Mark, Request, Settings, Stores, inject, json_patch};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the API server asks: `AdmissionReview` of `admission.k8s.io/v1`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Review {
    request: Asked,
}

#[derive(Debug, Clone, Deserialize)]
struct Asked {
    uid: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    object: Value,
}

/// What it is answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answered {
    api_version: &'static str,
    kind: &'static str,
    response: Response,
    #[serde(skip)]
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Status {
    code: u16,
    message: String,
}

/// What the API server asks cannot be understood: it is not what the configuration of the webhook says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unintelligible {
    /// No AdmissionReview.
    #[error("this is no AdmissionReview: {0}")]
    Form(String),
    /// Not of a namespaced object.
    #[error("request.namespace: {0}")]
    Namespace(String),
}

impl Review {
    pub(super) fn read(body: &[u8]) -> Result<Self, Unintelligible> {
        serde_json::from_slice(body).map_err(|error| Unintelligible::Form(error.to_string()))
    }

    fn namespace(&self) -> Result<NamespaceName, Unintelligible> {
        let namespace = self.request.namespace.as_deref().unwrap_or_default();
        namespace
            .parse()
            .map_err(|error: polylog_crds::values::TextError| Unintelligible::Namespace(error.to_string()))
    }

    /// The stores that the pod asks for, unless it has its sidecar already.
    pub(super) fn wanted(&self) -> Vec<ObjectKey> {
        let Ok(namespace) = self.namespace() else { return Vec::new() };
        let metadata = &self.request.object["metadata"];
        if Mark::carried(metadata).is_some() {
            return Vec::new();
        }
        match Request::read(&namespace, metadata) {
            Ok(Some(request)) => [vec![request.own], request.further, request.elsewhere].concat(),
            Ok(None) | Err(_) => Vec::new(),
        }
    }

    /// The answer, with the stores that are known.
    pub(super) fn answer(&self, stores: &Stores, settings: &Settings) -> Result<Answered, Unintelligible> {
        let namespace = self.namespace()?;
        let pod = &self.request.object;
        let uid = self.request.uid.clone();
        let allowed = Response { uid: uid.clone(), allowed: true, ..Response::default() };
        let (outcome, response) = match inject(pod, &namespace, stores, settings, Existing::Keep) {
            Ok(Injection::NotAsked) => ("untouched", allowed),
            Ok(Injection::Done { pod: after, warnings }) => {
                let steps = Value::Array(json_patch(pod, &after)).to_string();
                let patch = Some(STANDARD.encode(steps));
                let warnings = warnings.iter().map(ToString::to_string).collect();
                ("injected", Response { patch_type: Some("JSONPatch"), patch, warnings, ..allowed })
            }
            Err(error) => {
                let status = Some(Status { code: 422, message: format!("polylog: {error}") });
                ("refused", Response { uid, status, ..Response::default() })
            }
        };
        Ok(Answered { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response, outcome })
    }
}

#[cfg(test)]
mod tests {
    use polylog_injection::Store;
    use serde_json::json;

    use super::*;

    fn review(labels: Value) -> Review {
        let pod = json!({ "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "app" }] } });
        let body = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": { "uid": "u1", "namespace": "shop", "operation": "CREATE", "object": pod },
        });
        Review::read(body.to_string().as_bytes()).expect("a review")
    }

    fn stores() -> Stores {
        let spec = serde_json::from_value(json!({ "sources": [] })).expect("a specification");
        let key = ObjectKey {
            namespace: "shop".parse().expect("a name"),
            name: "payments".parse().expect("a name"),
        };
        [(key, Store::new("payments", &spec))].into_iter().collect()
    }

    fn answer(review: &Review, stores: &Stores) -> Value {
        serde_json::to_value(review.answer(stores, &Settings::default()).expect("an answer")).expect("JSON")
    }

    #[test]
    fn a_pod_that_asks_gets_a_patch() {
        let review = review(json!({ "polylog.dev/eventstore": "payments" }));
        let answer = answer(&review, &stores());
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        let response = &answer["response"];
        assert_eq!((&response["uid"], &response["allowed"]), (&"u1".into(), &true.into()));
        assert_eq!(response["patchType"], "JSONPatch");
        let patch = STANDARD.decode(response["patch"].as_str().expect("a patch")).expect("base64");
        let steps: Value = serde_json::from_slice(&patch).expect("JSON");
        let paths: Vec<_> = steps.as_array().expect("steps").iter().map(|step| &step["path"]).collect();
        assert_eq!(
            paths,
            ["/metadata/annotations", "/spec/containers", "/spec/initContainers", "/spec/volumes"]
        );
        assert_eq!(response.get("warnings"), None);
        assert_eq!(review.wanted().len(), 1);
    }

    #[test]
    fn others_are_let_through_or_told_why_not() {
        let untouched = answer(&review(json!({})), &stores());
        assert_eq!(untouched["response"], json!({ "uid": "u1", "allowed": true }));
        let refused = answer(&review(json!({ "polylog.dev/eventstore": "No" })), &stores());
        assert_eq!(refused["response"]["allowed"], false);
        assert_eq!(refused["response"]["status"]["code"], 422);
        assert!(refused["response"]["status"]["message"].to_string().contains("no name of an EventStore"));
        let unknown = answer(&review(json!({ "polylog.dev/eventstore": "payments" })), &Stores::default());
        assert!(unknown["response"]["warnings"][0].to_string().contains("shop/payments is not known"));
        assert!(Review::read(b"{}").is_err());
    }
}
