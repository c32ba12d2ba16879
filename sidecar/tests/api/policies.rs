//! What a store's policy forbids, checks, adds and hides.

use http::Method;
use polylog_sidecar::{
    identity::Subject,
    policy::{
        AccessRule, Account, EnrichWith, PolicyDocument, UnknownTypes, Validation, ValidationMode, Verb,
    },
};
use serde_json::{Value, json};

use super::{Setup, Sidecar};
use crate::support::Client;

fn rule(verbs: &[Verb], categories: &[&str]) -> AccessRule {
    AccessRule {
        service_accounts: vec![Account { namespace: None, name: "checkout".into() }],
        verbs: verbs.to_vec(),
        categories: categories.iter().map(|category| (*category).into()).collect(),
    }
}

fn checkout(policy: PolicyDocument) -> Setup {
    let subject = Subject::ServiceAccount("shop/checkout".parse().expect("an account"));
    Setup { policy, subject, ..Setup::default() }
}

fn with_access(rules: Vec<AccessRule>) -> PolicyDocument {
    PolicyDocument { access: Some(rules), ..super::policy() }
}

const ONE: &str = r#"{"expectedVersion":"any","events":[{"type":"T","data":1}]}"#;

fn streams(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().expect("events");
    events.iter().map(|event| event["stream"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn verbs_are_granted_by_category() {
    let local = Sidecar::start().await;
    local.client.append("Secret-1", "T", "1").await;
    // a name that looks like a payment, in a category that is none
    let disguised = r#"{"expectedVersion":0,"category":"Secret","events":[{"type":"T","data":2}]}"#;
    local.client.post("/v1/streams/Payment-x", disguised).await.ok();
    let policy = with_access(vec![
        rule(&[Verb::Append], &["Pay*"]),
        rule(&[Verb::Read, Verb::Subscribe], &["Payment", "Order"]),
    ]);
    let sidecar = local.restart(checkout(policy)).await;
    let client = &sidecar.client;
    client.post("/v1/streams/Payment-1", ONE).await.ok();
    for stream in ["Order-1", "Secret-1", "Payment-x"] {
        let answer = client.post(&format!("/v1/streams/{stream}"), ONE).await;
        assert_eq!(answer.status, 403, "{stream}");
        let problem = answer.problem("access_denied");
        assert_eq!(
            (&problem["facts"]["verb"], &problem["facts"]["subject"]),
            (&json!("append"), &json!("shop/checkout"))
        );
    }
    let both = r#"{"appends":[{"stream":"Payment-1","expectedVersion":"any","events":[{"type":"T"}]},
        {"stream":"Order-1","expectedVersion":"any","events":[]}]}"#;
    client.post("/v1/commits", both).await.problem("access_denied");

    // reads of the log hide what may not be seen; reads by name say so
    let page = client.get("/v1/events").await.ok().json();
    assert_eq!(streams(&page), ["Payment-1"]);
    assert_eq!(page["nextFrom"], page["served"]["position"].as_u64().expect("a position") + 1);
    let lines = client.get_as("/v1/events", "application/x-ndjson").await.ok();
    assert_eq!(lines.text().lines().count(), 1);
    for path in [
        "/v1/streams/Secret-1",
        "/v1/streams/Secret-1/head",
        "/v1/streams/Payment-x",
        "/v1/streams/Secret-none",
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 403, "{path}");
        answer.problem("access_denied");
    }
    client.get("/v1/streams/Payment-none").await.problem("stream_not_found");
    for own in ["$config", "$policy"] {
        client.get(&format!("/v1/streams/{own}")).await.problem("access_denied");
    }
    client.get("/v1/streams/$term").await.ok();
    let all = client.get("/v1/events?includeSystem=true").await.ok().json();
    assert_eq!(streams(&all)[0], "$term");
    assert!(!streams(&all).contains(&"$policy"), "{all}");
    let store = client.get("/v1/stores/payments").await.ok().json();
    assert_eq!(store["verbs"], json!(["append", "read", "subscribe"]));
}

#[tokio::test]
async fn an_event_by_id_is_shown_only_to_its_readers() {
    let local = Sidecar::start().await;
    let secret = local.client.append("Secret-1", "T", "1").await;
    let page = local.client.get("/v1/events").await.json();
    let id = page["events"][0]["id"].as_str().expect("an id").to_owned();
    assert!(secret["token"].is_string());
    let sidecar = local.restart(checkout(with_access(vec![rule(&[Verb::Read], &["Payment"])]))).await;
    sidecar.client.get(&format!("/v1/events/{id}")).await.problem("access_denied");
    sidecar.client.get(&format!("/v1/events/{id}/locations")).await.problem("access_denied");
}

