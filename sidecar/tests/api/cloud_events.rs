//! CloudEvents come in by three modes and go out again with all they said.

use http::Method;
use serde_json::{Value, json};

use super::Sidecar;

const ID: &str = "01a201ec-5616-746e-b924-8e69f6dc7af6";

fn event(id: &str, subject: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"Paid","subject":"{subject}","time":"2026-11-21T10:00:00Z","correlationid":"c1","data":{{"a": 1e400}}}}"#
    )
}

#[tokio::test]
async fn structured_batch_and_binary_are_appended() {
    let sidecar = Sidecar::start().await;
    let send = async |path: &str, headers: &[(&str, &str)], body: String| {
        sidecar.client.send(Method::POST, path, headers, body).await
    };
    let structured = [("content-type", "application/cloudevents+json; charset=utf-8")];
    let path = "/v1/streams/Payment-p1?expectedVersion=noStream";
    assert_eq!(send(path, &structured, event(ID, "Payment-p1")).await.status, 201);
    assert_eq!(send(path, &structured, event(ID, "Payment-p1")).await.status, 200, "a retry");
    let missing = send("/v1/streams/Payment-p1", &structured, event("x", "Payment-p1")).await;
    missing.problem("expected_version_required");
    send("/v1/streams/Other?expectedVersion=any", &structured, event("x", "Payment-p1"))
        .await
        .problem("invalid_request");

    let batch = [("content-type", "application/cloudevents-batch+json")];
    let events =
        format!("[{},{},{}]", event("1", "Payment-p2"), event("2", "Payment-p3"), event("3", "Payment-p2"));
    let answer = send("/v1/commits?expectedVersion=any", &batch, events).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["results"].as_array().map(Vec::len), Some(2));

    let binary = [
        ("content-type", "image/png"),
        ("ce-specversion", "1.0"),
        ("ce-id", "9"),
        ("ce-source", "/shop"),
        ("ce-type", "Shot"),
        ("ce-subject", "Image-1"),
    ];
    let answer =
        sidecar.client.send(Method::POST, "/v1/commits?expectedVersion=0", &binary, vec![0xff_u8]).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let image = &sidecar.client.get("/v1/streams/Image-1").await.json()["events"][0];
    assert_eq!((&image["dataBase64"], &image["contentType"]), (&json!("/w=="), &json!("image/png")));

    let read = sidecar.client.get("/v1/streams/Payment-p1").await.ok();
    assert!(read.text().contains(r#""data":{"a": 1e400}"#), "{}", read.text());
    assert!(
        read.text().contains(&format!(r#""id":"{ID}""#)) && read.text().contains(r#""correlationId":"c1""#)
    );
    assert!(read.text().contains(r#""time":"2026-11-21T10:00:00Z""#));
}

#[tokio::test]
async fn events_go_out_as_cloud_events() {
    let sidecar = Sidecar::start().await;
    sidecar.client.append("Payment-p1", "Paid", r#"{"amount":"1.00"}"#).await;
    let read = sidecar.client.get_as("/v1/events", "application/cloudevents-batch+json").await.ok();
    assert_eq!(read.header("content-type"), Some("application/cloudevents-batch+json"));
    let events: Value = read.json();
    let event = &events[0];
    assert_eq!((&event["specversion"], &event["source"]), (&json!("1.0"), &json!("/polylog/shop/payments")));
    assert_eq!((&event["subject"], &event["type"]), (&json!("Payment-p1"), &json!("Paid")));
    assert_eq!((&event["plversion"], &event["data"]), (&json!("1"), &json!({"amount": "1.00"})));
    assert!(read.header("polylog-next-from").is_some());
    let id = event["id"].as_str().expect("an id");
    let one = sidecar.client.get_as(&format!("/v1/events/{id}"), "application/cloudevents+json").await.ok();
    assert_eq!(one.header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(&one.json(), event);
}
