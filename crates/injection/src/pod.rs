use std::fmt;

use polylog_crds::{manifests::ObjectKey, values::NamespaceName};
use serde_json::{Map, Value};

use crate::{
    InjectionError, Mark, Ports, Request, Settings, Stores,
    container::{name, ports_of, sidecar},
    mark::Wanted,
    mesh,
    names::{CONTAINER, INJECTED_ANNOTATION, VOLUME},
    variables,
};

/// What happens with a sidecar that injection wrote before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays as it is: others may have worked on it since, and the pod's author may have written it with another
    /// version. Only what is missing around it is added.
    Keep,
    /// It is written anew.
    Replace,
}

/// What became of a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Injection {
    /// It does not ask for a sidecar.
    NotAsked,
    /// It has one.
    Done {
        /// The pod.
        pod: Value,
        /// What its author should know.
        warnings: Vec<Warning>,
    },
}

/// What the author of a pod should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// There is no such EventStore.
    UnknownStore(ObjectKey),
    /// A store of another namespace is not known, or has no gateway yet.
    NoGateway(ObjectKey),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownStore(store) => write!(
                f,
                "EventStore {store} is not known: the pod waits in its init phase; apply the EventStore, and make the \
                 pod anew, since a pod is given its Secrets when it is made"
            ),
            Self::NoGateway(store) => write!(
                f,
                "EventStore {store} is not known, or has no gateway yet: requests to it are answered                  invalid_configuration; apply it, and make the pod anew, since a pod is told of the gateways of other                  namespaces when it is made"
            ),
        }
    }
}

/// Gives the pod (or pod template) of this namespace its sidecar, if it asks for one. Once more changes nothing.
///
/// # Errors
/// What its author has to change.
pub fn inject(
    pod: &Value,
    namespace: &NamespaceName,
    stores: &Stores,
    settings: &Settings,
    existing: Existing,
) -> Result<Injection, InjectionError> {
    let Some(request) = Request::read(namespace, &pod["metadata"])? else { return Ok(Injection::NotAsked) };
    let mut pod = pod.clone();
    let is_marked = Mark::carried(&pod["metadata"]).is_some();
    let spec = pod.get_mut("spec").and_then(Value::as_object_mut);
    let spec = spec.ok_or(InjectionError::NoPod("it has no spec"))?;
    let mut old = take(spec, is_marked)?;
    if existing == Existing::Replace
        && let Some(old) = old.take()
    {
        remove_around(spec, &old);
    }
    let wanted = Wanted::of(&request, stores);
    let chosen = request.ports.unwrap_or(wanted.own.ports);
    check(spec, request.ports.is_some())?;
    let mounts = wanted.mounts();
    let (container, ports, is_new) = match old {
        Some(old) => {
            let ports = ports_of(&old).unwrap_or(chosen);
            (old, ports, false)
        }
        None => (sidecar(&wanted, chosen, settings, is_root(spec)), chosen, true),
    };
    check_ports(spec, ports)?;
    for container in containers(spec)? {
        variables::add(container, ports);
    }
    let init = list(spec, "initContainers")?;
    init.insert(mesh::place(init), container);
    let volumes = list(spec, "volumes")?;
    if !volumes.iter().any(|volume| name(volume) == VOLUME) {
        volumes.push(mounts.volume());
    }
    if is_new {
        annotate(&mut pod, &Mark::of(&mounts))?;
    }
    // one that was written before knows its store, whether we do or not
    let unknown = wanted.unknown.iter().filter(|_| is_new);
    let mut warnings: Vec<Warning> = unknown.map(|key| Warning::UnknownStore((*key).clone())).collect();
    let without = wanted.elsewhere.iter().filter(|(_, authority)| is_new && authority.is_none());
    warnings.extend(without.map(|(key, _)| Warning::NoGateway((*key).clone())));
    Ok(Injection::Done { pod, warnings })
}

