//! What a store needs in the cluster, as it is to be. Pure.

mod config_map;
mod deployment;
mod disruption_budget;
mod network_policy;
mod plan_map;
mod service;
mod volume;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::api::ApiResource;
use polylog_crds::{
    event_store::EventStoreSpec,
    manifests::ObjectKey,
    replication_strategy::ReplicationStrategySpec,
    resolve::ResolvedStore,
    values::{DataKey, ObjectName},
};
use polylog_log::LogId;
use serde_json::{Value, json};

use crate::{
    entrance::{Certified, ClusterKeys},
    event_store::membership::Membership,
    names,
};

pub(crate) use plan_map::plan_map;

/// The kinds of what the operator makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    ConfigMap,
    ServiceAccount,
    Service,
    NetworkPolicy,
    PodDisruptionBudget,
    Deployment,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::ConfigMap => "ConfigMap",
            Kind::ServiceAccount => "ServiceAccount",
            Kind::Service => "Service",
            Kind::NetworkPolicy => "NetworkPolicy",
            Kind::PodDisruptionBudget => "PodDisruptionBudget",
            Kind::Deployment => "Deployment",
        }
    }

    /// Whether others write its status, and its generation says what it is to be.
    pub(crate) fn has_status(self) -> bool {
        matches!(self, Kind::PodDisruptionBudget | Kind::Deployment)
    }

    /// One for each kind: applying removes what its manager owned before.
    pub(crate) fn field_manager(self) -> &'static str {
        match self {
            Kind::ConfigMap => "polylog-operator-configmap",
            Kind::ServiceAccount => "polylog-operator-serviceaccount",
            Kind::Service => "polylog-operator-service",
            Kind::NetworkPolicy => "polylog-operator-networkpolicy",
            Kind::PodDisruptionBudget => "polylog-operator-poddisruptionbudget",
            Kind::Deployment => "polylog-operator-deployment",
        }
    }

    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Kind::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Kind::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Kind::Service => ApiResource::erase::<Service>(&()),
            Kind::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Kind::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Kind::Deployment => ApiResource::erase::<Deployment>(&()),
        }
    }
}

/// An object as it is to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Built {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) content: Value,
}

/// Whose objects are built.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) key: ObjectKey,
    pub(crate) uid: String,
}

impl Owner {
    fn labels(&self) -> Value {
        let (managed, by) = names::MANAGED_BY;
        let (name, gateway) = names::GATEWAY;
        json!({ (managed): by, (name): gateway, (names::INSTANCE): self.key.name.as_str() })
    }

    /// What gateway pods are selected by; it can never change.
    fn selector(&self) -> Value {
        let (name, gateway) = names::GATEWAY;
        json!({ (name): gateway, (names::INSTANCE): self.key.name.as_str() })
    }

    pub(crate) fn metadata(&self, name: &str) -> Value {
        json!({
            "name": name,
            "namespace": self.key.namespace.as_str(),
            "labels": self.labels(),
            "ownerReferences": [{
                "apiVersion": "polylog.dev/v1alpha1",
                "kind": "EventStore",
                "name": self.key.name.as_str(),
                "uid": self.uid,
                "controller": true,
            }],
        })
    }

    fn built(&self, kind: Kind, name: String, fields: Value) -> Built {
        let resource = kind.resource();
        let mut content = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": self.metadata(&name),
        });
        if let (Value::Object(content), Value::Object(fields)) = (&mut content, fields) {
            content.extend(fields);
        }
        Built { kind, name, content }
    }
}

/// How other pods come in to a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entrance {
    /// Who makes the cluster's tokens, and with which keys.
    pub(crate) keys: Option<ClusterKeys>,
    /// The Secret with its certificate and key.
    pub(crate) secret: Option<String>,
    /// What is noted of a certificate that the operator made.
    pub(crate) certified: Option<Certified>,
    /// Who vouches for it, in PEM.
    pub(crate) authorities: Option<String>,
}

/// Everything that is known of a store whose objects are built.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) spec: &'a EventStoreSpec,
    pub(crate) strategy: Option<(&'a ObjectName, &'a ReplicationStrategySpec)>,
    pub(crate) store: &'a ResolvedStore,
    pub(crate) log: Option<LogId>,
    /// Sources of the log, where there are several.
    pub(crate) members: &'a [Membership],
    /// Keys of the ConfigMap that `schemasRef` names.
    pub(crate) schemas: Option<(&'a ObjectName, &'a [DataKey])>,
    pub(crate) image: &'a str,
    /// How other pods come in to the gateway, as far as that is known.
    pub(crate) entrance: Entrance,
    /// When the image is pulled; Kubernetes decides if absent.
    pub(crate) pull_policy: Option<&'a str>,
}

/// What a store needs, in the order in which it is applied.
pub(crate) fn build(wanted: &Wanted<'_>) -> Vec<Built> {
    vec![
        config_map::config_map(wanted),
        service::service_account(wanted.owner),
        service::service(wanted.owner),
        network_policy::network_policy(wanted),
        disruption_budget::disruption_budget(wanted.owner),
        deployment::deployment(wanted),
    ]
}

/// As YAML, for a ConfigMap.
fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).expect("JSON with string keys can be written as YAML")
}

#[cfg(test)]
mod tests;