#[tokio::test]
async fn without_any_verb_nothing_is_answered() {
    let subject = Subject::ServiceAccount("other/anybody".parse().expect("an account"));
    let sidecar = Sidecar::with(Setup { subject, ..Setup::default() }).await;
    for path in ["/v1/events", "/v1/streams/S-1", "/v1/subscribe", "/v1/stores/payments"] {
        let answer = sidecar.client.get(path).await;
        assert_eq!(answer.status, 403, "{path}");
        answer.problem("access_denied");
    }
    sidecar.client.post("/v1/streams/S-1", ONE).await.problem("access_denied");
    assert_eq!(sidecar.client.get("/v1/stores").await.ok().json()["stores"], json!([]));
}

fn with_schemas(mode: ValidationMode) -> PolicyDocument {
    let schema = json!({"type": "object", "required": ["amount"],
        "properties": {"amount": {"type": "string", "pattern": "^[0-9.]+$"}}});
    PolicyDocument {
        validation: Validation { mode, unknown_types: UnknownTypes::Refuse },
        schemas: [("Paid".to_owned(), schema)].into(),
        ..super::policy()
    }
}

#[tokio::test]
async fn data_is_checked_against_the_schema_of_its_type() {
    let sidecar =
        Sidecar::with(Setup { policy: with_schemas(ValidationMode::Enforce), ..Setup::default() }).await;
    let body = |kind: &str, data: &str| {
        format!(
            r#"{{"expectedVersion":"any","events":[{{"type":"Paid","data":{{"amount":"1"}}}},{{"type":"{kind}","data":{data}}}]}}"#
        )
    };
    sidecar.client.post("/v1/streams/S-1", body("Paid", r#"{"amount":"100.00"}"#)).await.ok();
    for (kind, data, pointer, keyword) in [
        ("Paid", r#"{"amount":"x"}"#, "/amount", "pattern"),
        ("Paid", "{}", "", "required"),
        ("Paid", "[]", "", "type"),
        ("Paid", r#"{"amount":1e400}"#, "", "representable"),
        ("Other", "{}", "", "unknownTypes"),
    ] {
        let answer = sidecar.client.post("/v1/streams/S-1", body(kind, data)).await;
        assert_eq!(answer.status, 422, "{data}");
        let problem = answer.problem("schema_violation");
        let facts = &problem["facts"];
        assert_eq!(
            (&facts["type"], &facts["pointer"], &facts["keyword"]),
            (&json!(kind), &json!(pointer), &json!(keyword))
        );
        assert_eq!((&facts["event"], &problem["written"]), (&json!("1"), &json!("nothing")));
    }
    assert_eq!(sidecar.client.get("/v1/streams/S-1/head").await.json()["version"], 2);

    let sidecar =
        sidecar.restart(Setup { policy: with_schemas(ValidationMode::Warn), ..Setup::default() }).await;
    sidecar.client.post("/v1/streams/S-1", body("Paid", "{}")).await.ok();
    let admin = Client::new(sidecar.running.health_port());
    let metrics = admin.get("/metrics").await.text();
    assert!(metrics.contains("polylog_schema_warnings_total{store=\"payments\"} 1"), "{metrics}");
}

#[tokio::test]
async fn metadata_says_who_and_where_and_the_rest_stays_verbatim() {
    let policy = PolicyDocument {
        enrich: vec![EnrichWith::Trace, EnrichWith::ServiceAccount, EnrichWith::Pod],
        ..super::policy()
    };
    let sidecar = Sidecar::with(checkout(policy)).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = r#"{"expectedVersion":0,"events":[{"type":"T","metadata":{ "a" : 1.50 }},{"type":"T"}]}"#;
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", trace),
        ("polylog-correlation-id", "order-1"),
        ("polylog-causation-id", "click-1"),
    ];
    sidecar.client.send(Method::POST, "/v1/streams/S-1", &headers, body).await.ok();
    let read = sidecar.client.get("/v1/streams/S-1").await.ok();
    let expected = format!(r#""metadata":{{ "a" : 1.50 ,"$traceparent":"{trace}","$by":"shop/checkout"}}"#);
    assert!(read.text().contains(&expected), "{}", read.text());
    let second = &read.json()["events"][1];
    assert_eq!(second["metadata"], json!({"$traceparent": trace, "$by": "shop/checkout"}));
    assert_eq!((&second["correlationId"], &second["causationId"]), (&json!("order-1"), &json!("click-1")));
}

#[tokio::test]
async fn what_is_redacted_shows_nowhere() {
    let redacting = |rules: Vec<AccessRule>| PolicyDocument {
        redact: vec!["/iban".into(), "/card/number".into()],
        ..with_access(rules)
    };
    let most = [Verb::Append, Verb::Read, Verb::Subscribe];
    let sidecar = Sidecar::with(checkout(redacting(vec![rule(&most, &["*"])]))).await;
    let client = &sidecar.client;
    let data = r#"{"iban":"DE00","card":{"number":"4111","name":"A"},"x":1e400,"\u0069ban":"DE01"}"#;
    client.append("Payment-1", "Paid", data).await;
    let shown = r#"{"card":{"name":"A"},"x":1e400}"#;
    let page = client.get("/v1/events").await.ok();
    let id = page
        .text()
        .split("\"id\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("an id")
        .to_owned();
    let conflict = r#"{"expectedVersion":0,"events":[{"type":"T"}]}"#;
    let conflict = client.post("/v1/streams/Payment-1?missed=5", conflict).await;
    let mut answers = vec![page, conflict];
    for (path, accept) in [
        ("/v1/events", "application/x-ndjson"),
        ("/v1/events", "application/cloudevents-batch+json"),
        ("/v1/streams/Payment-1", "application/json"),
        ("/v1/streams/Payment-1", "application/x-ndjson"),
        ("/v1/streams/Payment-1/head", "application/json"),
        (&format!("/v1/events/{id}"), "application/json"),
        (&format!("/v1/events/{id}"), "application/cloudevents+json"),
    ] {
        answers.push(client.get_as(path, accept).await.ok());
    }
    let last = answers[0].header("polylog-position").expect("a position").to_owned();
    answers.push(client.get_as(&format!("/v1/subscribe?until={last}"), "text/event-stream").await.ok());
    for answer in &answers {
        let text = answer.text();
        assert!(text.contains(shown), "{text}");
        assert!(!text.contains("DE0") && !text.contains("4111"), "{text}");
    }
    assert!(answers[0].text().contains(r#""dataState":"REDACTED""#));
    // nor can it be guessed at
    client.append("Payment-2", "Paid", r#"{"iban":"DE02","x":1}"#).await;
    for guess in ["has(event.data.iban)", "event.data.iban.startsWith('DE')"] {
        let page = client.get(&format!("/v1/events?filter={guess}")).await.ok().json();
        assert_eq!(streams(&page), [""; 0], "{guess}");
    }
    let seen = client.get("/v1/events?filter=event.data.x==1").await.ok().json();
    assert_eq!(streams(&seen), ["Payment-2"]);

    let revealing = redacting(vec![rule(&[Verb::Read, Verb::Reveal], &["*"])]);
    let sidecar = sidecar.restart(checkout(revealing)).await;
    let whole = sidecar.client.get("/v1/events").await.ok().text();
    assert!(whole.contains(data) && whole.contains(r#""dataState":"PRESENT""#), "{whole}");
}

#[tokio::test]
async fn a_new_policy_is_in_force_at_once() {
    let local = Sidecar::start().await;
    local.client.append("Payment-1", "T", "1").await;
    let sidecar = local.restart(checkout(with_access(vec![rule(&[Verb::Read], &["*"])]))).await;
    sidecar.client.get("/v1/events").await.ok();
    let nothing = with_access(vec![]);
    let policy = serde_json::to_vec(&nothing).expect("serialises");
    sidecar.store().set_policy(policy.into()).await.expect("written");
    let denied = async {
        while sidecar.client.get("/v1/events").await.status != 403 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(2), denied).await.expect("within two seconds");
    let small = polylog_log::Limits { event_bytes: 10, ..Default::default() };
    let stricter = PolicyDocument { limits: small, ..with_access(vec![rule(&[Verb::Append], &["*"])]) };
    sidecar
        .store()
        .set_policy(serde_json::to_vec(&stricter).expect("serialises").into())
        .await
        .expect("written");
    let large = r#"{"expectedVersion":"any","events":[{"type":"T","data":"longer than ten bytes"}]}"#;
    let limited = async {
        loop {
            let answer = sidecar.client.post("/v1/streams/Payment-1", large).await;
            if answer.status != 403 {
                break answer.problem("limit_exceeded");
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(2), limited).await.expect("within two seconds");
    // a policy that this version cannot read forbids nothing more, but it does not open anything either
    sidecar.store().set_policy(r#"{"future":1}"#.into()).await.expect("written");
    let again = sidecar.client.get("/v1/events").await;
    assert_eq!(again.status, 403);
}
