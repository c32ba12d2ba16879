//! What a pod with a sidecar looks like, and which pods cannot have one.

mod support;

use polylog_injection::{
    Existing, Injection, InjectionError, Mark, Settings, Stores, Warning, inject, json_patch, pod_template,
};
use serde_json::{Value, json};

use support::{LEDGER, POD, injected, key, names, namespace, settings, store, stores, told, tried, yaml};

fn text(value: &Value) -> String {
    serde_saphyr::to_string(value).expect("YAML")
}

#[test]
fn a_pod_gets_container_volume_variables_and_mark() {
    insta::assert_snapshot!(text(&injected(&yaml(POD))));
}

#[test]
fn every_kind_of_credential_is_mounted_where_the_sidecar_reads_it() {
    let spec = "
sources:
  - name: ledger
    connection:
      url: postgres://db:5432/shop
      auth: {secretRef: {name: ledger-login}, usernameKey: user}
      tls: {caRef: {name: db-ca}, clientCertRef: {name: db-client}}
    provisioningConnection: {secretRef: {name: owner}}
    postgres: {schema: payments}
  - name: copy
    connection: {secretRef: {name: copy-db, key: address}, tls: {caRef: {kind: Secret, name: copy-db, key: ca}}}
    mysql: {database: payments}
  - name: search
    connection: {url: 'https://search:9200', auth: {secretRef: {name: search-key}, apiKeyKey: key}}
    elasticsearch: {index: {name: payments}}
";
    let stores: Stores = [store("payments", spec)].into_iter().collect();
    let (pod, warnings) = told(&yaml(POD), &stores);
    insta::assert_snapshot!(text(&pod["spec"]["volumes"][1]));
    assert_eq!(warnings, []);
    assert!(!pod.to_string().contains("owner"), "what provisions is for no pod");
}

#[test]
fn through_a_gateway_no_credential_is_mounted() {
    let stores: Stores = [store("payments", &format!("delivery: Gateway{LEDGER}"))].into_iter().collect();
    let pod = told(&yaml(POD), &stores).0;
    assert!(!pod.to_string().contains("ledger-db"), "{pod}");
    assert!(pod["spec"]["volumes"][1].to_string().contains("polylog-payments"));
}

#[test]
fn further_stores_have_folders_of_their_own() {
    let mut pod = yaml(POD);
    pod["metadata"]["annotations"] = json!({ "polylog.dev/more-eventstores": "audit" });
    let volume = &injected(&pod)["spec"]["volumes"][1];
    let mut paths = Vec::new();
    for source in volume["projected"]["sources"].as_array().expect("sources") {
        let (_, source) = source.as_object().and_then(|source| source.iter().next()).expect("one");
        let items = source["items"].as_array().into_iter().flatten();
        paths.extend(items.map(|item| format!("{} {}", item["key"], item["path"]).replace('"', "")));
    }
    paths.sort();
    assert_eq!(
        paths,
        [
            "audit stores/shop.audit/sources/book/url",
            "eventstore.yaml store/eventstore.yaml",
            "eventstore.yaml stores/shop.audit/store/eventstore.yaml",
            "gateway-address store/gateway-address",
            "gateway-address stores/shop.audit/store/gateway-address",
            "gateway-ca.crt store/gateway-ca.crt",
            "gateway-ca.crt stores/shop.audit/store/gateway-ca.crt",
            "strategy.yaml store/strategy.yaml",
            "strategy.yaml stores/shop.audit/store/strategy.yaml",
            "url sources/ledger/url",
        ]
    );
}