/// Takes our container out of the pod, if it is there.
fn take(spec: &mut Map<String, Value>, is_marked: bool) -> Result<Option<Value>, InjectionError> {
    let has = |field: &str, wanted: &str| {
        spec.get(field)
            .and_then(Value::as_array)
            .is_some_and(|list| list.iter().any(|one| name(one) == wanted))
    };
    if has("containers", CONTAINER) || (has("initContainers", CONTAINER) && !is_marked) {
        return Err(InjectionError::ContainerTaken);
    }
    if has("volumes", VOLUME) && !is_marked {
        return Err(InjectionError::VolumeTaken);
    }
    let Some(init) = spec.get_mut("initContainers").and_then(Value::as_array_mut) else { return Ok(None) };
    let position = init.iter().position(|container| name(container) == CONTAINER);
    Ok(position.map(|position| init.remove(position)))
}

/// Takes away what was added around a sidecar.
fn remove_around(spec: &mut Map<String, Value>, old: &Value) {
    if let Some(volumes) = spec.get_mut("volumes").and_then(Value::as_array_mut) {
        volumes.retain(|volume| name(volume) != VOLUME);
    }
    let Some(ports) = ports_of(old) else { return };
    for field in ["containers", "initContainers"] {
        let list = spec.get_mut(field).and_then(Value::as_array_mut);
        for container in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            variables::remove(container, ports);
        }
    }
}

fn check(spec: &Map<String, Value>, has_ports: bool) -> Result<(), InjectionError> {
    let is_windows = spec.get("os").is_some_and(|os| os["name"] == "windows");
    if is_windows {
        return Err(InjectionError::Windows);
    }
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) && !has_ports {
        return Err(InjectionError::HostNetwork);
    }
    Ok(())
}

/// Two processes of a pod cannot listen on the same port.
fn check_ports(spec: &Map<String, Value>, ports: Ports) -> Result<(), InjectionError> {
    let lists = ["containers", "initContainers"].map(|field| spec.get(field).and_then(Value::as_array));
    for container in lists.into_iter().flatten().flatten() {
        for declared in container["ports"].as_array().into_iter().flatten() {
            let number = declared["containerPort"].as_u64().and_then(|port| u16::try_from(port).ok());
            let is_tcp = matches!(declared["protocol"].as_str(), None | Some("TCP"));
            if let Some(port) = number.filter(|port| is_tcp && [ports.api, ports.probes].contains(port)) {
                return Err(InjectionError::PortTaken { container: name(container).to_owned(), port });
            }
        }
    }
    Ok(())
}

fn is_root(spec: &Map<String, Value>) -> bool {
    spec.get("securityContext").is_some_and(|security| security["runAsUser"] == 0)
}

/// Every container but ours, which is taken out.
fn containers(
    spec: &mut Map<String, Value>,
) -> Result<impl Iterator<Item = &mut Map<String, Value>>, InjectionError> {
    if !spec.get("containers").is_some_and(Value::is_array) {
        return Err(InjectionError::NoPod("it has no containers"));
    }
    let is_list = |field: &str| field == "containers" || field == "initContainers";
    let lists = spec.iter_mut().filter(move |(field, _)| is_list(field));
    Ok(lists.filter_map(|(_, list)| list.as_array_mut()).flatten().filter_map(Value::as_object_mut))
}

/// The list in a field, made where there is none.
fn list<'a>(
    spec: &'a mut Map<String, Value>,
    field: &'static str,
) -> Result<&'a mut Vec<Value>, InjectionError> {
    let value = spec.entry(field).or_insert_with(|| Value::Array(Vec::new()));
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().ok_or(InjectionError::NoPod("initContainers or volumes is no list"))
}

fn annotate(pod: &mut Value, mark: &Mark) -> Result<(), InjectionError> {
    let metadata = pod.get_mut("metadata").and_then(Value::as_object_mut);
    let metadata = metadata.ok_or(InjectionError::NoPod("it has no metadata"))?;
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
    if annotations.is_null() {
        *annotations = Value::Object(Map::new());
    }
    let annotations = annotations.as_object_mut().ok_or(InjectionError::NoPod("annotations is no map"))?;
    annotations.insert(INJECTED_ANNOTATION.to_owned(), mark.to_string().into());
    Ok(())
}
