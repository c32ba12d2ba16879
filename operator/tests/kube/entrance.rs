use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::bed::{CLUSTER, Namespace, Operator, POSTGRES, condition};

fn raw(path: &str) -> Value {
    let output = CLUSTER.run_kubectl(&["get", "--raw", path], "");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The certificates of gateways that were made in a namespace.
fn pairs(namespace: &Namespace) -> Vec<String> {
    let secrets = namespace.list("secrets");
    let names = secrets.iter().map(|secret| secret["metadata"]["name"].as_str().expect("a name").to_owned());
    names.filter(|name| name.starts_with("polylog-payments-gateway-")).collect()
}

/// The files of a gateway, by what they are mounted from.
fn mounted(deployment: &Value) -> Vec<String> {
    let sources = &deployment["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"];
    let mut files = Vec::new();
    for source in sources.as_array().expect("sources") {
        for (kind, source) in source.as_object().expect("one") {
            let items = source["items"].as_array().into_iter().flatten();
            let name = source["name"].as_str().unwrap_or_default();
            files.extend(items.map(|item| format!("{kind} {name} {}", item["path"]).replace('"', "")));
        }
    }
    files
}

#[test]
fn a_gateway_is_given_the_clusters_keys_and_a_certificate_that_everybody_can_trust() {
    let namespace = Namespace::new("entrance", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.store("payments", json!({ "delivery": "Gateway" }));
    let operator = Operator::start(&namespace, 600);
    let store = namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    assert_eq!(condition(&store, "Valid")["status"], "True");
    let has_all = |map: &Value| {
        ["issuer", "jwks.json", "gateway-ca.crt", "gateway-certificate.json"]
            .iter()
            .all(|key| map["data"][key].is_string())
    };
    let map = namespace.until("configmap", "polylog-payments", has_all);
    assert_eq!(map["data"]["gateway-address"], "polylog-payments.entrance.svc:7300");

    // by what is written there, a real token of a pod's account is known
    assert_eq!(map["data"]["issuer"], raw("/.well-known/openid-configuration")["issuer"]);
    namespace.kubectl(&["create", "serviceaccount", "checkout"], "");
    let token = namespace.kubectl(&["create", "token", "checkout", "--audience", "polylog"], "");
    let part = |number| {
        let part = token.trim().split('.').nth(number).expect("a part");
        let part = URL_SAFE_NO_PAD.decode(part).expect("base64");
        serde_json::from_slice::<Value>(&part).expect("JSON")
    };
    let (header, claims) = (part(0), part(1));
    assert_eq!(claims["iss"], map["data"]["issuer"]);
    assert_eq!(claims["sub"], "system:serviceaccount:entrance:checkout");
    let keys: Value = serde_json::from_str(map["data"]["jwks.json"].as_str().expect("text")).expect("JSON");
    let ids: Vec<&Value> = keys["keys"].as_array().expect("keys").iter().map(|key| &key["kid"]).collect();
    assert!(ids.contains(&&header["kid"]), "{ids:?} {header}");

    // the gateway speaks TLS and nothing else; its key is in no object but one Secret
    let made = pairs(&namespace);
    assert_eq!(made.len(), 1, "{made:?}");
    let deployment = namespace.get("deployment", "polylog-payments");
    let args = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(args.as_array().expect("arguments").contains(&json!("--pods-tls")), "{args}");
    let files = mounted(&deployment);
    for file in [
        format!("secret {} store/tls.crt", made[0]),
        format!("secret {} store/tls.key", made[0]),
        "configMap polylog-payments store/issuer".into(),
        "configMap polylog-payments store/jwks.json".into(),
    ] {
        assert!(files.contains(&file), "{file}: {files:?}");
    }
    let secret = namespace.get("secret", &made[0]);
    assert_eq!(secret["type"], "kubernetes.io/tls");
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], store["metadata"]["uid"]);
    assert!(!map.to_string().contains("PRIVATE"));
    let ports = namespace.get("service", "polylog-payments")["spec"]["ports"].clone();
    assert_eq!((&ports[0]["name"], &ports[0]["port"]), (&json!("api"), &json!(7300)));
    let told =
        namespace.until("eventstore", "payments", |store| store["status"]["gatewayAuthority"].is_string());
    assert_eq!(told["status"]["gatewayAuthority"], map["data"]["gateway-ca.crt"], "for other namespaces");
    assert_eq!(told["status"]["endpoint"], "polylog-payments.entrance.svc:7300");

    // another process takes the same; where the note of it is lost, there is a new one
    operator.kill();
    let operator = Operator::start(&namespace, 1);
    operator.until_logged("leading");
    let begin = operator.sum("polylog_operator_reconciles_total");
    namespace
        .until("eventstore", "payments", |_| operator.sum("polylog_operator_reconciles_total") >= begin + 3);
    assert_eq!(pairs(&namespace), made);
    assert_eq!(namespace.get("deployment", "polylog-payments")["metadata"]["generation"], 1);
    namespace.kubectl(&["delete", "configmap", "polylog-payments"], "");
    namespace.until("configmap", "polylog-payments", has_all);
    let both = pairs(&namespace);
    assert!(both.len() == 2 && both.contains(&made[0]), "{both:?}");
    let new = both.into_iter().find(|name| *name != made[0]).expect("a new one");
    let wanted = format!("secret {new} store/tls.key");
    namespace.until("deployment", "polylog-payments", |deployment| mounted(deployment).contains(&wanted));
}

#[test]
fn a_certificate_that_its_tenant_brings_is_used_and_whoever_vouches_for_it_is_published() {
    let namespace = Namespace::new("brought", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.store("payments", json!({ "gateway": { "tlsSecretRef": { "name": "gw-tls" } } }));
    let _operator = Operator::start(&namespace, 600);
    namespace.until_told("payments", "Valid", "False", "SecretNotFound");
    let made = rcgen::generate_simple_self_signed(["polylog-payments.brought.svc".to_owned()]).expect("made");
    let mut brought = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "gw-tls" }, "type": "kubernetes.io/tls",
        "stringData": { "tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem() },
    });
    namespace.apply(&brought);
    let published = |pem: &str| {
        namespace.until("configmap", "polylog-payments", |map| {
            map["data"]["gateway-ca.crt"].as_str().is_some_and(|found| found.trim() == pem.trim())
        });
    };
    published(&made.cert.pem());
    // made after the ConfigMap
    let files =
        mounted(&namespace.until("deployment", "polylog-payments", |deployment| !deployment.is_null()));
    assert!(files.contains(&"secret gw-tls store/tls.key".to_owned()), "{files:?}");
    assert_eq!(pairs(&namespace), [""; 0]);
    // beside it, where somebody else vouches for it
    let other = rcgen::generate_simple_self_signed(["authority".to_owned()]).expect("made").cert.pem();
    brought["stringData"]["ca.crt"] = json!(other);
    namespace.apply(&brought);
    namespace
        .store("payments", json!({ "gateway": { "tlsSecretRef": { "name": "gw-tls" }, "replicas": 2 } }));
    published(&other);
}