#[test]
fn a_store_of_another_namespace_is_reached_through_its_gateway_and_nothing_of_it_is_mounted() {
    let mut pod = yaml(POD);
    pod["metadata"]["annotations"] = json!({ "polylog.dev/more-eventstores": "audit, billing/payments" });
    let billing = polylog_crds::manifests::ObjectKey {
        namespace: "billing".parse().expect("a name"),
        name: "payments".parse().expect("a name"),
    };
    let gateways = |stores: &Stores| {
        let (pod, warnings) = told(&pod, stores);
        assert_eq!(pod["spec"]["volumes"], injected_volumes(&pod), "nothing else is mounted");
        let env = &pod["spec"]["initContainers"][0]["env"];
        assert_eq!(env[0]["name"], "POLYLOG_GATEWAYS");
        let value: Value = serde_json::from_str(env[0]["value"].as_str().expect("text")).expect("JSON");
        (value, warnings)
    };
    let mut known = stores();
    let address = "polylog-payments.billing.svc:7300";
    let unknown = json!([{ "store": "billing/payments", "address": address }]);
    assert_eq!(gateways(&known), (unknown.clone(), vec![Warning::NoGateway(billing.clone())]));
    let store = store("payments", LEDGER).1;
    known.insert(billing.clone(), store.clone());
    assert_eq!(gateways(&known).0, unknown, "it has no gateway yet");
    known.insert(billing, store.with_authority(Some("PEM")));
    let told = json!([{ "store": "billing/payments", "address": address, "authority": "PEM" }]);
    assert_eq!(gateways(&known), (told, vec![]));
}

/// The volumes that the same pod has without stores of other namespaces.
fn injected_volumes(_: &Value) -> Value {
    let mut pod = yaml(POD);
    pod["metadata"]["annotations"] = json!({ "polylog.dev/more-eventstores": "audit" });
    injected(&pod)["spec"]["volumes"].clone()
}

#[test]
fn the_store_says_ports_and_resources_and_the_pod_may_say_ports() {
    let spec = format!(
        "sidecar: {{apiPort: 7500, healthPort: 7501, resources: {{limits: {{memory: 1Gi}}}}}}{LEDGER}"
    );
    let stores: Stores = [store("payments", &spec)].into_iter().collect();
    let mut pod = yaml(POD);
    let sidecar = |pod: &Value| told(pod, &stores).0["spec"]["initContainers"][0].clone();
    let resources = json!({ "requests": { "cpu": "20m", "memory": "48Mi" }, "limits": { "memory": "1Gi" } });
    assert_eq!(sidecar(&pod)["resources"], resources);
    assert_eq!(sidecar(&pod)["args"], json!(["sidecar", "--port=7500", "--health-port=7501"]));
    pod["metadata"]["annotations"] = json!({ "polylog.dev/ports": "7600, 7601" });
    assert_eq!(sidecar(&pod)["args"], json!(["sidecar", "--port=7600", "--health-port=7601"]));
    assert_eq!(sidecar(&pod)["ports"][0]["containerPort"], 7601);
    let env = &told(&pod, &stores).0["spec"]["containers"][1]["env"];
    assert_eq!(
        *env,
        json!([{ "name": "POLYLOG_URL", "value": "http://127.0.0.1:7600" },
               { "name": "POLYLOG_GRPC", "value": "127.0.0.1:7600" }])
    );
}

#[test]
fn the_sidecar_comes_after_meshes_and_before_other_init_containers() {
    let order = |init: &[&str]| {
        let mut pod = yaml(POD);
        pod["spec"]["initContainers"] = init.iter().map(|name| json!({ "name": name })).collect();
        names(&injected(&pod)["spec"]["initContainers"]).join(" ")
    };
    assert_eq!(order(&[]), "polylog");
    assert_eq!(order(&["migrate"]), "polylog migrate");
    assert_eq!(order(&["istio-init", "istio-proxy", "migrate"]), "istio-init istio-proxy polylog migrate");
    assert_eq!(
        order(&["linkerd-init", "first", "linkerd-proxy"]),
        "linkerd-init first linkerd-proxy polylog"
    );
}

#[test]
fn a_mesh_that_comes_later_goes_in_front() {
    let mut pod = injected(&yaml(POD));
    let init = pod["spec"]["initContainers"].as_array_mut().expect("a list");
    init.push(json!({ "name": "istio-proxy" }));
    let containers = pod["spec"]["containers"].as_array_mut().expect("a list");
    containers.push(json!({ "name": "added" }));
    let again = injected(&pod);
    assert_eq!(names(&again["spec"]["initContainers"]), ["migrate", "istio-proxy", "polylog"]);
    assert_eq!(again["spec"]["containers"][2]["env"][0]["name"], "POLYLOG_URL");
    assert_eq!(names(&again["spec"]["volumes"]), ["data", "polylog"]);
}

