//! The description of the interface is the one that is checked in, and what it says holds.

use http::Method;
use serde_json::Value;

use super::Sidecar;

#[tokio::test]
async fn the_served_document_is_the_checked_in_one() {
    let sidecar = Sidecar::start().await;
    let served = sidecar.client.get("/openapi.json").await.ok();
    let checked_in = include_str!("../../openapi.json");
    assert!(
        served.text() == checked_in,
        "write it anew: cargo run -p polylog-sidecar -- openapi > sidecar/openapi.json"
    );
}

#[tokio::test]
async fn answers_are_as_described() {
    let sidecar = Sidecar::start().await;
    let document: Value = sidecar.client.get("/openapi.json").await.ok().json();
    sidecar.client.append("Payment-1", "Paid", r#"{"n":1}"#).await;
    sidecar.client.append("Payment-1", "Paid", r#"{"n":2}"#).await;
    let id =
        sidecar.client.get("/v1/events").await.json()["events"][0]["id"].as_str().expect("an id").to_owned();
    let get = async |path: &str| (path.to_owned(), sidecar.client.get(path).await);
    let post =
        async |path: &str, body: &str| (path.to_owned(), sidecar.client.post(path, body.to_owned()).await);
    let answers = [
        ("/v1/events", "get", get("/v1/events").await),
        ("/v1/events", "get", get("/v1/events?limit=0").await),
        ("/v1/events/{id}", "get", get(&format!("/v1/events/{id}")).await),
        ("/v1/events/{id}", "get", get("/v1/events/00000000-0000-4000-8000-000000000000").await),
        ("/v1/events/{id}/locations", "get", get(&format!("/v1/events/{id}/locations")).await),
        ("/v1/streams/{stream}", "get", get("/v1/streams/Payment-1").await),
        ("/v1/streams/{stream}/head", "get", get("/v1/streams/Payment-1/head").await),
        ("/v1/stores", "get", get("/v1/stores").await),
        ("/v1/stores/{store}", "get", get("/v1/stores/payments").await),
        ("/v1/search", "get", get("/v1/search?limit=1&q=1").await),
        ("/v1/search", "get", get("/v1/search?sort=name").await),
        ("/v1/statistics", "get", get("/v1/statistics?interval=day&groupBy=type,metadata.x").await),
        ("/v1/trends", "get", get("/v1/trends").await),
        ("/v1/models", "get", get("/v1/models").await),
        (
            "/v1/streams/{stream}",
            "post",
            post("/v1/streams/S-1", r#"{"expectedVersion":0,"events":[{"type":"T"}]}"#).await,
        ),
        (
            "/v1/streams/{stream}",
            "post",
            post("/v1/streams/S-1?missed=3", r#"{"expectedVersion":0,"events":[{"type":"T"}]}"#).await,
        ),
        (
            "/v1/commits",
            "post",
            post(
                "/v1/commits",
                r#"{"appends":[{"stream":"A","expectedVersion":0,"events":[{"type":"T"}]}]}"#,
            )
            .await,
        ),
    ];
    for (path, asked, status) in [
        ("/v1/streams/{stream}", "/v1/streams/Payment-1", 200),
        ("/v1/streams/{stream}", "/v1/streams/none", 404),
        ("/v1/subscribe", "/v1/subscribe?until=4", 200),
        ("/openapi.json", "/openapi.json", 200),
    ] {
        let answer = sidecar.client.send(Method::HEAD, asked, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (status, String::new()), "{asked}");
        let response = &document["paths"][path]["head"]["responses"][answer.status.as_str()];
        assert!(response.is_object() && response.get("content").is_none(), "{asked}: {response}");
    }
    for (path, method, (asked, answer)) in answers {
        let response = &document["paths"][path][method]["responses"][answer.status.as_str()];
        assert!(response.is_object(), "{asked}: {} is not described", answer.status);
        let media_type = answer.header("content-type").expect("a media type");
        let mut schema = response["content"][media_type]["schema"].clone();
        assert!(schema.is_object(), "{asked}: {media_type} is not described");
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        if let Err(error) = validator.validate(&answer.json()) {
            panic!("{asked}: {error} at {}: {}", error.instance_path(), answer.text());
        }
    }
}
