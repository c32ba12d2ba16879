//! `polylog import --from elasticsearch` on real servers of Elasticsearch and OpenSearch.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "cli/support.rs"]
mod support;

mod import_from;

use import_from::{Event, Gate, Import, check_store, complete, events};
use polylog_test_bed::{ElasticsearchServer, Product};
use serde_json::json;
use support::Dev;

/// An index of events as an application has it that keeps them in Elasticsearch.
const MAPPING: &str = r#"{
    "mappings": {"properties": {
        "eventId": {"type": "keyword"}, "aggregateId": {"type": "keyword"}, "aggregateType": {"type": "keyword"},
        "eventType": {"type": "keyword"}, "eventData": {"type": "object"}, "version": {"type": "integer"},
        "timestamp": {"type": "date"}, "correlationId": {"type": "keyword"}, "causationId": {"type": "keyword"},
        "metadata": {"type": "object"}
    }},
    "settings": {"number_of_shards": 3, "number_of_replicas": 0, "refresh_interval": "30s"}
}"#;

/// Documents of an application, by bulk.
fn fill(server: &ElasticsearchServer, index: &str, events: &[Event]) {
    for part in events.chunks(1_000) {
        let line = |event: &Event| {
            let Event { id, aggregate, version, data, metadata, time } = event;
            format!(
                "{{\"index\":{{\"_index\":\"{index}\",\"_id\":\"{id}\"}}}}\n{{\"eventId\":\"{id}\",\"aggregateId\":\"p{aggregate}\",\
                 \"aggregateType\":\"Payment\",\"eventType\":\"PaymentProcessed\",\"eventData\":{data},\"version\":{version},\
                 \"timestamp\":\"{time}\",\"correlationId\":\"c{aggregate}\",\"causationId\":null,\"metadata\":{metadata}}}\n"
            )
        };
        let lines: String = part.iter().map(line).collect();
        let answer = server.request("POST", "/_bulk", &lines);
        assert!(answer.contains("\"errors\":false"), "{answer:.500}");
    }
}

fn import<'a>(dev: &'a Dev, url: String, index: &str) -> Import<'a> {
    let arguments = ["--from", "elasticsearch", index].map(str::to_owned).to_vec();
    Import { dev, arguments, url }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Every case on one server: starting one takes longer than all of them.
fn all(product: Product) {
    let server = ElasticsearchServer::start(product);
    an_index_needs_no_mapping_and_a_killed_import_goes_on(&server);
    damaged_streams_are_told_and_nothing_is_written(&server);
    a_wrong_mapping_or_index_is_told(&server);
    an_index_of_another_shape(&server);
    documents_that_cannot_be_told_apart_by_their_order(&server);
}

#[test]
fn indices_of_elasticsearch() {
    all(Product::Elasticsearch);
}

#[test]
fn indices_of_opensearch() {
    all(Product::OpenSearch);
}

fn an_index_needs_no_mapping_and_a_killed_import_goes_on(server: &ElasticsearchServer) {
    let events = events(2_500, 25);
    server.request("PUT", "/payments", MAPPING);
    fill(server, "payments", &events);
    let dev = Dev::start();
    let gate = Gate::before(server.port());
    let import = import(&dev, url(gate.port()), "payments");
    import.killed_at(&gate, 600_000, import.command(&[]));
    assert!(dev.events(&[]).is_empty(), "nothing is written before everything was read");
    let (summary, said) = import.succeeds(&[]);
    let read = said.split("going on: ").nth(1).and_then(|rest| rest.split(' ').next()).expect(&said);
    assert!(read.parse::<usize>().is_ok_and(|read| read > 50 && read < events.len()), "{said}");
    assert_eq!(summary, complete(events.len(), events.len()));
    check_store(&dev, &events);
    assert!(dev.events(&["Payment-p1"]).iter().all(|event| event["metadata"].get("$imported").is_none()));
    assert_eq!(import.succeeds(&[]).0, complete(events.len(), 0), "the same command again does nothing");
    assert!(
        dev.run(&["export"]).contains("\"data\":{\"n\":17,\"amount\":\"17.00\""),
        "data stays as it is written"
    );
}

