//! What searches and counts are expected to say, on every engine: the same as a look at each event of the log.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Client;

/// Three payments of 2024 are found at once, by what they are and when they happened.
pub async fn what_was_just_appended_is_found(client: &Client) {
    let (first, other) = (r#"{"amount":"100.00","currency":"EUR"}"#, r#"{"amount":"7.00","currency":"USD"}"#);
    client.append("PaymentHistory-123", "PaymentProcessed", first).await;
    let history = client.get("/v1/streams/PaymentHistory-123").await.ok().json();
    assert_eq!(history["events"].as_array().unwrap().len(), 1);
    assert_eq!(history["events"][0]["type"], "PaymentProcessed");
    for (number, data) in [first, other, first].into_iter().enumerate() {
        let body = format!(
            r#"{{"expectedVersion":"noStream","events":[{{"type":"PaymentProcessed","data":{data},"time":"2024-0{}-03T10:00:00Z"}}]}}"#,
            number + 1
        );
        client.post(&format!("/v1/streams/Payment-{number}"), body).await.ok();
        let year = "types=PaymentProcessed&since=2024-01-01T00:00:00Z&until=2024-12-31T00:00:00Z";
        let found = client.get(&format!("/v1/search?categories=Payment&{year}")).await.ok();
        let position = found.header("polylog-position").unwrap().to_owned();
        let found = found.json();
        assert_eq!(found["hits"].as_array().unwrap().len(), number + 1, "{found}");
        assert_eq!(
            (&found["total"], &found["exact"], &found["next"]),
            (&json!(number + 1), &json!(true), &Value::Null)
        );
        assert_eq!(found["hits"][0]["event"]["stream"], format!("Payment-{number}"), "the newest first");
        assert_eq!(found["searchedTo"].to_string(), position);
    }
    let euro = client.get("/v1/search?q=eur+100.00&categories=Payment&sort=time").await.ok().json();
    assert_eq!(streams(&euro), ["Payment-0", "Payment-2"]);
}

/// Fills a log with events of many kinds, some of them equally old.
pub async fn fill(client: &Client) {
    let words = ["alpha", "Beta", "GAMMA", "delta 7", "straße", "x\\\"y"];
    for number in 0..90_u32 {
        let stream = format!("{}-{}", ["Pay", "Order", "pay"][number as usize % 3], number % 10);
        let kind = ["Paid", "Placed", "Sent", "paid"][number as usize % 4];
        let (word, more) = (words[number as usize % 6], words[number as usize / 7 % 6]);
        let metadata = match number % 4 {
            0 => String::new(),
            1 => format!(r#","metadata":{{"user":"u{}","n":{}}}"#, number % 5, number % 3),
            _ => format!(
                r#","metadata":{{"n":"{}","user":null,"organizationId":"o{}"}}"#,
                number % 3,
                number % 7
            ),
        };
        let time = format!(
            "2026-{:02}-{:02}T{:02}:{:02}:00Z",
            3 + number % 2,
            27 + number % 3,
            number / 4,
            number % 60
        );
        let event = format!(
            r#"{{"type":"{kind}","time":"{time}","data":{{"w":"{word}","l":["{more}",{number}]}}{metadata}}}"#
        );
        let body = format!(r#"{{"expectedVersion":"any","events":[{event}]}}"#);
        client.post(&format!("/v1/streams/{stream}"), body).await.ok();
    }
}

/// Searches of a filled log, page by page, find what a look at each event finds.
pub async fn searches_find_what_is_there(client: &Client) {
    let log = everything(client).await;
    type Wanted = fn(&Value) -> bool;
    let searches: [(&str, Wanted); 12] = [
        ("categories=Pay,Order,pay", |_| true),
        ("q=ALPHA", |event| words(event).contains("alpha")),
        ("q=beta+u1", |event| words(event).contains("beta") && event["metadata"]["user"] == "u1"),
        ("q=STRASSE", |_| false),
        ("q=Stra%C3%9Fe+7", |event| words(event).contains("straße") && has_number(event, "7")),
        ("q=w", |_| false),
        ("types=Paid,Sent&categories=Pay", |event| {
            ["Paid", "Sent"].contains(&event["type"].as_str().unwrap()) && event["category"] == "Pay"
        }),
        ("categories=p*&typePrefix=pa", |event| event["category"] == "pay" && event["type"] == "paid"),
        ("metadata.user=u2", |event| event["metadata"]["user"] == "u2"),
        ("metadata.n=1", |event| event["metadata"]["n"] == "1" || event["metadata"]["n"] == 1),
        ("since=2026-03-28T05:00:00Z&until=2026-04-28T00:00:00Z&metadata.organizationId=o3", |event| {
            let time = event["time"].as_str().unwrap();
            ("2026-03-28T05:00:00Z".."2026-04-28T00:00:00Z").contains(&time)
                && event["metadata"]["organizationId"] == "o3"
        }),
        ("filter=event.data.l%5B1%5D+%3E+80", |event| event["data"]["l"][1].as_u64() > Some(80)),
    ];
    for (query, wanted) in searches {
        for sort in ["-time", "time", "position", "-position", "score"] {
            let mut expected: Vec<&Value> = log.iter().filter(|event| wanted(event)).collect();
            expected.sort_by_key(|event| {
                let (time, position) =
                    (event["time"].as_str().unwrap().to_owned(), event["position"].as_i64().unwrap());
                (if sort.ends_with("time") { time } else { String::new() }, position)
            });
            if sort.starts_with('-') {
                expected.reverse();
            }
            let query = format!("{query}&sort={sort}");
            let mut found = pages(client, &query, expected.len()).await;
            if sort == "score" {
                let scores: Vec<f64> = found.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
                assert!(scores.is_sorted_by(|a, b| a >= b), "{query}: {scores:?}");
                found.sort_by_key(|hit| hit["event"]["position"].as_i64());
            }
            let found: Vec<&Value> = found.iter().map(|hit| &hit["event"]).collect();
            assert!(found == expected, "{query}: {found:?}\nnot {expected:?}");
        }
    }
}

/// All hits of a search, a few at a time; the log grows meanwhile, which changes nothing.
async fn pages(client: &Client, query: &str, total: usize) -> Vec<Value> {
    let mut hits = Vec::new();
    let (mut page, mut searched_to) = (String::new(), None);
    loop {
        let answer = client.get(&format!("/v1/search?{query}&limit=7{page}")).await.ok().json();
        assert_eq!((&answer["total"], &answer["exact"]), (&json!(total), &json!(true)), "{query}");
        assert_eq!(*searched_to.get_or_insert(answer["searchedTo"].clone()), answer["searchedTo"], "{query}");
        hits.extend(answer["hits"].as_array().unwrap().iter().cloned());
        let Some(next) = answer["next"].as_str() else { return hits };
        assert_eq!(answer["hits"].as_array().unwrap().len(), 7, "{query}");
        page = format!("&page={next}");
        client.append("Noise-1", "Noise", "\"in between\"").await;
        let noise = client.get("/v1/search?types=Noise&limit=1").await.ok().json();
        assert_eq!(noise["hits"].as_array().unwrap().len(), 1, "another search sees it at once");
    }
}

/// Counts of a filled log are those of a look at each event.
pub async fn counts_are_those_of_the_log(client: &Client) {
    let log: Vec<Value> = all(client).await;
    for filter in [
        "",
        "types=Paid,paid",
        "categories=p*",
        "filter=event.data.l%5B1%5D+%3C+50",
        "since=2026-03-28T00:00:00Z",
    ] {
        let found = client.get(&format!("/v1/search?{filter}&limit=1000")).await.ok().json();
        let events: Vec<&Value> = found["hits"].as_array().unwrap().iter().map(|hit| &hit["event"]).collect();
        assert!(!events.is_empty() && events.iter().all(|event| log.contains(event)));
        for zone in ["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"] {
            let by_day = counted(events.iter().map(|event| Some(day(event, zone))));
            let trends = client.get(&format!("/v1/trends?{filter}&tz={zone}")).await.ok().json();
            let told = trends["trends"].as_array().unwrap();
            let days: Vec<&str> = told.iter().map(|step| step["date"].as_str().unwrap()).collect();
            assert!(days.is_sorted_by(|a, b| a < b), "{days:?}");
            let some: BTreeMap<String, u64> = told
                .iter()
                .map(|step| (step["date"].as_str().unwrap().to_owned(), step["count"].as_u64().unwrap()))
                .filter(|(_, count)| *count > 0)
                .collect();
            assert_eq!(some, by_day, "{filter} {zone}");
            let date = |text: &str| text.parse::<jiff::civil::Date>().unwrap();
            let between = date(days[0]).until(date(days[days.len() - 1])).unwrap().get_days();
            assert_eq!(days.len() as i32, between + 1, "no day is left out: {days:?}");
        }
        let asked = "interval=hour&tz=Asia/Kathmandu&top=3&groupBy=type,category,metadata.user,metadata.n";
        let told = client.get(&format!("/v1/statistics?{filter}&{asked}")).await.ok().json();
        assert_eq!(told["total"], events.len());
        let by_hour = told["byInterval"].as_array().unwrap();
        assert_eq!(
            by_hour.iter().map(|step| step["count"].as_u64().unwrap()).sum::<u64>(),
            events.len() as u64
        );
        assert!(by_hour[0]["key"].as_str().unwrap().ends_with(":15:00Z"), "{by_hour:?}");
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        check_groups(&told, "type", counted(events.iter().map(|event| text(&event["type"]))));
        check_groups(&told, "category", counted(events.iter().map(|event| text(&event["category"]))));
        check_groups(
            &told,
            "metadata.user",
            counted(events.iter().map(|event| text(&event["metadata"]["user"]))),
        );
        check_groups(&told, "metadata.n", counted(events.iter().map(|event| text(&event["metadata"]["n"]))));
    }
}

fn check_groups(told: &Value, name: &str, counts: BTreeMap<String, u64>) {
    let mut expected: Vec<(String, u64)> = counts.into_iter().collect();
    expected.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), key.clone()));
    let other: u64 = expected.iter().skip(3).map(|(_, count)| count).sum();
    let buckets: Vec<Value> =
        expected.iter().take(3).map(|(key, count)| json!({"key": key, "count": count})).collect();
    assert_eq!((&told["groups"][name], &told["other"][name]), (&json!(buckets), &json!(other)), "{name}");
}

fn counted(values: impl Iterator<Item = Option<String>>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    values.flatten().for_each(|value| *counts.entry(value).or_default() += 1);
    counts
}

fn day(event: &Value, zone: &str) -> String {
    let moment: jiff::Timestamp = event["time"].as_str().unwrap().parse().unwrap();
    moment.in_tz(zone).unwrap().date().to_string()
}

/// Every event of the log, as reads show it.
async fn all(client: &Client) -> Vec<Value> {
    let lines = client.get_as("/v1/events", "application/x-ndjson").await.ok().text();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Without those that come in between.
async fn everything(client: &Client) -> Vec<Value> {
    all(client).await.into_iter().filter(|event| event["category"] != "Noise").collect()
}

/// The words of the data's texts, taken apart otherwise than by the search.
fn words(event: &Value) -> String {
    format!("{} {}", event["data"]["w"], event["data"]["l"]).to_lowercase()
}

fn has_number(event: &Value, number: &str) -> bool {
    event.to_string().contains(&format!(",{number}]")) || words(event).contains(&format!("delta {number}"))
}

fn streams(found: &Value) -> Vec<String> {
    let hits = found["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["event"]["stream"].as_str().unwrap().to_owned()).collect()
}