#[test]
fn a_sidecar_that_is_there_is_kept_or_written_anew() {
    let mut pod = injected(&yaml(POD));
    pod["spec"]["initContainers"][0]["image"] = "older".into();
    let done = |pod: &Value, existing| {
        let stores: Stores =
            [store("payments", &format!("sidecar: {{apiPort: 7500}}{LEDGER}"))].into_iter().collect();
        match inject(pod, &namespace(), &stores, &settings(), existing).expect("it can have one") {
            Injection::Done { pod, .. } => pod,
            Injection::NotAsked => panic!("it asks for one"),
        }
    };
    assert_eq!(done(&pod, Existing::Keep), pod);
    let anew = done(&pod, Existing::Replace);
    assert_eq!(anew, done(&yaml(POD), Existing::Keep), "as if it had never had one");
    assert_eq!(done(&anew, Existing::Replace), anew);
}

#[test]
fn variables_of_the_author_stay_and_may_refer_to_ours() {
    let mut pod = yaml(POD);
    let own =
        json!([{ "name": "BASE", "value": "$(POLYLOG_GRPC)/x" }, { "name": "POLYLOG_URL", "value": "mine" }]);
    pod["spec"]["containers"][0]["env"] = own;
    let env = &injected(&pod)["spec"]["containers"][0]["env"];
    assert_eq!(names(env), ["POLYLOG_GRPC", "BASE", "POLYLOG_URL"]);
    assert_eq!(env[2]["value"], "mine");
}

#[test]
fn a_pod_of_root_can_start() {
    let mut pod = yaml(POD);
    let security = |pod: &Value| injected(pod)["spec"]["initContainers"][0]["securityContext"].clone();
    assert_eq!(security(&pod)["runAsNonRoot"], true);
    assert_eq!(security(&pod).get("runAsUser"), None);
    pod["spec"]["securityContext"] = json!({ "runAsUser": 0 });
    assert_eq!(security(&pod).get("runAsNonRoot"), None);
}

#[test]
fn a_store_that_is_not_there_yet_is_waited_for() {
    let (pod, warnings) = told(&yaml(POD), &Stores::default());
    assert_eq!(warnings, [Warning::UnknownStore(key("payments"))]);
    assert!(warnings[0].to_string().contains("EventStore shop/payments is not known"));
    let volume = pod["spec"]["volumes"][1].to_string();
    assert!(volume.contains("polylog-payments") && !volume.contains("secret"), "{volume}");
    assert_eq!(told(&pod, &Stores::default()).1, [], "it has been told");
}

#[test]
fn a_mark_says_which_pods_lack_what_is_mounted_now() {
    let pod = injected(&yaml(POD));
    let carried = Mark::carried(&pod["metadata"]).expect("a mark");
    let wanted = |stores: &Stores| Mark::wanted(&namespace(), &pod["metadata"], stores).expect("valid");
    assert_eq!(carried.version, Settings::VERSION);
    assert_eq!(wanted(&stores()), Some(carried.clone()));
    let more = LEDGER.replace("ledger-db", "other-db");
    let moved: Stores = [store("payments", &more)].into_iter().collect();
    assert_ne!(wanted(&moved).map(|mark| mark.mounts), Some(carried.mounts.clone()));
    assert_ne!(wanted(&Stores::default()).map(|mark| mark.mounts), Some(carried.mounts.clone()));
    assert_eq!(carried.to_string().parse::<Mark>().expect("a mark"), carried);
    for bad in ["", "1", "/0123456789abcdef", "1/xyz"] {
        assert!(bad.parse::<Mark>().is_err(), "{bad}");
    }
}

#[test]
fn pods_that_ask_for_nothing_get_nothing() {
    let mut pod = yaml(POD);
    pod["metadata"]["labels"] = json!({ "app": "checkout" });
    assert_eq!(tried(&pod, &stores()), Ok(Injection::NotAsked));
    assert_eq!(tried(&json!({}), &stores()), Ok(Injection::NotAsked));
}

