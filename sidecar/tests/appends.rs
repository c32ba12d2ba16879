//! What is appended is what is read, or nothing is written and the answer says why.

mod support;

use serde_json::json;
use support::Sidecar;

#[tokio::test]
async fn an_append_is_answered_and_read_back() {
    let sidecar = Sidecar::start().await;
    let body = r#"{"expectedVersion":0,"events":[{"type":"Paid","data":{"amount":"100.00"}}]}"#;
    let appended = sidecar.client.post("/v1/streams/Payment-p1", body).await;
    assert_eq!(appended.status, 201, "{}", appended.text());
    let answer = appended.json();
    assert_eq!((&answer["stream"], &answer["firstVersion"]), (&json!("Payment-p1"), &json!(1)));
    assert_eq!(answer["acks"], json!(["ledger"]));
    let read = sidecar.client.get("/v1/streams/Payment-p1").await.ok();
    let page = read.json();
    assert_eq!(page["events"][0]["data"], json!({"amount": "100.00"}));
    assert_eq!((&page["nextFrom"], &page["atEnd"]), (&json!(2), &json!(true)));
    assert_eq!(read.header("polylog-token"), answer["token"].as_str());
}
