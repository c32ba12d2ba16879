//! A store's manifests in the mounted folders, read by a process of its own.

use std::{collections::BTreeMap, io, path::Path};

use polylog_crds::{
    event_store::{Delivery, EventStoreSpec, Gateway, SourceRole},
    manifests::{self, ConfigMapData, Manifests, ObjectKey},
    resolve::ResolvedStore,
    validate::Capabilities,
    values::{DataKey, ObjectName},
};
use polylog_log::{DatabaseId, Incarnation, LogId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ManifestFiles, Place};
use crate::config::{self, apart};

/// What a store's manifests say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mounted {
    pub(crate) store: ResolvedStore,
    /// The log that was provisioned for it, where `status.storeId` says so.
    pub(crate) log: Option<LogId>,
    /// What the operator wrote of each source of the log, by its name; empty = the first voter holds it alone.
    pub(crate) members: BTreeMap<String, Membership>,
    /// Connections of the gateway to each source, where the manifest says so.
    pub(crate) gateway_pool: Option<u32>,
    /// Whether other pods come to the gateway over TLS.
    pub(crate) gateway_tls: bool,
    /// Whether sidecars reach the store through its gateway.
    pub(crate) by_gateway: bool,
    /// What its author should know, one line each.
    pub(crate) warnings: Vec<String>,
}

/// What the operator wrote of a source that belongs to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Membership {
    /// Its database, and the adoption of it that counts, once they are known.
    pub(crate) database: Option<(DatabaseId, Incarnation)>,
    /// Whether it only follows, until every pod can reach it.
    pub(crate) follows: bool,
}

type Asked = BTreeMap<String, (Place, ManifestFiles)>;
type Answered = BTreeMap<String, Result<Mounted, String>>;

/// Whether this process was started only to read manifests for another; it has answered then.
pub(crate) fn answered(capabilities: &Capabilities) -> io::Result<bool> {
    apart::answer(|asked: Asked| -> Answered {
        asked.into_iter().map(|(key, (place, files))| (key, read(&place, &files, capabilities))).collect()
    })
}

/// What the manifests of these stores say; of each that cannot be served, why.
pub(crate) async fn read_all(
    stores: BTreeMap<Place, ManifestFiles>,
    capabilities: Capabilities,
) -> BTreeMap<Place, Result<Mounted, String>> {
    if stores.is_empty() {
        return BTreeMap::new();
    }
    let reading = tokio::task::spawn_blocking(move || {
        let keys: BTreeMap<String, Place> =
            stores.keys().map(|place| (place.to_string(), place.clone())).collect();
        let asked: Asked =
            stores.into_iter().map(|(place, files)| (place.to_string(), (place, files))).collect();
        let answered: Answered = apart::ask(&asked).unwrap_or_else(|error| {
            tracing::debug!(%error, "reading the manifests in this process");
            let read_here = |(key, (place, files)): (&String, &(Place, ManifestFiles))| {
                (key.clone(), read(place, files, &capabilities))
            };
            asked.iter().map(read_here).collect()
        });
        let place = |(key, said)| Some((keys.get(&key)?.clone(), said));
        answered.into_iter().filter_map(place).collect()
    });
    // a reader that panicked has said nothing of any store: the old configuration stays, and it is tried again
    reading.await.unwrap_or_default()
}

fn read(place: &Place, files: &ManifestFiles, capabilities: &Capabilities) -> Result<Mounted, String> {
    let text = |name: &str, content: &Option<Vec<u8>>| match content {
        None => Ok(None),
        Some(content) => match String::from_utf8(content.clone()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(format!("{place}/{name} is no UTF-8")),
        },
    };
    let event_store = text("eventstore.yaml", &files.event_store)?;
    let event_store = event_store.ok_or_else(|| format!("{place}/eventstore.yaml is missing"))?;
    let strategy = text("strategy.yaml", &files.strategy)?;
    let texts = [("eventstore.yaml", Some(&event_store)), ("strategy.yaml", strategy.as_ref())];
    let texts = texts.iter().filter_map(|(name, text)| Some((Path::new(*name), text.as_ref()?.as_str())));
    let mut manifests = manifests::read_texts(texts).map_err(|error| error.to_string())?;
    let key = match manifests.stores.keys().collect::<Vec<_>>()[..] {
        [only] => only.clone(),
        ref found => {
            return Err(format!("{place}/eventstore.yaml holds {} EventStores, not one", found.len()));
        }
    };
    check_format(place, manifests.stores[&key].json())?;
    if let Place::Further(folder) = place
        && *folder != format!("{}.{}", key.namespace, key.name)
    {
        return Err(format!("{place} holds the EventStore {key}: a folder is named <namespace>.<name>"));
    }
    let spec = manifests.stores[&key].object.spec.clone();
    if let Some(name) = schemas_name(&spec) {
        let map = schemas(place, files)?;
        let key = ObjectKey { namespace: key.namespace.clone(), name: name.clone() };
        manifests.config_maps.insert(key, map);
    }
    let mut warnings = manifests.notes.clone();
    config::check(&manifests, &[], capabilities, &mut warnings).map_err(|error| error.to_string())?;
    let members = members(&manifests, &key)?;
    // an operator that wrote nothing of them keeps the log in one
    let voters = if members.is_empty() { 1 } else { capabilities.voters };
    let mut store = ResolvedStore::resolve(&manifests, &key, voters)
        .ok_or_else(|| format!("{place}/eventstore.yaml holds no EventStore"))?;
    for source in &mut store.sources {
        source.provisioned &= match members.is_empty() {
            true => source.role == SourceRole::Voter,
            false => members.contains_key(source.name.as_str()),
        };
    }
    let gateway_pool = spec.gateway.as_ref().and_then(|gateway: &Gateway| gateway.pool);
    let gateway_tls = spec.gateway.as_ref().is_some_and(|gateway| gateway.tls_secret_ref.is_some());
    let by_gateway = spec.delivery == Some(Delivery::Gateway);
    Ok(Mounted {
        log: log(&manifests, &key)?,
        members,
        store,
        gateway_pool,
        gateway_tls,
        by_gateway,
        warnings,
    })
}

