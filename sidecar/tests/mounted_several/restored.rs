//! A database that is restored from an older copy while no process runs.

use polylog_test_bed::PostgresServer;

use super::{
    Bed, MAJORITY, Told, strategy,
    support::{
        mounted::{Serving, until},
        replicas::{append, append_until_acknowledged, numbers, source, until_level},
        server::{LogServer, Place},
    },
    until_line, until_status,
};

/// Copies every table of a log from one schema to another.
fn copy(server: &PostgresServer, place: &Place, from: &str, to: &str) {
    let tables = format!(
        "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE schemaname = '{}' \
         AND tablename LIKE 'polylog\\_%'",
        place.schema
    );
    let tables = server.run(place, &tables);
    let mut sql = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; CREATE SCHEMA IF NOT EXISTS {to};");
    for table in tables.split(',') {
        sql += &format!(
            "CREATE TABLE IF NOT EXISTS {to}.{table} (LIKE {from}.{table}); DELETE FROM {to}.{table}; \
             INSERT INTO {to}.{table} SELECT * FROM {from}.{table};"
        );
    }
    server.run(place, &format!("{sql} COMMIT"));
}

/// Two of three acknowledge an event. One of them is restored from yesterday's dump before any process begins again, the
/// other one is away, and the third never had it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_was_restored_while_nobody_ran_does_not_vote() {
    let bed = Bed::new().await;
    let volume = bed.volume(&bed.manifest(3, Told::Following(0), ""), &strategy(MAJORITY));
    let (gateway, one) = (Serving::start("gateway", &volume).await, Serving::start("sidecar", &volume).await);
    for number in 1..=3 {
        append_until_acknowledged(&one.client, number).await;
    }
    assert_eq!(until_level(&one.client).await["primary"], "ledger");
    let spare = &bed.places[2];
    copy(&bed.spare, spare, &spare.schema, "yesterday");
    let revision = bed.spare.run(spare, "SELECT revision FROM yesterday.polylog_head");
    let revision: u64 = revision.parse().unwrap();
    let events = bed.spare.count(spare, "true");

    for number in 4..=8 {
        append_until_acknowledged(&gateway.client, number).await;
    }
    until_level(&one.client).await;
    until("the other keeps more of it than the copy has", || async {
        let keeps = bed.mirror.run(
            &bed.places[1],
            &format!(
                "SELECT CAST(holder AS CHAR) FROM {} WHERE name = 'last-seen'",
                bed.places[1].table("polylog_leases")
            ),
        );
        let of_spare = format!("{}=", bed.identities[2].incarnation);
        let kept = keeps.split(' ').find_map(|kept| kept.strip_prefix(&of_spare)?.parse::<u64>().ok());
        (kept? > revision).then_some(())
    })
    .await;
    bed.mirror.crash();
    append_until_acknowledged(&one.client, 9).await;
    drop((gateway, one));
    bed.ledger.crash();
    copy(&bed.spare, spare, "yesterday", &spare.schema);
    bed.mirror.start_again();

    let (gateway, one) = (Serving::start("gateway", &volume).await, Serving::start("sidecar", &volume).await);
    for serving in [&gateway, &one] {
        until_line(serving, "source_went_back").await;
        let waits = until_status(serving, "it is told", |status| {
            source(status, "spare")["state"] == "Divergent"
                && source(status, "mirror")["state"] != "Unreachable"
        })
        .await;
        assert_eq!(waits["primary"], serde_json::Value::Null, "{waits}");
        assert!(source(&waits, "spare")["message"].as_str().unwrap().contains("it went back"), "{waits}");
        let answer = append(&serving.client, 10).await;
        assert!(!answer.status.is_success(), "nothing may be acknowledged: {}", answer.text());
    }
    assert_eq!(bed.spare.count(spare, "true"), events, "nothing is written to it");

    // the log goes on with the one that was away, and all that was acknowledged is there
    bed.ledger.start_again();
    append_until_acknowledged(&one.client, 10).await;
    until("it shows all of them", || async {
        let mut read = numbers(&gateway.client).await;
        read.sort_unstable();
        (read == (1..=10).collect::<Vec<_>>()).then_some(())
    })
    .await;
    assert_eq!(source(&gateway.status("payments").await, "spare")["state"], "Divergent");
    assert_eq!(bed.spare.count(spare, "true"), events, "nothing is written to it");
}
