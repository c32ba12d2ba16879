//! EventStores.

use std::collections::BTreeMap;

use super::capabilities::{Capabilities, Feature, TargetEngine};
use super::finding::{About, Finding, FindingCode, Kind};
use super::{at, expressions, replication_strategy};
use crate::event_store::{
    Adopt, ApprovedClass, Connection, DeletionPolicy, Delivery, Elasticsearch, ElasticsearchInterception,
    EnrichWith, EventStoreSpec, EventsValidation, FieldsMode, ProvisioningMode, SourceRole, SourceState,
    UnknownTypes, ValidationMode,
};
use crate::manifests::{Manifests, ObjectKey};
use crate::resolve::{EventSchemas, ResolvedLimits};
use crate::schema::FieldPath;
use crate::values::{ByteSize, DataKey, Duration, SourceName};

/// The largest commit that every engine can write at once.
const MAX_COMMIT_BYTES: ByteSize = ByteSize::from_kib(8 * 1024);
const MAX_METADATA_BYTES: ByteSize = ByteSize::from_kib(1024);

pub(super) fn check(
    manifests: &Manifests,
    key: &ObjectKey,
    capabilities: &Capabilities,
    placements: &BTreeMap<SourceName, TargetEngine>,
    findings: &mut Vec<Finding>,
) {
    let Some(loaded) = manifests.stores.get(key) else { return };
    let spec = &loaded.object.spec;
    let mut check = Check {
        manifests,
        capabilities,
        about: About { kind: Kind::EventStore, object: key.clone(), findings },
        spec,
    };
    check.features();
    check.sources(placements);
    check.events();
    check.pods();
    check.interception();
    check.ports();
    replication_strategy::check_store(manifests, key, spec, capabilities, &mut check.about);
}

struct Check<'check> {
    manifests: &'check Manifests,
    capabilities: &'check Capabilities,
    about: About<'check>,
    spec: &'check EventStoreSpec,
}