#[test]
fn pods_that_cannot_have_one_are_refused_with_what_to_do() {
    let refused = |pointer: &str, value: Value| {
        let mut pod = yaml(POD);
        pod["metadata"]["annotations"] = json!({});
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        pod.pointer_mut(parent).expect("it is there")[name.replace("~1", "/")] = value;
        tried(&pod, &stores()).expect_err("it cannot have one")
    };
    let annotated = |name: &str, value: &str| {
        refused(&format!("/metadata/annotations/polylog.dev~1{name}"), value.into())
    };
    assert_eq!(
        refused("/metadata/labels/polylog.dev~1eventstore", "Pay_ments".into()),
        InjectionError::StoreName("Pay_ments".into())
    );
    assert_eq!(refused("/spec/hostNetwork", true.into()), InjectionError::HostNetwork);
    assert_eq!(refused("/spec/os", json!({ "name": "windows" })), InjectionError::Windows);
    let taken = json!([{ "name": "polylog" }]);
    assert_eq!(refused("/spec/initContainers", taken.clone()), InjectionError::ContainerTaken);
    assert_eq!(refused("/spec/containers", taken.clone()), InjectionError::ContainerTaken);
    assert_eq!(refused("/spec/volumes", taken), InjectionError::VolumeTaken);
    let port = json!([{ "name": "app", "ports": [{ "containerPort": 7300 }] }]);
    assert_eq!(
        refused("/spec/containers", port),
        InjectionError::PortTaken { container: "app".into(), port: 7300 }
    );
    for bad in ["", "a,,b", "Not-A-Name", "a/b/c"] {
        assert_eq!(annotated("more-eventstores", bad), InjectionError::MoreStores(bad.into()));
    }
    assert_eq!(annotated("more-eventstores", "payments"), InjectionError::Repeated(key("payments")));
    assert_eq!(annotated("more-eventstores", "audit,shop/audit"), InjectionError::Repeated(key("audit")));
    for bad in ["7300", "7300,7300", "0,1", "a,b", "1,65536"] {
        assert_eq!(annotated("ports", bad), InjectionError::Ports(bad.into()));
    }
    assert_eq!(refused("/spec/containers", Value::Null), InjectionError::NoPod("it has no containers"));
}

#[test]
fn the_network_of_the_host_needs_chosen_ports() {
    let mut pod = yaml(POD);
    pod["spec"]["hostNetwork"] = true.into();
    pod["metadata"]["annotations"] = json!({ "polylog.dev/ports": "17300,17301" });
    assert_eq!(injected(&pod)["spec"]["initContainers"][0]["ports"][0]["containerPort"], 17301);
}

#[test]
fn ports_of_another_protocol_are_no_obstacle() {
    let mut pod = yaml(POD);
    pod["spec"]["containers"][0]["ports"] = json!([{ "containerPort": 7300, "protocol": "UDP" }]);
    assert_eq!(names(&injected(&pod)["spec"]["initContainers"]), ["polylog", "migrate"]);
}

#[test]
fn the_patch_names_only_what_changed() {
    let before = yaml(POD);
    let after = injected(&before);
    let patch = json_patch(&before, &after);
    let mut patched = before.clone();
    for step in &patch {
        assert_eq!(step["op"], "add");
        let (parent, name) = step["path"].as_str().and_then(|path| path.rsplit_once('/')).expect("a path");
        patched.pointer_mut(parent).expect("it is there")[name] = step["value"].clone();
    }
    assert_eq!(patched, after);
    assert_eq!(json_patch(&after, &injected(&after)), Vec::<Value>::new());
}

#[test]
fn templates_are_found_in_every_kind_that_makes_pods() {
    let template = |version: &str, kind: &str| {
        let mut object = json!({
            "apiVersion": version, "kind": kind, "spec": {
                "template": "template", "jobTemplate": { "spec": { "template": "of a job" } } },
        });
        pod_template(&mut object).cloned()
    };
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"] {
        assert_eq!(template("apps/v1", kind), Some("template".into()), "{kind}");
    }
    assert_eq!(template("batch/v1", "Job"), Some("template".into()));
    assert_eq!(template("batch/v1", "CronJob"), Some("of a job".into()));
    assert_eq!(template("v1", "ReplicationController"), Some("template".into()));
    assert_eq!(template("v1", "Pod").expect("itself")["kind"], "Pod");
    assert_eq!(template("example.com/v1", "Deployment"), None);
    assert_eq!(template("v1", "ConfigMap"), None);
}