/// A newer form may mean something else with the same fields. One without a number is older than the numbers.
fn check_format(place: &Place, store: &serde_json::Value) -> Result<(), String> {
    let known = config::MANIFEST_FORMAT;
    let number = |text: &str| text.parse::<u32>().ok();
    match store["metadata"]["annotations"][config::MANIFEST_FORMAT_ANNOTATION].as_str() {
        None => Ok(()),
        Some(found) if number(found).is_some_and(|found| Some(found) <= number(known)) => Ok(()),
        Some(other) => Err(format!(
            "{place}/eventstore.yaml is of form {other}, and this version reads {known}: update the sidecar"
        )),
    }
}

fn schemas_name(spec: &EventStoreSpec) -> Option<&ObjectName> {
    let validation = spec.events.as_ref()?.validation.as_ref()?;
    Some(&validation.schemas_ref.as_ref()?.name)
}

fn schemas(place: &Place, files: &ManifestFiles) -> Result<ConfigMapData, String> {
    let mut map = ConfigMapData::default();
    for (name, content) in &files.schemas {
        let shown = format!("{place}/schemas/{name}");
        let key: DataKey = name.parse().map_err(|error| format!("{shown}: {error}"))?;
        let text = String::from_utf8(content.clone()).map_err(|_| format!("{shown} is no UTF-8"))?;
        map.data.insert(key, text);
    }
    Ok(map)
}

/// What the operator wrote down when it provisioned the store.
fn log(manifests: &Manifests, key: &ObjectKey) -> Result<Option<LogId>, String> {
    let id = match manifests.stores[key].status().get("storeId") {
        None | Some(serde_json::Value::Null) => return Ok(None),
        Some(id) => id.as_str().unwrap_or_default(),
    };
    match Uuid::try_parse(id) {
        Ok(id) => Ok(Some(LogId::new(id))),
        Err(_) => Err(format!("status.storeId {id:?} is no UUID")),
    }
}

/// What it wrote of each source, where several hold the log. Fields that a newer operator adds are left out.
fn members(manifests: &Manifests, key: &ObjectKey) -> Result<BTreeMap<String, Membership>, String> {
    let none = Vec::new();
    let written = manifests.stores[key].status().get("sources");
    let written = written.and_then(serde_json::Value::as_array).unwrap_or(&none);
    let member = |source: &serde_json::Value| {
        let name = source["name"].as_str().ok_or("status.sources has one without a name")?;
        let id = |field: &str| match &source[field] {
            serde_json::Value::Null => Ok(None),
            id => match id.as_str().and_then(|id| Uuid::try_parse(id).ok()) {
                Some(id) => Ok(Some(id)),
                None => Err(format!("status.sources {name}: {field} {id} is no UUID")),
            },
        };
        let ids = id("databaseId")?.zip(id("incarnation")?);
        let database =
            ids.map(|(database, adoption)| (DatabaseId::new(database), Incarnation::new(adoption)));
        Ok((name.to_owned(), Membership { database, follows: source["role"] == "Learner" }))
    };
    written.iter().map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: payments, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}