fn damaged_streams_are_told_and_nothing_is_written(server: &ElasticsearchServer) {
    let dev = Dev::start();
    let mut events = events(60, 3);
    events[30].version = 90;
    server.request("PUT", "/damaged", MAPPING);
    fill(server, "damaged", &events);
    let import = import(&dev, url(server.port()), "damaged");
    import.refused(&[], "stream Payment-p0 has no version 11");
    events[30].version = 11;
    fill(server, "damaged", &events[30..31]);
    // another document of the same event
    let twice =
        r#"{"eventId":"0198f2c0-0000-7000-8000-000000000005","aggregateId":"p2","aggregateType":"Payment",
        "eventType":"T","eventData":{},"version":21,"timestamp":"2024-01-01"}"#
            .replace('\n', "");
    server.request("PUT", "/damaged/_doc/other", &twice);
    import.refused(&[], "2 events have the id 0198f2c0-0000-7000-8000-000000000005");
    let untimed =
        r#"{"eventId":"x","aggregateId":"p2","aggregateType":"Payment","eventType":"T","version":21}"#;
    server.request("PUT", "/damaged/_doc/other", untimed);
    import.refused(&[], "document other: it has no timestamp, from which its time is taken");
    server.request("DELETE", "/damaged/_doc/other", "");
    assert_eq!(import.succeeds(&[]).0, complete(60, 60));
    check_store(&dev, &events);
}

fn a_wrong_mapping_or_index_is_told(server: &ElasticsearchServer) {
    let dev = Dev::start();
    let import = import(&dev, url(server.port()), "payments");
    import
        .refused(&["--map", "type=kind"], "there is no field \"kind\" for type; there are _id, aggregateId");
    let both = ["--map", "version=eventType", "--map", "type=eventType"];
    import.refused(&both, "its version is no whole number: PaymentProcessed");
    import.refused(
        &["--map", "id=metadata.nothing", "--map", "version=eventData.nothing"],
        "can be sorted neither",
    );
    let nowhere =
        Import { arguments: ["--from", "elasticsearch", "orders"].map(str::to_owned).to_vec(), ..import };
    nowhere.refused(&[], "index_not_found_exception");
    assert_eq!(nowhere.outcome(&["--from-url", "http://me:geheim@127.0.0.1:1"]).0, 3);
    nowhere.refused(&["--from-url", "postgres://me:geheim@h/d"], "http://");
}

fn an_index_of_another_shape(server: &ElasticsearchServer) {
    let documents: String = (0..2_500)
        .map(|n| {
            let (account, revision, at) = (n % 2, n / 2, 1_704_067_200_000_u64 + n);
            format!(
                "{{\"create\":{{\"_index\":\"journal-{}\",\"_id\":\"e{n}\"}}}}\n\
                 {{\"doc\":{{\"account\":{account},\"revision\":{revision},\"kind\":\"Moved\"}},\"body\":\"{{\\\"n\\\": {n}.0}}\",\
                 \"at\":{at}}}\n",
                n % 3
            )
        })
        .collect();
    server.request("POST", "/_bulk", &documents);
    let dev = Dev::start();
    let mapping = dev.file(
        "journal.yaml",
        "aggregateType: =Account\naggregateId: doc.account\nversion: doc.revision\ntype: doc.kind\ntime: at\n\
         data: body\ndataForm: parsed\n",
    );
    let import = import(&dev, url(server.port()), "journal-*");
    let (summary, said) = import.succeeds(&["--mapping", &mapping.display().to_string()]);
    assert!(said.contains("id from _id"), "{said}");
    assert_eq!(summary, complete(2_500, 2_500));
    let event = &dev.events(&["Account-1"])[1_249];
    assert_eq!(
        (&event["version"], &event["time"]),
        (&json!(1_250), &json!("2024-01-01T00:00:02.499Z")),
        "{event}"
    );
    assert_eq!(
        (&event["data"], &event["metadata"]["$imported"]),
        (&json!({"n": 2_499.0}), &json!({"_id": "e2499"}))
    );
}

fn documents_that_cannot_be_told_apart_by_their_order(server: &ElasticsearchServer) {
    let documents: String = (0..1_600)
        .map(|n| {
            let account = n / 800;
            format!(
                "{{\"create\":{{\"_index\":\"alike\",\"_id\":\"e{n}\"}}}}\n{{\"stream\":\"a{account}\",\"version\":1,\
                 \"type\":\"T\",\"data\":{n},\"time\":\"2024-01-01\"}}\n"
            )
        })
        .collect();
    server.request("POST", "/_bulk", &documents);
    let dev = Dev::start();
    let import = import(&dev, url(server.port()), "alike");
    import.refused(&[], "stream a0 has version 1 twice");
    assert_eq!(import.succeeds(&["--renumber"]).0, complete(1_600, 1_600));
    let mut data: Vec<u64> =
        dev.events(&[]).iter().map(|event| event["data"].as_u64().expect("a number")).collect();
    data.sort_unstable();
    assert!(data.into_iter().eq(0..1_600));
}
