//! Searches find and counts count what a look at each event of the log would, as the caller may see it.

use polylog_api::proto::polylog::v1;
use polylog_sidecar::{
    identity::Subject,
    policy::{AccessRule, Account, PolicyDocument, Verb},
};
use serde_json::json;
use tonic::Code;

use super::{Setup, Sidecar};
use crate::support::{remote::failed, searching};

#[tokio::test]
async fn what_was_just_appended_is_found() {
    searching::what_was_just_appended_is_found(&Sidecar::start().await.client).await;
}

#[tokio::test]
async fn searches_and_counts_are_those_of_the_log() {
    let sidecar = Sidecar::start().await;
    searching::fill(&sidecar.client).await;
    searching::counts_are_those_of_the_log(&sidecar.client).await;
    searching::searches_find_what_is_there(&sidecar.client).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_named() {
    let sidecar = Sidecar::start().await;
    sidecar.client.append("S-1", "T", r#""word""#).await;
    sidecar.client.append("S-1", "T", r#""word""#).await;
    let page = sidecar.client.get("/v1/search?q=word&limit=1").await.ok().json()["next"]
        .as_str()
        .unwrap()
        .to_owned();
    for (parameter, query) in [
        ("q", "search?q="),
        ("q", "search?q=--"),
        ("sort", "search?sort=name"),
        ("limit", "search?limit=0"),
        ("limit", "search?limit=1001"),
        ("page", "search?page=xyz"),
        ("page", &format!("search?q=other&page={page}")),
        ("metadata.", "search?metadata.=x"),
        ("since", "search?since=today"),
        ("until", "search?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z"),
        ("interval", "search?interval=day"),
        ("includeSystem", "search?includeSystem=true"),
        ("interval", "statistics?interval=year"),
        ("tz", "statistics?tz=Mars"),
        ("groupBy", "statistics?groupBy=user"),
        ("groupBy", "statistics?groupBy=type,type"),
        ("top", "statistics?top=0"),
        ("groupBy", "trends?groupBy=type"),
    ] {
        let problem = sidecar.client.get(&format!("/v1/{query}")).await.problem("invalid_request");
        assert_eq!(problem["facts"]["parameter"], parameter, "{query}: {problem}");
    }
    let more = sidecar.client.get(&format!("/v1/search?page={page}&limit=5&q=word")).await.ok().json();
    assert_eq!((more["hits"].as_array().unwrap().len(), &more["next"]), (1, &json!(null)));
    // of too many intervals
    let old = r#"{"expectedVersion":"any","events":[{"type":"T","time":"1990-01-01T00:00:00Z"}]}"#;
    sidecar.client.post("/v1/streams/S-1", old).await.ok();
    sidecar.client.get("/v1/trends?interval=minute").await.problem("limit_exceeded");
    assert_eq!(
        sidecar.client.get("/v1/trends?interval=month").await.ok().json()["trends"][0]["date"],
        "1990-01-01"
    );
}

/// Before 1911 the clocks of Paris were 9 minutes and 21 seconds ahead: no quarter of an hour begins with a day there.
#[tokio::test]
async fn days_of_old_begin_when_they_began() {
    let sidecar = Sidecar::start().await;
    for time in ["1890-05-01T23:50:38.999999Z", "1890-05-01T23:50:39Z", "1890-05-01T23:59:00Z"] {
        let body = format!(r#"{{"expectedVersion":"any","events":[{{"type":"T","time":"{time}"}}]}}"#);
        sidecar.client.post("/v1/streams/S-1", body).await.ok();
    }
    let days = sidecar.client.get("/v1/trends?tz=Europe/Paris").await.ok().json();
    assert_eq!(
        days["trends"],
        json!([{"date": "1890-05-01", "count": 1}, {"date": "1890-05-02", "count": 2}])
    );
}

#[tokio::test]
async fn nothing_is_found_that_the_caller_may_not_see() {
    let local = Sidecar::start().await;
    local.client.append("Payment-1", "Paid", r#"{"iban":"DE99","note":"hello"}"#).await;
    local.client.append("Secret-1", "Paid", r#"{"note":"hello"}"#).await;
    let rule = |verbs: &[Verb], category: &str| AccessRule {
        service_accounts: vec![Account { namespace: None, name: "checkout".into() }],
        verbs: verbs.to_vec(),
        categories: vec![category.into()],
    };
    let policy = PolicyDocument {
        access: Some(vec![rule(&[Verb::Search], "Payment"), rule(&[Verb::Read], "*")]),
        redact: vec!["/iban".into()],
        ..super::policy()
    };
    let subject = Subject::ServiceAccount("shop/checkout".parse().unwrap());
    let sidecar = local.restart(Setup { policy, subject, ..Setup::default() }).await;
    let found = async |query: &str| sidecar.client.get(&format!("/v1/search?{query}")).await.ok().json();
    let hello = found("q=hello").await;
    assert_eq!((&hello["total"], &hello["hits"][0]["event"]["stream"]), (&json!(1), &json!("Payment-1")));
    assert_eq!(hello["hits"][0]["event"]["data"], json!({"note": "hello"}));
    assert_eq!(found("q=de99").await["total"], 0, "what is redacted finds nothing");
    let counts = sidecar.client.get("/v1/statistics?groupBy=category").await.ok().json();
    assert_eq!(
        (&counts["total"], &counts["groups"]["category"]),
        (&json!(1), &json!([{"key": "Payment", "count": 1}]))
    );
    let guess = "/v1/statistics?filter=event.data.iban+%3D%3D+%27DE99%27";
    assert_eq!(sidecar.client.get(guess).await.ok().json()["total"], 0);
    let other = AccessRule { verbs: vec![Verb::Read], ..rule(&[], "*") };
    let policy = PolicyDocument { access: Some(vec![other]), ..super::policy() };
    let subject = Subject::ServiceAccount("shop/checkout".parse().unwrap());
    let without = sidecar.restart(Setup { policy, subject, ..Setup::default() }).await;
    for path in ["search", "statistics", "trends"] {
        without.client.get(&format!("/v1/{path}")).await.problem("access_denied");
    }
}

#[tokio::test]
async fn a_search_holds_what_its_token_names() {
    let sidecar = Sidecar::start().await;
    let token = sidecar.client.append("S-1", "T", "1").await["token"].as_str().unwrap().to_owned();
    let found = sidecar.client.get(&format!("/v1/search?token={token}&consistency=strong")).await.ok();
    assert!(found.header("polylog-token").is_some() && found.header("polylog-source") == Some("ledger"));
    let other = Sidecar::start().await;
    other.client.get(&format!("/v1/search?token={token}")).await.problem("wrong_store");
    let page = {
        sidecar.client.append("S-1", "T", "1").await;
        sidecar.client.get("/v1/search?limit=1").await.ok().json()["next"].as_str().unwrap().to_owned()
    };
    other.client.get(&format!("/v1/search?limit=1&page={page}")).await.problem("wrong_store");
}

#[tokio::test]
async fn grpc_finds_and_counts_the_same() {
    let sidecar = Sidecar::start().await;
    searching::fill(&sidecar.client).await;
    let mut queries = sidecar.remote.queries();
    let mut request = v1::SearchRequest {
        text: "alpha".into(),
        metadata: [("n".to_owned(), "2".to_owned())].into(),
        sort: "score".into(),
        page_size: 2,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let answer = queries.search(request.clone()).await.unwrap().into_inner();
        assert!(answer.total_is_exact && answer.searched_to == answer.served.unwrap().position);
        found.extend(answer.hits.into_iter().map(|hit| (hit.event.unwrap().position, hit.score)));
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() {
            assert_eq!(answer.total, found.len() as u64);
            break;
        }
    }
    let over_http = sidecar.client.get("/v1/search?q=alpha&metadata.n=2&sort=score").await.ok().json();
    let hits = over_http["hits"].as_array().unwrap().iter();
    let same: Vec<_> = hits
        .map(|hit| (hit["event"]["position"].as_u64().unwrap(), hit["score"].as_f64().unwrap()))
        .collect();
    assert!(found.len() > 3 && found == same, "{found:?} {same:?}");
    request = v1::SearchRequest { sort: "name".into(), ..Default::default() };
    failed(queries.search(request).await, Code::InvalidArgument, "invalid_request");

    let counted = v1::StatisticsRequest {
        interval: "week".into(),
        time_zone: "Europe/Paris".into(),
        group_by: vec!["type".into(), "metadata.user".into()],
        top: 2,
        ..Default::default()
    };
    let counted = queries.statistics(counted).await.unwrap().into_inner();
    let path = "/v1/statistics?interval=week&tz=Europe/Paris&groupBy=type,metadata.user&top=2";
    let same = sidecar.client.get(path).await.ok().json();
    let buckets = |buckets: &[v1::Bucket]| {
        json!(
            buckets
                .iter()
                .map(|bucket| json!({"key": bucket.key, "count": bucket.count}))
                .collect::<Vec<_>>()
        )
    };
    assert_eq!((counted.total, 90), (same["total"].as_u64().unwrap(), counted.total));
    assert_eq!(buckets(&counted.by_interval), same["byInterval"]);
    for name in ["type", "metadata.user"] {
        assert_eq!(buckets(&counted.groups[name].buckets), same["groups"][name]);
        assert_eq!(counted.groups[name].other, same["other"][name]);
    }
    let wrong = v1::StatisticsRequest { group_by: vec!["x".into()], ..Default::default() };
    failed(queries.statistics(wrong).await, Code::InvalidArgument, "invalid_request");
}