impl Check<'_> {
    fn features(&mut self) {
        let spec = self.spec;
        let auto_approve = spec.provisioning.as_ref().and_then(|provisioning| provisioning.auto_approve);
        let asked = [
            (Feature::AdoptNever, spec.adopt == Some(Adopt::Never), at(["adopt"])),
            (Feature::Alerts, spec.alerts.is_some(), at(["alerts"])),
            (
                Feature::ApproveEveryStep,
                auto_approve == Some(ApprovedClass::None),
                at(["provisioning", "autoApprove"]),
            ),
            (
                Feature::ApproveSlowSteps,
                auto_approve == Some(ApprovedClass::Additive),
                at(["provisioning", "autoApprove"]),
            ),
            (Feature::Cache, spec.cache.is_some(), at(["cache"])),
            (
                Feature::CacheInRedis,
                spec.cache.as_ref().is_some_and(|cache| cache.redis.is_some()),
                at(["cache", "redis"]),
            ),
            (
                Feature::DeleteData,
                spec.deletion_policy == Some(DeletionPolicy::Delete),
                at(["deletionPolicy"]),
            ),
            (Feature::GatewayDelivery, spec.delivery == Some(Delivery::Gateway), at(["delivery"])),
            (
                Feature::GatewayTls,
                spec.gateway.as_ref().is_some_and(|gateway| gateway.tls_secret_ref.is_some()),
                at(["gateway", "tlsSecretRef"]),
            ),
            (Feature::Interception, spec.interception.is_some(), at(["interception"])),
            (
                Feature::PlanWithoutApplying,
                spec.provisioning
                    .as_ref()
                    .and_then(|provisioning| provisioning.mode)
                    .is_some_and(|mode| mode != ProvisioningMode::Apply),
                at(["provisioning", "mode"]),
            ),
            (Feature::Search, spec.search.is_some(), at(["search"])),
            (Feature::Suspend, spec.suspend == Some(true), at(["suspend"])),
            (Feature::Verification, spec.verification.is_some(), at(["verification"])),
        ];
        for (feature, asked, path) in asked {
            if asked {
                self.feature(feature, path);
            }
        }
        let lanes = spec.lanes.as_ref().and_then(|lanes| lanes.count).unwrap_or(1);
        if lanes > self.capabilities.lanes {
            let message = format!(
                "this version has {} lane; for two orders make two EventStores",
                self.capabilities.lanes
            );
            self.about.refuse(at(["lanes", "count"]), FindingCode::NotSupported, message);
        }
    }

    fn feature(&mut self, feature: Feature, path: FieldPath) {
        self.about.feature(self.capabilities, feature, path);
    }

    /// What is only of use where the sidecar runs in a pod.
    fn pods(&mut self) {
        let enrich = self.spec.events.as_ref().and_then(|events| events.enrich.as_deref());
        for (index, with) in enrich.unwrap_or_default().iter().enumerate() {
            if matches!(with, EnrichWith::Pod | EnrichWith::Namespace) {
                self.feature(Feature::PodEnrichment, at(["events", "enrich"]).item(index));
            }
        }
        let Some(sidecar) = &self.spec.sidecar else { return };
        for (name, is_set) in [
            ("apiPort", sidecar.api_port.is_some()),
            ("healthPort", sidecar.health_port.is_some()),
            ("logLevel", sidecar.log_level.is_some()),
            ("drain", sidecar.drain.is_some()),
        ] {
            if is_set {
                self.feature(Feature::SidecarSettings, at(["sidecar", name]));
            }
        }
    }

    fn sources(&mut self, placements: &BTreeMap<SourceName, TargetEngine>) {
        for (index, source) in self.spec.sources.iter().enumerate() {
            let path = at(["sources"]).item(index);
            if source.state.is_some_and(|state| state != SourceState::Active) {
                self.feature(Feature::SourceStates, path.field("state"));
            }
            let Some(engine) = source.engine() else { continue };
            let placed = placements.get(&source.name).copied().or(self.capabilities.default_engine);
            let target = placed.unwrap_or(engine.into());
            if !self.capabilities.engines.contains(&target) {
                let known =
                    self.capabilities.engines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let message = format!("this version has no engine for {target}; it has {known}");
                self.about.refuse(path.field(engine.field()), FindingCode::EngineNotSupported, message);
            }
            if let Some(elasticsearch) = &source.elasticsearch {
                self.elasticsearch(elasticsearch, source.effective_role(), &path.field("elasticsearch"));
            }
            self.connection(&source.connection, &path.field("connection"), engine.url_schemes());
            if let Some(connection) = &source.provisioning_connection {
                self.connection(connection, &path.field("provisioningConnection"), engine.url_schemes());
            }
        }
        if let Some(redis) = self.spec.cache.as_ref().and_then(|cache| cache.redis.as_ref()) {
            self.connection(&redis.connection, &at(["cache", "redis", "connection"]), &["redis", "rediss"]);
        }
    }

    fn elasticsearch(&mut self, declared: &Elasticsearch, role: SourceRole, path: &FieldPath) {
        let fields = declared.fields.as_ref();
        let is_explicit = fields.is_some_and(|fields| {
            fields.mode == Some(FieldsMode::Explicit)
                || fields.explicit.as_ref().is_some_and(|explicit| !explicit.is_empty())
        });
        if is_explicit {
            self.feature(Feature::ExplicitFields, path.field("fields"));
        }
        if role == SourceRole::Voter && Elasticsearch::replicas(Some(declared), role) > 0 {
            let message = "a voter's index has no further copies in this version, because a copy that its cluster has given \
                           up may still answer reads: set 0, or the role to Learner";
            let path = path.field("index").field("replicas");
            self.about.refuse(path, FindingCode::NotSupported, message);
        }
    }

    fn connection(&mut self, connection: &Connection, path: &FieldPath, schemes: &[&str]) {
        if let Some(url) = &connection.url {
            let scheme = url.as_str().split(':').next().unwrap_or_default();
            if !schemes.contains(&scheme) {
                let message =
                    format!("the address begins with {scheme}, but this engine has {}", schemes.join(", "));
                self.about.refuse(path.field("url"), FindingCode::InvalidValue, message);
            }
        }
        // a Secret that is not in the folder may still be in the cluster; one that is there must have the key
        let mut keys = Vec::new();
        if let Some(reference) = &connection.secret_ref {
            let key = reference.key.as_ref().map_or("url", DataKey::as_str);
            keys.push((&reference.name, key, path.field("secretRef").field("key")));
        }
        if let Some(auth) = &connection.auth {
            let name = &auth.secret_ref.name;
            if let Some(key) = &auth.api_key_key {
                keys.push((name, key.as_str(), path.field("auth").field("apiKeyKey")));
            } else {
                let username = auth.username_key.as_ref().map_or("username", DataKey::as_str);
                let password = auth.password_key.as_ref().map_or("password", DataKey::as_str);
                keys.push((name, username, path.field("auth").field("usernameKey")));
                keys.push((name, password, path.field("auth").field("passwordKey")));
            }
        }
        for (name, key, path) in keys {
            let object = ObjectKey { namespace: self.about.object.namespace.clone(), name: name.clone() };
            let secret = self.manifests.secrets.get(&object);
            if secret.is_some_and(|secret| !secret.data.keys().any(|present| present.as_str() == key)) {
                self.about.warn(
                    path,
                    FindingCode::InvalidReference,
                    format!("Secret {name} has no key {key}"),
                );
            }
        }
        let timeouts = connection.timeouts.as_ref();
        for (name, value) in [
            ("connect", timeouts.and_then(|timeouts| timeouts.connect)),
            ("request", timeouts.and_then(|timeouts| timeouts.request)),
        ] {
            if value.is_some_and(Duration::is_zero) {
                let path = path.field("timeouts").field(name);
                self.about.refuse(
                    path,
                    FindingCode::InvalidValue,
                    "no answer comes in no time; give a longer one",
                );
            }
        }
    }

    fn events(&mut self) {
        let limits = ResolvedLimits::resolve(self.spec.events.as_ref());
        let path = |name| at(["events", "limits", name]);
        let before = self.about.findings.len();
        for (name, size, max) in [
            ("eventBytes", limits.event_bytes, MAX_COMMIT_BYTES),
            ("metadataBytes", limits.metadata_bytes, MAX_METADATA_BYTES),
            ("commitBytes", limits.commit_bytes, MAX_COMMIT_BYTES),
        ] {
            if size > max {
                let message = format!("is {size}, more than the {max} that every engine can hold");
                self.about.refuse(path(name), FindingCode::InvalidValue, message);
            } else if size.bytes() == 0 {
                self.about.refuse(path(name), FindingCode::InvalidValue, "nothing could be appended");
            }
        }
        let event = limits.event_bytes.bytes().saturating_add(limits.metadata_bytes.bytes());
        if event > limits.commit_bytes.bytes() && self.about.findings.len() == before {
            let message = format!(
                "is {}, less than one event may have: eventBytes {} and metadataBytes {}",
                limits.commit_bytes, limits.event_bytes, limits.metadata_bytes
            );
            self.about.refuse(path("commitBytes"), FindingCode::InvalidValue, message);
        }
        if let Some(validation) = self.spec.events.as_ref().and_then(|events| events.validation.as_ref()) {
            self.validation(validation);
        }
    }

    fn validation(&mut self, validation: &EventsValidation) {
        let path = at(["events", "validation"]);
        let checks = validation.mode.is_some_and(|mode| mode != ValidationMode::Ignore);
        let Some(reference) = &validation.schemas_ref else {
            if checks && validation.unknown_types != Some(UnknownTypes::Refuse) {
                let message = "without schemasRef nothing is checked";
                self.about.warn(path.field("mode"), FindingCode::NoEffect, message);
            }
            return;
        };
        if !checks {
            let message = "without a mode of Warn or Enforce no schema is used";
            self.about.warn(path.field("schemasRef"), FindingCode::NoEffect, message);
        }
        let name = &reference.name;
        let key = ObjectKey { namespace: self.about.object.namespace.clone(), name: name.clone() };
        let path = path.field("schemasRef").field("name");
        match self.manifests.config_maps.get(&key) {
            None => {
                self.about.refuse(path, FindingCode::InvalidReference, format!("there is no ConfigMap {key}"))
            }
            Some(config_map) => {
                for (data_key, error) in EventSchemas::read(config_map).1 {
                    let message = format!("ConfigMap {key}: {data_key}: {error}");
                    self.about.refuse(path.clone(), FindingCode::InvalidSchema, message);
                }
            }
        }
    }

    fn interception(&mut self) {
        let interception = self.spec.interception.as_ref();
        let Some(elasticsearch) = interception.and_then(|interception| interception.elasticsearch.as_ref())
        else {
            return;
        };
        let ElasticsearchInterception { indices, pass_through, .. } = elasticsearch;
        let path = at(["interception", "elasticsearch"]);
        for (index, intercepted) in indices.iter().enumerate() {
            if let Some(message) = expressions::problem(&intercepted.stream, &["doc"]) {
                let path = path.field("indices").item(index).field("stream");
                self.about.refuse(path, FindingCode::InvalidExpression, message);
            }
        }
        if let Some(pass_through) = pass_through {
            let source = self.spec.sources.iter().find(|source| source.name == pass_through.source);
            if source.is_none_or(|source| source.elasticsearch.is_none()) {
                let message = format!("the store has no elasticsearch source {}", pass_through.source);
                let path = path.field("passThrough").field("source");
                self.about.refuse(path, FindingCode::InvalidReference, message);
            }
        }
    }

    fn ports(&mut self) {
        let sidecar = self.spec.sidecar.as_ref();
        let api = sidecar.and_then(|sidecar| sidecar.api_port).unwrap_or(7300);
        let health = sidecar.and_then(|sidecar| sidecar.health_port).unwrap_or(7301);
        if api == health {
            let message = format!("is {health}, the port of the API too");
            self.about.refuse(at(["sidecar", "healthPort"]), FindingCode::InvalidValue, message);
        }
    }
}
