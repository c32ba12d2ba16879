//! What holds for every pod: nothing that is not ours changes, and once is enough.

mod support;

use polylog_injection::{Injection, json_patch, names::*};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use support::{stores, tried};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z/:$()]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-zA-Z]{1,6}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn container() -> impl Strategy<Value = Value> {
    let names = ["app", "migrate", "istio-init", "istio-proxy", "linkerd-proxy", "helper"];
    let variable = select(vec!["LOG", "POLYLOG_URL", "POLYLOG_GRPC", "X"]);
    let variables = option::of(vec((variable, "[a-z]{0,3}"), 0..4));
    (select(names.to_vec()), variables, any_json()).prop_map(|(name, variables, more)| {
        let mut container = json!({ "name": name, "image": more });
        if let Some(variables) = variables {
            let list = variables.iter().map(|(name, value)| json!({ "name": name, "value": value }));
            container["env"] = list.collect();
        }
        container
    })
}

fn pod() -> impl Strategy<Value = Value> {
    let volume = any_json().prop_map(|more| json!({ "name": "data", "projected": more }));
    let parts = (
        vec(container(), 1..4),
        option::of(vec(container(), 0..5)),
        option::of(vec(volume, 0..3)),
        option::of(any_json()),
        any_json(),
    );
    parts.prop_map(|(containers, init, volumes, annotation, more)| {
        let mut pod = json!({
            "metadata": { "labels": { STORE_LABEL: "payments" }, "ownerReferences": more },
            "spec": { "containers": containers, "affinity": more },
            "more": more,
        });
        if let Some(init) = init {
            pod["spec"]["initContainers"] = init.into();
        }
        if let Some(volumes) = volumes {
            pod["spec"]["volumes"] = volumes.into();
        }
        if let Some(annotation) = annotation {
            pod["metadata"]["annotations"] = json!({ "note": annotation });
        }
        pod
    })
}

fn injected(pod: &Value) -> Value {
    match tried(pod, &stores()).expect("it can have one") {
        Injection::Done { pod, .. } => pod,
        Injection::NotAsked => panic!("it asks for one"),
    }
}

fn without(list: &mut Value, is_ours: impl Fn(&Value) -> bool) {
    list.as_array_mut().expect("a list").retain(|one| !is_ours(one));
}

/// Takes out what the contract says is ours, as far as `before` does not have it.
fn stripped(mut pod: Value, before: &Value) -> Value {
    let absent = |place: &str| before.pointer(place).is_none();
    without(&mut pod["spec"]["initContainers"], |one| one["name"] == CONTAINER);
    without(&mut pod["spec"]["volumes"], |one| one["name"] == VOLUME);
    pod["metadata"]["annotations"].as_object_mut().expect("a map").remove(INJECTED_ANNOTATION);
    for list in ["containers", "initContainers"] {
        let containers = pod["spec"][list].as_array_mut().expect("a list");
        for (index, container) in containers.iter_mut().enumerate() {
            let place = format!("/spec/{list}/{index}/env");
            let had = |name: &str| {
                let list = before.pointer(&place).and_then(Value::as_array);
                list.is_some_and(|list| list.iter().any(|one| one["name"] == name))
            };
            let ours = |one: &Value| {
                [URL_VARIABLE, GRPC_VARIABLE].iter().any(|name| one["name"] == *name && !had(name))
            };
            if container.get("env").is_some() {
                without(&mut container["env"], ours);
            }
            if absent(&place) {
                container.as_object_mut().expect("a map").remove("env");
            }
        }
    }
    for (place, parent, name) in [
        ("/spec/initContainers", "/spec", "initContainers"),
        ("/spec/volumes", "/spec", "volumes"),
        ("/metadata/annotations", "/metadata", "annotations"),
    ] {
        if absent(place) {
            pod.pointer_mut(parent).and_then(Value::as_object_mut).expect("a map").remove(name);
        }
    }
    pod
}

proptest! {
    #[test]
    fn nothing_that_is_not_ours_changes(pod in pod()) {
        prop_assert_eq!(stripped(injected(&pod), &pod), pod);
    }

    #[test]
    fn twice_is_once(pod in pod()) {
        let once = injected(&pod);
        prop_assert_eq!(&injected(&once), &once);
        prop_assert_eq!(json_patch(&once, &injected(&once)), Vec::<Value>::new());
    }

    #[test]
    fn every_other_container_has_the_variables_and_ours_is_there_once(pod in pod()) {
        let pod = injected(&pod);
        let list = |field: &str| pod["spec"][field].as_array().expect("a list").clone();
        let (init, others) = (list("initContainers"), list("containers"));
        prop_assert_eq!(init.iter().filter(|one| one["name"] == CONTAINER).count(), 1);
        for container in init.iter().chain(&others).filter(|one| one["name"] != CONTAINER) {
            let names = support::names(&container["env"]);
            prop_assert!(names.contains(&URL_VARIABLE) && names.contains(&GRPC_VARIABLE));
        }
        let ours = init.iter().position(|one| one["name"] == CONTAINER).expect("it is there");
        let is_mesh = |one: &Value| one["name"].as_str().is_some_and(|name| name.starts_with("istio") || name.starts_with("linkerd"));
        prop_assert!(!init[ours..].iter().any(is_mesh));
        prop_assert!(ours == 0 || is_mesh(&init[ours - 1]));
    }
}