";

    fn of(text: &str) -> ManifestFiles {
        ManifestFiles { event_store: Some(text.into()), ..ManifestFiles::default() }
    }

    fn refusal(files: &ManifestFiles, place: &Place) -> String {
        read(place, files, &Capabilities::GATEWAY).expect_err("it is wrong")
    }

    #[test]
    fn a_store_is_read_with_its_schemas_and_identity() {
        let text = STORE.replace(
            "spec:",
            "status: {storeId: 0198f2c0-0000-7000-8000-000000000001}\nspec:\n  \
             events: {validation: {mode: Enforce, schemasRef: {name: payment-schemas}}}",
        );
        let mut files = of(&text);
        files.schemas.insert("Paid.json".into(), br#"{"type":"object"}"#.to_vec());
        let mounted = read(&Place::Own, &files, &Capabilities::SIDECAR).expect("it is right");
        assert_eq!(mounted.store.policy.validation.schemas.0.len(), 1);
        assert_eq!(
            mounted.log.map(|log| log.to_string()).as_deref(),
            Some("0198f2c0-0000-7000-8000-000000000001")
        );
        files.schemas.insert("Paid.txt".into(), Vec::new());
        assert!(refusal(&files, &Place::Own).contains("Paid.txt"));
    }

    /// As an operator of this version writes it.
    const RECORDED: &str = include_str!("../../../tests/formats/eventstore-1.yaml");

    #[test]
    fn what_an_operator_of_another_version_mounts_is_read_or_refused_by_name() {
        let own = &Place::Own;
        let this = read(own, &of(RECORDED), &Capabilities::SIDECAR).expect("this version's");
        // before there was a number, and before the log was told
        let (number, id) =
            ("polylog.dev/format: \"1\"", "status:\n  storeId: 0198f2c0-0000-4000-8000-000000000001");
        assert!(RECORDED.contains(number) && RECORDED.contains(id), "{RECORDED}");
        let older = RECORDED.replace(number, "team: pay").replace(id, "");
        let older = read(own, &of(&older), &Capabilities::SIDECAR).expect("an older one's");
        assert_eq!((&older.store, older.log), (&this.store, None));
        let lower = RECORDED.replace(number, "polylog.dev/format: \"0\"");
        assert_eq!(read(own, &of(&lower), &Capabilities::SIDECAR).expect("an older one's").store, this.store);
        let odd = refusal(&of(&RECORDED.replace(number, "polylog.dev/format: next")), own);
        assert!(odd.contains("form next"), "{odd}");
        let newer = refusal(&of(&RECORDED.replace(number, "polylog.dev/format: \"2\"")), own);
        assert!(newer.contains("form 2") && newer.contains("update the sidecar"), "{newer}");
        let field = refusal(&of(&RECORDED.replace("spec:\n", "spec:\n  quota: 5\n")), own);
        assert!(field.contains("quota"), "{field}");
    }

    /// The same of a store whose log is in several sources.
    const SEVERAL: &str = include_str!("../../../tests/formats/eventstore-1-several.yaml");

    #[test]
    fn sources_belong_to_the_log_as_far_as_the_operator_says_so() {
        let own = &Place::Own;
        let in_log = |mounted: &Mounted| {
            let sources = mounted.store.sources.iter().filter(|source| source.provisioned);
            sources.map(|source| source.name.to_string()).collect::<Vec<_>>()
        };
        let several = read(own, &of(SEVERAL), &Capabilities::SIDECAR).expect("this version's");
        assert_eq!(in_log(&several), ["ledger", "mirror", "spare"]);
        let (ledger, spare) = (several.members["ledger"], several.members["spare"]);
        assert!(ledger.database.is_some() && !ledger.follows && spare.follows);
        assert_eq!(several.members["mirror"], Membership::default(), "nobody saw its database yet");
        // an operator of the version before, which kept one copy
        let (manifest, _) = SEVERAL.split_once("status:").expect("it has one");
        let alone = read(own, &of(manifest), &Capabilities::SIDECAR).expect("an older one's");
        assert_eq!((in_log(&alone), alone.members.len()), (vec!["ledger".to_owned()], 0));
        // a newer one's field
        let more = SEVERAL.replacen("- databaseId", "- colour: blue\n    databaseId", 1);
        assert_eq!(
            read(own, &of(&more), &Capabilities::SIDECAR).expect("a newer one's").members,
            several.members
        );
        let bad = refusal(&of(&SEVERAL.replacen("databaseId: ", "databaseId: x", 1)), own);
        assert!(bad.contains("databaseId"), "{bad}");
    }

    #[test]
    fn what_cannot_be_served_says_why() {
        let own = &Place::Own;
        assert!(refusal(&ManifestFiles::default(), own).contains("store/eventstore.yaml is missing"));
        assert!(refusal(&of(&format!("{STORE}---{STORE}")), own).contains("twice"));
        assert!(refusal(&of(""), own).contains("0 EventStores"));
        assert!(refusal(&of(STORE), &Place::Further("shop.audit".into())).contains("shop/payments"));
        let copies = STORE
            .replace("postgres: {schema: payments}", "role: Voter, elasticsearch: {index: {replicas: 1}}");
        assert!(refusal(&of(&copies), own).contains("elasticsearch.index.replicas"));
        let tls = STORE.replace("spec:", "spec:\n  gateway: {tlsSecretRef: {name: x}}");
        assert!(read(own, &of(&tls), &Capabilities::GATEWAY).expect("it is right").gateway_tls);
        assert!(read(own, &of(&tls), &Capabilities::SIDECAR).is_ok(), "it is no business of a sidecar");
        let gateway = STORE.replace("spec:", "spec:\n  delivery: Gateway");
        assert!(read(own, &of(&gateway), &Capabilities::SIDECAR).expect("it is right").by_gateway);
        let by = STORE.replace("spec:", "spec:\n  strategyRef: {name: gone}");
        assert!(refusal(&of(&by), own).contains("gone"));
        let id = STORE.replace("spec:", "status: {storeId: x}\nspec:");
        assert!(refusal(&of(&id), own).contains("storeId"));
    }
}
